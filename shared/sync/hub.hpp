// SPDX-License-Identifier: Apache-2.0
/// The hub's half of the sync protocol (docs/protocol.md), as pure decisions: what is known of a
/// device and what it just said go in, what to store and answer comes out. No I/O, clock or thread.
///
/// The caller loads the state, asks, and saves the state in the same transaction as the records; it
/// answers only after COMMIT. So any replica can decide, and a crash between any two steps is safe.
#pragma once

#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::sync {

/// What the store keeps of each device between messages. Plain data.
struct DeviceSyncState {
  std::uint64_t epoch = 0;         ///< last granted; 0: the device never said hello
  std::uint64_t base = 0;          ///< watermark with which `epoch` began
  std::uint64_t watermark = 0;     ///< highest seq of `epoch` that is stored, all below included
  std::uint64_t live_through = 0;  ///< highest seq of `epoch` that came as a live copy
  std::uint64_t granted = 0;       ///< the last epoch this hub granted: its next one is above it
  std::uint64_t before_grant = 0;  ///< `epoch` before that, or before one that was never used
  std::string database_id;
  std::string connection_id;            ///< of the last accepted hello: only its batches are taken
  std::string instance_id;              ///< of the last accepted hello
  std::vector<std::string> superseded;  ///< earlier instances, newest last, at most kSupersededMax
  /// Connections before `connection_id`, likewise. They are never current again: what was sent on
  /// them was numbered before another spoke in between.
  std::vector<std::string> left;
  std::uint32_t returns = 0;  ///< times a superseded instance spoke again since `returns_since`
  Time returns_since{};
  std::string unheard;     ///< connection of a superseded instance whose hello came too late
  std::string quarantine;  ///< why nothing is taken from the device; empty: it is not quarantined
  friend bool operator==(const DeviceSyncState&, const DeviceSyncState&) = default;
};

inline constexpr std::size_t kSupersededMax = 8;
/// A superseded process that speaks again so often within the window is a second live copy. Once
/// may be a late message of a process that has ended.
inline constexpr std::uint32_t kReturnsMax = 3;
inline constexpr Micros kReturnsWindow = std::chrono::minutes(10);

/// Ids of one process's connections, `12-<random>`, tell which is newer: a hello that was overtaken
/// on its way by one of a newer connection is refused.
[[nodiscard]] std::string connection_id(std::uint64_t number, std::string_view random);
/// nullopt: the id does not begin with a number; nothing is known of its age.
[[nodiscard]] std::optional<std::uint64_t> connection_number(std::string_view id);

struct BatchLimits {
  std::uint32_t records_max = 1000;
  std::uint32_t bytes_max = 128 * 1024;
};

/// Which region the hub is. Regions share nothing but trust: an epoch goes on from one to the next,
/// its numbers keep their keys, and each region's account tells what others took of it.
struct Region {
  std::uint32_t number = 0;  ///< [1, wire::kRegionLast]; 0: a hub that stands alone
  std::string name;          ///< for people
};
/// The epoch a hub grants when `known` is the highest it heard of. Regions never grant the same:
/// theirs begin at 256 and leave the region's number when divided by it.
[[nodiscard]] std::uint64_t next_epoch(std::uint64_t known, std::uint32_t region);

struct HelloDecision {
  bool answer = true;     ///< false: it was overtaken on its way; save `state`, nothing else
  wire::Welcome welcome;  ///< to be sent after `state` is committed
  DeviceSyncState state;
  std::string alert;  ///< for operators; empty when all is as usual
  /// Not 0: what the hub does not hold of these numbers of the current epoch other regions do. It
  /// is to be accounted for as theirs before `state` is saved.
  std::uint64_t elsewhere_first = 0;
  std::uint64_t elsewhere_last = 0;
};

/// The highest seq of the current epoch the hub holds, live copies included.
[[nodiscard]] std::uint64_t newest_seq(const DeviceSyncState& state) noexcept;
/// Hashes of records of state.epoch, where the hub still knows them.
struct StoredHashes {
  std::optional<std::uint64_t> at_acked;   ///< at hello.acked_seq
  std::optional<std::uint64_t> at_newest;  ///< at newest_seq(state)
  std::optional<std::uint64_t> at_check;   ///< at hello.check_seq
};
/// `now` is the hub's wall clock.
[[nodiscard]] HelloDecision on_hello(const DeviceSyncState& state, const wire::Hello& hello,
                                     const StoredHashes& stored, const BatchLimits& limits,
                                     Time now, const Region& region = {});
/// What to answer to a device whose hello cannot be considered (revoked, unknown).
[[nodiscard]] wire::Welcome refuse(const wire::Hello& hello, std::string reason, Time now);
/// An operator decided which copy lives: the next hello is taken with a new epoch.
void release_quarantine(DeviceSyncState& state);

enum class BatchVerdict : std::uint8_t {
  accept,     ///< store entries from `first_entry` on, then acknowledge
  duplicate,  ///< all of it is there: acknowledge again
  gap,        ///< starts beyond the watermark: acknowledge, so that the device goes back
  ask_hello,  ///< another connection or epoch: answer so that the device says hello again
  silent,     ///< quarantined: neither store nor answer
};

struct BatchDecision {
  BatchVerdict verdict = BatchVerdict::silent;
  std::size_t first_entry = 0;   ///< accept: entries before it are already stored
  std::uint64_t first_seq = 0;   ///< accept: where to begin; inside a loss range it cuts the range
  std::uint64_t watermark = 0;   ///< accept: to be saved with the records
  std::optional<wire::Ack> ack;  ///< to be sent (after COMMIT when accepting)
};

/// `batch.entries` are consecutive (wire::decode_batch checks it).
[[nodiscard]] BatchDecision on_batch(const DeviceSyncState& state, const wire::RecordBatch& batch);
/// Indices of a live copy's entries to store ahead of the watermark: by key, once, unacknowledged.
/// The highest seq stored is to be saved as `live_through` with them.
[[nodiscard]] std::vector<std::size_t> on_live(const DeviceSyncState& state,
                                               const wire::RecordBatch& batch);
struct StatusDecision {
  /// It speaks for the connection that is current: an older connection's will never marks a
  /// reconnected device offline.
  bool current = false;
  /// A connection that lives, yet is not the current one, is to say hello again: without records to
  /// send it would not learn that another took its place.
  std::optional<wire::Ack> ack;
};
/// `status`: a will included.
[[nodiscard]] StatusDecision on_status(const DeviceSyncState& state, const wire::Status& status);

}  // namespace lapwing::sync
