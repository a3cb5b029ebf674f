// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fleet/drop.hpp"

#include "shared/base/signals.hpp"
#include "shared/mqtt/client.hpp"
#include "shared/wire/topics.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

namespace lapwing::fleet {

Result<void> drop_all(const std::filesystem::path& hub_dir, std::uint16_t port) {
  const Signals signals;
  std::atomic<std::uint64_t> messages{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<bool> connected{false};
  std::atomic<bool> ended{false};
  mqtt::Options options{.host = "localhost", .port = port, .client_id = "drop"};
  options.tls = mqtt::Tls{.ca_file = hub_dir / "ca.pem",
                          .certificate_file = hub_dir / "hub.pem",
                          .key_file = hub_dir / "hub.key"};
  mqtt::Client client(
      options,
      {.on_connected = [&](bool) { connected = true; },
       .on_disconnected =
           [](const Error& error) { std::fprintf(stderr, "drop: %s\n", error.context.c_str()); },
       .on_message =
           [&](const mqtt::Message& message) {
             messages.fetch_add(1, std::memory_order_relaxed);
             bytes.fetch_add(message.payload.size(), std::memory_order_relaxed);
           },
       .make_will = {}});
  client.subscribe({{std::string(wire::kUpFilter), 1}});
  if (auto started = client.start(); !started) return started;
  std::thread printer([&] {
    bool told = false;
    while (!ended) {
      if (connected) {
        if (!told) std::printf("ready\n");
        told = true;
        std::printf("%.6f %llu %llu\n",
                    std::chrono::duration<double>(ticks_now().time_since_epoch()).count(),
                    static_cast<unsigned long long>(messages.load()),
                    static_cast<unsigned long long>(bytes.load()));
        std::fflush(stdout);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(connected ? 500 : 20));
    }
  });
  static_cast<void>(signals.wait());
  ended = true;
  printer.join();
  client.stop();
  return {};
}

}  // namespace lapwing::fleet
