// SPDX-License-Identifier: Apache-2.0
/// Readings in, records out: names streams, spreads them over shards, scores every reading.
///
/// Streams live on one shard each (spread evenly as they appear), a group with all its sensors, so
/// their state needs no lock and their order is kept. At most streams_max are kept: further names
/// get Errc::limit, which the intake counts as refused readings and goes on. Names that no watch
/// takes do not count: they share one id, and their readings are only counted.
#pragma once

#include "agent/decode/reading.hpp"
#include "agent/engine/config.hpp"
#include "agent/engine/model_slot.hpp"
#include "agent/outbox/outbox.hpp"
#include "shared/base/result.hpp"
#include "shared/detect/feedback.hpp"
#include "shared/detect/group.hpp"
#include "shared/detect/pipeline.hpp"
#include "shared/detect/watch.hpp"
#include "shared/model/live.hpp"
#include "shared/wire/messages.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing {
class Metrics;
}

namespace lapwing::agent {

/// What is to be watched, and how. Streams of a group are judged with it and by no watch.
struct Watched {
  std::vector<detect::WatchConfig> watches;
  std::vector<detect::GroupConfig> groups = {};
};

/// One watched stream, or a group under its name, as it is now.
struct StreamView {
  std::string name;
  std::string watch;
  std::string detector;  ///< or the model that scores: `pumps 7`
  detect::StreamState state;
  std::vector<wire::Tag> tags;
};

/// Of groups that share some.
struct KeptRows {
  std::vector<double> values;         ///< row-major, one group after the other
  std::vector<std::string> left_out;  ///< groups whose rows had no room any more
};

struct EngineFigures {
  std::uint64_t streams = 0;
  std::uint64_t groups = 0;
  std::uint64_t readings_total = 0;
  std::uint64_t refused_streams_total = 0;  ///< names refused at streams_max
  std::uint64_t anomalies_open = 0;
  std::uint64_t queued = 0;  ///< readings waiting
};

/// Threads: every function may be called from any thread, start and stop from one.
class Engine final : public StreamNamer, public ReadingSink {
 public:
  /// Borrows outbox and metrics. Detector state is kept in `folder`.
  Engine(const EngineConfig& config, Watched watched, std::filesystem::path folder, Outbox& outbox,
         Metrics& metrics);
  ~Engine() override;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Restores saved streams and begins to score. A damaged snapshot is told in the log; its streams
  /// warm up anew.
  Result<void> start();
  /// Scores what waits, hands the records on, saves the state. Repeatable.
  void stop();

  Result<StreamId> stream_for(std::string_view name, std::span<const wire::Tag> tags) override;
  Result<void> submit(std::span<const Reading> readings) override;
  [[nodiscard]] bool held_up() const override;
  /// A person's word on the newest anomaly of a stream or a group, by name. Errors: not_found;
  /// bad_input (a group's sensor: the group is judged); limit (too many wait to be taken);
  /// shutting_down.
  Result<void> take(std::string_view name, detect::Feedback feedback);
  /// Puts a model into a slot, in place of what is there; null: nothing (the groups' own detector
  /// then warms up, or nothing scores beside). Every group that uses the model by name gets its own
  /// detector, made on the calling thread, and changes between two of its batches: no row is left
  /// out, none is judged by both; an anomaly that is open ends. What moves from shadow to active
  /// goes on as it was calibrated. Groups that appear later have it from their first row. Returns
  /// when all have it. Before start() too: what was learnt is then restored with it.
  /// Errors: not_found (no group uses it), denied (`wrong_schema: ...`, tells both), corrupt.
  Result<void> install(std::string_view model, ModelSlot slot,
                       std::shared_ptr<const model::LiveModel> live);
  /// What it did since it was installed, all its groups together; nullopt: the slot is empty. Waits
  /// at most for the batches that are being scored.
  [[nodiscard]] std::optional<wire::ModelStatistics> statistics(std::string_view model,
                                                                ModelSlot slot) const;
  static constexpr std::size_t kKeptNumbersMax = std::size_t{1} << 20U;
  /// The rows kept of all groups that share some and are wanted: at most `numbers_max` numbers; a
  /// group whose rows do not fit any more is left out whole, and named. Waits at most for the
  /// batches that are being scored.
  [[nodiscard]] KeptRows kept_rows(const std::function<bool(const detect::GroupConfig&)>& wanted,
                                   std::size_t numbers_max = kKeptNumbersMax) const;
  /// Returns when everything handed in before has been taken.
  void flush();

  /// By name, after `after`: at most `limit`. Waits at most for the batch that a shard is scoring.
  [[nodiscard]] std::vector<StreamView> streams(std::string_view after, std::size_t limit) const;
  [[nodiscard]] EngineFigures figures() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::agent
