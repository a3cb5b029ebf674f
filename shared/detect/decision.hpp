// SPDX-License-Identifier: Apache-2.0
/// From anomalous readings to anomalies: onset, peak, hysteresis, end; one at a time per reason.
#pragma once

#include "shared/base/time.hpp"
#include "shared/detect/event.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lapwing::detect {

/// Why a reading is anomalous now.
struct Finding {
  wire::Reason reason = wire::Reason::unusual;
  Cause cause = Cause::none;
  Time onset{};  ///< used when the finding opens an anomaly
  Time time{};
  double score = 0;
  double value = wire::kUnknown;
  Band band;
  double detail = 0;
};

/// The open anomalies of one stream, one slot a reason: none delays another.
///
/// An anomaly ends after a hold of good readings (and WatchConfig::hold). One that comes back
/// within eight holds doubles its hold, up to 256 times: flapping becomes one long anomaly. While
/// open it is reported again when its severity rises or its peak doubles: at most about a dozen
/// times. Threads: distinct objects are safe. Cost: a few ns a reading; events are appended.
class Decision {
 public:
  static constexpr std::size_t kReasons = 7;
  static constexpr std::uint32_t kHoldReadings = 32;

  void found(const Finding& finding, std::uint64_t id_seed, std::vector<Event>& events);
  /// A reading at `time` passed: ends what has been quiet for long enough. `unusual_open`: the
  /// calibration still holds its alarm.
  void passed(Time time, Micros hold, bool unusual_open, std::vector<Event>& events);
  /// Ends one now; `end` is its last instant. No effect when it is not open.
  void close(wire::Reason reason, Time end, std::vector<Event>& events);
  void close_all(std::vector<Event>& events);

  [[nodiscard]] bool open(wire::Reason reason) const noexcept { return slot(reason).open; }
  [[nodiscard]] Time onset(wire::Reason reason) const noexcept { return slot(reason).onset; }
  [[nodiscard]] std::uint64_t readings_open(wire::Reason reason) const noexcept {
    return readings_ - slot(reason).opened_at;
  }
  [[nodiscard]] std::uint32_t open_count() const noexcept { return open_count_; }

  template <class A>
  void fields(A& archive) {
    archive(slots_, readings_, open_count_);
  }
  [[nodiscard]] bool plausible() const noexcept;

 private:
  struct Slot {
    std::uint64_t id = 0;
    Time onset{};
    Time peak_time{};
    Time last_bad{};
    double peak_score = 0;
    double reported_score = 0;
    double peak_value = wire::kUnknown;
    double expected = wire::kUnknown;
    double lower = wire::kUnknown;
    double upper = wire::kUnknown;
    double detail = 0;
    std::uint64_t opened_at = 0;  ///< in readings
    std::uint64_t closed_at = 0;
    std::uint64_t bad_at = 0;
    std::uint32_t quiet = 0;  ///< good readings since the last bad one
    std::uint8_t strikes = 0;
    Cause cause = Cause::none;
    wire::Severity severity = wire::Severity::minor;
    bool open = false;

    template <class A>
    void fields(A& archive) {
      archive(id, onset, peak_time, last_bad, peak_score, reported_score, peak_value, expected);
      archive(lower, upper, detail, opened_at, closed_at, bad_at, quiet, strikes, cause, severity,
              open);
    }
  };

  static constexpr std::size_t index(wire::Reason reason) {
    return static_cast<std::size_t>(reason) - 1;
  }
  [[nodiscard]] const Slot& slot(wire::Reason reason) const noexcept {
    return slots_[index(reason)];
  }
  static std::uint32_t hold_readings(const Slot& slot) noexcept {
    return kHoldReadings << slot.strikes;
  }
  void open_slot(Slot& slot, const Finding& finding, std::uint64_t id_seed);
  void close_slot(std::size_t at, Time end, std::vector<Event>& events);
  static Event event_of(const Slot& slot, std::size_t at, wire::Phase phase);

  std::array<Slot, kReasons> slots_{};
  std::uint64_t readings_ = 0;
  std::uint32_t open_count_ = 0;
};

/// By peak score: minor up to 2, major up to 4, else critical.
[[nodiscard]] wire::Severity severity_of(double score) noexcept;

}  // namespace lapwing::detect
