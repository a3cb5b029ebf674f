// SPDX-License-Identifier: Apache-2.0
#include "agent/models/desk.hpp"

#include "agent/models/freeze_watch.hpp"
#include "agent/models/model_meters.hpp"
#include "agent/models/offer_judge.hpp"
#include "shared/base/files.hpp"
#include "shared/base/log.hpp"
#include "shared/release/documents.hpp"
#include "shared/wire/codec.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

namespace lapwing::agent {
namespace {

namespace fs = std::filesystem;

constexpr Micros kFetchAgain = std::chrono::seconds(30);
constexpr std::size_t kUnknownMax = 64;  // names no group uses, answered

struct Fetched {
  std::string model;
  std::string sha256;
  Result<void> done;
};
using DeskEvent = std::variant<wire::Offer, Fetched>;

}  // namespace

class ModelDesk::Impl {
 public:
  explicit Impl(ModelDeskParts parts)
      : parts_(std::move(parts)),
        meters_(parts_.metrics),
        trust_({parts_.folder, parts_.second, parts_.config.keys_file}),
        judge_(trust_, {.tenant = parts_.tenant,
                        .name = parts_.device,
                        .device_class = parts_.config.device_class,
                        .agent_version = parts_.agent_version,
                        .schema_sha256 = {}}),
        freeze_(parts_.outbox.position().database_id) {
    for (const auto& group : parts_.groups) {
      if (group.model.empty() || models_.contains(group.model)) continue;
      models_.emplace(group.model, Model(parts_.folder / group.model, group, parts_.config));
    }
  }

  void open() {
    if (models_.empty()) return;
    std::error_code failed;
    fs::create_directories(parts_.folder, failed);  // writing says what is wrong
    const bool unclean = fs::exists(mark(), failed);
    if (unclean) log::warn("models: the last run did not end by itself");
    if (auto done = write_file_atomic(mark(), "", 0600); !done) {
      log::error("models: an end of this run that is not clean cannot be told", {done.error()});
      meters_.keep_failures.add();
    }
    trust_.load();
    if (!trust_.problem().empty() && !parts_.device.empty()) {
      log::warn("models: no offer is taken", {{"why", trust_.problem()}});
    }
    for (auto& [name, model] : models_) {
      auto state = model.slots.read(model.problem);
      if (!model.problem.empty()) {
        log::warn("models: what was kept is damaged", {{"model", name}, {"why", model.problem}});
      }
      const bool lost = !model.problem.empty() && state == ActivationState{};
      model.activation = activation(std::move(state));
      auto actions = model.activation.on_start(unclean, now(), ticks_now());
      if (!actions.empty() && std::holds_alternative<model_action::Keep>(actions[0])) {
        const auto kept = model.slots.keep(model.activation.state());
        if (!kept) actions = rest_trial(name, model, kept.error());
      }
      perform(name, model, std::move(actions));
      if (lost) report(name, {.state = model_state::kFailed, .detail = model.problem});
      grant_wishes(name, model);
    }
    publish();
  }

  void use(FileFetch& fetch) { fetch_ = &fetch; }

  void start() {
    thread_ = std::thread([this] { run(); });
  }

  void end_thread() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void stop() {
    end_thread();
    if (transfer_ && fetch_ != nullptr) fetch_->cancel();
    transfer_.reset();
    fetch_ = nullptr;
  }

  void ended_cleanly() {
    if (models_.empty()) return;
    std::error_code ignored;
    fs::remove(mark(), ignored);
  }

  bool offer(wire::Offer offer) {
    {
      const std::lock_guard lock(mutex_);
      const auto same = [&](const DeskEvent& event) {
        const auto* one = std::get_if<wire::Offer>(&event);
        return one != nullptr && one->model == offer.model;
      };
      if (const auto older = std::ranges::find_if(events_, same); older != events_.end()) {
        *older = std::move(offer);  // the newest counts
        return true;
      }
      if (events_.size() >= kOffersMax) {
        meters_.dropped.add();
        return false;
      }
      events_.emplace_back(std::move(offer));
    }
    wake_.notify_all();
    return true;
  }

  ModelDeskFigures figures() const {
    const std::lock_guard lock(mutex_);
    return figures_;
  }

 private:
  struct Model {
    Model(fs::path folder, const detect::GroupConfig& group, const ModelsConfig& config)
        : slots(std::move(folder)),
          schema(release::schema_digest(model::sensors_of(group))),
          activation(config.confirm_after) {}

    ModelSlots slots;
    std::string schema;
    Activation activation;
    std::string problem;
    std::optional<Ticks> fetch_at;  ///< when the transfer was last begun
  };

  [[nodiscard]] Activation activation(ActivationState state) const {
    return Activation(parts_.config.confirm_after, std::move(state), parts_.config.report_every);
  }
  [[nodiscard]] fs::path mark() const { return parts_.folder / "running"; }

  /// Crashes that cannot be counted would go on for ever: what is on trial is not used in this run.
  ModelActions rest_trial(const std::string& name, Model& model, const Error& why) {
    log::error("models: an unclean end cannot be counted; what is on trial rests",
               {{"model", name}, why});
    const std::string text = "an unclean end could not be counted: " + why.context;
    ModelActions actions;
    const auto add = [&](ModelActions more) {
      std::ranges::move(more, std::back_inserter(actions));
    };
    if (model.activation.state().shadow) {
      add(model.activation.on_install_failed(ModelSlot::shadow, text, now(), ticks_now()));
    }
    const auto& state = model.activation.state();
    if (state.active && !state.confirmed) {
      add(model.activation.on_install_failed(ModelSlot::active, text, now(), ticks_now()));
    } else if (state.active) {
      actions.push_back(model_action::Install{ModelSlot::active, state.active->version});
    }
    return actions;
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait_for(lock, parts_.tick, [this] { return stopping_ || !events_.empty(); });
      if (stopping_) return;
      auto events = std::exchange(events_, {});
      lock.unlock();
      for (auto& event : events) {
        std::visit([this](auto& one) { take(one); }, event);
      }
      tick();
      publish();
      lock.lock();
    }
  }

  void take(const wire::Offer& offer) {
    const auto known = models_.find(offer.model);
    if (known == models_.end()) {
      refuse_aside(offer, "unknown_model: no [[group]] of this device has model = \"" +
                              offer.model.substr(0, 64) + "\"");
      return;
    }
    Model& model = known->second;
    const Ticks ticks = ticks_now();
    if (model.activation.answered(offer.offer)) {  // a repeated one needs no judge
      perform(known->first, model,
              model.activation.on_refused(offer.offer, offer.rollout, offer.number, "", ticks));
      return;
    }
    trust_.load();
    if (offer.number != 0 && trust_.judge() == nullptr) {
      refuse_aside(offer, "no_trust: " + trust_.problem());
      return;
    }
    const ActivationState before = model.activation.state();
    auto judged = judge_.judge(offer, model.schema, now());
    if (!judged) {
      if (judged.error().code == Errc::io || judged.error().code == Errc::limit) {
        log::error("models: an offer is not taken; it will come again", {judged.error()});
        return;
      }
      const auto& why = judged.error().context;
      log::warn("models: an offer is refused",
                {{"model", offer.model}, {"version", offer.number}, {"why", why}});
      meters_.refused(why);
      perform(known->first, model,
              model.activation.on_refused(offer.offer, offer.rollout, offer.number, why, ticks),
              &before);
      return;
    }
    log::info("models: an offer is taken",
              {{"model", offer.model},
               {"version", offer.number},
               {"stage", offer.stage == wire::ModelStage::active ? "active" : "shadow"}});
    perform(known->first, model, model.activation.on_offer(*judged, now(), ticks), &before);
  }

  /// Answers an offer that leaves no trace here; once a minute each.
  void refuse_aside(const wire::Offer& offer, const std::string& why) {
    const Ticks ticks = ticks_now();
    if (!aside_.contains(offer.model) && aside_.size() >= kUnknownMax) aside_.clear();
    auto& last = aside_[offer.model];
    if (last && ticks - *last < Activation::kRepeatAfter) return;
    last = ticks;
    meters_.refused(why);
    report(offer.model, {.state = model_state::kRefused,
                         .version = offer.number,
                         .detail = why,
                         .offer = offer.offer,
                         .rollout = offer.rollout});
  }

  void take(const Fetched& fetched) {
    const auto known = models_.find(fetched.model);
    if (transfer_ && transfer_->first == fetched.model && transfer_->second == fetched.sha256) {
      transfer_.reset();
    }
    if (known == models_.end()) return;
    Model& model = known->second;
    if (fetched.done) {
      file_came(known->first, model, fetched.sha256);
    } else if (fetched.done.error().code != Errc::shutting_down) {
      meters_.fetch_failures.add();
      perform(known->first, model,
              model.activation.on_fetch_failed(fetched.sha256, fetched.done.error().context,
                                               ticks_now()));
    }
    for (auto& [name, other] : models_) {  // whose turn it may be now
      const auto& wanted = other.activation.state().wanted;
      if (wanted && !transfer_) begin_fetch(name, other, wanted->version);
    }
  }

  /// The wanted file lies there: looked at before anything else is done with it.
  void file_came(const std::string& name, Model& model, const std::string& sha256) {
    const ActivationState before = model.activation.state();
    if (!before.wanted || before.wanted->version.sha256 != sha256) return;
    if (auto sound = look_at(name, model, before.wanted->version); !sound) {
      std::error_code ignored;
      fs::remove(model.slots.file(sha256), ignored);
      meters_.refused(sound.error().context);
      perform(name, model,
              model.activation.on_fetch_failed(sha256, sound.error().context, ticks_now()));
      return;
    }
    perform(name, model, model.activation.on_fetched(sha256, now(), ticks_now()), &before);
  }

  Result<std::shared_ptr<const model::LiveModel>> look_at(const std::string& name,
                                                          const Model& model,
                                                          const ModelVersion& version) const {
    auto live = model.slots.open(name, version);
    if (!live) return live;
    const release::Manifest manifest{.model = name,
                                     .number = version.number,
                                     .sha256 = version.sha256,
                                     .length = version.length,
                                     .schema_sha256 = model.schema};
    if (auto same = release::Judge::check_file(manifest, (*live)->model()); !same) {
      return same.error();
    }
    return live;
  }

  /// In their order, and what follows from them. `before`: what to go back to when the new state
  /// cannot be kept; the hub will offer again, or the next tick try again.
  void perform(const std::string& name, Model& model, ModelActions actions,
               const ActivationState* before = nullptr) {
    std::deque<ModelAction> todo(actions.begin(), actions.end());
    while (!todo.empty()) {
      const ModelAction action = std::move(todo.front());
      todo.pop_front();
      if (std::holds_alternative<model_action::Keep>(action)) {
        const auto kept = model.slots.keep(model.activation.state());
        if (kept) continue;
        log::error("models: the state cannot be kept", {{"model", name}, kept.error()});
        meters_.keep_failures.add();
        if (before == nullptr) continue;
        model.activation = activation(*before);
        return;
      }
      if (const auto* fetch = std::get_if<model_action::Fetch>(&action)) {
        begin_fetch(name, model, fetch->version);
      } else if (std::holds_alternative<model_action::StopFetch>(action)) {
        if (transfer_ && transfer_->first == name && fetch_ != nullptr) fetch_->cancel();
      } else if (const auto* install = std::get_if<model_action::Install>(&action)) {
        const auto done = this->install(name, model, *install);
        if (done) continue;
        log::warn("models: a version cannot be used", {{"model", name}, done.error()});
        auto more = model.activation.on_install_failed(install->slot, done.error().context, now(),
                                                       ticks_now());
        // What was to be said of it is not true any more.
        std::erase_if(todo, [](const ModelAction& one) {
          return std::holds_alternative<model_action::Report>(one);
        });
        todo.insert(todo.end(), more.begin(), more.end());
        before = nullptr;
      } else if (const auto* said = std::get_if<model_action::Report>(&action)) {
        report(name, *said);
      }
    }
  }

  Result<void> install(const std::string& name, Model& model,
                       const model_action::Install& install) {
    if (!install.version) return parts_.engine.install(name, install.slot, nullptr);
    auto live = look_at(name, model, *install.version);
    if (!live) return std::move(live).error();
    return parts_.engine.install(name, install.slot, *std::move(live));
  }

  void begin_fetch(const std::string& name, Model& model, const ModelVersion& version) {
    if (look_at(name, model, version)) {  // it is there: an older version's content, or fetched
      const std::lock_guard lock(mutex_);
      events_.emplace_back(Fetched{name, version.sha256, {}});
      return;
    }
    if (fetch_ == nullptr) return;
    model.fetch_at = ticks_now();
    if (transfer_) {
      const bool same = transfer_->first == name && transfer_->second == version.sha256;
      if (same || transfer_->first != name) return;  // goes on; or waits for the other
    }
    std::error_code ignored;
    fs::create_directories(model.slots.folder(), ignored);
    transfer_.emplace(name, version.sha256);
    fetch_->start(version.sha256, version.length, model.slots.file(version.sha256),
                  [this, name, sha256 = version.sha256](Result<void> done) {
                    {
                      const std::lock_guard lock(mutex_);
                      events_.emplace_back(Fetched{name, sha256, std::move(done)});
                    }
                    wake_.notify_all();
                  });
  }

  void report(const std::string& name, const model_action::Report& said) {
    wire::ModelReport report{.model = name,
                             .version = said.version,
                             .state = said.state,
                             .detail = said.detail,
                             .offer = said.offer,
                             .rollout = said.rollout,
                             .at = now(),
                             .statistics = std::nullopt};
    if (trust_.judge() != nullptr) report.keys_number = trust_.judge()->remembered().keys.number;
    if (said.statistics) report.statistics = parts_.engine.statistics(name, *said.statistics);
    meters_.reported(said.state);
    write(wire::RecordClass::model_report, report.at, wire::encode_record(report));
  }

  void write(wire::RecordClass record_class, Time at, std::string payload) {
    std::vector<OutboxRecord> records;
    records.push_back({record_class, at, std::move(payload)});
    parts_.outbox.submit(std::move(records));
  }

  void tick() {
    if (ticks_now() < next_tick_) return;
    next_tick_ = ticks_now() + parts_.tick;
    for (auto& [name, model] : models_) {
      grant_wishes(name, model);
      ModelDoing doing;
      if (model.activation.on_trial()) {
        if (const auto said = parts_.engine.statistics(name, ModelSlot::active)) {
          doing = {said->rows, said->not_a_number};
        }
      }
      perform(name, model, model.activation.on_tick(doing, now(), ticks_now()));
      const auto& wanted = model.activation.state().wanted;
      const bool idle = !transfer_ || transfer_->first != name;
      const bool due = !model.fetch_at || ticks_now() - *model.fetch_at > kFetchAgain;
      if (wanted && idle && due && fetch_ != nullptr) {
        begin_fetch(name, model, wanted->version);
      }
    }
    look_for_freeze();
  }

  /// What an operator on this machine asked for, by files that the commands leave.
  void grant_wishes(const std::string& name, Model& model) {
    if (model.slots.rollback_asked()) {
      log::warn("models: an operator wants the version before back", {{"model", name}});
      perform(name, model, model.activation.on_rollback(now(), ticks_now()));
      model.slots.rollback_done();
    }
    std::error_code ignored;
    const fs::path trust = parts_.folder / "trust";
    if (!fs::exists(trust, ignored)) return;
    const auto begun = trust_.begin_anew();
    if (begun) {
      log::warn("models: an operator began anew with the list of keys",
                {{"keys", parts_.config.keys_file}});
    } else {
      log::error("models: the list of keys cannot be taken", {begun.error()});
    }
    fs::remove(trust, ignored);
  }

  void look_for_freeze() {
    const auto* const judge = trust_.judge();
    const bool runs = std::ranges::any_of(
        models_, [](const auto& one) { return one.second.activation.state().active.has_value(); });
    const Time at = now();
    const bool frozen = judge != nullptr && runs && judge->frozen(at);
    auto alarm = freeze_.look(frozen ? judge->remembered().until : std::nullopt, at);
    meters_.frozen.set(frozen ? 1 : 0);
    if (alarm) write(wire::RecordClass::anomaly, at, wire::encode_record(*std::move(alarm)));
  }

  void publish() {
    ModelDeskFigures figures;
    for (const auto& [name, model] : models_) {
      const auto& state = model.activation.state();
      figures.models.push_back({.model = name,
                                .state = state.told,
                                .version = state.told_version,
                                .detail = state.told_detail,
                                .kept = state,
                                .problem = model.problem});
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
  ModelTrust trust_;
  OfferJudge judge_;
  FreezeWatch freeze_;
  std::map<std::string, Model, std::less<>> models_;
  std::map<std::string, std::optional<Ticks>> aside_;
  FileFetch* fetch_ = nullptr;
  std::optional<std::pair<std::string, std::string>> transfer_;  // model, SHA-256
  Ticks next_tick_{};

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::vector<DeskEvent> events_;
  ModelDeskFigures figures_;
  bool stopping_ = false;
  std::thread thread_;
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
