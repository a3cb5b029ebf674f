// SPDX-License-Identifier: Apache-2.0
/// The hub's API as the command line uses it.
#pragma once

#include "lapwing/settings.hpp"
#include "shared/base/result.hpp"
#include "shared/http/client.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::cli {

/// Threads: used by one thread. Errors: those of http::Client; what the hub refuses is denied (401,
/// 403), not_found, bad_input (400), io (the hub's fault or overload).
class Hub {
 public:
  /// bad_input: the address.
  static Result<Hub> make(Settings settings);

  Result<http::Response> get(std::string_view target) const { return client_.get(target); }
  [[nodiscard]] Result<http::Response> post(std::string_view target, std::string body) const {
    return client_.post(target, std::move(body));
  }
  [[nodiscard]] Result<http::Response> put(std::string_view target, std::string body) const {
    return client_.request(http::Method::put, target, std::move(body));
  }
  [[nodiscard]] Result<http::Response> del(std::string_view target) const {
    return client_.request(http::Method::del, target);
  }
  /// Every item of a list, page by page, at most `items_max` (0: all of them). Parameters without a
  /// value are left out.
  Result<std::vector<nlohmann::ordered_json>> list(
      std::string_view path, const std::vector<std::pair<std::string, std::string>>& query,
      std::size_t items_max) const;
  /// The feed's id as of now.
  Result<std::string> feed_position(const std::string& device) const;
  Result<void> follow(const std::string& device, std::string_view last_event_id,
                      const http::Client::EventHandlers& handlers) const;
  /// What the hub said, of a response that is no success.
  [[nodiscard]] static Error refusal(const http::Response& response);
  /// Of an answer that makes no sense.
  [[nodiscard]] static Error not_a_hub();
  /// As it was logged in to.
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  Hub(std::string address, http::ClientOptions options)
      : address_(std::move(address)), client_(std::move(options)) {}
  std::string address_;
  http::Client client_;
};

}  // namespace lapwing::cli
