// SPDX-License-Identifier: Apache-2.0
/// Plain structs for everything agent and hub say to each other; schemas/*.fbs hold the same shapes
/// as bytes. Only shared/wire knows the bytes.
///
/// Units: times are wall-clock microseconds (lapwing::Time); scores are unitless, above 1 is
/// anomalous; values are in the sensor's own unit; NaN in a band means "not known yet".
#pragma once

#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lapwing::wire {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// A name and value that a topic template or a configuration gave a stream: site=plant1.
struct Tag {
  std::string key;
  std::string value;
  friend bool operator==(const Tag&, const Tag&) = default;
};

/// What the detector expected at an instant: the band holds normal readings.
struct Band {
  double expected = kUnknown;
  double lower = kUnknown;
  double upper = kUnknown;
};

enum class Phase : std::uint8_t { opened = 1, updated = 2, closed = 3 };
/// By peak score: minor <= 2 < major <= 4 < critical; an outage is at least major.
enum class Severity : std::uint8_t { minor = 1, major = 2, critical = 3 };
/// Why a stream is anomalous. `unusual` is the detector's word; the others are quality checks.
enum class Reason : std::uint8_t {
  unusual = 1,       ///< the detector's score left the expected band
  out_of_range = 2,  ///< beyond the watch's hard limits
  stuck = 3,         ///< the same value for too long
  gap = 4,           ///< no reading for too long: an outage
  rate = 5,          ///< changes faster than the watch allows
  not_a_number = 6,  ///< NaN or infinite readings
  clock = 7,         ///< times repeat, run backwards or are implausible
};

/// How much one sensor of a group contributed to an anomaly; shares add up to 1.
struct Contribution {
  std::string stream;
  double share = 0;
};

/// One step in the life of an anomaly. `id` is the same from opened to closed, unique per device.
struct AnomalyRecord {
  std::uint64_t id = 0;
  Phase phase = Phase::opened;
  Severity severity = Severity::minor;
  Reason reason = Reason::unusual;
  std::string stream;
  std::string watch;
  std::string detector;
  Time onset{};
  Time peak_time{};
  std::optional<Time> end;  ///< set when closed
  double peak_score = 0;
  double peak_value = kUnknown;
  Band band;         ///< at the peak
  std::string text;  ///< a few words a technician understands
  std::vector<Contribution> contributions;
  std::vector<Tag> tags;
};

/// What one stream did between two instants: the score history. One per stream and summary
/// interval.
struct SummaryRecord {
  std::string stream;
  std::string watch;
  Time begin{};
  Time end{};
  std::uint64_t readings = 0;
  double value_min = kUnknown;
  double value_mean = kUnknown;
  double value_max = kUnknown;
  double score_mean = kUnknown;  ///< NaN while warming up
  double score_max = kUnknown;
  Band band;  ///< at `end`
  std::vector<Tag> tags;
};

enum class LossReason : std::uint8_t {
  quota = 1,     ///< given up at the outbox's bound
  corrupt = 2,   ///< the row failed its CRC or cannot be read
  vanished = 3,  ///< committed, then gone: a torn write-ahead log or a restored file
  poison = 4,    ///< the hub could not read it (written by the hub itself)
};

/// Stands in the sequence for records that can never be delivered: seq_first..seq_last.
struct LossRecord {
  LossReason reason = LossReason::quota;
  std::uint64_t seq_first = 0;
  std::uint64_t seq_last = 0;
};

/// What a model did on a device between two instants, in rows of all groups that use it; `rival` is
/// what the active model did with the same rows (of an active one: nothing, all 0).
struct ModelStatistics {
  Time since{};
  Time until{};
  std::uint64_t rows = 0;    ///< scored
  std::uint64_t alarms = 0;  ///< anomalies opened
  std::uint64_t anomalous_rows = 0;
  std::uint64_t rival_alarms = 0;
  std::uint64_t rival_anomalous_rows = 0;
  double agreement = kUnknown;  ///< share of the rows that both call the same
  /// Population stability index of its scores against its own calibration; above .25: the rows are
  /// not like those it was made for.
  double psi = kUnknown;
  double cost_p99 = kUnknown;  ///< of one row, seconds
  double rival_cost_p99 = kUnknown;
  std::uint64_t not_a_number = 0;  ///< scores that are none
  std::uint64_t memory_bytes = 0;  ///< of its detectors
  std::vector<double> quantiles;   ///< of its scores at kModelQuantiles; empty: no rows
};
inline constexpr double kModelQuantiles[] = {.01, .05, .25, .5, .75, .95, .99};

/// How a model does on this device: a step it took, or what it did meanwhile.
struct ModelReport {
  std::string model;
  std::uint64_t version = 0;
  std::string state;  ///< refused, fetching, shadow, active, confirmed, failed, reverted, withdrawn
  std::string detail;         ///< why, for people
  std::uint64_t offer = 0;    ///< the newest that was taken or refused
  std::uint64_t rollout = 0;  ///< that offer's
  Time at{};
  std::uint64_t keys_number = 0;  ///< of the device's key list
  std::optional<ModelStatistics> statistics;
};

using RecordBody = std::variant<AnomalyRecord, SummaryRecord, LossRecord, ModelReport>;
enum class RecordClass : std::uint8_t { anomaly = 1, summary = 2, loss = 3, model_report = 4 };

/// One record as stored in the outbox and sent: `payload` is an encoded Record (see encode_record).
/// A loss record takes the place of seq..seq_last; every other record has seq_last == seq.
struct RecordEntry {
  std::uint64_t seq = 0;
  std::uint64_t seq_last = 0;
  RecordClass record_class = RecordClass::anomaly;
  std::string payload;
  friend bool operator==(const RecordEntry&, const RecordEntry&) = default;
};

/// Consecutive entries of one epoch: entry i+1 starts at entry i's seq_last + 1.
/// On `up/records` a batch is acknowledged and counts for the watermark. On `up/report` it is a
/// live copy of records still queued behind a backlog: stored once, by key, and not acknowledged.
struct RecordBatch {
  std::uint64_t epoch = 0;
  std::string connection_id;
  std::vector<RecordEntry> entries;
};

/// A region is one hub: one store with any number of replicas. 0: a hub that stands alone.
struct RegionMark {
  std::uint32_t region = 0;
  std::uint64_t through = 0;  ///< the highest watermark of an epoch that it acknowledged
  friend bool operator==(const RegionMark&, const RegionMark&) = default;
};
inline constexpr std::size_t kRegionsMax = 16;     ///< that one epoch may have been with
inline constexpr std::uint32_t kRegionLast = 255;  ///< numbers of regions are 1 to this

/// First message after each connect. `epoch` 0 means none was ever granted.
struct Hello {
  std::string connection_id;  ///< new for each connection
  std::string instance_id;    ///< new for each start of the process: two alive at once = a clone
  std::string database_id;    ///< made with the outbox
  std::uint64_t epoch = 0;
  std::uint64_t next_seq = 1;
  std::uint64_t acked_seq = 0;
  std::uint64_t acked_hash = 0;  ///< of the record at acked_seq; 0: none, or not known any more
  std::string agent_version;
  Time sent{};
  bool forked = false;          ///< a welcome's known_hash was not that of the record at known_seq
  std::uint64_t check_seq = 0;  ///< the hub is to compare its record there; 0: none
  std::uint64_t check_hash = 0;
  std::uint64_t desired_version = 0;  ///< of the settings it runs with; 0: its own only
  /// Who acknowledged what of `epoch`, one entry a region, at most kRegionsMax: what is above a
  /// region's entry, up to acked_seq, others acknowledged. Empty: not known.
  std::vector<RegionMark> regions;
};

enum class HelloOutcome : std::uint8_t {
  resume = 1,       ///< go on from `watermark`
  new_epoch = 2,    ///< histories differ: use `epoch`, everything after `watermark` is sent again
  quarantined = 3,  ///< two live copies of one device: send nothing until an operator decides
  refused = 4,      ///< not this version, not this device: see `reason`
};

struct Welcome {
  std::string connection_id;  ///< the hello's
  HelloOutcome outcome = HelloOutcome::resume;
  std::uint64_t epoch = 0;
  std::uint64_t watermark = 0;  ///< highest seq of `epoch` the hub has, everything below included
  std::uint32_t batch_records_max = 0;
  std::uint32_t batch_bytes_max = 0;
  std::string reason;  ///< for people; empty on resume
  Time sent{};
  std::uint64_t known_seq = 0;    ///< resume: the highest seq the hub holds, live copies included
  std::uint64_t known_hash = 0;   ///< of the record there; 0: it stands as lost
  std::uint64_t checked_seq = 0;  ///< resume: the hello's check_seq, whose hash is the hub's
  std::uint32_t region = 0;       ///< of the hub; its acknowledgements are this region's
  std::string region_name;        ///< for people
};

/// The hub has committed everything of `epoch` up to and including `watermark`.
struct Ack {
  std::uint64_t epoch = 0;
  std::uint64_t watermark = 0;
  std::string connection_id;
  bool standing = false;  ///< the hub comes back: what was sent while it was away did not reach it
};

/// Retained nowhere; the connection's will is a Status with online = false.
struct Status {
  std::string connection_id;
  bool online = true;
  std::string agent_version;
  Time started{};
  Time sent{};
  std::uint64_t streams = 0;
  std::uint64_t readings_total = 0;
  std::uint64_t anomalies_open = 0;
  std::uint64_t outbox_records = 0;
  std::uint64_t outbox_bytes = 0;
  std::uint64_t quarantined_total = 0;
  std::uint64_t produced_seq = 0;     ///< highest seq committed: with the watermark, the ledger
  std::uint64_t desired_version = 0;  ///< of the settings it runs with; 0: its own only
  std::string desired_problem;        ///< what of them it could not apply; empty: all is applied
};

/// What an operator, or the hub itself, wants a device to do. Sent until it is answered: a device
/// does each id once, and answers again what it answered before.
struct Command {
  std::uint64_t id = 0;  ///< of the device, grows; 0: nobody waits for an answer
  std::string kind;
  std::string arguments;        ///< a JSON object; empty: none
  std::optional<Time> expires;  ///< not to be begun afterwards
};

enum class CommandState : std::uint8_t { done = 1, failed = 2 };

struct CommandResult {
  std::string connection_id;
  std::uint64_t id = 0;
  CommandState state = CommandState::failed;
  std::string result;  ///< a few words, or JSON; failed: why
};

/// Settings the device is to run with until it is told other ones; they replace earlier ones.
struct Desired {
  std::uint64_t version = 0;  ///< grows with each change
  std::string document;       ///< a JSON object (shared/wire/settings.hpp)
};

}  // namespace lapwing::wire
