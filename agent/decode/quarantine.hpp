// SPDX-License-Identifier: Apache-2.0
/// What could not be read, kept so that people can see it; intake goes on.
#pragma once

#include "agent/decode/refusal.hpp"
#include "shared/base/mutex.hpp"
#include "shared/base/time.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing {
class Metrics;
class Counter;
namespace config {
class Section;
}
}  // namespace lapwing

namespace lapwing::agent {

/// `[quarantine]`.
struct QuarantineConfig {
  std::size_t entries_max = 256;                  ///< count, [1, 100000]
  std::size_t bytes_max = std::size_t{1} << 18U;  ///< bytes of all entries, [4 KiB, 64 MiB]
  std::size_t payload_bytes = 64;                 ///< bytes kept of each payload, [0, 4096]
  static QuarantineConfig read(config::Section& section);
};

/// One kind of refused payload: the same source, topic and reason are one entry with a count.
struct QuarantineEntry {
  std::string source;             ///< name of the [[source]]
  std::string topic;              ///< cut at 256 bytes; not necessarily valid UTF-8
  std::string detail;             ///< what was wrong and the remedy, of the last one
  std::string payload;            ///< first bytes of the last one; any bytes
  std::size_t payload_bytes = 0;  ///< full size of the last one
  Refusal reason = Refusal::syntax;
  std::uint64_t count = 0;
  Time first{};
  Time last{};
};

/// Bounded memory of refused payloads.
///
/// Bound: entries_max and bytes_max; the entry that was not seen for longest goes first
///   (lapwing_quarantine_evicted_total). Counts by reason are never lost.
/// Threads: shared objects are safe.
/// Cost: one lock and a scan of at most entries_max hashes per refused payload; logs each new entry
///   once, without the payload (rate-limited by the log).
class Quarantine {
 public:
  /// `metrics` (may be null: nothing exported) must outlive the object.
  explicit Quarantine(QuarantineConfig config, Metrics* metrics = nullptr);
  Quarantine(const Quarantine&) = delete;
  Quarantine& operator=(const Quarantine&) = delete;

  void add(std::string_view source, std::string_view topic, std::string_view payload,
           Refusal reason, std::string_view detail, Time time);

  /// Newest first, at most `limit`.
  [[nodiscard]] std::vector<QuarantineEntry> recent(std::size_t limit = 100) const;
  /// All refusals since the start; of one reason.
  [[nodiscard]] std::uint64_t total() const noexcept;
  [[nodiscard]] std::uint64_t total(Refusal reason) const noexcept;

 private:
  struct Slot {
    std::uint64_t hash = 0;
    QuarantineEntry entry;
  };
  void make_room(std::size_t bytes) LAPWING_REQUIRES(mutex_);

  QuarantineConfig config_;
  std::array<std::atomic<std::uint64_t>, kRefusals> totals_{};
  std::array<Counter*, kRefusals> counters_{};
  Counter* evicted_ = nullptr;
  mutable Mutex mutex_;
  std::list<Slot> slots_ LAPWING_GUARDED_BY(mutex_);  ///< newest first
  std::size_t bytes_ LAPWING_GUARDED_BY(mutex_) = 0;
};

}  // namespace lapwing::agent
