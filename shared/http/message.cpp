// SPDX-License-Identifier: Apache-2.0
#include "shared/http/message.hpp"

#include "shared/base/utf8.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cassert>

namespace lapwing::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::optional<std::string_view> find(const Pairs& pairs, std::string_view name) {
  const auto at = std::ranges::find(pairs, name, [](const auto& pair) { return pair.first; });
  if (at == pairs.end()) return std::nullopt;
  return at->second;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::uint64_t fnv1a(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

/// Whether a list of entity tags has `tag`; weak comparison, as If-None-Match wants.
bool names_tag(std::string_view list, std::string_view tag) {
  for (std::size_t at = 0; at < list.size();) {
    auto end = list.find(',', at);
    if (end == std::string_view::npos) end = list.size();
    auto one = list.substr(at, end - at);
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || one == tag) return true;
    at = end + 1;
  }
  return false;
}

unsigned status_of(Errc code) {
  switch (code) {
    case Errc::bad_input:
    case Errc::bad_shape:
      return 400;
    case Errc::denied:
      return 403;
    case Errc::not_found:
      return 404;
    case Errc::exists:
      return 409;
    case Errc::limit:
      return 429;
    case Errc::unsupported:
      return 501;
    case Errc::shutting_down:
    case Errc::io:
      return 503;
    case Errc::timeout:
      return 504;
    default:
      return 500;
  }
}

}  // namespace

std::string_view to_string(Method method) noexcept {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::patch:
      return "PATCH";
    case Method::del:
      return "DELETE";
  }
  return "GET";
}

const std::string& Request::parameter(std::string_view name) const {
  const auto at = std::ranges::find(parameters, name, [](const auto& pair) { return pair.first; });
  assert(at != parameters.end());
  return at->second;
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
  return find(query, name);
}

std::optional<std::string_view> Request::header(std::string_view name) const {
  return find(headers, name);
}

std::optional<std::string_view> Response::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (std::ranges::equal(key, name, {}, lower, lower)) return value;
  }
  return std::nullopt;
}

Response json_response(std::string body, unsigned status) {
  return {.status = status, .content_type = "application/json", .body = std::move(body)};
}

Response text_response(std::string body, unsigned status) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(body)};
}

Response problem(unsigned status, std::string_view detail, std::string_view instance) {
  nlohmann::ordered_json body{
      {"type", "about:blank"}, {"title", reason_phrase(status)}, {"status", status}};
  if (!detail.empty()) body["detail"] = detail;
  if (!instance.empty()) body["instance"] = instance;
  return {.status = status,
          .content_type = "application/problem+json",
          .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          .headers = {{"Cache-Control", "no-store"}}};
}

Response problem(const Error& error, std::string_view instance) {
  const unsigned status = status_of(error.code);
  if (status == 503) {
    return problem(status, "the store cannot answer now; try again, and see the server's log",
                   instance);
  }
  if (status == 500) {
    return problem(status, "the server failed; its log says why", instance);
  }
  return problem(status, error.context, instance);
}

std::string problem_detail(const Response& response) {
  const auto body = nlohmann::json::parse(response.body, nullptr, false);
  const auto found = body.is_object() ? body.find("detail") : body.end();
  const bool said =
      found != body.end() && found->is_string() && !found->get_ref<const std::string&>().empty();
  return said ? found->get<std::string>() : std::string(reason_phrase(response.status));
}

std::string_view reason_phrase(unsigned status) noexcept {
  struct Phrase {
    unsigned status;
    std::string_view text;
  };
  static constexpr std::array kPhrases{
      Phrase{200, "OK"},
      Phrase{201, "Created"},
      Phrase{204, "No Content"},
      Phrase{304, "Not Modified"},
      Phrase{400, "Bad Request"},
      Phrase{401, "Unauthorized"},
      Phrase{403, "Forbidden"},
      Phrase{404, "Not Found"},
      Phrase{405, "Method Not Allowed"},
      Phrase{408, "Request Timeout"},
      Phrase{409, "Conflict"},
      Phrase{411, "Length Required"},
      Phrase{413, "Content Too Large"},
      Phrase{414, "URI Too Long"},
      Phrase{415, "Unsupported Media Type"},
      Phrase{421, "Misdirected Request"},
      Phrase{429, "Too Many Requests"},
      Phrase{431, "Request Header Fields Too Large"},
      Phrase{500, "Internal Server Error"},
      Phrase{501, "Not Implemented"},
      Phrase{503, "Service Unavailable"},
      Phrase{504, "Gateway Timeout"},
      Phrase{505, "HTTP Version Not Supported"},
  };
  const auto* at = std::ranges::find(kPhrases, status, &Phrase::status);
  return at == kPhrases.end() ? "Unknown" : at->text;
}

Response with_etag(const Request& request, Response response) {
  if (response.status != 200) return response;
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string tag = "\"";
  auto hash = fnv1a(response.body);
  for (int i = 0; i < 16; ++i, hash >>= 4U) tag += kDigits[hash & 15U];
  tag += '"';
  response.headers.emplace_back("ETag", tag);
  if (const auto known = request.header("if-none-match"); known && names_tag(*known, tag)) {
    response.status = 304;
    response.content_type.clear();
    response.body.clear();
  }
  return response;
}

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = high < 0 ? -1 : hex_digit(text[i + 2]);
      if (low < 0) {
        return Error{Errc::bad_input,
                     "the address has a '%' that two hexadecimal digits do not follow"};
      }
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (c == '\0') return Error{Errc::bad_input, "the address has a NUL in it"};
    out += c;
  }
  if (!valid_utf8(out)) return Error{Errc::bad_input, "the address is not UTF-8"};
  return out;
}

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    }
  }
  return out;
}

}  // namespace lapwing::http
