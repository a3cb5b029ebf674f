// SPDX-License-Identifier: Apache-2.0
/// Kafka brokers inside this process (librdkafka's mock cluster), which can be made to fail.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lapwing::testing {

class MockKafka {
 public:
  struct Message {
    std::string key;
    std::string value;
    std::string record_class;  ///< of the header
    int partition = 0;
  };

  /// Three brokers, one topic of four partitions.
  MockKafka();
  ~MockKafka();
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  [[nodiscard]] std::string brokers() const;
  [[nodiscard]] static std::string topic() { return "events"; }
  void down();
  void up();
  /// Of the next requests to produce: kinds of failure, as librdkafka numbers them.
  void fail_produce(const std::vector<int>& errors);
  /// Waits until `enough` of what was read since the beginning, or the time is over. All of it.
  std::vector<Message> read(const std::function<bool(const std::vector<Message>&)>& enough,
                            std::chrono::seconds patience = std::chrono::seconds(30));

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::testing
