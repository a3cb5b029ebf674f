// SPDX-License-Identifier: Apache-2.0
#include "hub/parts.hpp"

#include "hub/store/replicas.hpp"
#include "hub/web/web.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"
#include "shared/trust/authority.hpp"

#include <csignal>
#include <tuple>
#include <unistd.h>
#include <utility>
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

}  // namespace

Result<void> Parts::start_store() {
  auto taken = FileLock::take(config.data_dir / "hub.lock");
  if (!taken && taken.error().code == Errc::exists) {
    return Error{Errc::exists, config.data_dir.string() +
                                   ": another lapwing-hub serves this folder; stop it first"};
  }
  if (!taken) return taken.error();
  lock = *std::move(taken);
  auto opened = hub::open_store(config.store, config.data_dir);
  if (!opened) return opened.error();
  store = *std::move(opened);
  if (config.store.url.empty() && config.roles != Roles{}) {
    log::warn("the store is SQLite, which one process has for itself: nobody has the other roles",
              {{"roles", config.roles.text()}});
  }
  if (!config.roles.api) return {};
  auto watch = store->watch_feed(feed);
  if (!watch) return watch.error();
  feed_watch = *std::move(watch);
  return {};
}

void Parts::stop_store() {
  feed_watch.reset();
  store.reset();
  lock.reset();
}

Result<void> Parts::start_sinks() {
  if (config.sinks.empty() || !(config.roles.sync || config.roles.worker)) return {};
  auto started = Sinks::start(config.sinks, *store, metrics);
  if (!started) return started.error();
  sinks = *std::move(started);
  return {};
}

Result<void> Parts::start_certificates() {
  if (!config.roles.sync && !config.roles.api) return {};  // who signs nothing needs no key
  auto loaded = Authorities::load(config.data_dir);
  if (!loaded) return Error{Errc::bad_config, loaded.error().context};
  authorities = *std::move(loaded);
  if (!config.roles.sync) return {};  // there is no broker here
  keeper = std::make_unique<CertificateKeeper>(
      KeeperOptions{.folder = config.data_dir,
                    .mqtt_host = config.mqtt.host,
                    .mqtt_port = config.mqtt.port,
                    .ca_file = config.mqtt.ca_file,
                    .reload = config.mqtt.reload,
                    .certificates = config.certificates,
                    // The page's certificate is read when the hub's parts are made.
                    .on_renewed = [] { ::kill(::getpid(), SIGHUP); }},
      *store, *authorities, metrics);
  keeper->start();
  return {};
}

void Parts::stop_certificates() {
  keeper.reset();
  authorities.reset();
}

Result<void> Parts::start_ingest() {
  if (!config.roles.sync) return {};
  auto key = load_signing_key(config.models.signing_key.string(), config.models.signing_key_given);
  if (!key) return key.error();
  can_assign = key->has_value();
  auto ingest_config = config.ingest;
  ingest_config.replica = config.replica;
  ingest = std::make_unique<Ingest>(ingest_config, broker_options(config.mqtt), *store, feed,
                                    metrics, sinks.get());
  dispatcher = std::make_unique<Dispatcher>(
      config.replica, *store,
      [this](const std::string& topic, const std::string& frame) {
        return ingest->send(topic, frame);
      },
      metrics);
  offers = std::make_unique<OfferDesk>(
      config.replica, *std::move(key), *store,
      [this](const std::string& topic, const std::string& frame) {
        return ingest->send(topic, frame);
      },
      metrics);
  dispatcher->also([this](Time at) { return offers->round(at); });
  files = std::make_unique<FileDesk>(config.models.pieces_bytes_per_second, *store, metrics,
                                     [this](const wire::Identity& device, std::string_view frame) {
                                       return ingest->send(
                                           wire::topic(device, wire::Channel::chunk), frame, 0);
                                     });
  ingest->on_fetch(
      [this](const wire::Identity& device, std::string_view frame) { files->ask(device, frame); });
  contributions = std::make_unique<ContributionDesk>(*store, metrics);
  ingest->on_contribution([this](const wire::Identity& device, std::string_view frame) {
    contributions->take(device, frame);
  });
  ingest->tell({.on_hello = [this] { dispatcher->look_soon(); },
                .on_results = [this](auto results) { dispatcher->answered(std::move(results)); }});
  renewals = std::make_unique<Renewals>(
      config.certificates, *store, *authorities, metrics,
      [this](const wire::Identity& device, std::string_view frame) {
        return ingest->send(wire::topic(device, wire::Channel::certificate_answer),
                            std::string(frame));
      });
  ingest->on_certificate([this](const wire::Identity& device, std::string_view frame) {
    renewals->ask(device, frame);
  });
  auto started = ingest->start();
  if (started) started = dispatcher->start();
  if (started) renewals->start();
  if (started) files->start();
  if (started) contributions->start();
  if (!started) stop_ingest();
  return started;
}

void Parts::stop_ingest() {
  if (ingest) ingest->stop();  // the last answers reach the dispatcher
  if (dispatcher) dispatcher->stop();
  if (renewals) renewals->stop();
  if (files) files->stop();
  if (contributions) contributions->stop();
  ingest.reset();
  contributions.reset();
  files.reset();
  renewals.reset();
  dispatcher.reset();
  offers.reset();
}

Result<void> Parts::start_worker() {
  if (!config.roles.worker) return {};
  upkeep = std::make_unique<Upkeep>(UpkeepConfig{.replica = config.replica,
                                                 .silence = config.ingest.silence,
                                                 .trim_every = config.ingest.trim_every,
                                                 .look_every = 2 * config.look_every,
                                                 .keep_jobs = config.keep_jobs},
                                    *store, metrics);
  upkeep->start();
  worker =
      std::make_unique<Worker>(WorkerConfig{.name = config.replica + "/" + random_id().substr(0, 8),
                                            .threads = config.job_threads,
                                            .look_every = config.look_every},
                               *store, metrics);
  worker->start();
  rollouts = std::make_unique<rollout::Runner>(rollout::RunnerConfig{.replica = config.replica},
                                               *store, metrics);
  rollouts->start();
  if (!config.peers.empty()) start_puller();
  return {};
}

/// Of all workers of the store one takes a region's rows.
void Parts::start_puller() {
  puller = std::make_unique<Puller>(
      config.peers,
      PullLease{.take =
                    [this](const std::string& name, Micros length) {
                      const auto taken =
                          store->replicas().take_lease(name, config.replica, now(), length);
                      return taken && *taken;
                    },
                .release =
                    [this](const std::string& name) {
                      std::ignore = store->replicas().release_lease(name, config.replica);
                    }},
      *store, feed, metrics);
}

void Parts::stop_worker() {
  puller.reset();
  rollouts.reset();
  worker.reset();
  upkeep.reset();
}

Result<http::Router> Parts::routes() {
  http::Router router;
  store_watch = std::make_unique<StoreWatch>([this] { return static_cast<bool>(store->check()); });
  Readiness readiness{.store = *store_watch, .draining = [this] { return draining.load(); }};
  if (ingest) readiness.ingest = [this] { return ingest->ready(); };
  if (!config.roles.api) {
    add_service_routes(router, std::move(readiness), metrics);
    return router;
  }
  auto authority = load_signer(config.data_dir);
  if (!authority) return Error{Errc::bad_config, authority.error().context};
  enrolment = std::make_unique<Enrolment>(
      *store, *std::move(authority),
      EnrolmentOptions{.certificate_lifetime = config.certificates.device_lifetime,
                       .bundle_pem = authorities->bundle_pem()});
  std::function<std::vector<PeerState>()> peers;
  if (puller) peers = [this] { return puller->states(); };
  api = std::make_unique<Api>(
      ApiParts{.store = *store,
               .feed = feed,
               .enrolment = *enrolment,
               .metrics = metrics,
               .readiness = std::move(readiness),
               .peers = std::move(peers),
               .notes = [this] { return sinks ? sinks->notes() : std::vector<std::string>(); }},
      ApiOptions{.mqtt_host = config.mqtt.public_host,
                 .mqtt_port = config.mqtt.public_port,
                 .can_assign = can_assign});
  api->add_routes(router);
  router.add_files(web_files());
  return router;
}

Result<void> Parts::start_http() {
  auto router = routes();
  if (!router) return router.error();
  http::ServerOptions options{.address = config.http.address,
                              .port = config.http.port,
                              .workers = kHttpWorkers,
                              .metrics = &metrics};
  options.limits.connections = kConnectionsMax;
  options.limits.event_streams = kFollowersMax;
  if (config.http.tls) {
    options.tls = http::TlsFiles{.certificate_file = config.http.certificate_file,
                                 .key_file = config.http.key_file};
  }
  auto started = http::Server::start(std::move(options), *std::move(router));
  if (!started) return started.error();
  server = *std::move(started);
  return write_file_atomic(port_file(), std::to_string(server->port()) + "\n");
}

void Parts::stop_http() {
  if (server) server->stop();
  server.reset();
  api.reset();
  enrolment.reset();
  store_watch.reset();
  std::error_code ignored;
  std::filesystem::remove(port_file(), ignored);
}

std::string Parts::address() const {
  const auto& http = config.http;
  const bool v6 = http.address.find(':') != std::string::npos;
  return (http.tls ? "https://" : "http://") + (v6 ? "[" + http.address + "]" : http.address) +
         ":" + std::to_string(server->port());
}

}  // namespace lapwing::hub
