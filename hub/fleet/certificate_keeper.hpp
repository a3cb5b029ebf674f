// SPDX-License-Identifier: Apache-2.0
/// Keeps a replica's broker to what the store says of certificates.
#pragma once

#include "hub/fleet/authorities.hpp"
#include "hub/fleet/broker_reload.hpp"
#include "hub/fleet/config.hpp"
#include "hub/fleet/crl_file.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/time.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace lapwing::hub {

struct KeeperOptions {
  std::filesystem::path folder;  ///< crl.pem is written there
  std::string mqtt_host = "127.0.0.1";
  std::uint16_t mqtt_port = 8883;
  std::filesystem::path ca_file;  ///< of the broker's certificate
  BrokerReload reload;
  CertificatesConfig certificates;
  /// Called when server.pem or hub.pem was renewed, on the keeper's thread; must not stop it.
  std::function<void()> on_renewed = {};
};

/// Writes the list of revoked certificates, makes the broker read it, makes sure that it did, and
/// ends the sessions of those that are in it: a broker asks for a certificate only when a
/// connection begins. All of it within two seconds of a revocation, on whichever replica.
///
/// How a session is ended: the hub connects with the same client id, by a certificate of a minute
/// for it, and leaves; MQTT makes the broker end the other connection. Nothing is published.
///
/// It also renews the hub's own certificates when two thirds of their life are over.
///
/// What cannot be done is tried again: the log says what is wrong with its remedy, and the gauges
/// `hub_crl_expires_seconds` and `hub_crl_confirmed` show it. Ingest refuses a revoked device's
/// messages whatever becomes of this.
/// Threads: start and stop from one thread.
class CertificateKeeper {
 public:
  /// Borrows store, authorities and metrics, which must outlive it.
  CertificateKeeper(KeeperOptions options, Store& store, const Authorities& authorities,
                    Metrics& metrics);
  ~CertificateKeeper();
  CertificateKeeper(const CertificateKeeper&) = delete;
  CertificateKeeper& operator=(const CertificateKeeper&) = delete;

  void start();
  void stop();

 private:
  void run();
  void look(Time at);
  void write_list(Time at);
  void watch_expiry(Time at);
  void confirm();
  bool ask_broker();
  void unconfirmed(const Error& why);
  void renew_own(Time at);
  void end_sessions();
  Result<void> end_session(const Revocation& revocation) const;
  [[nodiscard]] bool stopping() const;

  KeeperOptions options_;
  Store& store_;
  const Authorities& authorities_;
  CrlFile list_;
  bool confirmed_ = false;
  Ticks next_ask_{};
  Ticks listed_at_{};
  std::deque<Revocation> to_end_;
  Ticks next_end_{};
  Ticks next_upkeep_{};
  Ticks next_warning_{};
  Ticks next_complaint_{};

  Gauge& expires_;
  Gauge& confirmed_gauge_;
  Gauge& revoked_;
  Counter& issued_;
  Counter& failures_;
  Counter& ended_;
  Counter& given_up_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace lapwing::hub
