// SPDX-License-Identifier: Apache-2.0
#include "agent/service.hpp"

#include "agent/cli/commands.hpp"
#include "agent/config.hpp"
#include "agent/engine/device_failures.hpp"
#include "agent/models/desk.hpp"
#include "agent/rounds/desk.hpp"
#include "agent/view.hpp"
#include "shared/base/files.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/reload.hpp"
#include "shared/base/signals.hpp"
#include "shared/base/steps.hpp"
#include "shared/base/systemd.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <ostream>
#include <set>
#include <sys/stat.h>
#include <system_error>
#include <thread>

namespace lapwing::agent {
namespace {

using namespace std::chrono_literals;

constexpr Micros kLook = 500ms;        // how often progress is looked at
constexpr Micros kDeliverAtStop = 2s;  // what the hub may take for the last records

/// Everything the agent is made of. Later parts borrow earlier ones.
class Service {
 public:
  Service(const RunOptions& options, const LoadedConfig& loaded)
      : options_(options),
        config_(loaded.config),
        fingerprints_(loaded.fingerprints),
        quarantine_(config_.quarantine, &metrics_) {
    metrics_.gauge("agent_info", "Which agent this is", {{"version", LAPWING_VERSION}}).set(1);
  }

  RunEnd<LoadedConfig> run(const Signals& signals);

 private:
  Result<void> open_data();
  Result<void> make_parts();
  void make_desk();
  void start_rounds();
  Result<void> start_status();
  Result<void> start_sources();
  void stop_sources();
  void stop_engine();
  void serve(const Signals& signals);
  void reload();
  [[nodiscard]] std::string edited(const LoadedConfig& loaded) const;
  void look();
  [[nodiscard]] bool finished() const;

  const RunOptions& options_;
  AgentConfig config_;
  std::map<std::string, std::size_t> fingerprints_;
  Metrics metrics_;
  DeviceFailures device_failures_{metrics_};
  Quarantine quarantine_;
  std::optional<FileLock> lock_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::unique_ptr<AgentView> view_;
  std::unique_ptr<ModelDesk> desk_;
  std::unique_ptr<Uplink> uplink_;  // asks the view on its own thread, and brings the desk files
  std::unique_ptr<RoundDesk> rounds_;
  std::unique_ptr<StatusServer> status_;
  std::uint64_t readings_seen_ = 0;
  bool served_ = false;
  std::optional<LoadedConfig> next_;  ///< what to run with from now on
};

Result<void> Service::open_data() {
  std::error_code failed;
  std::filesystem::create_directories(config_.data_dir, failed);
  if (failed) {
    return Error{Errc::io, config_.data_dir.string() + ": " + failed.message() +
                               "; name a folder that can be written as [agent] data_dir"};
  }
  auto lock = FileLock::take(config_.data_dir / "agent.lock");
  if (!lock) return std::move(lock).error();
  lock_ = *std::move(lock);
  auto outbox = Outbox::open(config_.outbox, config_.data_dir, metrics_);
  if (!outbox) return std::move(outbox).error();
  outbox_ = *std::move(outbox);
  return {};
}

/// Nothing runs yet: what the view looks at must exist before anyone asks.
Result<void> Service::make_parts() {
  engine_ = std::make_unique<Engine>(config_.engine, Watched{config_.watches, config_.groups},
                                     config_.data_dir, *outbox_, metrics_);
  if (config_.uplink.enabled()) {
    auto uplink = Uplink::make(config_.uplink, *outbox_, metrics_, LAPWING_VERSION,
                               [this](wire::Status& status) { view_->fill(status); });
    if (!uplink) return std::move(uplink).error();
    uplink_ = *std::move(uplink);
    start_rounds();
  } else {
    log::info("no [uplink]: records stay in the outbox");
  }
  const SourceContext context{.namer = *engine_,
                              .sink = *engine_,
                              .quarantine = quarantine_,
                              .metrics = &metrics_,
                              .device_name = config_.name};
  for (const auto& source : config_.sources) sources_.push_back(make_source(source, context));
  make_desk();
  view_ = std::make_unique<AgentView>(ViewedParts{.name = config_.name,
                                                  .streams_max = config_.engine.streams_max,
                                                  .outbox = *outbox_,
                                                  .engine = *engine_,
                                                  .sources = sources_,
                                                  .quarantine = quarantine_,
                                                  .uplink = uplink_.get(),
                                                  .desk = desk_.get()});
  return uplink_ == nullptr ? Result<void>() : uplink_->start();
}

/// What the slots hold is in the engine before it restores what was learnt.
void Service::make_desk() {
  ModelDeskParts parts{.config = config_.models,
                       .folder = config_.data_dir / "models",
                       .second = {},
                       .groups = config_.groups,
                       .tenant = {},
                       .device = {},
                       .agent_version = LAPWING_VERSION,
                       .engine = *engine_,
                       .outbox = *outbox_,
                       .metrics = metrics_};
  if (uplink_ != nullptr) {
    parts.tenant = uplink_->identity().tenant;
    parts.device = uplink_->identity().device;
    parts.second = config_.uplink.certificate_file.parent_path() / "models.remembered";
  }
  desk_ = std::make_unique<ModelDesk>(std::move(parts));
  if (uplink_ != nullptr) {
    uplink_->on_offer([this](wire::Offer offer) { return desk_->offer(std::move(offer)); });
    desk_->use(uplink_->files());
  }
  desk_->open();
}

/// What a device tells in federated rounds; nothing, unless groups share.
void Service::start_rounds() {
  rounds_ = std::make_unique<RoundDesk>(
      RoundParts{.engine = *engine_,
                 .files = uplink_->candidates(),
                 .metrics = metrics_,
                 .groups = config_.groups,
                 .device = wire::to_string(uplink_->identity()),
                 .folder = config_.data_dir / "rounds",
                 .send = [this](const auto& part) { return uplink_->contribute(part); }});
  rounds_->start();
  uplink_->on_command("contribute",
                      [this](std::string_view arguments) { return rounds_->take(arguments); });
}

Result<void> Service::start_status() {
  if (!config_.status.enabled) return {};
  auto status = StatusServer::start(config_.status, *view_, metrics_);
  if (!status) return std::move(status).error();
  status_ = *std::move(status);
  log::info("status is served", {{"address", config_.status.address}, {"port", status_->port()}});
  return {};
}

Result<void> Service::start_sources() {
  for (const auto& source : sources_) {
    auto started = source->start();
    if (started) continue;
    stop_sources();
    return started;
  }
  return {};
}

void Service::stop_sources() {
  outbox_->stop_waiting();  // a source may wait for an engine that waits for the outbox
  for (const auto& source : sources_) source->stop();
}

/// Everything taken in is scored and committed; the hub gets a moment for it before a real end.
void Service::stop_engine() {
  engine_->stop();
  outbox_->flush();
  if (uplink_ == nullptr || next_) return;
  const Ticks until = ticks_now() + kDeliverAtStop;
  for (auto figures = uplink_->figures(); figures.connected && figures.backlog > 0;
       figures = uplink_->figures()) {
    if (ticks_now() > until) break;
    std::this_thread::sleep_for(20ms);
  }
}

RunEnd<LoadedConfig> Service::run(const Signals& signals) {
  const std::array steps{
      Step{.name = "data",
           .start = [this] { return open_data(); },
           .stop =
               [this] {
                 outbox_->stop();
                 if (desk_ != nullptr) desk_->ended_cleanly();
               }},
      Step{.name = "uplink",
           .start = [this] { return make_parts(); },
           .stop =
               [this] {
                 if (rounds_ != nullptr) rounds_->stop();
                 if (uplink_ != nullptr) uplink_->stop();
               }},
      Step{.name = "engine",
           .start = [this] { return engine_->start(); },
           .stop = [this] { stop_engine(); }},
      Step{.name = "models",
           .start = [this]() -> Result<void> {
             desk_->start();
             return {};
           },
           .stop = [this] { desk_->stop(); }},
      Step{.name = "status",
           .start = [this] { return start_status(); },
           .stop =
               [this] {
                 if (status_ != nullptr) status_->stop();
               }},
      Step{.name = "sources",
           .start = [this] { return start_sources(); },
           .stop = [this] { stop_sources(); }},
  };
  auto done = run_steps(steps, [&]() -> Result<void> {
    serve(signals);
    return {};
  });
  return {.done = std::move(done), .served = served_, .next = std::move(next_)};
}

void Service::serve(const Signals& signals) {
  log::info("agent runs", {{"name", config_.name},
                           {"version", LAPWING_VERSION},
                           {"data", config_.data_dir},
                           {"sources", config_.sources.size()},
                           {"watches", config_.watches.size()},
                           {"groups", config_.groups.size()}});
  served_ = true;
  systemd::ready();
  const Micros patience = std::min(kLook, systemd::watchdog_interval().value_or(kLook));
  for (;;) {
    const int number = signals.wait(patience);
    if (number == SIGHUP) {
      reload();
      if (next_) return;
    } else if (number != 0 || finished()) {
      log::info("agent stops", {{"signal", number}});
      systemd::stopping();
      return;
    }
    look();
  }
}

bool Service::finished() const {
  return options_.until_finished &&
         std::all_of(sources_.begin(), sources_.end(),
                     [](const auto& source) { return source->finished(); });
}

/// The watchdog is fed when readings were scored, none wait, or they wait for the outbox, which
/// waits for the hub: a stuck engine is restarted.
void Service::look() {
  device_failures_.look();
  const auto figures = engine_->figures();
  const bool moved = figures.readings_total != readings_seen_;
  readings_seen_ = figures.readings_total;
  if (moved || figures.queued == 0 || outbox_->figures().waiting) systemd::watchdog();
}

void Service::reload() {
  systemd::reloading();
  auto loaded = load_config(options_.config);
  if (!loaded.problems.empty()) {
    log_not_reloaded(options_.config, loaded.problems);
    systemd::ready();
    return;
  }
  log::configure(loaded.config.log.level, loaded.config.log.format);
  const auto tables = edited(loaded);
  log::info("configuration reloaded", {{"file", options_.config}, {"edited", tables}});
  if (tables.empty()) {
    systemd::ready();
    return;
  }
  next_ = std::move(loaded);
}

/// The tables that differ from what runs, besides `[log]`.
std::string Service::edited(const LoadedConfig& loaded) const {
  std::set<std::string> tables;
  for (const auto* side : {&loaded.fingerprints, &fingerprints_}) {
    const auto& other = side == &fingerprints_ ? loaded.fingerprints : fingerprints_;
    for (const auto& [table, print] : *side) {
      const auto there = other.find(table);
      if (there == other.end() || there->second != print) tables.insert(table);
    }
  }
  tables.erase("log");
  std::string text;
  for (const auto& table : tables) text += (text.empty() ? "[" : " [") + table + "]";
  return text;
}

}  // namespace

int run_service(const RunOptions& options, std::ostream& err) {
  auto loaded = load_config(options.config);
  for (const auto& problem : loaded.problems) err << problem.text() << '\n';
  if (!loaded.problems.empty()) {
    err << "lapwing-agent: not started: correct "
        << (loaded.problems.size() == 1 ? "this" : "these") << " first\n";
    return kExitConfig;
  }
  ::umask(027);
  const Signals signals;
  const auto done = run_reloading(std::move(loaded), [&](const LoadedConfig& config) {
    log::configure(config.config.log.level, config.config.log.format);
    return Service(options, config).run(signals);
  });
  if (done) return 0;
  err << "lapwing-agent: " << done.error().context << '\n';
  return done.error().code == Errc::bad_config ? kExitConfig : kExitFailed;
}

}  // namespace lapwing::agent
