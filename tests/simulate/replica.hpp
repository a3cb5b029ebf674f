// SPDX-License-Identifier: Apache-2.0
/// One replica: a broker of its own and a hub process, which die by themselves.
#pragma once

#include "shared/sync/hub.hpp"
#include "tests/simulate/world.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace lapwing::simulate {

/// A connection, as its two ends see it.
struct Link {
  std::size_t name = 0;  ///< the device's
  std::string id;
  Device* device = nullptr;
  Replica* replica = nullptr;
  bool device_end = true;
  bool broker_end = true;
  bool silent = false;  ///< half open: nothing passes, nobody is told
};

struct LiveCopy {
  wire::RecordBatch batch;
};
using Up = std::variant<wire::Hello, wire::RecordBatch, LiveCopy, wire::Status>;
using Down = std::variant<wire::Welcome, wire::Ack>;

class Replica {
 public:
  Replica(World& world, std::uint64_t number, std::size_t region);
  [[nodiscard]] std::size_t region() const { return region_; }

  // The broker.
  [[nodiscard]] bool takes_connections() const { return broker_up_; }
  void connect(const std::shared_ptr<Link>& link);
  /// The broker finds the connection dead: its will fires.
  void ended(const std::shared_ptr<Link>& link);
  void take(const std::shared_ptr<Link>& link, Up message);
  void kill_broker();

  // The hub.
  enum class Death : std::uint8_t { now, before_commit, after_commit };
  void kill_hub(Death death);
  void jump_clock(Micros by) { wall_offset_ += by; }
  void heal();
  /// Hub and broker end and come back.
  void restart();

 private:
  struct Waiting {
    std::size_t name;
    std::shared_ptr<const Up> message;
  };
  struct Answer {
    std::size_t name;
    Down message;
  };
  void to_hub(std::size_t name, const Up& message);
  void received(std::size_t name, const std::shared_ptr<const Up>& message);
  void work();
  void commit(std::vector<Waiting> batch);
  void die();
  void lose_connections();
  DeviceRows& rows(std::size_t name) { return world_.rows(region_, name); }
  void greet();
  void answer(std::size_t name, Down message);
  void handle(std::size_t name, const wire::Hello& hello, std::vector<Answer>& answers);
  void handle(std::size_t name, const wire::RecordBatch& batch, std::vector<Answer>& answers);
  void handle(std::size_t name, const LiveCopy& copy, std::vector<Answer>& answers);
  void handle(std::size_t name, const wire::Status& status, std::vector<Answer>& answers);
  void put(std::size_t name, std::uint64_t epoch, const wire::RecordEntry& entry,
           std::uint64_t first_seq);
  /// Faults of the channel; `arrive` happens as often as the message comes through.
  void pass(const std::function<void()>& arrive);
  [[nodiscard]] Time wall() const;

  World& world_;
  std::size_t region_;
  Random random_;
  bool broker_up_ = true;
  bool hub_up_ = true;
  std::uint64_t life_ = 0;  ///< of the hub's process
  std::optional<Death> dies_;
  bool working_ = false;
  std::deque<Waiting> queue_;
  std::map<std::size_t, std::shared_ptr<Link>> sessions_;  ///< by client id, the device's name
  Micros wall_offset_{0};
};

}  // namespace lapwing::simulate
