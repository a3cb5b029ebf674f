// SPDX-License-Identifier: Apache-2.0
#include "shared/http/request_target.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>

namespace lapwing::http {

Result<Request> parse_target(std::string_view target) {
  if (!target.starts_with('/')) {
    return Error{Errc::bad_input, "the request line wants an address that begins with '/'"};
  }
  target = target.substr(0, target.find('#'));
  const auto mark = target.find('?');
  Request request;
  request.path = target.substr(0, mark);
  auto whole = percent_decode(request.path);
  if (!whole) return whole.error();
  if (mark == std::string_view::npos) return request;
  for (auto rest = target.substr(mark + 1); !rest.empty();) {
    const auto end = std::min(rest.find('&'), rest.size());
    const auto pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    if (request.query.size() == kQueryParametersMax) {
      return Error{Errc::bad_input, "the address has too many query parameters"};
    }
    const auto equals = std::min(pair.find('='), pair.size());
    auto name = percent_decode(pair.substr(0, equals), true);
    if (!name) return name.error();
    auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!value) return value.error();
    request.query.emplace_back(*std::move(name), *std::move(value));
  }
  return request;
}

bool is_local_host(std::string_view host) {
  const bool bracketed = host.starts_with('[');
  const auto end = bracketed ? host.find(']') : host.find(':');
  if (bracketed && end == std::string_view::npos) return false;
  const auto name = lower_case(host.substr(bracketed ? 1 : 0, bracketed ? end - 1 : end));
  boost::system::error_code ec;
  const auto address = boost::asio::ip::make_address(name, ec);
  return name == "localhost" || (!ec && address.is_loopback());
}

std::optional<Method> method_from(std::string_view text) {
  if (text == "HEAD") return Method::get;
  for (const auto method : {Method::get, Method::post, Method::put, Method::patch, Method::del}) {
    if (to_string(method) == text) return method;
  }
  return std::nullopt;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

}  // namespace lapwing::http
