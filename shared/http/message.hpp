// SPDX-License-Identifier: Apache-2.0
/// Requests and responses as plain data, for servers and clients alike.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::http {

class EventStream;

using Pairs = std::vector<std::pair<std::string, std::string>>;

enum class Method : std::uint8_t { get, post, put, patch, del };
/// `GET`, `DELETE`.
[[nodiscard]] std::string_view to_string(Method method) noexcept;

/// A request as a handler sees it. Everything in it is bounded by the server's Limits; texts from
/// the target are percent-decoded and valid UTF-8 without NUL.
struct Request {
  Method method = Method::get;  ///< HEAD arrives as GET
  std::string path;             ///< as sent, not decoded, without the query
  Pairs parameters;             ///< of the route's pattern
  Pairs query;                  ///< in order; `+` is a space
  Pairs headers;                ///< names in lower case
  std::string body;
  std::string remote;  ///< the peer's IP address

  /// The value of `{name}` in the pattern. Asking for a name that is not there is a bug (assert).
  [[nodiscard]] const std::string& parameter(std::string_view name) const;
  /// The first one of that name.
  [[nodiscard]] std::optional<std::string_view> query_value(std::string_view name) const;
  /// `name` in lower case.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

struct Response {
  unsigned status = 200;
  std::string content_type;  ///< empty: no body
  std::string body;
  Pairs headers;
  /// Set: after the headers the connection carries this stream until it ends; `body` is ignored.
  std::shared_ptr<EventStream> stream = nullptr;

  /// `name` in any case.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

/// What a problem says (see problem()): its detail, else the status in words.
[[nodiscard]] std::string problem_detail(const Response& response);

[[nodiscard]] Response json_response(std::string body, unsigned status = 200);
[[nodiscard]] Response text_response(std::string body, unsigned status = 200);

/// An error for programs and people (RFC 9457): application/problem+json with type, title, status,
/// detail and instance. `detail` names what was wrong and the remedy; never a secret.
[[nodiscard]] Response problem(unsigned status, std::string_view detail,
                               std::string_view instance = {});
/// The status that fits the error's code: not_found 404, denied 403, limit 429, exists 409, ...
/// What only operators should read (io, corrupt) is replaced by a general text.
[[nodiscard]] Response problem(const Error& error, std::string_view instance = {});
/// `Not Found` for 404.
[[nodiscard]] std::string_view reason_phrase(unsigned status) noexcept;

/// The answer to a GET: with an ETag made from the body, and 304 without a body when the request's
/// If-None-Match names it. Cost: one pass over the body.
[[nodiscard]] Response with_etag(const Request& request, Response response);

/// Percent-decoding. bad_input: a broken escape, NUL, or not UTF-8 afterwards.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);
/// Everything but unreserved characters becomes %XX: for path segments and query values.
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace lapwing::http
