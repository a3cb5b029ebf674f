// SPDX-License-Identifier: Apache-2.0
#include "agent/models/desk.hpp"

#include "agent/models/activator.hpp"
#include "agent/models/desk_events.hpp"
#include "agent/models/device_model.hpp"
#include "agent/models/freeze_watch.hpp"
#include "agent/models/model_meters.hpp"
#include "agent/models/model_reporter.hpp"
#include "agent/models/model_transfers.hpp"
#include "agent/models/offer_intake.hpp"
#include "agent/models/operator_wishes.hpp"
#include "shared/base/files.hpp"
#include "shared/base/log.hpp"

#include <algorithm>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

namespace lapwing::agent {

namespace fs = std::filesystem;

/// Owns the thread, what waits for it, the models, and the pieces that work on them.
class ModelDesk::Impl {
 public:
  explicit Impl(ModelDeskParts parts)
      : parts_(std::move(parts)),
        meters_(parts_.metrics),
        events_(kOffersMax),
        trust_({parts_.folder, parts_.second, parts_.config.keys_file}),
        reporter_(parts_.engine, parts_.outbox, trust_, meters_),
        transfers_(events_),
        activator_(parts_.engine, transfers_, reporter_, meters_),
        intake_(models_, trust_,
                {.tenant = parts_.tenant,
                 .name = parts_.device,
                 .device_class = parts_.config.device_class,
                 .agent_version = parts_.agent_version,
                 .schema_sha256 = {}},
                activator_, reporter_, meters_),
        wishes_(parts_.folder, parts_.config.keys_file, trust_, activator_),
        freeze_(parts_.outbox.position().database_id) {
    for (const auto& group : parts_.groups) {
      const std::string& name = group.model;
      if (name.empty() || models_.contains(name)) continue;
      models_.emplace(name, DeviceModel(name, parts_.folder / name, group, parts_.config));
    }
  }

  void open() {
    if (models_.empty()) return;
    const bool unclean = begin_run();
    trust_.load();
    if (!trust_.problem().empty() && !parts_.device.empty()) {
      log::warn("models: no offer is taken", {{"why", trust_.problem()}});
    }
    for (auto& [name, model] : models_) {
      auto start = model.start(unclean);
      activator_.perform(model, std::move(start.actions));
      if (start.lost) {
        reporter_.report(name, {.state = model_state::kFailed, .detail = model.problem()});
      }
      wishes_.grant(model);
    }
    publish();
  }

  void use(FileFetch& fetch) { transfers_.use(fetch); }

  void start() {
    thread_ = std::thread([this] { run(); });
  }

  void end_thread() {
    events_.stop();
    if (thread_.joinable()) thread_.join();
  }

  void stop() {
    end_thread();
    transfers_.stop();
  }

  void ended_cleanly() {
    if (models_.empty()) return;
    std::error_code ignored;
    fs::remove(mark(), ignored);
  }

  bool offer(wire::Offer offer) {
    const bool taken = events_.offer(std::move(offer));
    if (!taken) meters_.dropped.add();
    return taken;
  }

  ModelDeskFigures figures() const {
    const std::lock_guard lock(mutex_);
    return figures_;
  }

 private:
  /// Is there from open() until ended_cleanly().
  [[nodiscard]] fs::path mark() const { return parts_.folder / "running"; }

  /// Whether the run before did not end by itself.
  bool begin_run() {
    std::error_code failed;
    fs::create_directories(parts_.folder, failed);  // writing says what is wrong
    const bool unclean = fs::exists(mark(), failed);
    if (unclean) log::warn("models: the last run did not end by itself");
    if (auto done = write_file_atomic(mark(), "", 0600); !done) {
      log::error("models: an end of this run that is not clean cannot be told", {done.error()});
      meters_.keep_failures.add();
    }
    return unclean;
  }

  void run() {
    while (auto events = events_.wait(parts_.tick)) {
      for (auto& event : *events) {
        std::visit([this](const auto& one) { take(one); }, event);
      }
      tick();
      publish();
    }
  }

  void take(const wire::Offer& offer) { intake_.take(offer); }

  void take(const Fetched& fetched) {
    transfers_.ended(fetched);
    const auto known = models_.find(fetched.model);
    if (known == models_.end()) return;
    activator_.fetched(known->second, fetched);
    for (const auto& [name, model] : models_) transfers_.take_turn(model);
  }

  void tick() {
    if (ticks_now() < next_tick_) return;
    next_tick_ = ticks_now() + parts_.tick;
    for (auto& [name, model] : models_) {
      wishes_.grant(model);
      ModelDoing doing;
      if (model.activation().on_trial()) {
        if (const auto said = parts_.engine.statistics(name, ModelSlot::active)) {
          doing = {said->rows, said->not_a_number};
        }
      }
      activator_.perform(model, model.activation().on_tick(doing, now(), ticks_now()));
      transfers_.begin_again(model);
    }
    look_for_freeze();
  }

  void look_for_freeze() {
    const auto* const judge = trust_.judge();
    const bool runs = std::ranges::any_of(
        models_, [](const auto& one) { return one.second.state().active.has_value(); });
    const Time at = now();
    const bool frozen = judge != nullptr && runs && judge->frozen(at);
    const auto alarm = freeze_.look(frozen ? judge->remembered().until : std::nullopt, at);
    meters_.frozen.set(frozen ? 1 : 0);
    if (alarm) reporter_.alarm(*alarm, at);
  }

  void publish() {
    ModelDeskFigures figures;
    for (const auto& [name, model] : models_) {
      const auto& state = model.state();
      figures.models.push_back({.model = name,
                                .state = state.told,
                                .version = state.told_version,
                                .detail = state.told_detail,
                                .kept = state,
                                .problem = model.problem()});
      meters_.slots(name, state);
    }
    if (trust_.judge() != nullptr) figures.keys_number = trust_.judge()->remembered().keys.number;
    figures.frozen = freeze_.frozen();
    figures.problem = parts_.device.empty() ? "" : trust_.problem();
    const std::lock_guard lock(mutex_);
    figures_ = std::move(figures);
  }

  const ModelDeskParts parts_;
  ModelMeters meters_;
  DeskEvents events_;
  DeviceModels models_;
  ModelTrust trust_;
  ModelReporter reporter_;
  ModelTransfers transfers_;
  Activator activator_;
  OfferIntake intake_;
  OperatorWishes wishes_;
  FreezeWatch freeze_;
  Ticks next_tick_{};
  std::thread thread_;

  mutable std::mutex mutex_;  // guards what follows
  ModelDeskFigures figures_;
};

ModelDesk::ModelDesk(ModelDeskParts parts) : impl_(std::make_unique<Impl>(std::move(parts))) {}
ModelDesk::~ModelDesk() { impl_->end_thread(); }
void ModelDesk::open() { impl_->open(); }
void ModelDesk::use(FileFetch& fetch) { impl_->use(fetch); }
void ModelDesk::start() { impl_->start(); }
void ModelDesk::stop() { impl_->stop(); }
void ModelDesk::ended_cleanly() { impl_->ended_cleanly(); }
bool ModelDesk::offer(wire::Offer offer) { return impl_->offer(std::move(offer)); }
ModelDeskFigures ModelDesk::figures() const { return impl_->figures(); }

}  // namespace lapwing::agent
