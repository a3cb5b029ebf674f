// SPDX-License-Identifier: Apache-2.0
/// One copy of a device: a disk, and on it an agent's process that comes and goes.
#pragma once

#include "shared/sync/agent.hpp"
#include "tests/simulate/disk.hpp"
#include "tests/simulate/replica.hpp"
#include "tests/simulate/world.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace lapwing::simulate {

/// Contents and their numbers.
using Numbered = std::unordered_map<Content, std::uint64_t>;

class Device {
 public:
  /// `name`: which device; `copy`: unique among all copies of all devices.
  Device(World& world, std::size_t name, std::uint64_t copy);
  /// A clone of `original`'s disk, as it is.
  Device(const Device& original, std::uint64_t copy);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  void start();
  [[nodiscard]] std::size_t name() const { return name_; }

  // Faults. Each counts itself if it had something to break.
  void kill();
  void cut_power(bool torn);
  void flip_rows();
  void flip_log();
  void fill_disk(Micros how_long);
  void fail_sync() { sync_fails_ = true; }
  void back_up();
  void restore();
  void part(Micros how_long);
  void fall_silent();
  void leave_late_will();
  /// From one region, for so long; what holds it there breaks.
  void part_from(std::size_t region, Micros how_long);
  void move();    ///< to the other region, at once
  void retire();  ///< a clone ends for good
  void heal();    ///< no fault is left but what is broken by now

  // What links bring.
  void hear(const std::shared_ptr<Link>& link, const Down& message);
  void lost(const std::shared_ptr<Link>& link);

  /// What the outbox made durable, with its number, and the disk did not lose: owed to the hub.
  [[nodiscard]] const Numbered& owed() const { return owed_; }
  /// What the disk did lose since: the hub has it or a loss in its place.
  [[nodiscard]] const Numbered& destroyed() const { return destroyed_; }
  /// What the hub acknowledged to this copy.
  [[nodiscard]] const std::vector<Content>& acknowledged() const { return acknowledged_; }
  [[nodiscard]] const Position& position() const { return disk_.position(); }
  [[nodiscard]] bool idle() const;  ///< nothing waits for a commit
  [[nodiscard]] bool retired() const { return retired_; }
  [[nodiscard]] std::size_t region() const { return region_; }
  [[nodiscard]] std::uint64_t watermark() const { return agent_ ? agent_->watermark() : 0; }
  [[nodiscard]] bool uses(const std::string& connection_id) const {
    return link_ && link_->id == connection_id && link_->broker_end && !link_->silent;
  }
  [[nodiscard]] std::string state() const;

 private:
  enum class Stage : std::uint8_t { idle, writing, marking };

  void stop();                                    ///< the process is gone, whatever it was doing
  void go_down(Micros shortest, Micros longest);  ///< and comes back after a while
  void connect();
  void drop_link(Micros noticed_after);
  void reconnect();
  void disconnected();
  void produce();
  void report();
  void commit();
  void written();
  void marked();
  void apply(const Change& change);
  void destroy(const std::vector<Content>& contents);
  void later(Micros delay, void (Device::*what)());
  void carry_out(sync::Actions actions);
  sync::Actions perform(const sync::SendHello& greeting);
  sync::Actions perform(const sync::SendBatch& send);
  sync::Actions perform(const sync::SendLive& send);
  sync::Actions perform(const sync::DeleteThrough& done);
  sync::Actions perform(const sync::AdoptEpoch& grant);
  sync::Actions perform(const sync::ArmTimer& timer);
  sync::Actions perform(const sync::Reconnect& again);
  sync::Actions perform(const sync::Halted& halt);
  void publish(Up message);

  World& world_;
  std::size_t name_;
  std::uint64_t copy_;
  Random random_;
  Disk disk_;
  Numbered owed_;
  Numbered destroyed_;
  std::vector<Content> acknowledged_;
  struct Backup {
    Disk disk;
    Numbered owed;
    Numbered destroyed;
  };
  std::optional<Backup> backup_;
  Content next_content_;
  bool retired_ = false;

  // The process.
  std::uint64_t life_ = 0;
  bool running_ = false;
  std::string instance_;
  std::uint64_t instances_ = 0;
  std::uint64_t connections_ = 0;
  sync::AgentLimits limits_;
  std::unique_ptr<sync::Agent> agent_;
  std::uint64_t timer_ = 0;  ///< which one counts
  std::shared_ptr<Link> link_;
  bool not_kept_ = false;
  std::deque<Content> queue_;
  std::uint64_t given_up_ = 0;
  std::uint64_t forget_ = 0;
  std::vector<wire::RegionMark> forget_marks_;
  std::size_t region_ = 0;     ///< that it tries or holds
  std::uint64_t visible_ = 1;  ///< next_seq as told to the uplink
  Stage stage_ = Stage::idle;
  Change change_;

  // What is wrong.
  Ticks disk_full_until_{};
  Ticks parted_until_{};
  std::vector<Ticks> region_parted_until_;
  bool sync_fails_ = false;
  enum class Cut : std::uint8_t { none, lost, torn } cut_ = Cut::none;
  Stage cut_at_ = Stage::writing;
};

}  // namespace lapwing::simulate
