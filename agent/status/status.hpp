// SPDX-License-Identifier: Apache-2.0
/// The agent's own small HTTP server: is it well, what does it watch, what could it not read.
#pragma once

#include "agent/decode/quarantine.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/feedback.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing {
class Metrics;
namespace config {
class Section;
}
}  // namespace lapwing

namespace lapwing::agent {

/// `[status]`.
struct StatusConfig {
  bool enabled = true;
  std::string address = "127.0.0.1";  ///< an IP address of this machine; loopback unless told
  std::uint16_t port = 9273;          ///< [0, 65535]; 0: any free one
  static StatusConfig read(config::Section& section);
};

/// Of one source; agent/source has a fuller SourceStatus of its own.
struct SourceSummary {
  std::string name;
  std::string kind;        ///< mqtt, host, csv
  bool connected = false;  ///< it takes readings in now
  std::string problem;     ///< why not; empty when all is well
  std::uint64_t messages = 0;
};

struct OutboxStatus {
  bool writable = true;
  std::string problem;  ///< why not
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_max = 0;  ///< less than configured while the disk is full
  std::uint64_t next_seq = 1;
  std::uint64_t acked_seq = 0;
  std::uint64_t dropped_total = 0;
  std::uint64_t at_risk = 0;  ///< records in memory, not committed yet
  bool waiting = false;       ///< scoring waits for room
};

struct UplinkStatus {
  bool enabled = false;
  bool connected = false;
  std::string state;    ///< a word: `connecting`, `synced`, `quarantined`
  std::string problem;  ///< why it is not connected; empty when all is well
  std::uint64_t epoch = 0;
  std::uint64_t watermark = 0;
  std::string hub;     ///< that is tried or held: `host:port`
  std::string region;  ///< that hub's, while it takes records; empty: it stands alone
  std::string why;     ///< this hub and no other
  std::uint64_t hub_changes = 0;
  Time certificate_expires{};       ///< of this device's certificate
  Time certificate_renewal{};       ///< when it is asked for, at the earliest
  std::string certificate_problem;  ///< why it could not be renewed; empty when all is well
  struct Download {
    std::string sha256;
    std::uint64_t bytes = 0;
    std::uint64_t total = 0;
    double bytes_per_second = 0;
    std::optional<Micros> left;
    std::string problem;  ///< why it rests; empty: it does not
  };
  std::optional<Download> download;  ///< of a model file
};

struct ModelSlotStatus {
  std::uint64_t version = 0;  ///< 0: the slot is empty
  Time since{};
};

/// Of one model that groups use.
struct ModelStatus {
  std::string model;
  std::string state;  ///< last reported to the hub: `confirmed`; empty: none was ever offered
  std::uint64_t version = 0;
  std::string detail;
  ModelSlotStatus active;
  bool confirmed = false;
  ModelSlotStatus shadow;
  ModelSlotStatus previous;
};

struct ModelsStatus {
  std::uint64_t keys_number = 0;  ///< of the list of who may sign them; 0: there is none
  bool frozen = false;            ///< nobody has told for long what to run
  std::string problem;            ///< why no offer can be taken; empty: nothing
  std::vector<ModelStatus> models;
};

struct AgentStatus {
  std::string name;
  std::string version;
  Time started{};
  std::uint64_t streams = 0;
  std::uint64_t streams_max = 0;
  std::uint64_t readings_total = 0;
  std::uint64_t refused_total = 0;  ///< readings beyond streams_max
  std::uint64_t anomalies_open = 0;
  std::uint64_t quarantined_total = 0;
  std::vector<SourceSummary> sources;
  OutboxStatus outbox;
  UplinkStatus uplink;
  ModelsStatus models;
};

/// One stream under one watch, as it is now.
struct StreamStatus {
  std::string stream;
  std::string watch;
  std::string detector;
  std::uint64_t readings = 0;
  Time last_time{};
  double last_value = wire::kUnknown;
  double last_score = wire::kUnknown;  ///< NaN while learning
  wire::Band band;
  bool anomaly_open = false;
  std::vector<wire::Tag> tags;
};

struct StreamPage {
  std::vector<StreamStatus> items;
  std::optional<std::string> next_cursor;  ///< absent on the last page
};

/// What the agent's parts know about themselves. Filled by the program that joins them.
/// Threads: called on the server's network thread: every function is thread-safe and returns
///   within milliseconds, never waiting for a shard, a disk or a broker.
class StatusView {
 public:
  virtual ~StatusView() = default;
  StatusView(const StatusView&) = delete;
  StatusView& operator=(const StatusView&) = delete;

  /// Why the agent is not ready: sources not started, outbox not writable. Empty: ready. A hub that
  /// is away is no reason: that is what the outbox is for.
  virtual std::vector<std::string> not_ready() = 0;
  virtual AgentStatus status() = 0;
  /// By name. `cursor`: the `next_cursor` of the page before, or empty. bad_input: not a cursor.
  virtual Result<StreamPage> streams(std::size_t limit, std::string_view cursor) = 0;
  /// Newest first.
  virtual std::vector<QuarantineEntry> quarantine(std::size_t limit) = 0;
  /// A person's word on a stream's newest anomaly. Errors: not_found, bad_input, shutting_down.
  virtual Result<void> take(std::string_view stream, detect::Feedback feedback) = 0;

 protected:
  StatusView() = default;
};

/// Serves /health/live, /health/ready, /metrics, /api/v1/status, /api/v1/streams?limit=&cursor=,
/// /api/v1/quarantine?limit=, without credentials: it listens on loopback unless told otherwise.
/// There alone it also takes POST /api/v1/feedback {"stream": NAME, "says": real|false|normal}.
/// Threads: start and stop from one thread.
class StatusServer {
 public:
  /// Borrows view and metrics, which must outlive it. Errors: as http::Server::start.
  static Result<std::unique_ptr<StatusServer>> start(const StatusConfig& config, StatusView& view,
                                                     Metrics& metrics);
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

  void stop();
  [[nodiscard]] std::uint16_t port() const noexcept;

 private:
  class Impl;
  explicit StatusServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::agent
