// SPDX-License-Identifier: Apache-2.0
/// One stream's way from reading to anomaly: quality > detector > calibration > decision.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/alarm_prior.hpp"
#include "shared/detect/detector.hpp"
#include "shared/detect/event.hpp"
#include "shared/detect/feedback.hpp"
#include "shared/detect/kind.hpp"
#include "shared/detect/watch.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace lapwing::detect {

struct Sample {
  Time time{};
  double value = 0;
};

/// The pipeline's word on one reading.
struct Verdict {
  float score = 0;         ///< above 1 is anomalous at the watch's alarm budget; 0 while warming up
  bool scored = false;     ///< false while warming up, and for readings the quality checks withheld
  bool anomalous = false;  ///< an anomaly of any reason is open
  float alarm = 0;         ///< strength, above 1, of the anomaly that opens here; 0 when none does
  Band band;
};

/// The newest state of a stream, for status pages.
struct StreamState {
  Time last_time{};  ///< of the last reading taken; the epoch when there is none
  double last_value = wire::kUnknown;
  float last_score = 0;
  Band band;
  bool warm = false;
  std::uint32_t anomalies_open = 0;
  std::uint64_t readings_total = 0;
  std::uint64_t dropped_total = 0;  ///< repeated, out of order: not given to the detector
};

/// Everything kept for one stream, in one object of fixed size (and its detector's, in a second).
///
/// Ownership: borrows the watch, which must outlive it. Events are appended to the caller's vector.
/// Errors: readings have none: whatever is wrong with one becomes an event and a counter.
/// Threads: distinct objects are safe; one object is used from one thread at a time.
/// Cost: no allocation, lock or system call per reading (the events vector may grow when an anomaly
///   opens or closes). state_bytes() <= 20 KiB with `auto`.
/// Repeatable: same watch, seed and calls give the same bits however readings are cut into batches.
class Pipeline {
 public:
  /// `id_seed` makes anomaly ids unique per device: hash of the device's random id and the stream.
  /// Errors: bad_config (the detector refuses its settings).
  static Result<std::unique_ptr<Pipeline>> make(const WatchConfig& watch, std::uint64_t id_seed);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Takes readings of this stream, in the order they came. `now` is the wall clock at their
  /// arrival (the reading's own time when replaying). `out` is empty or as long as `samples`.
  void push(std::span<const Sample> samples, Time now, std::vector<Event>& events,
            std::span<Verdict> out = {});
  /// Time passes, maybe without readings: finds outages. Call about once a second while live; never
  /// when replaying, where gaps show in the readings' times. Cost: about 10 ns.
  void tick(Time now, std::vector<Event>& events);
  /// The stream ends for good (end of a file): open anomalies are closed at their last instant.
  void finish(std::vector<Event>& events);

  /// Adds what this stream teaches others of its watch: its share of an AlarmPrior. False when it
  /// teaches nothing: it has not settled, or its kind has no AlarmBudget (ewma, seasonal, the trees
  /// and the matrix profile are calibrated by their own warm-up alone).
  bool teach(AlarmPriorLearner& learner) const;
  /// A new stream begins with what others have taught. Nothing once it has readings (a restored one
  /// has), or with kinds as above. Part of the snapshot.
  void begin_with(const AlarmPrior& prior) noexcept;

  /// What happened since the last call, for [begin, end); strings and tags are left empty for the
  /// caller. Begins a new interval. `readings` is 0 when nothing came.
  [[nodiscard]] wire::SummaryRecord summary(Time begin, Time end);

  [[nodiscard]] StreamState state() const noexcept;
  [[nodiscard]] const WatchConfig& watch() const noexcept;
  /// A person's word on the newest anomaly. What is normal now is no anomaly any more.
  void take(Feedback feedback, std::vector<Event>& events);

  /// Bytes of this object and its detector; constant.
  [[nodiscard]] std::size_t state_bytes() const noexcept;
  /// Appends the whole state (framed, checksummed, little-endian; about state_bytes() long).
  void snapshot(std::vector<std::byte>& out) const;
  /// Goes on where the snapshot was taken. Errors: corrupt, unsupported (another version, or the
  /// watch's detector, warm-up or season changed): the stream then warms up anew.
  Result<void> restore(std::span<const std::byte> bytes);

 private:
  struct State;
  struct One {
    float raw = 0;
    Cause cause = Cause::none;
    Evidence evidence;
  };
  Pipeline(const WatchConfig& watch, const Kind& kind, std::uint64_t id_seed,
           std::unique_ptr<Detector> detector);

  Verdict take(const Sample& sample, Time now, std::vector<Event>& events);
  One score_one(double value, Time time);
  void calibrate(const One& one, double value, Time time, Verdict& verdict,
                 std::vector<Event>& events);
  void weigh(const One& one, double value, Time time, Verdict& verdict, std::vector<Event>& events);
  void follow_fault(bool departed, Time time) noexcept;
  void accept_new_normal() noexcept;
  void accept_if_lasting(Time time, std::vector<Event>& events);
  void account(double value, bool missing, const Verdict& verdict) noexcept;
  [[nodiscard]] std::uint64_t tag(std::uint32_t version) const noexcept;

  const WatchConfig* watch_;
  const Kind* kind_;
  std::uint64_t id_seed_;
  Time gap_begin_{};  ///< time of the newest reading that counted
  std::unique_ptr<Detector> detector_;
  std::unique_ptr<State> state_;
};

}  // namespace lapwing::detect
