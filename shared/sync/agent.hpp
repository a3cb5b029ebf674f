// SPDX-License-Identifier: Apache-2.0
/// The agent's half of the sync protocol (docs/protocol.md): events and the time in, actions out.
/// No sockets, clocks or threads; the uplink carries the actions out.
#pragma once

#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

namespace lapwing::sync {

/// How much is under way and how long answers may take.
struct AgentLimits {
  std::uint32_t batch_records_max = 500;      ///< the hub may ask for less
  std::uint32_t batch_bytes_max = 96 * 1024;  ///< payload bytes before compression; likewise
  std::size_t batches_in_flight_max = 8;
  std::uint64_t live_backlog = 2000;  ///< records behind from which new ones are also sent live
  Micros answer_timeout = std::chrono::seconds(5);  ///< first wait for a welcome or acknowledgement
  Micros answer_timeout_max = std::chrono::minutes(1);
  std::uint32_t timeouts_max = 4;                 ///< in a row, then the connection is given up
  Micros halted_retry = std::chrono::minutes(5);  ///< between hellos while quarantined or refused
  std::uint64_t pace_bytes_per_second = 0;        ///< of payload; 0: as fast as the hub answers
};

/// Send a Hello; the shell fills in who we are.
struct SendHello {
  bool forked = false;
  std::uint64_t check_seq = 0;  ///< the hub is to compare its record there; 0: none
  std::uint64_t check_hash = 0;
};
/// What the outbox has at a number, and below it among those not acknowledged.
struct OwnRecord {
  enum class State : std::uint8_t {
    absent,    ///< the number is not waiting here
    readable,  ///< `hash` is the record's
    given_up,  ///< dropped at the quota, or never stored
    damaged,   ///< it was there, and cannot be read
  } state = State::absent;
  std::uint64_t hash = 0;
  std::uint64_t below_seq = 0;  ///< given_up: the newest readable record before it; 0: none
  std::uint64_t below_hash = 0;
};
/// Read entries from the outbox, send them on up/records, then call Agent::sent.
struct SendBatch {
  std::uint64_t from_seq = 0;
  std::uint32_t records_max = 0;
  std::uint32_t bytes_max = 0;
};
/// Send entries `from_seq`..`through` on up/report, in at most `messages_max` messages; for each,
/// call Agent::sent_live.
struct SendLive {
  std::uint64_t from_seq = 0;
  std::uint64_t through = 0;
  std::size_t messages_max = 0;
  std::uint32_t records_max = 0;
  std::uint32_t bytes_max = 0;
};
/// The hub has committed everything up to `seq`: the outbox may forget it.
struct DeleteThrough {
  std::uint64_t seq = 0;
  std::uint32_t region = 0;  ///< whose acknowledgement it is, to be remembered with it
};
/// Remember the epoch, and that everything up to `watermark` is at the hub, before anything is
/// sent.
struct AdoptEpoch {
  std::uint64_t epoch = 0;
  std::uint64_t watermark = 0;
  std::uint32_t region = 0;  ///< the only one that acknowledged anything of it so far
};
/// Call Agent::timer at `at`; replaces an earlier one.
struct ArmTimer {
  Ticks at{};
};
/// Drop the connection and make a new one.
struct Reconnect {
  std::string reason;
};
/// The hub takes nothing for now. Hellos go on, seldom.
struct Halted {
  wire::HelloOutcome outcome = wire::HelloOutcome::refused;
  std::string reason;
};
using Action = std::variant<SendHello, SendBatch, SendLive, DeleteThrough, AdoptEpoch, ArmTimer,
                            Reconnect, Halted>;
using Actions = std::vector<Action>;

/// Go-back-N with a cumulative, application-level acknowledgement.
///
/// Promise: DeleteThrough(s) is given only for an s the hub acknowledged in the current epoch. A
///   batch starts at the watermark + 1 or right after the batch before it.
/// Actions are to be carried out in order, before the next event is given.
/// Threads: distinct objects are safe; one object belongs to one thread.
class Agent {
 public:
  /// What the outbox remembers: `next_seq` is the seq of the next record to be committed.
  struct Position {
    std::uint64_t epoch = 0;
    std::uint64_t acked_seq = 0;
    std::uint64_t next_seq = 1;
    /// Regions that acknowledged something of the epoch. A hello tells them all, and each one's
    /// last watermark; with kRegionsMax of them a further one has to begin a new epoch.
    std::vector<std::uint32_t> regions;
  };
  Agent(const AgentLimits& limits, const Position& position, std::uint64_t seed);

  Actions connected(std::string connection_id, Ticks now);
  Actions disconnected();
  /// `own`: at welcome.known_seq. When it is not what the hub has, the outbox has gone another way
  /// since (restored, cloned), or is damaged there and cannot show that it has not: a new epoch is
  /// asked for. Where the outbox gave the record up, the one before it is compared.
  Actions welcomed(const wire::Welcome& welcome, const OwnRecord& own, Ticks now);
  Actions acked(const wire::Ack& ack, Ticks now);
  /// Records up to next_seq - 1 are durable in the outbox.
  Actions committed(std::uint64_t next_seq, Ticks now);
  /// A SendBatch was carried out: entries up to `through` left in `bytes` of payload. `through`
  /// below its from_seq: nothing could be read or sent; it is tried again later.
  Actions sent(std::uint64_t through, std::size_t bytes, Ticks now);
  /// A message of a SendLive has left: the backlog waits for what it took of the pace.
  void sent_live(std::size_t bytes, Ticks now);
  Actions timer(Ticks now);
  /// Replaces the limit's pace; what waits by the old one waits on.
  void set_pace(std::uint64_t bytes_per_second) {
    limits_.pace_bytes_per_second = bytes_per_second;
  }

  [[nodiscard]] std::uint64_t watermark() const noexcept { return watermark_; }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  [[nodiscard]] std::uint64_t backlog() const noexcept { return next_seq_ - 1 - watermark_; }
  [[nodiscard]] bool streaming() const noexcept { return phase_ == Phase::streaming; }
  /// Of the hub that said welcome last.
  [[nodiscard]] std::uint32_t region() const noexcept { return region_; }
  [[nodiscard]] std::uint64_t resends() const noexcept { return resends_; }
  /// Batches that may be under way, and records in each: less than the limits on a slow link.
  [[nodiscard]] std::size_t window() const noexcept { return window_; }
  [[nodiscard]] std::uint32_t batch_records() const noexcept { return records_now_; }

 private:
  enum class Phase : std::uint8_t { offline, greeting, streaming, halted };

  void greet(Actions& actions, Ticks now);
  void send_more(Actions& actions, Ticks now);
  void go_back(Actions& actions, Ticks now);
  void advance(Actions& actions, std::uint64_t watermark);
  [[nodiscard]] bool knows_region(std::uint32_t region) const;
  void arm(Actions& actions, Ticks at);
  Ticks answer_deadline(Ticks now);
  void keep_pace(std::size_t bytes, Ticks now);
  bool compare(Actions& actions, const wire::Welcome& welcome, const OwnRecord& own, Ticks now);
  void shrink();
  void grow();

  AgentLimits limits_;
  std::mt19937_64 random_;
  Phase phase_ = Phase::offline;
  std::string connection_id_;
  std::uint64_t epoch_;
  std::uint64_t watermark_;
  std::uint64_t next_seq_;
  std::vector<std::uint32_t> regions_;
  std::uint32_t region_ = 0;
  std::uint64_t sent_through_;
  std::uint32_t records_max_;
  std::uint32_t bytes_max_;
  // What the link takes: less after each timeout, more with each acknowledgement.
  std::size_t window_;
  std::uint32_t records_now_;
  std::uint32_t bytes_now_;
  std::size_t live_credit_ = 1;          ///< live messages until the next acknowledgement
  std::deque<std::uint64_t> in_flight_;  ///< last seq of each batch not acknowledged
  bool forked_ = false;                  ///< until a new epoch is granted
  std::uint64_t check_seq_ = 0;          ///< the hub was asked to compare its record there
  std::uint64_t check_hash_ = 0;
  bool sending_ = false;  ///< a SendBatch is being carried out
  Ticks paced_until_{};
  std::uint32_t timeouts_ = 0;
  std::optional<std::uint64_t> went_back_at_;  ///< watermark at which a repeated ack sent us back
  std::uint64_t resends_ = 0;
};

}  // namespace lapwing::sync
