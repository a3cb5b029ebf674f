// SPDX-License-Identifier: Apache-2.0
#include "hub/serve.hpp"

#include "hub/api/api.hpp"
#include "hub/cli/commands.hpp"
#include "hub/config.hpp"
#include "hub/exchange/puller.hpp"
#include "hub/fleet/enrolment.hpp"
#include "hub/ingest/ingest.hpp"
#include "hub/sink/sinks.hpp"
#include "hub/store/feed.hpp"
#include "hub/store/store.hpp"
#include "hub/web/web.hpp"
#include "shared/base/config.hpp"
#include "shared/base/files.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/reload.hpp"
#include "shared/base/signals.hpp"
#include "shared/base/steps.hpp"
#include "shared/base/systemd.hpp"
#include "shared/http/server.hpp"
#include "shared/trust/authority.hpp"

#include <array>
#include <memory>
#include <optional>
#include <ostream>
#include <vector>

namespace lapwing::hub {
namespace {

/// Threads that answer requests; each may hold one of the store's read connections.
constexpr unsigned kHttpWorkers = 4;
/// Of them some follow the live feed.
constexpr std::size_t kConnectionsMax = 512;
constexpr std::size_t kFollowersMax = 256;
/// The hub's own broker has one such client.
constexpr Micros kReconnectMax = std::chrono::seconds(2);

mqtt::Options broker_options(const HubMqttConfig& config) {
  mqtt::Options options;
  options.host = config.host;
  options.port = config.port;
  options.backoff_max = kReconnectMax;
  options.tls = mqtt::Tls{.ca_file = config.ca_file,
                          .certificate_file = config.certificate_file,
                          .key_file = config.key_file};
  return options;
}

struct Loaded {
  HubConfig config;
  std::vector<config::Problem> problems;  ///< not empty: do not run with it
};

Loaded load(const std::filesystem::path& path) {
  auto document = config::Document::load(path, config::process_environment());
  auto root = document.root();
  auto hub = HubConfig::read(root);
  return {std::move(hub), document.finish()};
}

/// Everything the hub is made of, made and ended by the steps.
struct Parts {
  HubConfig config;
  Metrics metrics;
  Feed feed;
  std::optional<FileLock>
      lock;  ///< two hubs on one SQLite store would both number the feed; keys too are one's own
  std::unique_ptr<Store> store;
  std::unique_ptr<FeedWatch> feed_watch;
  std::unique_ptr<Sinks> sinks;
  std::unique_ptr<Ingest> ingest;
  std::unique_ptr<Puller> puller;  ///< null: no rows of other regions are taken
  std::unique_ptr<Enrolment> enrolment;
  std::unique_ptr<Api> api;
  std::unique_ptr<http::Server> server;

  /// Tells programs on this machine which port was taken.
  [[nodiscard]] std::filesystem::path port_file() const { return config.data_dir / "http.port"; }
};

Result<void> start_store(Parts& parts) {
  auto lock = FileLock::take(parts.config.data_dir / "hub.lock");
  if (!lock && lock.error().code == Errc::exists) {
    return Error{Errc::exists, parts.config.data_dir.string() +
                                   ": another lapwing-hub serves this folder; stop it first"};
  }
  if (!lock) return lock.error();
  parts.lock = *std::move(lock);
  auto store = hub::open_store(parts.config.store, parts.config.data_dir);
  if (!store) return store.error();
  parts.store = *std::move(store);
  auto watch = parts.store->watch_feed(parts.feed);
  if (!watch) return watch.error();
  parts.feed_watch = *std::move(watch);
  return {};
}

Result<void> start_sinks(Parts& parts) {
  if (parts.config.sinks.empty()) return {};
  auto sinks = Sinks::start(parts.config.sinks, *parts.store, parts.metrics);
  if (!sinks) return sinks.error();
  parts.sinks = *std::move(sinks);
  return {};
}

Result<void> start_ingest(Parts& parts) {
  parts.ingest =
      std::make_unique<Ingest>(parts.config.ingest, broker_options(parts.config.mqtt), *parts.store,
                               parts.feed, parts.metrics, parts.sinks.get());
  auto started = parts.ingest->start();
  if (!started) parts.ingest.reset();
  return started;
}

/// Rows of other regions are merged: that another replica takes them too is no harm.
Result<void> start_exchange(Parts& parts) {
  if (parts.config.peers.empty()) return {};
  parts.puller =
      std::make_unique<Puller>(parts.config.peers,
                               PullLease{.take = [](const std::string&, Micros) { return true; },
                                         .release = [](const std::string&) {}},
                               *parts.store, parts.feed, parts.metrics);
  return {};
}

std::function<std::vector<PeerState>()> peer_states(Parts& parts) {
  if (!parts.puller) return nullptr;
  return [&puller = *parts.puller] { return puller.states(); };
}

Result<void> start_http(Parts& parts) {
  const auto& config = parts.config;
  auto authority = trust::Authority::load(config.data_dir / "ca.pem", config.data_dir / "ca.key");
  if (!authority) return Error{Errc::bad_config, authority.error().context};
  parts.enrolment = std::make_unique<Enrolment>(*parts.store, *std::move(authority));
  parts.api = std::make_unique<Api>(
      ApiParts{.store = *parts.store,
               .feed = parts.feed,
               .enrolment = *parts.enrolment,
               .metrics = parts.metrics,
               .ingest_ready = [&ingest = *parts.ingest] { return ingest.ready(); },
               .peers = peer_states(parts),
               .notes =
                   [&sinks = parts.sinks] {
                     return sinks ? sinks->notes() : std::vector<std::string>();
                   }},
      ApiOptions{.mqtt_host = config.mqtt.public_host, .mqtt_port = config.mqtt.public_port});
  http::Router router;
  parts.api->add_routes(router);
  router.add_files(web_files());
  http::ServerOptions options{.address = config.http.address,
                              .port = config.http.port,
                              .workers = kHttpWorkers,
                              .metrics = &parts.metrics};
  options.limits.connections = kConnectionsMax;
  options.limits.event_streams = kFollowersMax;
  if (config.http.tls) {
    options.tls = http::TlsFiles{.certificate_file = config.http.certificate_file,
                                 .key_file = config.http.key_file};
  }
  auto server = http::Server::start(std::move(options), std::move(router));
  if (!server) return server.error();
  parts.server = *std::move(server);
  return write_file_atomic(parts.port_file(), std::to_string(parts.server->port()) + "\n");
}

void stop_http(Parts& parts) {
  if (parts.server) parts.server->stop();
  parts.server.reset();
  parts.api.reset();
  parts.enrolment.reset();
  std::error_code ignored;
  std::filesystem::remove(parts.port_file(), ignored);
}

std::string address(const Parts& parts) {
  const auto& http = parts.config.http;
  const bool v6 = http.address.find(':') != std::string::npos;
  return (http.tls ? "https://" : "http://") + (v6 ? "[" + http.address + "]" : http.address) +
         ":" + std::to_string(parts.server->port());
}

/// Until a signal ends the hub, or SIGHUP brought a configuration to go on with.
std::optional<HubConfig> wait(const ServeOptions& options, const Signals& signals) {
  for (;;) {
    const int number = signals.wait();
    if (number != SIGHUP) {
      log::info("hub stops", {{"signal", number}});
      systemd::stopping();
      return std::nullopt;
    }
    systemd::reloading();
    auto loaded = load(options.config);
    if (loaded.problems.empty()) {
      log::info("configuration and certificates reloaded", {{"file", options.config}});
      return std::move(loaded.config);
    }
    log_not_reloaded(options.config, loaded.problems);
    systemd::ready();
  }
}

RunEnd<HubConfig> run(const ServeOptions& options, const HubConfig& config,
                      const Signals& signals) {
  log::configure(log::level_from(config.log_level).value(),
                 log::format_from(config.log_format).value());
  Parts parts{.config = config};
  const std::array steps{
      Step{.name = "store",
           .start = [&] { return start_store(parts); },
           .stop =
               [&] {
                 parts.feed_watch.reset();
                 parts.store.reset();
                 parts.lock.reset();
               }},
      Step{.name = "sinks",
           .start = [&] { return start_sinks(parts); },
           .stop = [&] { parts.sinks.reset(); }},
      Step{.name = "ingest",
           .start = [&] { return start_ingest(parts); },
           .stop = [&] { parts.ingest.reset(); }},
      Step{.name = "exchange",
           .start = [&] { return start_exchange(parts); },
           .stop = [&] { parts.puller.reset(); }},
      Step{.name = "http",
           .start =
               [&] {
                 auto started = start_http(parts);
                 if (!started) stop_http(parts);
                 return started;
               },
           .stop = [&] { stop_http(parts); }},
  };
  RunEnd<HubConfig> end;
  end.done = run_steps(steps, [&]() -> Result<void> {
    log::info("hub serves", {{"data", parts.config.data_dir}, {"http", address(parts)}});
    end.served = true;
    systemd::ready();
    end.next = wait(options, signals);
    return {};
  });
  return end;
}

}  // namespace

int serve(const ServeOptions& options, std::ostream& err) {
  auto loaded = load(options.config);
  for (const auto& problem : loaded.problems) err << problem.text() << '\n';
  if (!loaded.problems.empty()) return kExitConfig;
  const Signals signals;
  const auto done = run_reloading(std::move(loaded.config), [&](const HubConfig& config) {
    return run(options, config, signals);
  });
  if (done) return 0;
  err << "lapwing-hub: " << done.error().context << '\n';
  return done.error().code == Errc::bad_config ? kExitConfig : kExitFailed;
}

}  // namespace lapwing::hub
