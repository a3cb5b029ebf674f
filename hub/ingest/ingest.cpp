// SPDX-License-Identifier: Apache-2.0
#include "hub/ingest/ingest.hpp"

#include "hub/store/replicas.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"
#include "shared/base/systemd.hpp"
#include "shared/wire/codec.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/topics.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace lapwing::hub {
namespace {

/// How long the thread waits for messages before it looks after other things.
constexpr Micros kIdle = std::chrono::milliseconds(200);
constexpr Micros kStoreRetry = std::chrono::seconds(1);
constexpr Micros kUpkeepEvery = std::chrono::seconds(2);
/// Taken from the queue at once; bounds what one transaction's messages hold in memory.
constexpr std::uint64_t kTakeBytes = 8U << 20U;
constexpr std::size_t kHandOffMax = 100'000;

mqtt::Options hub_options(mqtt::Options options) {
  options.client_id = "lapwing-hub-" + random_id().substr(0, 12);
  options.version = mqtt::Version::v5;
  options.clean_start = true;
  options.session_expiry = Micros(0);
  options.inflight_max = 20'000;
  options.backoff_max = std::chrono::seconds(2);  // our own broker, next to us
  return options;
}

}  // namespace

Ingest::Ingest(const IngestConfig& config, mqtt::Options broker, Store& store, Feed& feed,
               Metrics& metrics, RecordTaps* taps)
    : config_(config),
      store_(store),
      feed_(feed),
      hearing_(store, config.replica),
      queue_(config.queue_messages_max, config.queue_bytes_max, store.lanes()),
      client_(hub_options(std::move(broker)),
              {.on_connected =
                   [this](bool) {
                     log::info("ingest connected to the broker");
                     connected_ = true;
                     for (auto& lane : lanes_) lane->greet_wanted = true;
                   },
               .on_disconnected =
                   [this](const Error& error) {
                     connected_ = false;
                     log::warn("ingest has no broker", {error});
                   },
               .on_message = [this](const mqtt::Message& message) { received(message); },
               .make_will = {},
               .identify = {}}),
      queue_full_(
          metrics.counter("hub_queue_full_total",
                          "Messages refused because the queue was full; devices send again")),
      answers_dropped_(metrics.counter("hub_answers_dropped_total",
                                       "Answers the broker did not take; devices ask again")),
      store_errors_(metrics.counter("hub_store_errors_total", "Transactions that failed")),
      queue_messages_(metrics.gauge("hub_queue_messages", "Messages waiting for the store")),
      queue_bytes_(metrics.gauge("hub_queue_bytes", "Bytes waiting for the store")),
      devices_(metrics.gauge("hub_devices", "Devices enrolled")),
      devices_online_(metrics.gauge("hub_devices_online", "Devices connected")),
      devices_quarantined_(metrics.gauge("hub_devices_quarantined", "Devices in quarantine")),
      anomalies_open_(metrics.gauge("hub_anomalies_open", "Anomalies that have not ended")),
      ledger_(metrics),
      store_bytes_(metrics.gauge("hub_store_bytes", "Size of the database")),
      broker_connected_(metrics.gauge("hub_broker_connected", "1 while ingest hears the broker")) {
  for (std::size_t i = 0; i < store.lanes(); ++i) {
    lanes_.push_back(std::make_unique<Lane>(i, store, config, metrics, taps));
  }
  client_.subscribe({{std::string(wire::kUpFilter), 1}});
}

Ingest::~Ingest() { stop(); }

Result<void> Ingest::start() {
  if (auto started = client_.start(); !started) return started;
  for (auto& lane : lanes_) {
    lane->thread = std::thread([this, &lane = *lane] { run(lane); });
  }
  return {};
}

void Ingest::stop() {
  queue_.close();  // what comes now is sent again to the next hub
  for (auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
  }
  client_.stop();
}

void Ingest::received(const mqtt::Message& message) {
  if (message.retained) return;  // nothing of the protocol is; someone else's leftovers
  // Signing is nothing for the threads that store, nor are pieces of models, which are asked for by
  // the thousand, or what devices tell in rounds.
  const std::pair<std::string_view, const Hook*> elsewhere[] = {
      {"/up/certificate", &on_certificate_},
      {"/up/fetch", &on_fetch_},
      {"/up/contribution", &on_contribution_}};
  for (const auto& [ending, hook] : elsewhere) {
    if (!*hook || !message.topic.ends_with(ending)) continue;
    const auto topic = wire::parse_topic(message.topic);
    if (topic) (*hook)(topic->identity, message.payload);
    return;
  }
  if (!queue_.put(message.topic, message.payload, now())) queue_full_.add();
}

bool Ingest::store_works() const noexcept {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const auto& lane) { return lane->store_works.load(); });
}

void Ingest::run(Lane& lane) {
  while (true) {
    if (lane.greet_wanted.exchange(false)) greet(lane);
    take_waiting(lane);
    if (queue_.ended(lane.number)) return;
    lane.turned = true;
    if (ticks_now() >= lane.next_probe) {
      if (!lane.store_works) probe(lane);
      lane.next_probe = ticks_now() + kUpkeepEvery;
    }
    if (lane.number != 0) continue;
    if (ticks_now() >= next_upkeep_) {
      upkeep();
      next_upkeep_ = ticks_now() + kUpkeepEvery;
    }
    feed_watchdog();
  }
}

/// When every lane has gone round: one that hangs is what the watchdog is for.
void Ingest::feed_watchdog() {
  for (const auto& lane : lanes_) {
    if (!lane->turned) return;
  }
  for (auto& lane : lanes_) lane->turned = false;
  systemd::watchdog();
}

/// Without COMMIT there is no answer, so what the store did not take is still in hand. It may have
/// been away: then that is taken when it is back, hellos among it, for which devices would wait
/// longest. What it refuses though it works is let go of; devices send it again.
void Ingest::take_waiting(Lane& lane) {
  const bool once_more = !lane.in_hand.empty();
  if (once_more && !probe(lane)) return wait_for_store();
  if (!once_more) lane.in_hand = queue_.take(lane.number, kIdle, kTakeBytes / lanes_.size());
  auto rest = std::span(lane.in_hand);
  while (!rest.empty()) {
    auto taken = lane.batches.take(rest);
    if (!taken) {
      store_errors_.add();
      lane.store_works = false;
      log::error("store failed; devices keep their records", {taken.error()});
      const auto taken_before = lane.in_hand.size() - rest.size();
      const auto done = once_more && taken_before == 0 ? lane.in_hand.size() : taken_before;
      lane.in_hand.erase(lane.in_hand.begin(),
                         lane.in_hand.begin() + static_cast<std::ptrdiff_t>(done));
      return wait_for_store();
    }
    lane.store_works = true;
    publish(taken->answers, 0);
    if (taken->feed_grew) feed_.grew(taken->feed_newest);
    if (taken->hellos && listener_.on_hello) listener_.on_hello();
    if (!taken->results.empty() && listener_.on_results) {
      listener_.on_results(std::move(taken->results));
    }
    rest = rest.subspan(taken->messages);
  }
  lane.in_hand.clear();
}

void Ingest::wait_for_store() {
  if (!queue_.closed()) std::this_thread::sleep_for(kStoreRetry);
}

void Ingest::publish(const std::vector<Answer>& answers, int qos) {
  for (const auto& answer : answers) {
    if (!client_.publish(answer.topic, answer.payload, qos)) answers_dropped_.add();
  }
}

void Ingest::greet(Lane& lane) {
  const auto answers = lane.batches.standing_acks();
  if (!answers) {
    log::warn("cannot tell devices where the hub stands", {answers.error()});
    return;
  }
  publish(*answers, 0);
}

bool Ingest::send(const std::string& topic, std::string_view frame, int qos) {
  return client_.publish(topic, frame, qos).has_value();
}

Result<std::size_t> Ingest::hand_off(Micros window) {
  const auto devices = store_.replicas().devices_of(config_.replica, kHandOffMax);
  if (!devices) return devices.error();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(window).count();
  const auto body = wire::encode(wire::Command{
      .kind = "reconnect", .arguments = "{\"within_ms\":" + std::to_string(ms) + "}"});
  wire::FrameWriter writer;
  const auto frame = writer.seal(body);
  for (const auto& key : *devices) {
    const wire::Identity who{key.tenant, key.device};
    if (!client_.publish(wire::topic(who, wire::Channel::command), frame, 0)) {
      answers_dropped_.add();
    }
  }
  return devices->size();
}

/// Whether the store takes changes again, when no device asks.
bool Ingest::probe(Lane& lane) {
  auto transaction = store_.begin_ingest(lane.number);
  if (!transaction || !(*transaction)->commit()) return false;
  lane.store_works = true;
  return true;
}

void Ingest::upkeep() {
  queue_messages_.set(static_cast<double>(queue_.messages()));
  queue_bytes_.set(static_cast<double>(queue_.bytes()));
  broker_connected_.set(connected_ ? 1 : 0);
  hearing_.look(connected_ && store_works(), now());
  if (const auto totals = store_.totals()) {
    devices_.set(static_cast<double>(totals->devices));
    devices_online_.set(static_cast<double>(totals->devices_online));
    devices_quarantined_.set(static_cast<double>(totals->devices_quarantined));
    anomalies_open_.set(static_cast<double>(totals->anomalies_open));
    ledger_.show(totals->ledger);
    store_bytes_.set(static_cast<double>(totals->bytes));
  }
}

}  // namespace lapwing::hub
