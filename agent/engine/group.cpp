// SPDX-License-Identifier: Apache-2.0
#include "agent/engine/group.hpp"

#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::agent {
namespace {

detect::AlignmentSettings alignment_of(const detect::GroupConfig& config,
                                       std::optional<Micros> learnt = {}) {
  return {.sensors = config.watch.streams.size(),
          .wait = config.wait,
          .interval = config.interval ? config.interval : learnt};
}

}  // namespace

Result<std::unique_ptr<Group>> Group::make(const detect::GroupConfig& config, std::string name,
                                           std::uint64_t id_seed,
                                           std::unique_ptr<detect::GroupScorer> scorer) {
  const std::size_t sensors = config.watch.streams.size();
  if (!scorer) {
    auto own = detect::GroupPipeline::make_scorer(config, sensors);
    if (!own) return std::move(own).error();
    scorer = *std::move(own);
  }
  auto pipeline = detect::GroupPipeline::make(config, sensors, id_seed, std::move(scorer));
  pipeline->explain_anomalies_only();
  return std::unique_ptr<Group>(new Group(config, std::move(name), std::move(pipeline)));
}

Group::Group(const detect::GroupConfig& config, std::string name,
             std::unique_ptr<detect::GroupPipeline> pipeline)
    : config_(&config),
      name_(std::move(name)),
      sensors_(detect::sensors_of(config, name_)),
      members_(config.watch.streams.size()),
      alignment_(alignment_of(config)),
      pipeline_(std::move(pipeline)) {
  if (config.share != detect::Share::none) {
    kept_.emplace(sensors_.size(), detect::frame_tag(name_, 1));
  }
}

void Group::push(std::size_t sensor, Time time, double value, Time now,
                 std::vector<detect::GroupEvent>& events) {
  Member& member = members_[sensor];
  ++member.readings_total;
  member.summary.reading();
  if (std::isfinite(value)) member.summary.value(value);
  member.last_time = time;
  member.last_value = value;
  alignment_.push(sensor, time, value, now);
  score_rows(now, events);
}

void Group::score_rows(Time now, std::vector<detect::GroupEvent>& events) {
  while (const auto row = alignment_.next()) {
    const auto verdict = pipeline_->push(row->time, row->values, now, events);
    if (kept_) kept_->push(row->values);
    summary_.reading();
    if (verdict.scored) {
      summary_.score(verdict.score);
    } else if (pipeline_->scorer().is_model() && !verdict.dropped) {
      ++unscored_;
    }
  }
}

void Group::tick(Time now, std::vector<detect::GroupEvent>& events) {
  alignment_.tick(now);
  score_rows(now, events);
  pipeline_->tick(now, events);
}

void Group::finish(Time now, std::vector<detect::GroupEvent>& events) {
  alignment_.finish();
  score_rows(now, events);
}

void Group::join(std::size_t sensor, std::span<const wire::Tag> tags) {
  members_[sensor].tags.assign(tags.begin(), tags.end());
  members_[sensor].joined = true;
}

std::vector<wire::Tag> Group::shared_tags() const {
  const auto first = std::ranges::find(members_, true, &Member::joined);
  if (first == members_.end()) return {};
  std::vector<wire::Tag> shared = first->tags;
  for (const Member& member : members_) {
    if (!member.joined) continue;
    std::erase_if(shared, [&](const wire::Tag& tag) {
      return std::ranges::find(member.tags, tag) == member.tags.end();
    });
  }
  return shared;
}

wire::AnomalyRecord Group::record(const detect::GroupEvent& event) const {
  const bool whole = event.sensor == detect::GroupEvent::kGroup;
  auto record =
      detect::to_record(event, *config_, name_, sensors_,
                        whole ? shared_tags() : tags(static_cast<std::size_t>(event.sensor)));
  if (whole) record.detector = detector();
  return record;
}

void Group::take_summaries(Time begin, Time end, std::vector<wire::SummaryRecord>& out) {
  const auto add = [&](detect::Summary& summary, const std::string& name,
                       std::vector<wire::Tag> tags) {
    wire::SummaryRecord record = summary.take(begin, end);
    if (record.readings == 0) return;
    record.stream = name;
    record.watch = config_->watch.name;
    record.tags = std::move(tags);
    out.push_back(std::move(record));
  };
  add(summary_, name_, shared_tags());
  for (std::size_t i = 0; i < members_.size(); ++i) {
    add(members_[i].summary, sensors_[i], members_[i].tags);
  }
}

detect::StreamState Group::state() const noexcept {
  const detect::GroupState group = pipeline_->state();
  return {.last_time = group.last_time,
          .last_score = group.last_score,
          .warm = group.warm,
          .anomalies_open = group.anomalies_open,
          .readings_total = group.rows_total,
          .dropped_total = group.dropped_total};
}

detect::StreamState Group::sensor_state(std::size_t place) const noexcept {
  const Member& member = members_[place];
  return {.last_time = member.last_time,
          .last_value = member.last_value,
          .warm = false,  // a sensor has no score by itself
          .anomalies_open = pipeline_->anomalies_open(place),
          .readings_total = member.readings_total};
}

std::uint64_t Group::sensors_print() const {
  std::uint64_t print = 0;
  for (const std::string& sensor : sensors_) print = detect::frame_tag(sensor, 1, print);
  return print;
}

void Group::snapshot(std::vector<std::byte>& out) const {
  detect::StateWriter writer(out);
  writer(sensors_print(), alignment_.interval().value_or(Micros(0)).count());
  pipeline_->snapshot(out);
}

Result<void> Group::restore(std::span<const std::byte> bytes) {
  std::uint64_t print = 0;
  std::int64_t interval = 0;
  detect::StateReader reader(bytes);
  reader(print, interval);
  if (!reader.ok() || interval < 0) return Error{Errc::corrupt, "group state is cut off"};
  if (print != sensors_print()) {
    return Error{Errc::unsupported, "the group's sensors have changed"};
  }
  if (auto done = pipeline_->restore(reader.rest()); !done) return done;
  if (interval > 0) alignment_ = detect::Alignment(alignment_of(*config_, Micros(interval)));
  return {};
}

}  // namespace lapwing::agent
