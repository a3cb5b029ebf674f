// SPDX-License-Identifier: Apache-2.0
/// Carries records to a hub: drives sync::Agent over one mqtt::Client and the outbox; which hub, an
/// EndpointChooser says.
#pragma once

#include "agent/outbox/outbox.hpp"
#include "agent/uplink/command_desk.hpp"
#include "agent/uplink/config.hpp"
#include "agent/uplink/download.hpp"
#include "agent/uplink/renewer.hpp"
#include "shared/base/result.hpp"
#include "shared/wire/contributions.hpp"
#include "shared/wire/messages.hpp"
#include "shared/wire/models.hpp"
#include "shared/wire/topics.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace lapwing {
class Metrics;
}

namespace lapwing::agent {

struct UplinkFigures {
  bool connected = false;  ///< the hub said welcome on this connection
  std::string state;       ///< connecting, greeting, streaming, quarantined, refused, stopped
  std::string problem;     ///< why it does not stream; empty when it does
  std::string hub;         ///< that is tried or held: `host:port`
  std::string region;      ///< that hub's, while it takes records; empty: it stands alone
  std::string why;         ///< this hub and no other
  std::uint64_t hub_changes = 0;
  std::uint64_t epoch = 0;
  std::uint64_t watermark = 0;
  std::uint64_t backlog = 0;  ///< records committed, not acknowledged
  CertificateFigures certificate;
  DownloadFigures download;  ///< of a model file
};

/// Threads: start and stop from one thread, figures from any. One thread of its own decides; the
/// MQTT library's threads only hand it events. Another probes better hubs, when there are several.
class Uplink {
 public:
  /// Fills in what the device reports of itself; called on the uplink's thread.
  using FillStatus = std::function<void(wire::Status&)>;

  /// Reads the device's identity from its certificate. Errors: bad_config (a file, named, with the
  /// remedy). Borrows outbox and metrics, which must outlive it.
  static Result<std::unique_ptr<Uplink>> make(const UplinkConfig& config, Outbox& outbox,
                                              Metrics& metrics, std::string agent_version,
                                              FillStatus fill_status);
  ~Uplink();
  Uplink(const Uplink&) = delete;
  Uplink& operator=(const Uplink&) = delete;

  /// Begins connecting in the background; a hub that is away is no error.
  Result<void> start();
  /// Tells the hub, disconnects, ends the thread. Repeatable.
  void stop();
  /// Asks the hub for a new certificate within this time, whatever the life of the one there is.
  /// From any thread.
  void renew_certificate(Micros within);
  [[nodiscard]] UplinkFigures figures() const;
  [[nodiscard]] const wire::Identity& identity() const;

  /// What the device does at the hub's command of this kind, on the uplink's thread: it must not
  /// block. `reconnect` and `report_status` are there already. Before start().
  void on_command(std::string kind, CommandDesk::Handler handler);

  /// Told of each offer of the hub, on a thread of the MQTT library: it must not block. False:
  /// there is no room; the hub sends it again. Before start().
  void on_offer(std::function<bool(wire::Offer)> hook);
  /// Gets model files over this connection; ends with stop().
  FileFetch& files();
  /// Likewise candidates of federated rounds, a piece at a time, beside the model files.
  FileFetch& candidates();
  /// A piece of what the device tells in a round. False: it was not taken. From any thread.
  bool contribute(const wire::ContributionPart& part);

 private:
  class Impl;
  explicit Uplink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::agent
