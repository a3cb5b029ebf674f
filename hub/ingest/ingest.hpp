// SPDX-License-Identifier: Apache-2.0
/// The hub's ear: one subscription on its own broker, one thread that stores and answers.
#pragma once

#include "hub/ingest/batch_store.hpp"
#include "hub/ingest/config.hpp"
#include "hub/ingest/ledger_gauges.hpp"
#include "hub/ingest/queue.hpp"
#include "hub/store/feed.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"
#include "shared/mqtt/client.hpp"

#include <atomic>
#include <memory>
#include <thread>

namespace lapwing::hub {

/// Receives `lapwing/v1/+/+/up/#`, stores in group commits, answers after COMMIT, wakes the feed;
/// reports silent devices offline and applies retention.
///
/// A store that fails (disk full, locked) stops acknowledgements, not the process: it is tried
///   again every second, ready() is false meanwhile, and devices keep their records.
/// Threads: start and stop from one thread; ready() from any.
class Ingest {
 public:
  /// Borrows store, feed and metrics, which must outlive it. `broker` names host, port and
  /// certificates; the rest of it is set here.
  Ingest(const IngestConfig& config, mqtt::Options broker, Store& store, Feed& feed,
         Metrics& metrics);
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  /// bad_config: a certificate cannot be read. A broker that is absent is waited for.
  Result<void> start();
  /// Takes what waits in the queue, answers, ends. Repeatable.
  void stop();

  /// Connected to the broker, and the store took what came last.
  [[nodiscard]] bool ready() const noexcept { return connected_ && store_works_; }

 private:
  void run();
  void take_waiting();
  void publish(const std::vector<Answer>& answers, int qos);
  void greet();
  void probe();
  void upkeep();
  void received(const mqtt::Message& message);

  IngestConfig config_;
  Store& store_;
  Feed& feed_;
  BatchStore batches_;
  IngestQueue queue_;
  mqtt::Client client_;
  std::thread thread_;
  std::atomic<bool> connected_{false};
  std::atomic<bool> store_works_{true};
  std::atomic<bool> greet_wanted_{false};
  Ticks next_upkeep_{};
  Ticks next_trim_{};
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
