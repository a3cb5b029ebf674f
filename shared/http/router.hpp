// SPDX-License-Identifier: Apache-2.0
/// Which handler answers which request. No I/O.
#pragma once

#include "shared/http/message.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::http {

/// Answers one request. May block (it runs on the server's workers, when the server has any). What
/// it throws becomes a 500 and a log line.
using Handler = std::function<Response(const Request&)>;

/// A file of a page, in memory: made at build time by lapwing_embed_files
/// (cmake/LapwingEmbed.cmake).
struct StaticFile {
  std::string_view path;          ///< `/vendor/chart.js`; nothing but these exact paths is served
  std::string_view content_type;  ///< by the file's extension
  std::string_view bytes;
};

struct RouteInfo {
  Method method = Method::get;
  std::string pattern;
  friend bool operator==(const RouteInfo&, const RouteInfo&) = default;
};

/// Routes by method and pattern: `/api/v1/devices/{device}`; a name in braces takes one whole
/// segment that is not empty. A segment without braces wins over one with. Threads: const use is
/// safe.
class Router {
 public:
  /// The same method and pattern twice, or a malformed pattern, is a bug (assert).
  void add(Method method, std::string_view pattern, Handler handler);
  /// One that never blocks, on a fixed path: it is answered though all workers wait.
  void add_quick(Method method, std::string_view path, Handler handler);
  /// Requests of this route may have so long a body, whatever Limits::body_bytes says. The route is
  /// there.
  void allow_body(Method method, std::string_view pattern, std::uint64_t bytes);
  /// Each file at its path, `index.html` also at its folder. With ETag; not cached unchecked.
  void add_files(std::span<const StaticFile> files);

  /// Answers what no route is for, in place of 404.
  void otherwise(Handler handler) { otherwise_ = std::move(handler); }

  /// In the order they were added.
  [[nodiscard]] const std::vector<RouteInfo>& routes() const noexcept { return infos_; }

  struct Match {
    const Handler* handler = nullptr;  ///< null: 404, or 405 when `allowed` has methods
    std::uint64_t body_bytes = 0;      ///< 0: the server's limit
    Pairs parameters;
    std::vector<Method> allowed;  ///< methods of this path, when another one was asked for
  };
  /// `path` as sent. bad_input: it cannot be decoded.
  Result<Match> find(Method method, std::string_view path) const;

  /// What allow_body() said of the route that fits, else `fallback`; `path` as sent.
  [[nodiscard]] std::uint64_t body_bytes(Method method, std::string_view path,
                                         std::uint64_t fallback) const;
  /// The most that any route allows; 0: none does.
  [[nodiscard]] std::uint64_t body_bytes_max() const noexcept { return body_bytes_max_; }

  /// find(), then the handler, or the problem that says why there is none.
  Response answer(Request& request) const;
  /// Whether add_quick() was told of its handler.
  [[nodiscard]] bool quick(const Request& request) const;

 private:
  struct Route {
    std::vector<std::string> segments;  ///< `{name}` as is
    Handler handler;
    std::uint64_t body_bytes = 0;  ///< 0: as the server's limits say
  };
  std::vector<RouteInfo> infos_;
  std::vector<Route> routes_;  ///< parallel to infos_
  std::vector<RouteInfo> quick_;
  Handler otherwise_;
  std::uint64_t body_bytes_max_ = 0;
};

}  // namespace lapwing::http
