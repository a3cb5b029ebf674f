// SPDX-License-Identifier: Apache-2.0
#include "shared/http/router.hpp"

#include <algorithm>
#include <cassert>

namespace lapwing::http {
namespace {

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    const auto slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

bool is_variable(std::string_view segment) { return segment.starts_with('{'); }

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  return std::ranges::equal(pattern, path, [](const auto& want, const auto& have) {
    return is_variable(want) ? !have.empty() : want == have;
  });
}

/// Whether `a` is the more exact of two patterns that both fit.
bool more_exact(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::ranges::lexicographical_compare(a, b, {}, &is_variable, &is_variable);
}

Response file_response(const Request& request, const StaticFile& file) {
  return with_etag(request, {.content_type = std::string(file.content_type),
                             .body = std::string(file.bytes),
                             .headers = {{"Cache-Control", "no-cache"}}});
}

std::string allow_header(std::vector<Method> methods) {
  std::ranges::sort(methods);
  methods.erase(std::unique(methods.begin(), methods.end()), methods.end());
  std::string allow;
  for (const auto method : methods) {
    if (!allow.empty()) allow += ", ";
    allow += to_string(method);
    if (method == Method::get) allow += ", HEAD";
  }
  return allow;
}

}  // namespace

void Router::add(Method method, std::string_view pattern, Handler handler) {
  assert(pattern.starts_with('/'));
  Route route{.segments = {}, .handler = std::move(handler), .body_bytes = 0};
  for (const auto segment : split(pattern)) {
    assert(is_variable(segment) == segment.ends_with('}'));
    route.segments.emplace_back(segment);
  }
  assert(std::ranges::none_of(infos_, [&](const RouteInfo& known) {
    return known.method == method && known.pattern == pattern;
  }));
  infos_.push_back({method, std::string(pattern)});
  routes_.push_back(std::move(route));
}

void Router::add_quick(Method method, std::string_view path, Handler handler) {
  assert(path.find('{') == std::string_view::npos);
  add(method, path, std::move(handler));
  quick_.push_back(infos_.back());
}

void Router::allow_body(Method method, std::string_view pattern, std::uint64_t bytes) {
  const auto at = std::ranges::find(infos_, RouteInfo{method, std::string(pattern)});
  assert(at != infos_.end());
  routes_[static_cast<std::size_t>(at - infos_.begin())].body_bytes = bytes;
  body_bytes_max_ = std::max(body_bytes_max_, bytes);
}

std::uint64_t Router::body_bytes(Method method, std::string_view path,
                                 std::uint64_t fallback) const {
  if (body_bytes_max_ == 0) return fallback;
  const auto match = find(method, path);
  return match && match->body_bytes > 0 ? match->body_bytes : fallback;
}

bool Router::quick(const Request& request) const {
  return std::ranges::find(quick_, RouteInfo{request.method, request.path}) != quick_.end();
}

void Router::add_files(std::span<const StaticFile> files) {
  for (const auto& file : files) {
    const auto handler = [file](const Request& request) { return file_response(request, file); };
    add(Method::get, file.path, handler);
    constexpr std::string_view kIndex = "/index.html";
    if (file.path.ends_with(kIndex)) {
      add(Method::get, file.path.substr(0, file.path.size() - kIndex.size() + 1), handler);
    }
  }
}

Result<Router::Match> Router::find(Method method, std::string_view path) const {
  std::vector<std::string> segments;
  for (const auto segment : split(path)) {
    auto decoded = percent_decode(segment);
    if (!decoded) return decoded.error();
    segments.push_back(*std::move(decoded));
  }
  Match match;
  const Route* best = nullptr;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    if (!fits(routes_[i].segments, segments)) continue;
    if (infos_[i].method != method) {
      match.allowed.push_back(infos_[i].method);
    } else if (best == nullptr || more_exact(routes_[i].segments, best->segments)) {
      best = &routes_[i];
    }
  }
  if (best == nullptr) return match;
  match.allowed.clear();
  match.handler = &best->handler;
  match.body_bytes = best->body_bytes;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const auto& name = best->segments[i];
    if (is_variable(name)) {
      match.parameters.emplace_back(name.substr(1, name.size() - 2), std::move(segments[i]));
    }
  }
  return match;
}

Response Router::answer(Request& request) const {
  auto match = find(request.method, request.path);
  if (!match) return problem(match.error(), request.path);
  if (match->handler != nullptr) {
    request.parameters = std::move(match->parameters);
    return (*match->handler)(request);
  }
  if (match->allowed.empty()) {
    if (otherwise_) return otherwise_(request);
    return problem(404, "nothing is served at this address", request.path);
  }
  const auto allow = allow_header(std::move(match->allowed));
  auto response = problem(405, "this address understands: " + allow, request.path);
  response.headers.emplace_back("Allow", allow);
  return response;
}

}  // namespace lapwing::http
