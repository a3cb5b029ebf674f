// SPDX-License-Identifier: Apache-2.0
#include "agent/engine/shard.hpp"

#include "agent/engine/snapshot_file.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"
#include "shared/wire/codec.hpp"

#include <algorithm>
#include <map>

namespace lapwing::agent {
namespace {

constexpr Micros kTick = std::chrono::seconds(1);
constexpr std::size_t kTeachersMax = 1000;  // more say nothing new

/// The first multiple of `interval` after `at`: all agents' intervals end at the same instants.
Time next_boundary(Time at, Micros interval) {
  const auto count = at.time_since_epoch() / interval;
  return Time(interval * (count + 1));
}

}  // namespace

Shard::Shard(const EngineConfig& config, std::size_t index, std::filesystem::path snapshot,
             Outbox& outbox, Metrics& metrics)
    : config_(config),
      index_(index),
      snapshot_(std::move(snapshot)),
      outbox_(outbox),
      predictions_(metrics.counter("predictions_total", "Readings scored")),
      detections_(metrics.counter("anomaly_detections_total", "Anomalies opened")),
      unwatched_(metrics.counter("unwatched_readings_total", "Readings of streams no watch takes")),
      late_(metrics.counter("late_readings_total",
                            "Readings of groups that came too late for their row")),
      unscored_(metrics.counter("model_rows_unscored_total",
                                "Rows that a model should have scored and did not: it gave no "
                                "number")),
      waits_(metrics.counter("engine_waits_total",
                             "Times a source waited because a shard's queue was full")),
      queue_gauge_(metrics.gauge("anomaly_processing_queue_size", "Readings waiting to be scored")),
      duration_(metrics.histogram("prediction_duration_seconds",
                                  "Scoring time of one reading, by batch mean",
                                  {1e-7, 2e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 1e-4, 1e-3})) {}

Shard::~Shard() { stop(); }

void Shard::start() {
  take_in(std::exchange(arrivals_, {}));  // restored ones; the thread does not run yet
  summary_begin_ = now();
  next_summary_ = next_boundary(summary_begin_, config_.summary_interval);
  next_tick_ = ticks_now() + kTick;
  next_snapshot_ = ticks_now() + config_.snapshot_interval;
  running_ = true;
  thread_ = std::thread([this] { run(); });
}

void Shard::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  room_.notify_all();
  thread_.join();
  join_publisher();
}

void Shard::add(std::unique_ptr<Stream> stream) {
  const std::lock_guard lock(mutex_);
  arrivals_.streams.push_back(std::move(stream));
}

void Shard::add(std::unique_ptr<Group> group) {
  const std::lock_guard lock(mutex_);
  arrivals_.groups.push_back(std::move(group));
}

bool Shard::submit(std::span<const Item> items) {
  std::unique_lock lock(mutex_);
  if (inbox_.size() >= config_.queue_readings_max && !stopping_) {
    waits_.add();
    room_.wait(lock, [this] { return inbox_.size() < config_.queue_readings_max || stopping_; });
  }
  if (stopping_) return false;
  const bool was_empty = inbox_.empty();
  inbox_.insert(inbox_.end(), items.begin(), items.end());
  submitted_ += items.size();
  queue_gauge_.add(static_cast<double>(items.size()));
  lock.unlock();
  if (was_empty) work_.notify_one();
  return true;
}

bool Shard::tell(const Told& told) {
  {
    const std::lock_guard lock(mutex_);
    if (told_.size() >= kToldMax) return false;
    told_.push_back(told);
    ++submitted_;
  }
  work_.notify_one();
  return true;
}

void Shard::change(std::vector<Change> changes) {
  {
    const std::lock_guard lock(mutex_);
    changes_posted_ += changes.size();
    std::ranges::move(changes, std::back_inserter(changes_));
  }
  work_.notify_one();
}

void Shard::finish_changes() {
  std::vector<Change> replaced;  // destroyed without the locks
  {
    std::unique_lock lock(mutex_);
    const std::uint64_t target = changes_posted_;
    idle_.wait(lock, [&] { return changes_taken_ >= target || !running_; });
  }
  const std::lock_guard state_lock(state_mutex_);
  const std::lock_guard lock(mutex_);
  if (!running_) {  // nothing scores, not yet or not any more
    changes_taken_ += changes_.size();
    take(changes_);
    std::ranges::move(std::exchange(changes_, {}), std::back_inserter(changed_));
  }
  replaced = std::exchange(changed_, {});
}

void Shard::add_account(std::string_view model, ModelSlot slot,
                        std::optional<detect::Comparison>& account, std::uint64_t& bytes) const {
  const std::lock_guard lock(state_mutex_);
  for (const auto& group : groups_) {
    if (group->config().model != model) continue;
    const detect::GroupScorer* scorer =
        slot == ModelSlot::active ? &group->scorer() : group->shadow();
    if (scorer == nullptr || scorer->comparison() == nullptr) continue;
    bytes += scorer->state_bytes();
    if (account) {
      account->merge(*scorer->comparison());
    } else {
      account = *scorer->comparison();
    }
  }
}

void Shard::flush() {
  std::unique_lock lock(mutex_);
  const std::uint64_t target = submitted_;
  idle_.wait(lock, [&] { return scored_ >= target || !running_; });
}

void Shard::add_kept_rows(const std::function<bool(const detect::GroupConfig&)>& wanted,
                          std::size_t numbers_max, KeptRows& rows) const {
  const std::lock_guard lock(state_mutex_);
  for (const auto& group : groups_) {
    const auto* kept = group->kept_rows();
    if (kept == nullptr || !wanted(group->config())) continue;
    const auto values = kept->values();
    if (rows.values.size() + values.size() > numbers_max) {
      rows.left_out.push_back(group->name());
      continue;
    }
    rows.values.insert(rows.values.end(), values.begin(), values.end());
  }
}

std::vector<StreamView> Shard::views() const {
  std::vector<StreamView> views;
  const std::lock_guard lock(state_mutex_);
  views.reserve(streams_.size() + groups_.size());
  const auto add = [&](const std::string& name, const detect::WatchConfig& watch,
                       const detect::StreamState& state, std::vector<wire::Tag> tags) {
    views.push_back({name, watch.name, watch.detector, state, std::move(tags)});
  };
  const auto by_group = [&](const Group& group) { views.back().detector = group.detector(); };
  for (const auto& stream : streams_) {
    if (stream->pipeline) {
      add(stream->name, stream->pipeline->watch(), stream->pipeline->state(), stream->tags);
    } else if (const Group* group = stream->group) {
      add(stream->name, group->config().watch, group->sensor_state(stream->sensor), stream->tags);
      by_group(*group);
    }
  }
  for (const auto& group : groups_) {
    add(group->name(), group->config().watch, group->state(), group->shared_tags());
    by_group(*group);
  }
  return views;
}

std::size_t Shard::queued() const {
  const std::lock_guard lock(mutex_);
  return inbox_.size();
}

void Shard::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto until = std::min(
        {next_tick_, next_snapshot_, ticks_now() + std::max(Micros(0), next_summary_ - now())});
    work_.wait_until(lock, until, [this] {
      return stopping_ || !inbox_.empty() || !told_.empty() || !changes_.empty();
    });
    const bool last = stopping_;
    batch_.clear();
    std::swap(batch_, inbox_);
    Arrivals arrivals = std::exchange(arrivals_, {});
    const auto told = std::exchange(told_, {});
    auto changes = std::exchange(changes_, {});
    lock.unlock();
    room_.notify_all();
    {
      const std::lock_guard state_lock(state_mutex_);
      take_in(std::move(arrivals));
      take(changes);
      const Time at = now();
      score(at);
      take(told);
      if (last) {
        finish_groups(at);
        write_summaries(at);
      } else {
        periodic(at);
      }
    }
    if (!records_.empty()) outbox_.submit(std::exchange(records_, {}));
    if (last || ticks_now() >= next_snapshot_) save_snapshot(last);
    lock.lock();
    scored_ += batch_.size() + told.size();
    changes_taken_ += changes.size();
    std::ranges::move(changes, std::back_inserter(changed_));
    queue_gauge_.add(-static_cast<double>(batch_.size()));
    running_ = !last;
    idle_.notify_all();
    if (last) return;
  }
}

void Shard::take_in(Arrivals arrivals) {
  const std::size_t known = streams_.size();
  for (auto& group : arrivals.groups) {
    open_ += group->state().anomalies_open;
    groups_.push_back(std::move(group));
  }
  for (auto& stream : arrivals.streams) {
    if (stream->pipeline) open_ += stream->pipeline->state().anomalies_open;
    if (stream->group != nullptr) stream->group->join(stream->sensor, stream->tags);
    streams_.push_back(std::move(stream));
  }
  teach_new(known);
}

/// The new streams, from `first` on, begin with what their watch's settled ones here have taught;
/// it is learnt once per watch.
void Shard::teach_new(std::size_t first) {
  std::map<const detect::WatchConfig*, detect::AlarmPrior> taught;
  for (std::size_t i = first; i < streams_.size(); ++i) {
    detect::Pipeline* pipeline = streams_[i]->pipeline.get();
    if (pipeline == nullptr || pipeline->state().readings_total > 0) continue;
    const auto [prior, asked] = taught.try_emplace(&pipeline->watch());
    if (asked) prior->second = learn(pipeline->watch());
    pipeline->begin_with(prior->second);
  }
}

detect::AlarmPrior Shard::learn(const detect::WatchConfig& watch) const {
  detect::AlarmPriorLearner learner;
  for (const auto& stream : streams_) {
    if (!stream->pipeline || &stream->pipeline->watch() != &watch) continue;
    stream->pipeline->teach(learner);
    if (learner.streams() == kTeachersMax) break;
  }
  return learner.learn();
}

/// Scores the batch in its order, runs of one stream together.
void Shard::score(Time at) {
  if (batch_.empty()) return;
  const Ticks began = ticks_now();
  std::size_t unwatched = 0;
  for (std::size_t i = 0; i < batch_.size();) {
    const std::uint32_t id = batch_[i].stream;
    Stream& stream = *streams_[id];
    if (Group* group = stream.group) {
      for (; i < batch_.size() && batch_[i].stream == id; ++i) {
        group->push(stream.sensor, batch_[i].time, batch_[i].value, at, group_events_);
      }
      if (!group_events_.empty()) collect(*group);
      continue;
    }
    samples_.clear();
    for (; i < batch_.size() && batch_[i].stream == id; ++i) {
      samples_.push_back({batch_[i].time, batch_[i].value});
    }
    if (!stream.pipeline) {
      unwatched += samples_.size();
      continue;
    }
    stream.pipeline->push(samples_, at, events_);
    if (!events_.empty()) collect(stream);
  }
  const auto count = static_cast<double>(batch_.size());
  readings_ += batch_.size();
  predictions_.add(count - static_cast<double>(unwatched));
  if (unwatched > 0) unwatched_.add(static_cast<double>(unwatched));
  duration_.observe(std::chrono::duration<double>(ticks_now() - began).count() / count);
}

void Shard::take(const std::vector<Told>& told) {
  for (const Told& one : told) {
    if (one.group != nullptr) {
      one.group->take(one.feedback, group_events_);
      if (!group_events_.empty()) collect(*one.group);
    } else if (const Stream& stream = *streams_[one.stream]; stream.pipeline) {
      stream.pipeline->take(one.feedback, events_);
      if (!events_.empty()) collect(stream);
    }
  }
}

/// With the state's lock. What was replaced is left in `changes`.
void Shard::take(std::vector<Change>& changes) {
  for (Change& one : changes) {
    if (one.slot == ModelSlot::shadow) {
      one.scorer = one.group->exchange_shadow(std::move(one.scorer));
      continue;
    }
    one.group->end_anomaly(group_events_);
    if (!group_events_.empty()) collect(*one.group);
    const detect::GroupScorer* shadow = one.group->shadow();
    if (shadow != nullptr && one.scorer->is_model() && shadow->print() == one.scorer->print()) {
      auto proven = one.group->exchange_shadow(nullptr);
      proven->begin_account();
      one.spare = std::exchange(one.scorer, std::move(proven));
    }
    one.scorer = one.group->exchange(std::move(one.scorer));
  }
}

void Shard::periodic(Time at) {
  if (ticks_now() >= next_tick_) {
    next_tick_ = ticks_now() + kTick;
    for (auto& stream : streams_) {
      if (!stream->pipeline) continue;
      stream->pipeline->tick(at, events_);
      if (!events_.empty()) collect(*stream);
    }
    for (auto& group : groups_) {
      group->tick(at, group_events_);
      if (!group_events_.empty()) collect(*group);
    }
  }
  if (at >= next_summary_) {
    write_summaries(next_boundary(at, config_.summary_interval) - config_.summary_interval);
  } else if (next_summary_ - at > 2 * config_.summary_interval) {  // the clock was set back
    summary_begin_ = at;
    next_summary_ = next_boundary(at, config_.summary_interval);
  }
}

/// Rows that wait are scored now: the process ends before the rest of them comes.
void Shard::finish_groups(Time at) {
  for (auto& group : groups_) {
    group->finish(at, group_events_);
    if (!group_events_.empty()) collect(*group);
  }
}

void Shard::write_summaries(Time end) {
  for (auto& stream : streams_) {
    if (!stream->pipeline) continue;
    wire::SummaryRecord summary = stream->pipeline->summary(summary_begin_, end);
    if (summary.readings == 0) continue;
    summary.stream = stream->name;
    summary.watch = stream->pipeline->watch().name;
    summary.tags = stream->tags;
    summaries_.push_back(std::move(summary));
  }
  double late = 0;
  double unscored = 0;
  for (auto& group : groups_) {
    group->take_summaries(summary_begin_, end, summaries_);
    late += static_cast<double>(group->take_late());
    unscored += static_cast<double>(group->take_unscored());
  }
  if (late > 0) late_.add(late);
  if (unscored > 0) unscored_.add(unscored);
  for (auto& summary : summaries_) {
    records_.push_back({wire::RecordClass::summary, end, wire::encode_record(std::move(summary))});
  }
  summaries_.clear();
  summary_begin_ = end;
  next_summary_ = next_boundary(end, config_.summary_interval);
}

/// Turns a stream's new events into records.
void Shard::collect(const Stream& stream) {
  for (const detect::Event& event : events_) {
    count(event);
    record(detect::to_record(event, stream.pipeline->watch(), stream.name, stream.tags));
  }
  events_.clear();
}

void Shard::collect(const Group& group) {
  for (const detect::GroupEvent& event : group_events_) {
    count(event.event);
    record(group.record(event));
  }
  group_events_.clear();
}

void Shard::count(const detect::Event& event) {
  if (event.phase == wire::Phase::opened) {
    ++open_;
    detections_.add();
  } else if (event.phase == wire::Phase::closed && open_ > 0) {
    --open_;
  }
}

void Shard::record(wire::AnomalyRecord record) {
  const Time onset = record.onset;
  records_.push_back({wire::RecordClass::anomaly, onset, wire::encode_record(std::move(record))});
}

void Shard::save_snapshot(bool last) {
  next_snapshot_ = ticks_now() + config_.snapshot_interval;
  if (last) join_publisher();  // an earlier one may be under way: this one must not be left out
  if (publishing_) return;     // the disk is behind: the next one will do
  auto writer = SnapshotWriter::begin(snapshot_);
  if (!writer) return log::warn("detector state cannot be saved", {writer.error()});
  for (const auto& group : groups_) {  // before their sensors
    bytes_.clear();
    group->snapshot(bytes_);
    writer->add(SnapshotOf::group, group->name(), {}, bytes_);
  }
  for (const auto& stream : streams_) {
    bytes_.clear();
    if (stream->pipeline) stream->pipeline->snapshot(bytes_);
    if (stream->pipeline || stream->group != nullptr) {
      const auto of = stream->pipeline ? SnapshotOf::stream : SnapshotOf::sensor;
      writer->add(of, stream->name, stream->tags, bytes_);
    }
  }
  if (auto done = writer->finish(); !done)
    return log::warn("detector state cannot be saved", {done.error()});
  join_publisher();
  publishing_ = true;
  publisher_ = std::thread([this] {
    if (auto done = SnapshotWriter::publish(snapshot_); !done) {
      log::warn("detector state cannot be saved", {done.error()});
    }
    publishing_ = false;
  });
}

void Shard::join_publisher() {
  if (publisher_.joinable()) publisher_.join();
}

}  // namespace lapwing::agent
