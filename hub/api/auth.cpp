// SPDX-License-Identifier: Apache-2.0
#include "hub/api/auth.hpp"

#include "hub/fleet/tokens.hpp"
#include "shared/base/log.hpp"
#include "shared/trust/token.hpp"

#include <algorithm>

namespace lapwing::hub {
namespace {

constexpr std::string_view kScheme = "bearer ";

/// The token's text; empty when there is none.
std::string_view bearer_of(const http::Request& request) {
  auto header = request.header("authorization").value_or("");
  if (header.size() <= kScheme.size()) return {};
  const bool is_bearer =
      std::ranges::equal(header.substr(0, kScheme.size()), kScheme, {},
                         [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  if (!is_bearer) return {};
  header.remove_prefix(kScheme.size());
  while (header.starts_with(' ')) header.remove_prefix(1);
  return header;
}

http::Response unauthorised(std::string_view detail, std::string_view instance) {
  auto response = http::problem(401, detail, instance);
  response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"lapwing\"");
  return response;
}

}  // namespace

bool FailureLimiter::blocked(std::string_view address, Ticks at) const {
  const auto found = addresses_.find(address);
  return found != addresses_.end() && found->second.count >= failures_max_ &&
         at - found->second.since < kWindow;
}

void FailureLimiter::failed(std::string_view address, Ticks at) {
  auto found = addresses_.find(address);
  if (found == addresses_.end()) {
    if (addresses_.size() >= kAddressesMax) {
      std::erase_if(addresses_, [&](const auto& one) { return at - one.second.since >= kWindow; });
    }
    if (addresses_.size() >= kAddressesMax) {
      addresses_.erase(std::ranges::min_element(addresses_, {},
                                                [](const auto& one) { return one.second.since; }));
    }
    found = addresses_.emplace(std::string(address), Failures{.since = at}).first;
  }
  if (at - found->second.since >= kWindow) found->second = {.since = at};
  ++found->second.count;
}

http::Response too_many_failures(std::string_view instance) {
  auto response =
      http::problem(429, "too many failed credentials from this address; wait a minute", instance);
  response.headers.emplace_back("Retry-After", "60");
  return response;
}

bool Authenticator::blocked(const http::Request& request) {
  const MutexLock lock(mutex_);
  return limiter_.blocked(request.remote, ticks_now());
}

void Authenticator::failed(const http::Request& request) {
  {
    const MutexLock lock(mutex_);
    limiter_.failed(request.remote, ticks_now());
  }
  log::warn("credentials refused", {{"remote", request.remote}, {"path", request.path}});
}

std::variant<TokenRow, http::Response> Authenticator::admit(const http::Request& request,
                                                            std::string_view scope) {
  const auto bearer = bearer_of(request);
  if (bearer.empty()) {
    return unauthorised("this address needs a token: Authorization: Bearer lwt_...", request.path);
  }
  const auto hash = trust::token_hash(bearer);
  {
    const MutexLock lock(mutex_);
    if (!known_.contains(hash) && limiter_.blocked(request.remote, ticks_now())) {
      return too_many_failures(request.path);
    }
  }
  auto token = authenticate(store_, bearer, now());
  if (!token) {
    if (token.error().code != Errc::denied) return http::problem(token.error(), request.path);
    failed(request);
    const MutexLock lock(mutex_);
    known_.erase(hash);
    return unauthorised(token.error().context, request.path);
  }
  {
    const MutexLock lock(mutex_);
    if (known_.size() >= kKnownMax) known_.clear();
    known_.insert(hash);
  }
  if (!allows(*token, scope)) {
    return http::problem(403, "this token lacks the scope \"" + std::string(scope) + "\"",
                         request.path);
  }
  return *std::move(token);
}

}  // namespace lapwing::hub
