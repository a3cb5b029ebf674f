// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/renewals.hpp"

#include "hub/store/certificates.hpp"
#include "shared/base/log.hpp"
#include "shared/trust/token.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::size_t kFrameBytesMax = 64 * 1024;
constexpr std::size_t kDevicesMax = 10'000;
constexpr Micros kMoveEvery = std::chrono::seconds(10);
/// After one has moved the count of those who have not is soon told anew; what could not be told is
/// soon tried again.
constexpr Micros kMovedSoon = std::chrono::seconds(1);
constexpr std::size_t kMovePage = 500;

wire::CertificateAnswer refusal(std::string reason, Micros wait) {
  return {.outcome = wire::CertificateOutcome::refused,
          .certificate = {},
          .authorities = {},
          .reason = std::move(reason),
          .wait = wait};
}

}  // namespace

Renewals::Renewals(const CertificatesConfig& config, Store& store, const Authorities& authorities,
                   Metrics& metrics, Send send)
    : config_(config),
      store_(store),
      authorities_(authorities),
      send_(std::move(send)),
      reader_({.frame_bytes_max = kFrameBytesMax, .body_bytes_max = kFrameBytesMax}),
      issued_(metrics.counter("hub_certificates_renewed_total",
                              "Certificates given to devices that "
                              "asked for their next one")),
      refused_(metrics.counter("hub_certificates_refused_total",
                               "Requests for a next certificate that were refused")),
      dropped_(metrics.counter("hub_certificate_requests_dropped_total",
                               "Requests beyond the queue's bound; devices ask again")),
      to_move_(metrics.gauge("hub_devices_of_earlier_authority",
                             "Devices whose newest certificate is of the earlier authority")) {}

Renewals::~Renewals() { stop(); }

void Renewals::start() {
  thread_ = std::thread([this] { run(); });
}

void Renewals::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Renewals::ask(const wire::Identity& device, std::string_view frame) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || waiting_.size() >= kWaitingMax || frame.size() > kFrameBytesMax) {
      dropped_.add();
      return;
    }
    waiting_.push_back({device, std::string(frame)});
  }
  wake_.notify_all();
}

void Renewals::run() {
  const bool moving = authorities_.all().size() > 1;
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const auto ready = [this] { return stop_ || !waiting_.empty(); };
    if (moving) {
      wake_.wait_until(lock, next_move_, ready);
    } else {
      wake_.wait(lock, ready);
    }
    const auto waiting = std::exchange(waiting_, {});
    lock.unlock();
    for (const auto& one : waiting) handle(one);
    if (moving && !waiting.empty()) next_move_ = std::min(next_move_, ticks_now() + kMovedSoon);
    if (moving && ticks_now() >= next_move_) {
      next_move_ = ticks_now() + (move_devices() ? kMoveEvery : kMovedSoon);
    }
    lock.lock();
  }
}

void Renewals::handle(const Waiting& one) {
  const auto body = reader_.open(one.frame);
  const auto request = body ? wire::decode_certificate_request(*body) : body.error();
  wire::CertificateAnswer told;
  if (request) {
    told = answer({one.device.tenant, one.device.device}, *request, now());
  } else {
    told = refusal("the request cannot be read: " + request.error().context, window());
  }
  if (told.outcome == wire::CertificateOutcome::issued) {
    issued_.add();
  } else {
    refused_.add();
    log::warn("certificate not renewed",
              {{"device", wire::to_string(one.device)}, {"reason", told.reason}});
  }
  send_(one.device, writer_.seal(wire::encode(told)));
}

wire::CertificateAnswer Renewals::answer(const DeviceKey& key,
                                         const wire::CertificateRequest& request, Time at) {
  auto issued = issue(key, request, at);
  if (issued) return *std::move(issued);
  // The store may be away: that is over sooner than what else is refused.
  const bool soon = issued.error().code == Errc::io;
  return refusal(soon ? "the hub's store does not answer" : issued.error().context,
                 soon ? std::min<Micros>(std::chrono::minutes(1), window()) : window());
}

Micros Renewals::window() const {
  return std::min<Micros>(std::chrono::hours(1), config_.device_lifetime);
}

bool Renewals::within_rate(const DeviceKey& key, Time at) {
  if (given_.size() >= kDevicesMax && !given_.contains(key)) {
    std::erase_if(given_, [&](const auto& one) { return one.second.back() + window() < at; });
    if (given_.size() >= kDevicesMax) return false;
  }
  auto& times = given_[key];
  std::erase_if(times, [&](Time one) { return one + window() < at || one > at; });
  if (times.size() >= kEachMax) return false;
  times.push_back(at);
  return true;
}

Result<wire::CertificateAnswer> Renewals::issue(const DeviceKey& key,
                                                const wire::CertificateRequest& request, Time at) {
  if (auto readable = trust::read_csr(request.csr); !readable) return readable.error();
  const auto device = store_.device(key);
  if (!device && device.error().code == Errc::not_found) {
    return Error{Errc::not_found, "this device is not enrolled at this hub; enrol it"};
  }
  if (!device) return device.error();
  if (device->revoked_at) return Error{Errc::denied, "this device is revoked; enrol it again"};

  wire::CertificateAnswer told{.outcome = wire::CertificateOutcome::issued,
                               .certificate = {},
                               .authorities = authorities_.bundle_pem(),
                               .reason = {},
                               .wait = {}};
  const auto hash = trust::sha256_hex(request.csr);
  const auto authority = authorities_.signer().certificate().fingerprint();
  const auto before = store_.certificates().answer_to(key, hash, at);
  if (!before) return before.error();
  if (*before && (*before)->authority == authority) {
    told.certificate = (*before)->pem;
    return told;
  }
  if (!within_rate(key, at)) {
    return Error{Errc::limit, "more than " + std::to_string(kEachMax) +
                                  " certificates in a short time; is its folder writable?"};
  }
  const auto name = wire::to_string(wire::Identity{key.tenant, key.device});
  const auto certificate = authorities_.signer().issue_device(
      request.csr, name, {.now = at, .lifetime = config_.device_lifetime});
  if (!certificate) return certificate.error();
  const auto info = certificate->info();
  auto added = store_.certificates().add({.key = key,
                                          .serial = info.serial,
                                          .authority = authority,
                                          .key_hash = hash,
                                          .pem = certificate->pem(),
                                          .issued_at = at,
                                          .expires_at = info.not_after});
  if (!added) return added.error();
  const auto noted = store_.add_audit({.tenant = key.tenant,
                                       .at = at,
                                       .actor = "device:" + key.device,
                                       .action = "device.renew",
                                       .subject = key.device,
                                       .detail = "certificate " + info.serial});
  if (!noted) return noted.error();
  log::info("certificate renewed", {{"device", name}, {"serial", info.serial}});
  told.certificate = certificate->pem();
  return told;
}

/// Each gets it through whichever replica's broker it is connected to; told again, it keeps its
/// time.
bool Renewals::move_devices() {
  const auto authority = authorities_.signer().certificate().fingerprint();
  if (const auto uses = store_.certificates().authorities()) {
    std::uint64_t left = 0;
    for (const auto& use : *uses) left += use.authority == authority ? 0 : use.devices;
    to_move_.set(static_cast<double>(left));
    if (left == 0) return true;
  }
  const wire::CertificateAnswer wanted{.outcome = wire::CertificateOutcome::wanted,
                                       .certificate = {},
                                       .authorities = {},
                                       .reason = "the hub's authority changes",
                                       .wait = config_.move_within};
  DeviceKey after;
  for (;;) {
    const auto page = store_.certificates().online_with_another(authority, after, kMovePage);
    if (!page) {
      log::warn("devices not told of the new authority", {page.error()});
      return false;
    }
    for (const auto& key : *page) {
      if (!send_({key.tenant, key.device}, writer_.seal(wire::encode(wanted)))) return false;
    }
    if (page->size() < kMovePage) return true;
    after = page->back();
  }
}

}  // namespace lapwing::hub
