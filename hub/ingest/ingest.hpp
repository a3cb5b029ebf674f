// SPDX-License-Identifier: Apache-2.0
/// The hub's ear: one subscription on its own broker, and lanes that store and answer.
#pragma once

#include "hub/ingest/batch_store.hpp"
#include "hub/ingest/config.hpp"
#include "hub/ingest/hearing.hpp"
#include "hub/ingest/ledger_gauges.hpp"
#include "hub/ingest/queue.hpp"
#include "hub/store/feed.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"
#include "shared/mqtt/client.hpp"
#include "shared/wire/topics.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// Receives `lapwing/v1/+/+/up/#`, stores in group commits, answers after COMMIT, wakes the feed.
/// The store's lanes work side by side, each a thread: a device's messages go by one of them, so
/// that its order stays. The first also looks after the rest.
///
/// A store that fails (disk full, locked) stops acknowledgements, not the process: it is tried
///   again every second, ready() is false meanwhile, and devices keep their records. What is in
///   hand and in the queue is taken when it is back.
/// Threads: start and stop from one thread; ready() from any.
class Ingest {
 public:
  /// Who else is told what devices said, after COMMIT, on the lanes' threads: only to notify.
  struct Listener {
    std::function<void()> on_hello;
    std::function<void(std::vector<std::pair<DeviceKey, wire::CommandResult>>)> on_results;
  };

  /// Borrows store, feed and metrics, which must outlive it. `broker` names host, port and
  /// certificates; the rest of it is set here.
  /// `taps` as BatchStore's.
  Ingest(const IngestConfig& config, mqtt::Options broker, Store& store, Feed& feed,
         Metrics& metrics, RecordTaps* taps = nullptr);
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  /// Called with what comes on `up/certificate`, on the library's thread: copy and return. Before
  /// start().
  void on_certificate(std::function<void(const wire::Identity&, std::string_view frame)> hook) {
    on_certificate_ = std::move(hook);
  }
  /// Likewise with what comes on `up/contribution`.
  void on_contribution(std::function<void(const wire::Identity&, std::string_view frame)> hook) {
    on_contribution_ = std::move(hook);
  }
  /// Likewise with what comes on `up/fetch`.
  void on_fetch(std::function<void(const wire::Identity&, std::string_view frame)> hook) {
    on_fetch_ = std::move(hook);
  }

  /// bad_config: a certificate cannot be read. A broker that is absent is waited for.
  Result<void> start();
  /// Takes what waits in the queue, in every lane, answers, ends. Repeatable.
  void stop();

  /// Before start().
  void tell(Listener listener) { listener_ = std::move(listener); }
  /// Hands a frame to the broker; false: it was not taken. Threads: any.
  bool send(const std::string& topic, std::string_view frame, int qos = 1);
  /// Tells every device that is online through this replica's broker to leave within `window`, each
  /// after a random time of its own, and to connect again. How many there were. Errors: the
  /// store's.
  Result<std::size_t> hand_off(Micros window);

  /// Connected to the broker, and the store took what came last.
  [[nodiscard]] bool ready() const noexcept { return connected_ && store_works(); }

 private:
  struct Lane {
    Lane(std::size_t its_number, Store& store, const IngestConfig& config, Metrics& metrics,
         RecordTaps* taps)
        : number(its_number), batches(store, config, metrics, its_number, taps) {}
    const std::size_t number;
    BatchStore batches;
    std::vector<UpMessage> in_hand;  ///< out of the queue, not yet stored
    std::thread thread;
    std::atomic<bool> store_works{true};
    std::atomic<bool> greet_wanted{false};
    std::atomic<bool> turned{false};  ///< since the watchdog was fed
    Ticks next_probe{};
  };

  [[nodiscard]] bool store_works() const noexcept;
  void run(Lane& lane);
  void take_waiting(Lane& lane);
  void publish(const std::vector<Answer>& answers, int qos);
  void greet(Lane& lane);
  void wait_for_store();
  bool probe(Lane& lane);
  void feed_watchdog();
  void upkeep();
  void received(const mqtt::Message& message);

  using Hook = std::function<void(const wire::Identity&, std::string_view)>;
  Hook on_certificate_;
  Hook on_fetch_;
  Hook on_contribution_;
  IngestConfig config_;
  Store& store_;
  Feed& feed_;
  std::vector<std::unique_ptr<Lane>> lanes_;  ///< as many as the store has
  Hearing hearing_;
  Listener listener_;
  IngestQueue queue_;
  mqtt::Client client_;
  std::atomic<bool> connected_{false};
  Ticks next_upkeep_{};
  Counter& queue_full_;
  Counter& answers_dropped_;
  Counter& store_errors_;
  Gauge& queue_messages_;
  Gauge& queue_bytes_;
  Gauge& devices_;
  Gauge& devices_online_;
  Gauge& devices_quarantined_;
  Gauge& anomalies_open_;
  LedgerGauges ledger_;
  Gauge& store_bytes_;
  Gauge& broker_connected_;
};

}  // namespace lapwing::hub
