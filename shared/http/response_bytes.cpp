// SPDX-License-Identifier: Apache-2.0
#include "shared/http/response_bytes.hpp"

#include "shared/base/time.hpp"
#include "shared/http/message_io.hpp"

#include <array>
#include <ctime>
#include <utility>

namespace lapwing::http {
namespace {

std::string http_date() {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now());
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const auto length = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), length};
}

/// Fields that every response carries.
void add_common_fields(beast::http::fields& fields) {
  fields.set("Date", http_date());
  fields.set("Content-Security-Policy",
             "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
             "form-action 'self'; frame-ancestors 'none'");
  fields.set("X-Content-Type-Options", "nosniff");
  fields.set("X-Frame-Options", "DENY");
  fields.set("Referrer-Policy", "no-referrer");
}

ResponseMessage head_of(const Response& response, unsigned version) {
  ResponseMessage out;
  out.version(version);
  out.result(response.status);
  out.reason(std::string(reason_phrase(response.status)));
  add_common_fields(out);
  if (!response.content_type.empty()) out.set("Content-Type", response.content_type);
  for (const auto& [name, value] : response.headers) out.set(name, value);
  return out;
}

}  // namespace

std::string response_bytes(Response response, const Framing& framing) {
  auto out = head_of(response, framing.version);
  out.keep_alive(framing.keep_alive);
  const bool bare = response.status == 204 || response.status == 304;
  if (!bare) out.content_length(response.body.size());
  if (!bare && !framing.head) out.body() = std::move(response.body);
  return to_bytes(out);
}

std::string event_stream_head(Response response) {
  response.content_type = "text/event-stream";
  auto out = head_of(response, 11);
  out.set("Cache-Control", "no-store");
  out.set("X-Accel-Buffering", "no");
  out.keep_alive(false);
  return to_bytes(out);
}

}  // namespace lapwing::http
