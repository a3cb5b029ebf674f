// SPDX-License-Identifier: Apache-2.0
/// One scoring thread, and the streams and groups that live on it.
#pragma once

#include "agent/decode/reading.hpp"
#include "agent/engine/config.hpp"
#include "agent/engine/engine.hpp"
#include "agent/engine/group.hpp"
#include "agent/outbox/outbox.hpp"
#include "shared/detect/comparison.hpp"
#include "shared/detect/pipeline.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace lapwing {
class Counter;
class Gauge;
class Histogram;
class Metrics;
}  // namespace lapwing

namespace lapwing::agent {

/// A stream as its shard keeps it: watched by itself, or a sensor of a group. With neither nobody
/// watches it: its readings are counted.
struct Stream {
  std::string name;
  std::vector<wire::Tag> tags;
  std::unique_ptr<detect::Pipeline> pipeline;
  Group* group = nullptr;  ///< of the same shard
  std::size_t sensor = 0;  ///< its place in the group's rows
};

/// Threads: add, submit, views and totals from any thread; the rest is its own thread's.
class Shard {
 public:
  Shard(const EngineConfig& config, std::size_t index, std::filesystem::path snapshot,
        Outbox& outbox, Metrics& metrics);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  void start();
  /// Scores what waits, ends the interval, saves the state.
  void stop();

  /// The next stream of this shard: local index = the number of streams added before.
  void add(std::unique_ptr<Stream> stream);
  /// Before its sensors.
  void add(std::unique_ptr<Group> group);
  /// Waits while the queue is full; false when stopping. `local` are (index, reading) in order.
  struct Item {
    std::uint32_t stream = 0;
    Time time{};
    double value = 0;
  };
  bool submit(std::span<const Item> items);
  static constexpr std::size_t kToldMax = 1000;
  /// A person's word on a stream, by local index, or on a group; taken after what waits.
  struct Told {
    std::uint32_t stream = 0;
    Group* group = nullptr;  ///< not null: it is meant
    detect::Feedback feedback{};
  };
  /// False: kToldMax wait already.
  bool tell(const Told& told);
  /// What is to score a group's rows, or beside what does (null: nothing).
  struct Change {
    Group* group = nullptr;  ///< of this shard
    ModelSlot slot = ModelSlot::active;
    std::unique_ptr<detect::GroupScorer> scorer;
    std::unique_ptr<detect::GroupScorer> spare = nullptr;  ///< of no use after all
  };
  /// Taken between two batches, before the next one; finish_changes() waits for that, and destroys
  /// what they replaced on the calling thread.
  void change(std::vector<Change> changes);
  void finish_changes();
  /// What the groups' models of this name did, added up; `bytes`: of their detectors.
  void add_account(std::string_view model, ModelSlot slot,
                   std::optional<detect::Comparison>& account, std::uint64_t& bytes) const;
  /// Returns when everything handed in before has been taken and its records are with the outbox.
  void flush();

  [[nodiscard]] std::vector<StreamView> views() const;
  /// Appends the rows kept of its groups that are wanted, up to `numbers_max` in all.
  void add_kept_rows(const std::function<bool(const detect::GroupConfig&)>& wanted,
                     std::size_t numbers_max, KeptRows& rows) const;
  [[nodiscard]] std::uint64_t readings_total() const { return readings_; }
  [[nodiscard]] std::uint64_t anomalies_open() const { return open_; }
  [[nodiscard]] std::size_t queued() const;

 private:
  void run();
  struct Arrivals {
    std::vector<std::unique_ptr<Stream>> streams;
    std::vector<std::unique_ptr<Group>> groups;
  };
  void take_in(Arrivals arrivals);
  void teach_new(std::size_t first);
  [[nodiscard]] detect::AlarmPrior learn(const detect::WatchConfig& watch) const;
  void score(Time now);
  void take(const std::vector<Told>& told);
  void take(std::vector<Change>& changes);
  void periodic(Time now);
  void finish_groups(Time at);
  void write_summaries(Time end);
  void collect(const Stream& stream);
  void collect(const Group& group);
  void count(const detect::Event& event);
  void record(wire::AnomalyRecord record);
  void save_snapshot(bool last);
  void join_publisher();

  const EngineConfig& config_;
  const std::size_t index_;
  const std::filesystem::path snapshot_;
  Outbox& outbox_;
  Counter& predictions_;
  Counter& detections_;
  Counter& unwatched_;
  Counter& late_;
  Counter& unscored_;
  Counter& waits_;
  Gauge& queue_gauge_;  // of all shards: each adds and takes away its own
  Histogram& duration_;

  mutable std::mutex state_mutex_;  // held for a batch; guards what lives here
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Group>> groups_;

  // Of the shard's thread.
  std::vector<Item> batch_;
  std::vector<detect::Sample> samples_;
  std::vector<detect::Event> events_;
  std::vector<detect::GroupEvent> group_events_;
  std::vector<wire::SummaryRecord> summaries_;
  std::vector<OutboxRecord> records_;
  std::vector<std::byte> bytes_;
  Time summary_begin_{};
  Time next_summary_{};
  Ticks next_tick_{};
  Ticks next_snapshot_{};

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable work_;
  std::condition_variable room_;
  std::condition_variable idle_;
  std::vector<Item> inbox_;
  Arrivals arrivals_;
  std::vector<Told> told_;
  std::vector<Change> changes_;
  std::vector<Change> changed_;  // holds what was replaced
  std::uint64_t submitted_ = 0;
  std::uint64_t scored_ = 0;
  std::uint64_t changes_posted_ = 0;
  std::uint64_t changes_taken_ = 0;
  bool running_ = false;
  bool stopping_ = false;

  std::atomic<std::uint64_t> readings_{0};
  std::atomic<std::uint64_t> open_{0};
  std::thread thread_;
  std::thread publisher_;  // makes a snapshot durable, off the scoring thread
  std::atomic<bool> publishing_{false};
};

}  // namespace lapwing::agent
