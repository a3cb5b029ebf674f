// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/renewer.hpp"

#include "shared/base/files.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"
#include "shared/trust/authority.hpp"
#include "shared/trust/certificate.hpp"

#include <utility>

namespace lapwing::agent {
namespace {

CertificateLife life_of(const trust::Certificate& certificate) {
  const auto info = certificate.info();
  return {info.not_before + trust::kClockTolerance, info.not_after};
}

CertificateLife life_in(const std::filesystem::path& file) {
  const auto certificate = trust::Certificate::load(file);
  return certificate ? life_of(*certificate) : CertificateLife{now(), now()};
}

}  // namespace

Renewer::Renewer(IdentityFiles files, const wire::Identity& who, Metrics& metrics)
    : files_(std::move(files)),
      renewal_(life_in(files_.certificate), wire::to_string(who), random_u64()),
      expires_seconds_(
          metrics.gauge("certificate_expires_seconds", "Until this device's certificate expires")),
      renewed_(metrics.counter("certificate_renewals_total", "Certificates renewed")),
      failed_(metrics.counter("certificate_renewal_failures_total",
                              "Certificates refused, or that could not be kept; tried again")) {
  const MutexLock lock(mutex_);
  figures_.expires = life_in(files_.certificate).end;
  figures_.renewal_due = renewal_.due_at();
}

std::optional<std::string> Renewer::due(bool ready) {
  show();
  auto csr = renewal_.due(now(), ticks_now(), ready);
  if (!csr) {
    failed(csr.error());
    return std::nullopt;
  }
  if (!*csr) return std::nullopt;
  log::info("asks the hub for a new certificate");
  return wire::encode(wire::CertificateRequest{**csr});
}

Ticks Renewer::next() const { return renewal_.next(now(), ticks_now()); }

bool Renewer::answered(const wire::CertificateAnswer& answer,
                       const std::filesystem::path& ca_file) {
  files_.ca = ca_file;
  const auto trusted = read_file(files_.ca, trust::kPemBytesMax);
  if (!trusted) {
    failed(trusted.error());
    return false;
  }
  const auto identity = renewal_.answered(answer, *trusted, now(), ticks_now());
  if (!identity) {
    failed(identity.error());
    return false;
  }
  return *identity && keep(**identity);
}

bool Renewer::keep(const NewIdentity& identity) {
  if (auto kept = replace_identity(files_, identity); !kept) {
    failed({kept.error().code, "a new certificate cannot be kept: " + kept.error().context +
                                   "; let the agent's user write that folder"});
    return false;
  }
  const auto life = life_in(files_.certificate);
  renewal_.renewed(life);
  renewed_.add();
  log::info("certificate renewed",
            {{"file", files_.certificate}, {"expires", to_rfc3339(life.end)}});
  {
    const MutexLock lock(mutex_);
    figures_ = {.expires = life.end, .renewal_due = renewal_.due_at(), .problem = {}};
  }
  show();
  return true;
}

void Renewer::failed(const Error& why) {
  failed_.add();
  log::warn("certificate not renewed; tried again", {why});
  const MutexLock lock(mutex_);
  figures_.problem = why.context;
}

void Renewer::show() {
  const MutexLock lock(mutex_);
  if (figures_.expires) {
    expires_seconds_.set(std::chrono::duration<double>(*figures_.expires - now()).count());
  }
}

CertificateFigures Renewer::figures() const {
  const MutexLock lock(mutex_);
  return figures_;
}

}  // namespace lapwing::agent
