// SPDX-License-Identifier: Apache-2.0
/// One simulated device: the protocol's own agent core, an outbox that makes its records when they
/// are wanted, and a connection.
#pragma once

#include "shared/base/backoff.hpp"
#include "shared/sync/agent.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/messages.hpp"
#include "tests/bench/fleet/link.hpp"
#include "tests/bench/fleet/mqtt5.hpp"
#include "tests/bench/fleet/plan.hpp"

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::fleet {

/// What devices say they run.
inline constexpr std::string_view kFleetVersion = "fleet";

/// What the devices of one loop use in turn, since they run on one thread.
struct LoopTools {
  wire::FrameWriter writer;
  wire::FrameReader reader;
  std::function<void(int socket, std::size_t device)> watch;  ///< tells the loop of a new socket
};

/// Open loop: records become due at their times, whatever is acknowledged, and a record's latency
/// runs from its due time. Threads: one object belongs to its loop's thread.
class Device {
 public:
  enum class Kind : std::uint8_t { normal, slow, deaf };

  Device(const Shared& shared, std::size_t index, LoopTools& tools, Meters& meters);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Connects for the first time; before, it does nothing.
  void begin(Ticks now) { connect_at_ = now; }
  /// The socket is ready for something.
  void ready(Ticks now);
  /// Does what is due.
  void tick(Ticks now);
  [[nodiscard]] Ticks wake_at() const;
  /// Saturating: one more burst is due. False: the device does not stream, or has enough.
  bool give(Ticks now);
  /// As when the device's power fails: the connection is cut, what is on disk stays.
  void drop(Ticks now);
  /// Says goodbye.
  void finish(Ticks now);
  [[nodiscard]] Position position() const;

 private:
  enum class Phase : std::uint8_t { offline, linking, greeting_broker, subscribing, online };

  void connect(Ticks now);
  void lost(Ticks now, const Error& why);
  void read(Ticks now);
  void packet(const mqtt5::Packet& packet, Ticks now);
  void answer(const mqtt5::Packet& packet, Ticks now);
  void welcomed(const wire::Welcome& welcome, Ticks now);
  void puback(std::uint16_t id, Ticks now);
  void make_due(Ticks now);
  void note_streaming(Ticks now);

  void carry_out(sync::Actions actions, Ticks now);
  sync::Actions perform(const sync::SendHello& hello, Ticks now);
  sync::Actions perform(const sync::SendBatch& send, Ticks now);
  sync::Actions perform(const sync::SendLive& send, Ticks now);
  sync::Actions perform(const sync::DeleteThrough& done, Ticks now);
  sync::Actions perform(const sync::AdoptEpoch& grant, Ticks now);
  sync::Actions perform(const sync::ArmTimer& timer, Ticks now);
  sync::Actions perform(const sync::Reconnect& again, Ticks now);
  sync::Actions perform(const sync::Halted& halt, Ticks now);

  void acknowledged(std::uint64_t through, Ticks now);
  [[nodiscard]] Ticks due_at(std::uint64_t burst) const;
  wire::RecordBatch batch(std::uint64_t from, std::uint64_t through, std::uint32_t records_max,
                          std::uint32_t bytes_max, std::size_t& bytes) const;
  bool publish(wire::Channel channel, std::string_view body, std::uint64_t through = 0);
  void send_status(bool online, Ticks now);
  [[nodiscard]] bool deaf() const;

  const Shared& shared_;
  const std::size_t index_;
  LoopTools& tools_;
  Meters& meters_;
  const wire::Identity identity_;
  const Kind kind_;
  const std::string instance_id_;
  sync::Agent agent_;
  Backoff backoff_;
  Link link_;
  Phase phase_ = Phase::offline;
  bool streaming_ = false;  ///< as counted in the meters
  bool halted_ = false;
  std::string connection_id_;
  std::uint64_t connections_ = 0;
  std::string inbox_;  ///< the beginning of a packet
  std::uint16_t packet_id_ = 0;
  std::size_t window_ = 0;  ///< publishes that may be open
  /// Publishes the broker has not taken: id, and the last record in it (0: none).
  std::deque<std::pair<std::uint16_t, std::uint64_t>> open_;
  std::uint64_t epoch_;
  std::uint64_t acked_;
  std::uint64_t next_seq_;
  std::uint64_t resends_ = 0;
  // The schedule: burst n (from 0) is due at phase + n * period after the start and holds records
  // first_seq_ + n * burst to the next one's.
  const std::uint64_t first_seq_;
  const double phase_share_;  ///< where in a period this device's bursts lie
  std::uint64_t bursts_ = 0;  ///< made due
  /// Saturating: last record of each batch, and when it was first sent.
  std::deque<std::pair<std::uint64_t, Ticks>> sent_;

  Ticks connect_at_ = Ticks::max();
  Ticks linked_since_{};
  std::optional<Ticks> lost_at_;
  std::optional<Ticks> timer_;
  Ticks next_status_ = Ticks::max();
  Ticks next_ping_ = Ticks::max();
  Ticks next_read_ = Ticks::max();  ///< of a slow device
  Ticks heard_at_{};
};

}  // namespace lapwing::fleet
