// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/row_pipeline.hpp"

#include "shared/detect/group_pipeline.hpp"
#include "shared/detect/kinds.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace lapwing::agent {
namespace {

using detect::GroupEvent;
using detect::Input;
using detect::Verdict;

constexpr std::uint64_t kIdSeed = 1;

class StreamRows final : public RowPipeline {
 public:
  static Result<std::unique_ptr<RowPipeline>> make(const detect::WatchConfig& watch) {
    auto rows = std::make_unique<StreamRows>(watch);
    auto pipeline = detect::Pipeline::make(rows->watch_, kIdSeed);
    if (!pipeline) return pipeline.error();
    rows->pipeline_ = std::move(*pipeline);
    return std::unique_ptr<RowPipeline>(std::move(rows));
  }
  explicit StreamRows(const detect::WatchConfig& watch) : watch_(watch) {}

  Verdict push(Time time, std::span<const double> row, Time now,
               std::vector<GroupEvent>& events) override {
    const detect::Sample sample{time, row.front()};
    Verdict verdict;
    pipeline_->push({&sample, 1}, now, events_, {&verdict, 1});
    hand_over(events);
    return verdict;
  }
  [[nodiscard]] std::span<const float> contributions() const noexcept override { return {}; }
  [[nodiscard]] std::uint64_t dropped_total() const noexcept override {
    return pipeline_->state().dropped_total;
  }
  void finish(std::vector<GroupEvent>& events) override {
    pipeline_->finish(events_);
    hand_over(events);
  }

 private:
  void hand_over(std::vector<GroupEvent>& events) {
    for (const detect::Event& event : events_) events.push_back({.event = event});
    events_.clear();
  }

  detect::WatchConfig watch_;
  std::unique_ptr<detect::Pipeline> pipeline_;
  std::vector<detect::Event> events_;
};

class GroupRows final : public RowPipeline {
 public:
  static Result<std::unique_ptr<RowPipeline>> make(const detect::WatchConfig& watch,
                                                   std::size_t width) {
    auto rows = std::make_unique<GroupRows>(watch);
    auto pipeline = detect::GroupPipeline::make(rows->group_, width, kIdSeed);
    if (!pipeline) return pipeline.error();
    rows->pipeline_ = std::move(*pipeline);
    return std::unique_ptr<RowPipeline>(std::move(rows));
  }
  static std::unique_ptr<RowPipeline> make(const detect::WatchConfig& watch, std::size_t width,
                                           detect::TrainedModel trained) {
    auto rows = std::make_unique<GroupRows>(watch);
    rows->pipeline_ = detect::GroupPipeline::make(rows->group_, width, kIdSeed, std::move(trained));
    return rows;
  }
  explicit GroupRows(const detect::WatchConfig& watch) { group_.watch = watch; }

  Verdict push(Time time, std::span<const double> row, Time now,
               std::vector<GroupEvent>& events) override {
    const std::size_t before = events.size();
    const detect::GroupVerdict verdict = pipeline_->push(time, row, now, events);
    double alarm = 0;
    for (const GroupEvent& one : std::span(events).subspan(before)) {
      if (one.event.phase == wire::Phase::opened) alarm = std::max(alarm, one.event.peak_score);
    }
    return {.score = verdict.score,
            .scored = verdict.scored,
            .anomalous = verdict.anomalous,
            .alarm = static_cast<float>(alarm)};
  }
  [[nodiscard]] std::span<const float> contributions() const noexcept override {
    return pipeline_->contributions();
  }
  [[nodiscard]] std::uint64_t dropped_total() const noexcept override {
    return pipeline_->state().dropped_total;
  }
  void finish(std::vector<GroupEvent>& events) override { pipeline_->finish(events); }

 private:
  detect::GroupConfig group_;
  std::unique_ptr<detect::GroupPipeline> pipeline_;
};

Error no_detector(const std::string& name, Input input) {
  std::string names;
  for (const detect::Kind& kind : detect::kKinds) {
    if (detect::find_live_kind(kind.name, input) == &kind)
      names += (names.empty() ? "" : ", ") + std::string(kind.name);
  }
  return {Errc::bad_config, "no detector \"" + name + "\" for " +
                                (input == Input::group ? "a group (several value columns)"
                                                       : "a stream (one value column)") +
                                "; there are: " + names};
}

}  // namespace

Result<std::unique_ptr<RowPipeline>> RowPipeline::make(const detect::WatchConfig& watch,
                                                       std::size_t width) {
  const Input input = width == 1 ? Input::stream : Input::group;
  if (detect::find_live_kind(watch.detector, input) == nullptr) {
    return no_detector(watch.detector, input);
  }
  if (input == Input::stream) return StreamRows::make(watch);
  return GroupRows::make(watch, width);
}

Result<std::unique_ptr<RowPipeline>> RowPipeline::make(const detect::WatchConfig& watch,
                                                       std::size_t width,
                                                       const model::LiveModel& model) {
  const auto& sensors = model.model().header().sensors;
  if (sensors.size() != width || width < detect::GroupConfig::kSensorsMin) {
    std::string wanted;
    for (const auto& sensor : sensors) wanted += (wanted.empty() ? "" : ",") + sensor.name;
    return Error{Errc::bad_config,
                 "the model takes " + std::to_string(sensors.size()) + " value columns (" + wanted +
                     ") in this order, two or more; " + std::to_string(width) + " are given"};
  }
  auto trained = model.for_group();
  if (!trained) return std::move(trained).error();
  return GroupRows::make(watch, width, *std::move(trained));
}

}  // namespace lapwing::agent
