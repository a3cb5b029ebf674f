// SPDX-License-Identifier: Apache-2.0
#include "shared/http/client.hpp"

#include <charconv>

namespace lapwing::http {

std::string Origin::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return std::string(tls ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

Result<Origin> parse_origin(std::string_view url) {
  const Error bad{Errc::bad_input, "\"" + std::string(url.substr(0, 200)) +
                                       "\" is not the address of a hub; it looks like "
                                       "https://hub.example:8443"};
  Origin origin;
  auto rest = url;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    origin.tls = false;
    origin.port = 80;
  } else {
    return bad;
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#@ ") != std::string_view::npos) return bad;
  std::string_view port;
  bool has_port = false;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return bad;
    origin.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (!rest.empty() && rest.front() != ':') return bad;
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else {
    const auto colon = rest.find(':');
    origin.host = rest.substr(0, colon);
    has_port = colon != std::string_view::npos;
    if (has_port) port = rest.substr(colon + 1);
  }
  if (origin.host.empty()) return bad;
  if (has_port) {
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), origin.port);
    if (ec != std::errc{} || end != port.data() + port.size() || origin.port == 0) return bad;
  }
  return origin;
}

}  // namespace lapwing::http
