// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/certificate_keeper.hpp"

#include "hub/fleet/rotation.hpp"
#include "shared/base/log.hpp"
#include "shared/mqtt/knock.hpp"
#include "shared/wire/topics.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

/// How often the store is asked whether something was revoked.
constexpr Micros kLook = std::chrono::milliseconds(250);
/// How long a broker that was told has to read the list before sessions are ended all the same.
constexpr Micros kReadTime = std::chrono::seconds(2);
constexpr Micros kAskAgain = std::chrono::milliseconds(50);
/// How often a broker that did not read it, or is away, is asked again.
constexpr Micros kRetry = std::chrono::seconds(2);
/// How often one that uses it is asked anew.
constexpr Micros kAskAnew = std::chrono::minutes(10);
constexpr Micros kEndAgain = std::chrono::seconds(1);
constexpr Micros kSessionCertificate = std::chrono::minutes(1);
constexpr Micros kUpkeepEvery = std::chrono::hours(1);
/// What expired stays in the store for a while: a clock may be wrong.
constexpr Micros kForgetAfter = std::chrono::hours(24 * 30);
constexpr Micros kWarnEvery = std::chrono::minutes(10);
constexpr std::size_t kToEndMax = 10'000;

}  // namespace

CertificateKeeper::CertificateKeeper(KeeperOptions options, Store& store,
                                     const Authorities& authorities, Metrics& metrics)
    : options_(std::move(options)),
      store_(store),
      authorities_(authorities),
      list_(options_.folder / "crl.pem", options_.certificates),
      expires_(metrics.gauge("hub_crl_expires_seconds",
                             "Until the list of revoked certificates lapses; afterwards the broker "
                             "refuses every device")),
      confirmed_gauge_(
          metrics.gauge("hub_crl_confirmed", "1 when the broker was seen to use the newest list")),
      revoked_(metrics.gauge("hub_crl_entries", "Certificates in the list of revoked ones")),
      issued_(metrics.counter("hub_crl_issued_total", "Lists of revoked certificates written")),
      failures_(metrics.counter("hub_crl_failures_total",
                                "Times the list could not be written, or the broker not told")),
      ended_(metrics.counter("hub_sessions_ended_total",
                             "Sessions of revoked certificates taken over and ended")),
      given_up_(metrics.counter("hub_sessions_not_ended_total",
                                "Sessions not ended because too many waited")) {}

CertificateKeeper::~CertificateKeeper() { stop(); }

void CertificateKeeper::start() {
  thread_ = std::thread([this] { run(); });
}

void CertificateKeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool CertificateKeeper::stopping() const {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void CertificateKeeper::run() {
  while (!stopping()) {
    look(now());
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kLook, [this] { return stop_; });
  }
}

void CertificateKeeper::look(Time at) {
  write_list(at);
  watch_expiry(at);
  if (!confirmed_ && ticks_now() >= next_ask_) confirm();
  // A broker that was replaced may read another file.
  if (confirmed_ && ticks_now() >= next_ask_) {
    next_ask_ = ticks_now() + kAskAnew;
    if (!ask_broker()) {
      confirmed_ = false;
      confirmed_gauge_.set(0);
      next_ask_ = {};
    }
  }
  if (!to_end_.empty() && ticks_now() >= next_end_ &&
      (confirmed_ || ticks_now() - listed_at_ > kReadTime))
    end_sessions();
  if (ticks_now() < next_upkeep_) return;
  next_upkeep_ = ticks_now() + kUpkeepEvery;
  renew_own(at);
  if (const auto done = store_.certificates().forget(at - kForgetAfter); !done) {
    log::warn("expired certificates stay in the store", {done.error()});
  }
}

void CertificateKeeper::renew_own(Time at) {
  const auto renewed = renew_own_certificates(options_.folder, authorities_, false, at);
  if (!renewed) {
    return log::error("the hub's own certificates were not renewed; tried again in an hour",
                      {renewed.error()});
  }
  for (const auto& file : *renewed)
    log::info("the hub's own certificate renewed", {{"file", file}});
  if (!renewed->empty() && options_.on_renewed) options_.on_renewed();
}

void CertificateKeeper::write_list(Time at) {
  const auto written = list_.keep(store_.certificates(), authorities_, at);
  if (!written) {
    failures_.add();
    if (ticks_now() < next_complaint_) return;
    next_complaint_ = ticks_now() + std::chrono::seconds(10);
    return log::error("the list of revoked certificates was not written; tried again",
                      {written.error()});
  }
  if (!*written) return;
  issued_.add();
  revoked_.set(static_cast<double>(list_.entries()));
  confirmed_ = false;
  confirmed_gauge_.set(0);
  listed_at_ = ticks_now();
  next_ask_ = {};
  for (auto& one : list_.take_new()) {
    log::info("certificate revoked", {{"device", one.key.tenant + "/" + one.key.device},
                                      {"serial", one.serial},
                                      {"reason", one.reason}});
    to_end_.push_back(std::move(one));
  }
  while (to_end_.size() > kToEndMax) {
    to_end_.pop_front();
    given_up_.add();
  }
}

void CertificateKeeper::watch_expiry(Time at) {
  const auto lapses = list_.lapses();
  const Micros left = lapses ? *lapses - at : Micros(0);
  expires_.set(std::chrono::duration<double>(left).count());
  const auto& config = options_.certificates;
  // A list is replaced every crl_every: with half of its life gone something is wrong for long.
  const bool late =
      left < config.crl_lifetime - 2 * config.crl_every || left < config.crl_lifetime / 3;
  if (!late || ticks_now() < next_warning_) return;
  next_warning_ = ticks_now() + kWarnEvery;
  log::warn(
      "the list of revoked certificates lapses; then the broker refuses every device. Let the "
      "hub write it (disk, permissions) and reach its store",
      {{"file", options_.folder / "crl.pem"},
       {"lapses", lapses ? to_rfc3339(*lapses) : "there is none"}});
}

/// Asks by the canary whether the broker uses the newest list; tells it to read it if not.
void CertificateKeeper::confirm() {
  next_ask_ = ticks_now() + kRetry;
  if (ask_broker()) return;
  if (const auto told = reload_broker(options_.reload); !told) return unconfirmed(told.error());
  const Ticks until = ticks_now() + kReadTime;
  while (!stopping() && ticks_now() < until) {
    if (ask_broker()) return;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kAskAgain, [this] { return stop_; });
  }
  unconfirmed({Errc::timeout,
               "it was told, and takes a certificate that the list has; mosquitto.conf must have "
               "the line `crlfile " +
                   (options_.folder / "crl.pem").string() + "`"});
}

/// True: it uses the newest list, or cannot be asked now.
bool CertificateKeeper::ask_broker() {
  const auto answer = mqtt::knock({.host = options_.mqtt_host,
                                   .port = options_.mqtt_port,
                                   .ca_file = options_.ca_file,
                                   .certificate_pem = list_.canary().certificate_pem,
                                   .key_pem = list_.canary().key_pem,
                                   .client_id = std::string(kCanaryName)},
                                  [this] { return stopping(); });
  if (!answer) return answer.error().code == Errc::io || answer.error().code == Errc::shutting_down;
  if (*answer != mqtt::Knocked::revoked) return false;
  next_ask_ = ticks_now() + kAskAnew;
  if (std::exchange(confirmed_, true)) return true;
  confirmed_gauge_.set(1);
  log::info("broker uses the newest list of revoked certificates",
            {{"lapses", to_rfc3339(*list_.lapses())}});
  return true;
}

void CertificateKeeper::unconfirmed(const Error& why) {
  failures_.add();
  if (ticks_now() < next_complaint_) return;
  next_complaint_ = ticks_now() + kWarnEvery;
  log::error(
      "the broker does not use the newest list of revoked certificates: a revoked device may "
      "connect, and nothing it sends is taken",
      {why});
}

void CertificateKeeper::end_sessions() {
  while (!to_end_.empty() && !stopping()) {
    const auto& one = to_end_.front();
    if (auto done = end_session(one); !done) {
      // A broker that is away has no sessions.
      const bool away = done.error().code == Errc::io;
      log::write(away ? log::Level::debug : log::Level::warn,
                 "session of a revoked certificate not ended yet",
                 {{"device", one.key.tenant + "/" + one.key.device}, done.error()});
      // Others may fare better; this one again at the next look.
      to_end_.push_back(one);
      to_end_.pop_front();
      next_end_ = ticks_now() + kEndAgain;
      return;
    }
    ended_.add();
    to_end_.pop_front();
  }
}

Result<void> CertificateKeeper::end_session(const Revocation& revocation) const {
  const auto name = wire::to_string(wire::Identity{revocation.key.tenant, revocation.key.device});
  const auto key = trust::PrivateKey::generate();
  if (!key) return key.error();
  const auto certificate = authorities_.signer().issue_client(
      *key, name, {.now = now(), .lifetime = kSessionCertificate});
  if (!certificate) return certificate.error();
  const auto answer = mqtt::knock({.host = options_.mqtt_host,
                                   .port = options_.mqtt_port,
                                   .ca_file = options_.ca_file,
                                   .certificate_pem = certificate->pem(),
                                   .key_pem = key->pem(),
                                   .client_id = name},
                                  [this] { return stopping(); });
  if (!answer) return answer.error();
  log::info("session of a revoked certificate ended", {{"device", name}});
  return {};
}

}  // namespace lapwing::hub
