// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/crl_file.hpp"

#include "shared/base/files.hpp"
#include "shared/trust/crl.hpp"

#include <algorithm>

namespace lapwing::hub {
namespace {

/// What was revoked longer ago than this, before the hub started, was cut off by the hub before it.
constexpr Micros kCutLately = std::chrono::hours(1);
/// Lists are told apart by whole seconds.
constexpr Micros kEveryAtMost = std::chrono::seconds(1);

Result<Canary> make_canary(const trust::Authority& authority, Micros lifetime, Time at,
                           std::string& serial) {
  const auto key = trust::PrivateKey::generate();
  if (!key) return key.error();
  const auto certificate =
      authority.issue_client(*key, kCanaryName, {.now = at, .lifetime = lifetime});
  if (!certificate) return certificate.error();
  serial = certificate->info().serial;
  return Canary{certificate->pem(), key->pem()};
}

}  // namespace

Result<std::string> first_crl(const trust::Authority& authority, Time at) {
  return trust::issue_crl(authority, {.revoked = {},
                                      .number = 0,
                                      .issued = at - trust::kClockTolerance,
                                      .lapses = at + CertificatesConfig{}.crl_lifetime});
}

/// A broker may have read what an earlier hub wrote: a new list must be issued after it.
void CrlFile::look_at_file() {
  if (std::exchange(looked_, true)) return;
  const auto text = read_file(file_, trust::kCrlBytesMax);
  if (!text) return;
  const auto lists = trust::read_crls(*text);
  if (!lists) return;
  for (const auto& list : *lists) {
    issued_ = std::max(issued_, list.issued);
    lapses_ = lapses_ ? std::min(*lapses_, list.lapses) : list.lapses;
  }
}

Result<bool> CrlFile::keep(Certificates& certificates, const Authorities& authorities, Time at) {
  look_at_file();
  const auto changes = certificates.changes();
  if (!changes) return changes.error();
  // A clock that was set back must not make the next list wait.
  const bool due = !changes_ || at >= next_ || next_ > at + config_.crl_every ||
                   (*changes_ != *changes && at >= written_ + kEveryAtMost);
  if (!due) return false;
  const auto revoked = certificates.revoked(at);
  if (!revoked) return revoked.error();
  if (auto done = issue(*revoked, certificates, authorities, at); !done) return done.error();
  std::set<std::string> known;
  for (const auto& entry : revoked->entries) {
    known.insert(entry.serial);
    if (known_.contains(entry.serial)) continue;
    if (changes_ || entry.at > at - kCutLately) new_.push_back(entry);
  }
  known_ = std::move(known);
  changes_ = revoked->changes;
  written_ = at;
  next_ = at + config_.crl_every;
  return true;
}

Result<void> CrlFile::issue(const RevokedCertificates& revoked, Certificates& certificates,
                            const Authorities& authorities, Time at) {
  const auto number = certificates.next_crl_number();
  if (!number) return number.error();
  std::string canary_serial;
  auto canary = make_canary(authorities.signer(), config_.crl_lifetime, at, canary_serial);
  if (!canary) return canary.error();
  // Later than the list before it, by whole seconds, and never in the future.
  Time issued = at - trust::kClockTolerance;
  const Time after = issued_ + std::chrono::seconds(1);
  if (issued < after && after <= at) issued = after;
  const Time lapses = at + config_.crl_lifetime;
  std::string text;
  for (const auto& authority : authorities.all()) {
    const auto fingerprint = authority.certificate().fingerprint();
    std::vector<trust::RevokedSerial> serials;
    for (const auto& entry : revoked.entries) {
      if (entry.authority.empty() || entry.authority == fingerprint) {
        serials.push_back({entry.serial, entry.at});
      }
    }
    if (&authority == &authorities.signer()) serials.push_back({canary_serial, at});
    const auto list = trust::issue_crl(
        authority, {.revoked = serials, .number = *number, .issued = issued, .lapses = lapses});
    if (!list) return list.error();
    text += *list;
  }
  if (auto written = write_file_atomic(file_, text); !written) return written;
  issued_ = issued;
  lapses_ = lapses;
  canary_ = *std::move(canary);
  return {};
}

}  // namespace lapwing::hub
