// SPDX-License-Identifier: Apache-2.0
#include "agent/service.hpp"

#include "agent/cli/commands.hpp"
#include "agent/config.hpp"
#include "agent/view.hpp"
#include "shared/base/files.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/steps.hpp"
#include "shared/base/systemd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <ostream>
#include <sys/stat.h>
#include <system_error>
#include <thread>

namespace lapwing::agent {
namespace {

using namespace std::chrono_literals;

constexpr Micros kLook = 500ms;        // how often progress is looked at
constexpr Micros kDeliverAtStop = 2s;  // what the hub may take for the last records

/// The agent's signals: blocked in every thread, taken by wait().
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set_, number);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
  }
  /// The next signal, or 0 after `patience`.
  [[nodiscard]] int wait(Micros patience) const {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience);
    const timespec time{.tv_sec = seconds.count(),
                        .tv_nsec = std::chrono::nanoseconds(patience - seconds).count()};
    const int number = sigtimedwait(&set_, nullptr, &time);
    return number < 0 ? 0 : number;
  }

 private:
  sigset_t set_{};
};

/// Everything the agent is made of. Later parts borrow earlier ones.
class Service {
 public:
  Service(RunOptions options, LoadedConfig loaded)
      : options_(std::move(options)),
        config_(std::move(loaded.config)),
        fingerprints_(std::move(loaded.fingerprints)),
        quarantine_(config_.quarantine, &metrics_) {
    metrics_.gauge("agent_info", "Which agent this is", {{"version", LAPWING_VERSION}}).set(1);
  }

  Result<void> run(const Signals& signals);

 private:
  Result<void> open_data();
  Result<void> make_parts();
  Result<void> start_status();
  Result<void> start_sources();
  void stop_sources();
  void stop_engine();
  Result<void> serve(const Signals& signals);
  void reload();
  void look();
  [[nodiscard]] bool finished() const;

  RunOptions options_;
  AgentConfig config_;
  std::map<std::string, std::size_t> fingerprints_;
  Metrics metrics_;
  Quarantine quarantine_;
  std::optional<FileLock> lock_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::unique_ptr<AgentView> view_;
  std::unique_ptr<Uplink> uplink_;  // asks the view on its own thread
  std::unique_ptr<StatusServer> status_;
  std::uint64_t readings_seen_ = 0;
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
  engine_ = std::make_unique<Engine>(config_.engine, config_.watches, config_.data_dir, *outbox_,
                                     metrics_);
  if (config_.uplink.enabled()) {
    auto uplink = Uplink::make(config_.uplink, *outbox_, metrics_, LAPWING_VERSION,
                               [this](wire::Status& status) { view_->fill(status); });
    if (!uplink) return std::move(uplink).error();
    uplink_ = *std::move(uplink);
  } else {
    log::info("no [uplink]: records stay in the outbox");
  }
  const SourceContext context{.namer = *engine_,
                              .sink = *engine_,
                              .quarantine = quarantine_,
                              .metrics = &metrics_,
                              .device_name = config_.name};
  for (const auto& source : config_.sources) sources_.push_back(make_source(source, context));
  view_ = std::make_unique<AgentView>(ViewedParts{.name = config_.name,
                                                  .streams_max = config_.engine.streams_max,
                                                  .outbox = *outbox_,
                                                  .engine = *engine_,
                                                  .sources = sources_,
                                                  .quarantine = quarantine_,
                                                  .uplink = uplink_.get()});
  return uplink_ == nullptr ? Result<void>() : uplink_->start();
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
  for (const auto& source : sources_) source->stop();
}

/// Everything taken in is scored and committed; the hub gets a moment for it.
void Service::stop_engine() {
  engine_->stop();
  outbox_->flush();
  if (uplink_ == nullptr) return;
  const Ticks until = ticks_now() + kDeliverAtStop;
  for (auto figures = uplink_->figures(); figures.connected && figures.backlog > 0;
       figures = uplink_->figures()) {
    if (ticks_now() > until) break;
    std::this_thread::sleep_for(20ms);
  }
}

Result<void> Service::run(const Signals& signals) {
  const std::array steps{
      Step{.name = "data",
           .start = [this] { return open_data(); },
           .stop = [this] { outbox_->stop(); }},
      Step{.name = "uplink",
           .start = [this] { return make_parts(); },
           .stop =
               [this] {
                 if (uplink_ != nullptr) uplink_->stop();
               }},
      Step{.name = "engine",
           .start = [this] { return engine_->start(); },
           .stop = [this] { stop_engine(); }},
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
  return run_steps(steps, [&] { return serve(signals); });
}

Result<void> Service::serve(const Signals& signals) {
  log::info("agent runs", {{"name", config_.name},
                           {"version", LAPWING_VERSION},
                           {"data", config_.data_dir},
                           {"sources", config_.sources.size()},
                           {"watches", config_.watches.size()}});
  systemd::ready();
  const Micros patience = std::min(kLook, systemd::watchdog_interval().value_or(kLook));
  for (;;) {
    const int number = signals.wait(patience);
    if (number == SIGHUP) {
      reload();
    } else if (number != 0 || finished()) {
      log::info("agent stops", {{"signal", number}});
      systemd::stopping();
      return {};
    }
    look();
  }
}

bool Service::finished() const {
  return options_.until_finished &&
         std::all_of(sources_.begin(), sources_.end(),
                     [](const auto& source) { return source->finished(); });
}

/// The watchdog is fed when readings were scored or none wait: a stuck engine is restarted.
void Service::look() {
  const auto figures = engine_->figures();
  const bool moved = figures.readings_total != readings_seen_;
  readings_seen_ = figures.readings_total;
  if (moved || figures.queued == 0) systemd::watchdog();
}

void Service::reload() {
  systemd::reloading();
  auto loaded = load_config(options_.config);
  if (!loaded.problems.empty()) {
    for (const auto& problem : loaded.problems) {
      log::error("configuration problem", {{"problem", problem.text()}});
    }
    log::error("configuration not reloaded, the last good one stays",
               {{"file", options_.config}, {"problems", loaded.problems.size()}});
    systemd::ready();
    return;
  }
  log::configure(loaded.config.log.level, loaded.config.log.format);
  std::string restart;
  for (const auto* side : {&loaded.fingerprints, &fingerprints_}) {
    for (const auto& [table, print] : *side) {
      const auto& other = side == &fingerprints_ ? loaded.fingerprints : fingerprints_;
      const auto there = other.find(table);
      const bool same = there != other.end() && there->second == print;
      if (same || table == "log" || restart.find("[" + table + "]") != std::string::npos) continue;
      restart += (restart.empty() ? "[" : " [") + table + "]";
    }
  }
  log::info("configuration reloaded", {{"file", options_.config}});
  if (!restart.empty()) {
    log::warn("these tables were edited and need a restart", {{"tables", restart}});
  }
  systemd::ready();
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
  log::configure(loaded.config.log.level, loaded.config.log.format);
  ::umask(027);
  const Signals signals;
  Service service(options, std::move(loaded));
  const auto done = service.run(signals);
  if (done) return 0;
  err << "lapwing-agent: " << done.error().context << '\n';
  return done.error().code == Errc::bad_config ? kExitConfig : kExitFailed;
}

}  // namespace lapwing::agent
