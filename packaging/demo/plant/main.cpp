// SPDX-License-Identifier: Apache-2.0
/// lapwing-demo-plant: publishes a simulated pump with known faults, and writes down the truth.
#include "shared/base/ids.hpp"
#include "shared/base/time.hpp"
#include "shared/mqtt/client.hpp"

#include "packaging/demo/plant/plant.hpp"
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

namespace lapwing::demo {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kCycleSeconds = 90;  // of a plant that runs without end

struct Options {
  std::string broker = "mqtt://127.0.0.1:1883";
  std::string topic = "factory/demo/pump1";
  std::string truth;
  double seconds = 0;
  double rate_hz = 20;
  std::uint64_t seed = 1;
  int mqtt_version = 5;
  bool to_stdout = false;
};

std::atomic<bool> stopping{false};

/// `mqtt://host:port`.
bool split_address(const std::string& address, mqtt::Options& options) {
  const std::string prefix = "mqtt://";
  std::string rest = address.starts_with(prefix) ? address.substr(prefix.size()) : address;
  const auto colon = rest.rfind(':');
  if (colon == std::string::npos) {
    options.host = rest;
    return !rest.empty();
  }
  options.host = rest.substr(0, colon);
  const long port = std::strtol(rest.c_str() + colon + 1, nullptr, 10);
  if (options.host.empty() || port < 1 || port > 65535) return false;
  options.port = static_cast<std::uint16_t>(port);
  return true;
}

/// One line a fault, when it sets in; its end is known by then.
class Truth {
 public:
  Truth(const Options& options, double started) : topic_(options.topic), started_(started) {
    if (!options.truth.empty()) out_.open(options.truth, std::ios::trunc);
  }
  [[nodiscard]] bool good() const { return !out_.is_open() || out_.good(); }

  void write(const Fault& fault) {
    if (!out_.is_open()) return;
    Json streams = Json::array();
    Json sensors = Json::array();
    for (const std::size_t sensor : fault.sensors) {
      streams.push_back(topic_ + "/" + std::string(kSensors[sensor]));
      sensors.push_back(kSensors[sensor]);
    }
    const Json line = {{"fault", name(fault.kind)},
                       {"sensors", sensors},
                       {"streams", streams},
                       {"onset", started_ + fault.onset_s},
                       {"end", started_ + fault.end_s}};
    out_ << line.dump() << std::endl;
  }

 private:
  std::string topic_;
  double started_;
  std::ofstream out_;
};

/// The schedule of the cycle that begins at `from`.
std::vector<Fault> schedule_from(double from, double seconds) {
  auto schedule = make_schedule(seconds);
  for (Fault& fault : schedule) {
    fault.onset_s += from;
    fault.end_s += from;
  }
  return schedule;
}

/// Takes the plant through its faults; `emit(scan, seconds since the start)` says whether to go on.
template <class Emit>
void run_plant(const Options& options, Truth& truth, Emit emit) {
  const double cycle = options.seconds > 0 ? options.seconds : kCycleSeconds;
  auto schedule = schedule_from(0, cycle);
  Plant plant(options.seed, options.rate_hz, schedule);
  double cycle_end = cycle;
  std::size_t told = 0;
  while (!stopping) {
    const Scan scan = plant.scan();
    const double now = plant.time_s();
    if (options.seconds > 0 && now > options.seconds) return;
    if (now >= cycle_end) {
      schedule = schedule_from(cycle_end, cycle);
      plant.repeat(schedule);
      cycle_end += cycle;
      told = 0;
    }
    while (told < schedule.size() && now >= schedule[told].onset_s) truth.write(schedule[told++]);
    if (!emit(scan, now)) return;
  }
}

int to_stdout(const Options& options) {
  const double started = 1'700'000'000;  // any instant: nothing is live
  Truth truth(options, started);
  std::printf("timestamp");
  for (const auto sensor : kSensors)
    std::printf(",%.*s", static_cast<int>(sensor.size()), sensor.data());
  std::printf("\n");
  run_plant(options, truth, [&](const Scan& scan, double now) {
    std::printf("%.6f", started + now);
    for (const auto& value : scan) {
      if (value) {
        std::printf(",%.10g", *value);
      } else {
        std::printf(",");
      }
    }
    return std::printf("\n") > 0;
  });
  return std::fflush(stdout) == 0 && truth.good() ? 0 : 1;
}

int publish(const Options& options) {
  mqtt::Options connection;
  if (!split_address(options.broker, connection)) {
    std::cerr << "--broker " << options.broker << ": write mqtt://HOST:PORT\n";
    return 2;
  }
  connection.client_id = "lapwing-demo-plant-" + random_id().substr(0, 8);
  connection.version = options.mqtt_version == 5 ? mqtt::Version::v5 : mqtt::Version::v3_1_1;
  connection.inflight_max = 1000;
  mqtt::Client client(connection, {.on_disconnected = [&](const Error& error) {
                        if (!stopping) std::cerr << options.broker << ": " << error.context << "\n";
                      }});
  if (const auto begun = client.start(); !begun) {
    std::cerr << options.broker << ": " << begun.error().context << "\n";
    return 1;
  }
  const Ticks patience = ticks_now() + std::chrono::seconds(15);
  while (!client.connected() && !stopping) {
    if (ticks_now() > patience) {
      std::cerr << options.broker << ": no connection within 15 s; is the broker running?\n";
      client.stop();
      return 1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const Ticks start = ticks_now();
  Truth truth(options, static_cast<double>(to_micros(now())) * 1e-6);
  std::uint64_t lost = 0;
  run_plant(options, truth, [&](const Scan& scan, double at) {
    std::this_thread::sleep_until(start + Micros(std::llround(at * 1e6)));
    Json payload = Json::object();
    for (std::size_t i = 0; i < scan.size(); ++i) {
      if (scan[i]) payload[kSensors[i]] = *scan[i];
    }
    if (!client.publish(options.topic, payload.dump(), 1)) ++lost;
    return true;
  });
  stopping = true;
  client.stop();
  if (lost > 0) std::cerr << lost << " scans could not be published\n";
  return truth.good() ? 0 : 1;
}

int main_of(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Publishes a simulated pump with six sensors over MQTT and breaks it at known instants.",
      "lapwing-demo-plant");
  app.add_option("--broker", options.broker, "mqtt://HOST:PORT")->capture_default_str();
  app.add_option("--topic", options.topic, "where the JSON of all sensors goes")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "run this long; 0: without end, faults repeating")
      ->check(CLI::Range(0.0, 1e7))
      ->capture_default_str();
  app.add_option("--rate", options.rate_hz, "scans a second")
      ->check(CLI::Range(1.0, 1000.0))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "same seed, same readings")->capture_default_str();
  app.add_option("--mqtt", options.mqtt_version, "protocol version: 5, or 3 for 3.1.1")
      ->check(CLI::IsMember({3, 5}))
      ->capture_default_str();
  app.add_option("--truth", options.truth, "file for the injected faults, one JSON object a line");
  app.add_flag("--stdout", options.to_stdout, "print CSV as fast as it goes, publish nothing");
  CLI11_PARSE(app, argc, argv);
  if (options.to_stdout && options.seconds <= 0) {
    std::cerr << "--stdout needs --seconds\n";
    return 2;
  }
  std::signal(SIGINT, [](int) { stopping = true; });
  std::signal(SIGTERM, [](int) { stopping = true; });
  return options.to_stdout ? to_stdout(options) : publish(options);
}

}  // namespace
}  // namespace lapwing::demo

int main(int argc, char** argv) { return lapwing::demo::main_of(argc, argv); }
