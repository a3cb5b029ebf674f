// SPDX-License-Identifier: Apache-2.0
/// Messages to one Kafka topic, each delivered or said to be not (librdkafka inside).
#pragma once

#include "hub/sink/config.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

struct KafkaMessage {
  std::string key;    ///< messages of one key go to one partition, and stay in order there
  std::string value;  ///< copied while it is under way
  std::string_view record_class;  ///< of the header `class`
};

/// What became of a message.
struct Fate {
  enum class Kind : std::uint8_t {
    delivered,
    failed,   ///< not this time; it may have arrived all the same
    refused,  ///< Kafka does not take it, or one beside it: too large, or invalid
  };
  Kind kind = Kind::failed;
  std::string reason;  ///< librdkafka's word, as in `MSG_TIMED_OUT`; empty when delivered
};

/// An idempotent producer: what librdkafka sends again arrives once, and in order.
/// Bounds: 100,000 messages and 64 MiB under way; beyond it deliver() waits.
/// Threads: deliver() from any, side by side.
class Producer {
 public:
  /// Connects when there is something to send. `message_timeout`: after it a message has failed;
  /// 0: never. bad_config: a file cannot be read, a setting is not taken.
  static Result<std::unique_ptr<Producer>> make(const SinkConfig& config, Micros message_timeout);
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  /// Asked some times a second while deliver() waits; false: give up what is under way.
  using GoOn = std::function<bool()>;
  /// Hands them over in order and waits for every report. As many fates as messages.
  std::vector<Fate> deliver(std::span<const KafkaMessage> messages, const GoOn& go_on);

  /// It met an error that ends it: make another.
  [[nodiscard]] bool broken() const;
  /// What stands in the way since the last delivery; empty: nothing that is known.
  [[nodiscard]] std::string trouble() const;

 private:
  struct Impl;
  explicit Producer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::hub
