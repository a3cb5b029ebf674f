// SPDX-License-Identifier: Apache-2.0
/// Hands on before devices are answered.
#pragma once

#include "hub/sink/config.hpp"
#include "hub/sink/counts.hpp"
#include "hub/sink/producer.hpp"
#include "hub/store/spool.hpp"

#include <memory>
#include <mutex>
#include <span>
#include <string>

namespace lapwing::hub {

/// Threads: deliver() from any, side by side.
class Direct {
 public:
  /// bad_config, as Producer::make.
  static Result<std::unique_ptr<Direct>> make(const SinkConfig& config, Metrics& metrics);

  /// Returns when Kafka has all of them; what it does not take is told as a loss in its place. io:
  /// it had not within the timeout; some may have arrived.
  Result<void> deliver(std::span<const SpoolRow> rows);
  [[nodiscard]] std::string note() const;

 private:
  Direct(const SinkConfig& config, Metrics& metrics)
      : config_(config), counts_(metrics, config.name) {}
  Result<std::shared_ptr<Producer>> producer();
  Result<void> deliver_one(Producer& producer, const SpoolRow& row);
  Error failure(const std::string& reason);

  const SinkConfig config_;
  SinkCounts counts_;
  mutable std::mutex mutex_;
  std::shared_ptr<Producer> producer_;
  std::string note_;
};

/// The message that a row becomes.
KafkaMessage message_of(const SpoolRow& row);

}  // namespace lapwing::hub
