// SPDX-License-Identifier: Apache-2.0
#include "agent/engine/engine.hpp"

#include "agent/engine/shard.hpp"
#include "agent/engine/snapshot_file.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace lapwing::agent {
namespace {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

std::unique_ptr<Stream> make_stream(std::string_view name, std::span<const wire::Tag> tags) {
  auto stream = std::make_unique<Stream>();
  stream->name = name;
  stream->tags.assign(tags.begin(), tags.end());
  return stream;
}

}  // namespace

class Engine::Impl {
 public:
  Impl(const EngineConfig& config, Watched watched, std::filesystem::path folder, Outbox& outbox,
       Metrics& metrics)
      : config_(config),
        watched_(std::move(watched)),
        folder_(std::move(folder)),
        outbox_(outbox),
        device_(outbox.position().database_id),
        streams_gauge_(metrics.gauge("streams", "Streams known")),
        groups_gauge_(metrics.gauge("groups", "Groups known")),
        refused_counter_(
            metrics.counter("streams_refused_total", "Stream names refused at streams_max")),
        feedback_refused_(metrics.counter("feedback_refused_total",
                                          "Feedback refused because too much of it waited")) {
    for (std::size_t i = 0; i < config_.shard_count(); ++i) {
      shards_.push_back(std::make_unique<Shard>(config_, i, snapshot_file(i), outbox, metrics));
    }
    placed_.resize(shards_.size());
    for (std::size_t i = 0; i < feedback_.size(); ++i) {
      feedback_[i] = &metrics.counter("feedback_total", "What people said of anomalies",
                                      {{"says", std::string(detect::kFeedbackWords[i])}});
    }
  }

  Result<void> start() {
    restore();
    for (auto& shard : shards_) shard->start();
    started_ = true;
    return {};
  }

  void stop() {
    for (auto& shard : shards_) shard->stop();
    if (!started_.exchange(false)) return;
    std::error_code ignored;  // files of shards that are no more: their streams live elsewhere now
    for (std::size_t i = shards_.size(); std::filesystem::remove(snapshot_file(i), ignored); ++i) {
    }
  }

  Result<StreamId> stream_for(std::string_view name, std::span<const wire::Tag> tags) {
    const std::lock_guard lock(mutex_);
    if (const auto known = ids_.find(name); known != ids_.end()) return StreamId{known->second};
    if (const auto seat = detect::seat_for(watched_.groups, name)) return join(*seat, name, tags);
    if (detect::watch_for(watched_.watches, name) == nullptr) return unwatched();
    return add(name, tags, {});
  }

  Result<void> submit(std::span<const Reading> readings) {
    const auto count = static_cast<std::uint32_t>(shards_.size());
    thread_local std::vector<std::vector<Shard::Item>> parts;
    parts.resize(count);
    for (auto& part : parts) part.clear();
    for (const Reading& reading : readings) {
      parts[reading.stream.value % count].push_back(
          {reading.stream.value / count, reading.time, reading.value});
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!parts[i].empty() && !shards_[i]->submit(parts[i])) {
        return Error{Errc::shutting_down, "the engine stops"};
      }
    }
    return {};
  }

  Result<void> take(std::string_view name, detect::Feedback feedback) {
    const std::lock_guard lock(mutex_);
    if (!started_) return Error{Errc::shutting_down, "the engine stops"};
    bool taken = false;
    if (const auto group = groups_.find(name); group != groups_.end()) {
      taken =
          shards_[group->second.shard]->tell({.group = group->second.group, .feedback = feedback});
    } else if (const auto seat = detect::seat_for(watched_.groups, name)) {
      return Error{Errc::bad_input, std::string(name) + " is judged with its group: say it of \"" +
                                        seat->name + "\""};
    } else if (const auto stream = ids_.find(name); stream != ids_.end()) {
      const auto count = static_cast<std::uint32_t>(shards_.size());
      taken = shards_[stream->second % count]->tell(
          {.stream = stream->second / count, .feedback = feedback});
    } else {
      return Error{Errc::not_found, "no stream and no group is called \"" + std::string(name) +
                                        "\"; /api/v1/streams lists them"};
    }
    if (!taken) {
      feedback_refused_.add();
      return Error{Errc::limit,
                   "too much feedback waits for scoring, which is behind; say it again "
                   "later"};
    }
    feedback_[static_cast<std::size_t>(feedback)]->add();
    return {};
  }

  Result<void> install(std::string_view model, ModelSlot slot,
                       std::shared_ptr<const model::LiveModel> live) {
    const std::lock_guard one_at_a_time(install_mutex_);
    if (auto fits = check(model, live.get()); !fits) return fits;
    // Detectors are made without the lock that names of streams need.
    std::map<std::string, std::unique_ptr<detect::GroupScorer>> ready;
    for (const auto& [name, config] : groups_of(model)) {
      auto scorer = make_scorer(*config, slot, live.get());
      if (!scorer) return std::move(scorer).error();
      ready.emplace(name, *std::move(scorer));
    }
    {
      const std::lock_guard lock(mutex_);
      std::vector<std::vector<Shard::Change>> changes(shards_.size());
      for (const auto& [name, home] : groups_) {
        if (home.group->config().model != model) continue;
        auto& scorer = ready[name];
        if (!scorer) {  // the group came while the others' were made; or nothing is to score beside
          auto made = make_scorer(home.group->config(), slot, live.get());
          if (!made) return std::move(made).error();
          scorer = *std::move(made);
        }
        changes[home.shard].push_back(
            {.group = home.group, .slot = slot, .scorer = std::move(scorer)});
      }
      installed_[std::string(model)][static_cast<std::size_t>(slot)] = {std::move(live), now()};
      for (std::size_t i = 0; i < shards_.size(); ++i) {
        if (!changes[i].empty()) shards_[i]->change(std::move(changes[i]));
      }
    }
    for (auto& shard : shards_) shard->finish_changes();
    return {};
  }

  std::optional<wire::ModelStatistics> statistics(std::string_view model, ModelSlot slot) const {
    wire::ModelStatistics out;
    {
      const std::lock_guard lock(mutex_);
      const auto known = installed_.find(model);
      if (known == installed_.end()) return std::nullopt;
      const Slot& held = known->second[static_cast<std::size_t>(slot)];
      if (!held.live) return std::nullopt;
      out.since = held.since;
    }
    std::optional<detect::Comparison> account;
    for (const auto& shard : shards_) {
      shard->add_account(model, slot, account, out.memory_bytes);
    }
    if (account) account->fill(out);
    out.until = now();
    return out;
  }

  KeptRows kept_rows(const std::function<bool(const detect::GroupConfig&)>& wanted,
                     std::size_t numbers_max) const {
    KeptRows rows;
    for (const auto& shard : shards_) shard->add_kept_rows(wanted, numbers_max, rows);
    return rows;
  }

  bool held_up() const { return outbox_.figures().waiting; }

  void flush() {
    for (auto& shard : shards_) shard->flush();
  }

  std::vector<StreamView> streams(std::string_view after, std::size_t limit) const {
    std::vector<StreamView> all;
    for (const auto& shard : shards_) {
      auto part = shard->views();
      std::move(part.begin(), part.end(), std::back_inserter(all));
    }
    std::erase_if(all, [&](const StreamView& view) { return view.name <= after; });
    const auto by_name = [](const StreamView& a, const StreamView& b) { return a.name < b.name; };
    const std::size_t wanted = std::min(limit, all.size());
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(wanted), all.end(),
                      by_name);
    all.resize(wanted);
    return all;
  }

  EngineFigures figures() const {
    EngineFigures figures;
    for (const auto& shard : shards_) {
      figures.readings_total += shard->readings_total();
      figures.anomalies_open += shard->anomalies_open();
      figures.queued += shard->queued();
    }
    const std::lock_guard lock(mutex_);
    figures.streams = ids_.size();
    figures.groups = groups_.size();
    figures.refused_streams_total = refused_;
    return figures;
  }

 private:
  std::filesystem::path snapshot_file(std::size_t shard) const {
    return folder_ / ("streams-" + std::to_string(shard) + ".snapshot");
  }

  struct Home {
    Group* group = nullptr;  ///< its shard's
    std::size_t shard = 0;
  };

  struct Slot {
    std::shared_ptr<const model::LiveModel> live;  ///< null: empty
    Time since{};
  };
  using Slots = std::array<Slot, 2>;  // by ModelSlot

  /// Whether the model can be put to use here; null: none is.
  Result<void> check(std::string_view model, const model::LiveModel* live) const {
    bool used = false;
    for (const auto& group : watched_.groups) {
      if (group.model != model) continue;
      used = true;
      if (live == nullptr) continue;
      if (auto fits = model::check_sensors(group, live->model().header()); !fits) return fits;
    }
    if (used) return {};
    return Error{Errc::not_found,
                 "unknown_model: no [[group]] here has model = \"" + std::string(model) + "\""};
  }

  std::vector<std::pair<std::string, const detect::GroupConfig*>> groups_of(
      std::string_view model) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<std::string, const detect::GroupConfig*>> groups;
    for (const auto& [name, home] : groups_) {
      if (home.group->config().model == model) groups.emplace_back(name, &home.group->config());
    }
    return groups;
  }

  /// Null for an empty shadow.
  static Result<std::unique_ptr<detect::GroupScorer>> make_scorer(const detect::GroupConfig& config,
                                                                  ModelSlot slot,
                                                                  const model::LiveModel* live) {
    if (live != nullptr) {
      auto trained = live->for_group();
      if (!trained) return std::move(trained).error();
      return std::make_unique<detect::GroupScorer>(config.watch, *std::move(trained));
    }
    if (slot == ModelSlot::shadow) return std::unique_ptr<detect::GroupScorer>();
    return detect::GroupPipeline::make_scorer(config, config.watch.streams.size());
  }

  /// With the lock. What is installed scores from the first row on.
  Result<std::unique_ptr<Group>> make_group(const detect::GroupConfig& config,
                                            const std::string& name) const {
    const auto known = config.model.empty() ? installed_.end() : installed_.find(config.model);
    const auto live_in = [&](ModelSlot slot) {
      return known == installed_.end() ? nullptr
                                       : known->second[static_cast<std::size_t>(slot)].live.get();
    };
    auto scorer = make_scorer(config, ModelSlot::active, live_in(ModelSlot::active));
    if (!scorer) return std::move(scorer).error();
    auto group = Group::make(config, name, seed_of(name), *std::move(scorer));
    if (!group) return group;
    auto shadow = make_scorer(config, ModelSlot::shadow, live_in(ModelSlot::shadow));
    if (!shadow) return std::move(shadow).error();
    (void)(*group)->exchange_shadow(*std::move(shadow));
    return group;
  }

  /// With the lock. All that nobody watches is one stream, so that it takes no room from the
  /// others: its readings are only counted.
  Result<StreamId> unwatched() {
    if (!unwatched_) unwatched_ = place(std::make_unique<Stream>(), next_shard());
    return *unwatched_;
  }

  /// With the lock. Streams and groups go round the shards: even, and they stay where they are.
  std::size_t next_shard() { return next_shard_++ % shards_.size(); }

  StreamId place(std::unique_ptr<Stream> stream, std::size_t shard) {
    const auto count = static_cast<std::uint32_t>(shards_.size());
    const StreamId id{placed_[shard]++ * count + static_cast<std::uint32_t>(shard)};
    shards_[shard]->add(std::move(stream));
    return id;
  }

  [[nodiscard]] std::uint64_t seed_of(const std::string& name) const {
    return std::hash<std::string>{}(device_ + name);
  }

  /// With the lock. Room for more streams, or the error.
  Result<void> take_room(std::size_t streams) {
    if (room_taken_ + streams <= config_.streams_max) {
      room_taken_ += streams;
      return {};
    }
    ++refused_;
    refused_counter_.add();
    log::warn("too many streams; raise engine.streams_max or watch fewer topics",
              {{"streams_max", config_.streams_max}});
    return Error{Errc::limit, "at most " + std::to_string(config_.streams_max) +
                                  " streams are kept (engine.streams_max)"};
  }

  StreamId enter(std::unique_ptr<Stream> stream, std::size_t shard) {
    std::string name = stream->name;
    const StreamId id = place(std::move(stream), shard);
    ids_.emplace(std::move(name), id.value);
    streams_gauge_.set(static_cast<double>(ids_.size()));
    return id;
  }

  /// With the lock. `state` is a saved pipeline's, or empty. The name is watched.
  Result<StreamId> add(std::string_view name, std::span<const wire::Tag> tags,
                       std::span<const std::byte> state) {
    if (auto room = take_room(1); !room) return room.error();
    auto stream = make_stream(name, tags);
    auto pipeline =
        detect::Pipeline::make(*detect::watch_for(watched_.watches, name), seed_of(stream->name));
    if (!pipeline) return std::move(pipeline).error();
    stream->pipeline = std::move(*pipeline);
    if (!state.empty()) {
      if (auto restored = stream->pipeline->restore(state); !restored) {
        log::warn("saved detector state does not fit; the stream warms up anew",
                  {{"stream", stream->name}, restored.error()});
      }
    }
    return enter(std::move(stream), next_shard());
  }

  /// With the lock. The stream becomes a sensor of its group, which is made when it is the first.
  Result<StreamId> join(const detect::Seat& seat, std::string_view name,
                        std::span<const wire::Tag> tags) {
    const auto home = group_for(*seat.group, seat.name, {});
    if (!home) return home.error();
    auto stream = make_stream(name, tags);
    stream->group = home->group;
    stream->sensor = seat.sensor;
    return enter(std::move(stream), home->shard);
  }

  /// With the lock. A group takes the room of all its sensors at once. `state` is a saved group's,
  /// or empty.
  Result<Home> group_for(const detect::GroupConfig& config, const std::string& name,
                         std::span<const std::byte> state) {
    if (const auto known = groups_.find(name); known != groups_.end()) return known->second;
    if (auto room = take_room(config.watch.streams.size()); !room) return room.error();
    auto group = make_group(config, name);
    if (!group) return std::move(group).error();
    if (!state.empty()) {
      if (auto restored = (*group)->restore(state); !restored) {
        log::warn("saved detector state does not fit; the group warms up anew",
                  {{"group", name}, restored.error()});
      }
    }
    const Home home{group->get(), next_shard()};
    shards_[home.shard]->add(*std::move(group));
    groups_.emplace(name, home);
    groups_gauge_.set(static_cast<double>(groups_.size()));
    return home;
  }

  /// With the lock. Whether the entry is still of use.
  bool restore(SnapshotEntry& entry) {
    if (entry.of == SnapshotOf::group) {
      for (const auto& config : watched_.groups) {
        if (detect::sensors_of(config, entry.name).empty()) continue;
        return static_cast<bool>(group_for(config, entry.name, entry.state));
      }
      return false;
    }
    if (ids_.contains(entry.name)) return false;
    if (const auto seat = detect::seat_for(watched_.groups, entry.name)) {
      return static_cast<bool>(join(*seat, entry.name, entry.tags));
    }
    if (detect::watch_for(watched_.watches, entry.name) == nullptr) return false;
    return static_cast<bool>(add(entry.name, entry.tags, entry.state));
  }

  void restore() {
    const std::lock_guard lock(mutex_);
    std::size_t restored = 0;
    constexpr std::size_t kShardsMax = 64;
    for (std::size_t i = 0; i < kShardsMax; ++i) {
      const auto done = read_snapshot(
          snapshot_file(i), [&](SnapshotEntry& entry) { restored += restore(entry) ? 1 : 0; });
      if (!done && done.error().code == Errc::not_found) break;
      if (!done)
        log::warn("saved detector state unreadable; its streams warm up anew", {done.error()});
    }
    if (restored > 0) log::info("detector state restored", {{"streams", restored}});
  }

  const EngineConfig config_;
  const Watched watched_;
  const std::filesystem::path folder_;
  const Outbox& outbox_;
  const std::string device_;
  Gauge& streams_gauge_;
  Gauge& groups_gauge_;
  Counter& refused_counter_;
  Counter& feedback_refused_;
  std::array<Counter*, detect::kFeedbackWords.size()> feedback_{};
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<bool> started_{false};

  std::mutex install_mutex_;  // one install at a time; taken before mutex_
  mutable std::mutex mutex_;  // guards what follows
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> ids_;
  std::unordered_map<std::string, Home, TextHash, std::equal_to<>> groups_;
  std::map<std::string, Slots, std::less<>> installed_;  // by the model's name
  std::optional<StreamId> unwatched_;
  std::vector<std::uint32_t> placed_;  // streams on each shard
  std::size_t next_shard_ = 0;
  std::size_t room_taken_ = 0;  // streams, and the sensors of groups whether seen or not
  std::uint64_t refused_ = 0;
};

Engine::Engine(const EngineConfig& config, Watched watched, std::filesystem::path folder,
               Outbox& outbox, Metrics& metrics)
    : impl_(
          std::make_unique<Impl>(config, std::move(watched), std::move(folder), outbox, metrics)) {}
Engine::~Engine() { stop(); }
Result<void> Engine::start() { return impl_->start(); }
void Engine::stop() { impl_->stop(); }
Result<StreamId> Engine::stream_for(std::string_view name, std::span<const wire::Tag> tags) {
  return impl_->stream_for(name, tags);
}
Result<void> Engine::submit(std::span<const Reading> readings) { return impl_->submit(readings); }
bool Engine::held_up() const { return impl_->held_up(); }
Result<void> Engine::take(std::string_view name, detect::Feedback feedback) {
  return impl_->take(name, feedback);
}
Result<void> Engine::install(std::string_view model, ModelSlot slot,
                             std::shared_ptr<const model::LiveModel> live) {
  return impl_->install(model, slot, std::move(live));
}
std::optional<wire::ModelStatistics> Engine::statistics(std::string_view model,
                                                        ModelSlot slot) const {
  return impl_->statistics(model, slot);
}
KeptRows Engine::kept_rows(const std::function<bool(const detect::GroupConfig&)>& wanted,
                           std::size_t numbers_max) const {
  return impl_->kept_rows(wanted, numbers_max);
}
void Engine::flush() { impl_->flush(); }
std::vector<StreamView> Engine::streams(std::string_view after, std::size_t limit) const {
  return impl_->streams(after, limit);
}
EngineFigures Engine::figures() const { return impl_->figures(); }

}  // namespace lapwing::agent
