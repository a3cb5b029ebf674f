// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/http: from the request line to a Request. No I/O.
#pragma once

#include "shared/http/message.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace lapwing::http {

inline constexpr std::size_t kQueryParametersMax = 64;

/// Path and query of `/path?name=value&...`. bad_input: no path, a broken escape, more than
/// kQueryParametersMax parameters.
Result<Request> parse_target(std::string_view target);
/// HEAD is GET; nullopt: none of ours.
[[nodiscard]] std::optional<Method> method_from(std::string_view text);
/// Whether a Host header names this machine for itself: `localhost` or a loopback address. A page
/// elsewhere whose name was made to lead here (DNS rebinding) does not.
[[nodiscard]] bool is_local_host(std::string_view host);
[[nodiscard]] std::string lower_case(std::string_view text);

}  // namespace lapwing::http
