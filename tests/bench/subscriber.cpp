// SPDX-License-Identifier: Apache-2.0
/// bench_subscriber PORT QOS: a bare Paho C++ subscriber to bench/#, the measure for the agent's
/// intake. Prints `<monotonic seconds> <messages so far>` ten times a second until it is ended.
#include "tests/bench/support.hpp"

#include <mqtt/async_client.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
  using namespace lapwing::bench;
  if (argc != 3) give_up("usage: bench_subscriber PORT QOS");
  std::atomic<std::uint64_t> count{0};
  std::atomic<std::uint64_t> bytes{0};
  mqtt::create_options create(MQTTVERSION_5);
  mqtt::async_client client(std::string("tcp://127.0.0.1:") + argv[1], "bare", create);
  client.set_message_callback([&](mqtt::const_message_ptr message) {
    bytes.fetch_add(message->get_payload_ref().size(), std::memory_order_relaxed);
    count.fetch_add(1, std::memory_order_relaxed);
  });
  mqtt::connect_options options;
  options.set_mqtt_version(MQTTVERSION_5);
  options.set_clean_start(true);
  client.connect(options)->wait();
  client.subscribe("bench/#", std::atoi(argv[2]))->wait();
  while (true) {
    std::printf("%.6f %llu\n", seconds_now(), static_cast<unsigned long long>(count.load()));
    std::fflush(stdout);
    sleep_for(0.1);
  }
}
