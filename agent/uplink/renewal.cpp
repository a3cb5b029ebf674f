// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/renewal.hpp"

#include "shared/trust/authority.hpp"
#include "shared/trust/certificate.hpp"

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>
#include <vector>

namespace lapwing::agent {
namespace {

constexpr Micros kRetryMax = std::chrono::hours(1);
constexpr Micros kRetryMin = std::chrono::milliseconds(100);
/// The wall clock may be set: what is due by it is looked at this often.
constexpr Micros kLookEvery = std::chrono::minutes(1);

bool known(const trust::Certificate& one, const std::vector<trust::Certificate>& list) {
  return std::any_of(list.begin(), list.end(),
                     [&](const auto& other) { return other.fingerprint() == one.fingerprint(); });
}

}  // namespace

Renewal::Renewal(CertificateLife life, std::string name, std::uint64_t seed)
    : name_(std::move(name)), seed_(seed) {
  plan(life);
}

void Renewal::plan(CertificateLife life) {
  const Micros span = std::max(life.end - life.begin, Micros(0));
  std::mt19937_64 random(seed_++);
  const Micros spread(std::uniform_int_distribution<std::int64_t>(0, span.count() / 20)(random));
  due_ = life.begin + span * 2 / 3 + spread;
  const Micros longest = std::clamp(span / 20, kRetryMin, kRetryMax);
  backoff_.emplace(std::max(longest / 10, kRetryMin), longest, random());
}

Result<std::optional<std::string>> Renewal::due(Time wall, Ticks at, bool ready) {
  const bool time = wall >= due_ || (wanted_ && at >= *wanted_);
  if (!ready || !time || at < not_before_) return std::optional<std::string>();
  not_before_ = at + kRetryMin + backoff_->next();
  if (!pending_) {
    auto key = trust::PrivateKey::generate();
    if (!key) return key.error();
    auto csr = trust::make_csr(*key, name_);
    if (!csr) return csr.error();
    pending_ = Pending{*std::move(key), *std::move(csr)};
  }
  return std::optional(pending_->csr);
}

Ticks Renewal::next(Time wall, Ticks at) const {
  Ticks until = at + std::clamp(due_ - wall, Micros(0), kLookEvery);
  if (wanted_) until = std::min(until, *wanted_);
  return std::max(until, not_before_);
}

void Renewal::want(Micros within, Ticks at) {
  std::mt19937_64 random(seed_++);
  const Micros spread(std::uniform_int_distribution<std::int64_t>(
      0, std::max(within.count(), std::int64_t{0}))(random));
  // Told again, it keeps the time it had.
  if (!wanted_) wanted_ = at + spread;
}

Result<std::optional<NewIdentity>> Renewal::answered(const wire::CertificateAnswer& answer,
                                                     std::string_view trusted_pem, Time wall,
                                                     Ticks at) {
  if (answer.outcome == wire::CertificateOutcome::wanted) {
    want(answer.wait, at);
    return std::optional<NewIdentity>();
  }
  if (!pending_) return std::optional<NewIdentity>();  // of a request that was answered before
  if (answer.outcome == wire::CertificateOutcome::refused) {
    not_before_ = std::max(not_before_, at + answer.wait);
    return Error{Errc::denied, "the hub refuses a new certificate: " + answer.reason};
  }
  auto checked = check(answer, trusted_pem, wall);
  if (!checked) return checked.error();
  return std::optional(*std::move(checked));
}

Result<NewIdentity> Renewal::check(const wire::CertificateAnswer& answer,
                                   std::string_view trusted_pem, Time wall) const {
  const auto certificate = trust::Certificate::from_pem(answer.certificate);
  if (!certificate) return within("the certificate received", certificate.error());
  const auto authorities = trust::Certificate::all_from_pem(answer.authorities);
  if (!authorities) return within("the authorities received", authorities.error());
  const auto trusted = trust::Certificate::all_from_pem(trusted_pem);
  if (!trusted) return within("the CA file", trusted.error());
  if (!certificate->matches(pending_->key)) {
    return Error{Errc::corrupt, "the certificate received is for another key"};
  }
  if (certificate->info().common_name != name_) {
    return Error{Errc::corrupt, "the certificate received names \"" +
                                    certificate->info().common_name + "\", not \"" + name_ + "\""};
  }
  // Authorities change one at a time: new ones come along with one that is known.
  if (std::none_of(authorities->begin(), authorities->end(),
                   [&](const auto& one) { return known(one, *trusted); })) {
    return Error{Errc::denied,
                 "the authorities received are all unknown here; enrol this device again"};
  }
  if (auto good = trust::verify(*certificate, *authorities, wall, trust::Purpose::client); !good) {
    return within("the certificate received", std::move(good).error());
  }
  return NewIdentity{answer.certificate, pending_->key.pem(), answer.authorities};
}

void Renewal::renewed(CertificateLife life) {
  pending_.reset();
  wanted_.reset();
  not_before_ = {};
  plan(life);
}

}  // namespace lapwing::agent
