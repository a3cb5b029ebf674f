// SPDX-License-Identifier: Apache-2.0
/// What the benchmark programs share: a cheap publisher, time, rows of the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::bench {

/// Prints the reason and exits with 1: a figure is measured or missing.
[[noreturn]] void give_up(std::string_view why);

void sleep_for(double seconds);
/// Of the monotonic clock, which all processes of a machine share.
[[nodiscard]] double seconds_now();
/// Time this thread has run: other programs on the machine do not count.
[[nodiscard]] double thread_seconds();

struct Packet {
  std::string topic;
  std::string payload;
};

/// A connection to a broker on 127.0.0.1 that only publishes (MQTT 3.1.1): it costs a fraction of
/// what a client library does, so that the subscriber is what is measured.
class Publisher {
 public:
  explicit Publisher(std::uint16_t port);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  void add(const Packet& packet, int qos);
  /// Sends what was added; with QoS 1 waits while more than 1,000 acknowledgements are missing.
  void flush();
  /// Waits for every acknowledgement.
  void finish();

 private:
  void take_acknowledgements();

  int socket_;
  std::string bytes_;
  std::size_t missing_ = 0;
  std::size_t answer_bytes_ = 0;
  std::uint16_t packet_id_ = 0;
};

/// `figure | target | measured`, as a line that tests/bench/bench.py prints in its table.
void row(std::string_view figure, std::string_view target, std::string_view measured, bool met);
[[nodiscard]] std::string format(const char* pattern, double value);
[[nodiscard]] double median(std::vector<double> values);

}  // namespace lapwing::bench
