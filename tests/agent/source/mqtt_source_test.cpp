// SPDX-License-Identifier: Apache-2.0
/// The MQTT source against a real mosquitto.
#include "agent/source/source.hpp"
#include "shared/base/config.hpp"
#include "shared/base/metrics.hpp"
#include "shared/mqtt/client.hpp"
#include "tests/agent/decode/support.hpp"
#include "tests/support/broker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>

namespace lapwing::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr auto kPatience = 30s;

/// Takes readings, or none while it is shut, as an engine whose queues are full.
class Gate final : public ReadingSink {
 public:
  Result<void> submit(std::span<const Reading> batch) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
    readings_.insert(readings_.end(), batch.begin(), batch.end());
    changed_.notify_all();
    return {};
  }
  [[nodiscard]] bool held_up() const override { return held_up_; }
  /// Scoring waits for the outbox, or does not.
  void hold_up(bool held_up) { held_up_ = held_up; }
  void set_open(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return readings_.size() >= count; });
  }
  std::vector<Reading> readings() {
    const std::lock_guard lock(mutex_);
    return readings_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  std::atomic<bool> held_up_{false};
  std::vector<Reading> readings_;
};

/// Publishes at QoS 1, one at a time: the next is sent when the broker has the one before.
class Publisher {
 public:
  explicit Publisher(std::uint16_t port) : client_(options(port), {}) {
    EXPECT_TRUE(client_.start().has_value());
  }
  ~Publisher() { publish("$flush", "", 0); }  // goes out only when the last one has arrived

  void publish(std::string_view topic, std::string_view payload, int qos = 1) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (true) {
      const auto sent = client_.publish(topic, payload, qos);
      if (sent) return;
      ASSERT_LT(std::chrono::steady_clock::now(), end) << sent.error().context;
      std::this_thread::sleep_for(1ms);
    }
  }

 private:
  static mqtt::Options options(std::uint16_t port) {
    mqtt::Options options;
    options.port = port;
    options.client_id = "publisher";
    options.inflight_max = 1;
    return options;
  }
  mqtt::Client client_;
};

class MqttSourceTest : public ::testing::Test {
 protected:
  std::unique_ptr<Source> make(const std::string& more = {}, const std::string& name = "site") {
    auto document =
        config::Document::parse("[[source]]\nname = \"" + name + "\"\nbroker = \"" + scheme +
                                    "://localhost:" + std::to_string(broker.port()) + "\"\n" + more,
                                "agent.toml");
    config::Section root = document.root();
    const auto sources = read_sources(root);
    for (const auto& problem : document.finish()) ADD_FAILURE() << problem.text();
    return make_source(sources.at(0), {namer, gate, quarantine, &metrics, "agent"});
  }
  static void wait_for_state(const Source& source, SourceState state) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (source.health().state != state) {
      ASSERT_LT(std::chrono::steady_clock::now(), end)
          << to_string(source.health().state) << " " << source.health().detail;
      std::this_thread::sleep_for(5ms);
    }
  }

  std::string scheme = "mqtt";
  lapwing::testing::Broker broker;
  Metrics metrics;
  testing::Namer namer;
  Gate gate;
  Quarantine quarantine{QuarantineConfig{}};
};

TEST_F(MqttSourceTest, ReceivesWhatItsFiltersTakeInOrderWithBothVersions) {
  ASSERT_TRUE(broker.start());
  for (const char* version : {"5", "3.1.1"}) {
    auto source =
        make("topics = [\"a/+/t\", \"b/#\"]\nversion = \"" + std::string(version) + "\"\n");
    ASSERT_TRUE(source->start().has_value());
    wait_for_state(*source, SourceState::running);
    const std::size_t before = gate.readings().size();
    Publisher publisher(broker.port());
    publisher.publish("a/1/other", "99");
    for (int i = 0; i < 300; ++i) publisher.publish("a/1/t", std::to_string(i));
    publisher.publish("b/x/y", R"({"v":1})");
    ASSERT_TRUE(gate.wait_for(before + 301));
    source->stop();
    const auto readings = gate.readings();
    for (std::size_t i = 0; i < 300; ++i) EXPECT_EQ(readings[before + i].value, i);
    EXPECT_EQ(source->health().messages, 301U);
    EXPECT_EQ(source->health().state, SourceState::stopped);
  }
  EXPECT_THAT(namer.names, ::testing::ElementsAre("a/1/t", "b/x/y/v"));
}

// Each took one message, rested for the next twenty milliseconds, and so did the other: two sources
// got some twenty messages a second.
TEST_F(MqttSourceTest, TwoSourcesDoNotSlowEachOtherDown) {
  broker.configure("allow_anonymous true\nmax_queued_messages 0\nmax_queued_bytes 0\n");
  ASSERT_TRUE(broker.start());
  auto one = make("topics = [\"a\"]\nqos = 0\n", "one");
  auto two = make("topics = [\"b\"]\nqos = 0\n", "two");
  for (auto* source : {one.get(), two.get()}) {
    ASSERT_TRUE(source->start().has_value());
    wait_for_state(*source, SourceState::running);
  }
  std::string lines;
  for (int i = 0; i < 3000; ++i) lines += std::to_string(i) + "\n";
  const auto file = broker.put("lines", lines);
  const std::string publish = "mosquitto_pub -p " + std::to_string(broker.port());
  ASSERT_EQ(std::system(("{ " + publish + " -t a -l < " + file.string() + " & " + publish +
                         " -t b -l < " + file.string() + "; wait; }")
                            .c_str()),
            0);
  EXPECT_TRUE(gate.wait_for(6000));
}

TEST_F(MqttSourceTest, WaitsForABrokerThatIsAbsentAtStart) {
  auto source = make();
  ASSERT_TRUE(source->start().has_value());
  wait_for_state(*source, SourceState::waiting);
  EXPECT_THAT(source->health().detail, HasSubstr(std::to_string(broker.port())));
  ASSERT_TRUE(broker.start());
  wait_for_state(*source, SourceState::running);
  Publisher publisher(broker.port());
  publisher.publish("t", "1");
  EXPECT_TRUE(gate.wait_for(1));
}

TEST_F(MqttSourceTest, ComesBackAfterItsBrokerWasKilled) {
  ASSERT_TRUE(broker.start());
  auto source = make();
  ASSERT_TRUE(source->start().has_value());
  wait_for_state(*source, SourceState::running);
  broker.kill();
  wait_for_state(*source, SourceState::waiting);
  ASSERT_TRUE(broker.start());
  wait_for_state(*source, SourceState::running);
  Publisher publisher(broker.port());
  publisher.publish("t", "1");
  EXPECT_TRUE(gate.wait_for(1));
}

TEST_F(MqttSourceTest, AStoppedAgentGetsWhatItsBrokerKept) {
  ASSERT_TRUE(broker.start());
  auto source = make();
  ASSERT_TRUE(source->start().has_value());
  wait_for_state(*source, SourceState::running);
  source->stop();
  {
    Publisher publisher(broker.port());
    for (int i = 0; i < 50; ++i) publisher.publish("t", std::to_string(i));
  }
  ASSERT_TRUE(source->start().has_value());
  ASSERT_TRUE(gate.wait_for(50));
  const auto readings = gate.readings();
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(readings[i].value, i);
}

TEST_F(MqttSourceTest, QuarantinesBadPayloadsAndGoesOn) {
  ASSERT_TRUE(broker.start());
  auto source = make("format = \"json\"\n");
  ASSERT_TRUE(source->start().has_value());
  wait_for_state(*source, SourceState::running);
  Publisher publisher(broker.port());
  publisher.publish("t", "");
  publisher.publish("t", "x");
  publisher.publish("t", std::string(10'000'000, '1'));
  publisher.publish("t", "{\"v\xff\":1}");
  publisher.publish("t", std::string(5000, '[') + "1" + std::string(5000, ']'));
  publisher.publish("t/../u", R"({"v":1})");
  publisher.publish(std::string(60000, 't'), R"({"v":1})");
  publisher.publish("t", R"({"v":1})");
  ASSERT_TRUE(gate.wait_for(1));
  EXPECT_EQ(quarantine.total(), 7U);
  EXPECT_EQ(quarantine.total(Refusal::too_large), 1U);
  EXPECT_EQ(quarantine.total(Refusal::name), 2U);
  EXPECT_EQ(source->health().refused, 7U);
}

TEST_F(MqttSourceTest, HoldsItsBrokerBackWhileTheEngineIsFullAndLosesNothing) {
  broker.configure("allow_anonymous true\nmax_queued_messages 0\nmax_queued_bytes 0\n");
  ASSERT_TRUE(broker.start());
  gate.set_open(false);
  auto source = make("buffer = \"64KiB\"\ngather = \"0s\"\n");
  ASSERT_TRUE(source->start().has_value());
  wait_for_state(*source, SourceState::running);
  constexpr std::size_t kMessages = 3000;
  std::thread feeder([&] {
    Publisher publisher(broker.port());
    for (std::size_t i = 0; i < kMessages; ++i) publisher.publish("t", std::to_string(i));
  });
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (source->health().waits == 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_GT(source->health().waits, 0U);
  EXPECT_EQ(gate.readings().size(), 0U);
  gate.set_open(true);
  EXPECT_TRUE(gate.wait_for(kMessages));
  feeder.join();
  const auto readings = gate.readings();
  for (std::size_t i = 0; i < readings.size(); ++i) ASSERT_EQ(readings[i].value, i);
  EXPECT_THAT(metrics.text(), HasSubstr("lapwing_source_waits_total{source=\"site\"}"));
}

// With `summaries_at_bound = "block"` scoring waits for the hub. A source that waited with it kept
// the thread on which the hub's answers come: the agent stood still for good.
TEST_F(MqttSourceTest, LeavesItsBrokerWhileScoringIsHeldUpAndLosesNothing) {
  broker.configure("allow_anonymous true\nmax_queued_messages 0\nmax_queued_bytes 0\n");
  ASSERT_TRUE(broker.start());
  gate.set_open(false);
  gate.hold_up(true);
  auto source = make("buffer = \"64KiB\"\ngather = \"0s\"\n");
  ASSERT_TRUE(source->start().has_value());
  wait_for_state(*source, SourceState::running);
  constexpr std::size_t kMessages = 3000;
  const std::string filler(200, ' ');
  {
    Publisher publisher(broker.port());  // is answered on the thread that the source shares
    for (std::size_t i = 0; i < kMessages; ++i) publisher.publish("t", filler + std::to_string(i));
  }
  EXPECT_EQ(gate.readings().size(), 0U);
  wait_for_state(*source, SourceState::waiting);
  EXPECT_THAT(source->health().detail, HasSubstr("scoring waits for the outbox"));
  gate.hold_up(false);
  gate.set_open(true);
  ASSERT_TRUE(gate.wait_for(kMessages));
  wait_for_state(*source, SourceState::running);
  std::set<double> values;
  for (const Reading& reading : gate.readings()) values.insert(reading.value);
  EXPECT_EQ(values.size(), kMessages) << "some may have come twice, as QoS 1 allows";
  EXPECT_THAT(metrics.text(), HasSubstr("lapwing_source_pauses_total{source=\"site\"} 1"));
  EXPECT_THAT(metrics.text(), HasSubstr("lapwing_source_dropped_total{source=\"site\"} 0"));
}

TEST_F(MqttSourceTest, StopsAfterItLeftItsBroker) {
  ASSERT_TRUE(broker.start());
  gate.set_open(false);
  gate.hold_up(true);
  auto source = make("buffer = \"64KiB\"\ngather = \"0s\"\n");
  ASSERT_TRUE(source->start().has_value());
  wait_for_state(*source, SourceState::running);
  {
    Publisher publisher(broker.port());
    const std::string large(20'000, ' ');
    for (int i = 0; i < 20; ++i) publisher.publish("t", large + "1");
  }
  wait_for_state(*source, SourceState::waiting);
  std::thread stopper([&] { source->stop(); });
  gate.set_open(true);
  stopper.join();
  EXPECT_EQ(source->health().state, SourceState::stopped);
}

TEST_F(MqttSourceTest, StopsWhileItHoldsItsBrokerBack) {
  ASSERT_TRUE(broker.start());
  gate.set_open(false);
  auto source = make("buffer = \"64KiB\"\ngather = \"0s\"\n");
  ASSERT_TRUE(source->start().has_value());
  wait_for_state(*source, SourceState::running);
  // From another process: while the source waits, no client of this one receives.
  const auto payload = broker.put("payload", std::string(20000, ' ') + "1");
  ASSERT_EQ(std::system(("mosquitto_pub -p " + std::to_string(broker.port()) +
                         " -t t --repeat 20 -f " + payload.string())
                            .c_str()),
            0);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (source->health().waits == 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_GT(source->health().waits, 0U);
  std::thread stopper([&] { source->stop(); });
  gate.set_open(true);
  stopper.join();
  EXPECT_EQ(source->health().state, SourceState::stopped);
}

class TlsSourceTest : public MqttSourceTest {
 protected:
  void SetUp() override {
    scheme = "mqtts";
    const std::string script =
        "cd " + broker.folder().string() +
        " && for ca in ca other; do openssl req -x509 -newkey ec -pkeyopt "
        "ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem; "
        "done"
        " && printf 'subjectAltName=DNS:localhost' > san"
        " && for n in server agent; do openssl req -newkey ec -pkeyopt "
        "ec_paramgen_curve:prime256v1 "
        "-nodes -subj /CN=$n -keyout $n.key -out $n.csr && openssl x509 -req -in $n.csr -CA ca.pem "
        "-CAkey ca.key -CAcreateserial -days 2 -extfile san -out $n.pem; done";
    ASSERT_EQ(std::system(("(" + script + ") > /dev/null 2>&1").c_str()), 0);
    const std::string folder = broker.folder().string() + "/";
    broker.configure("allow_anonymous false\ncafile " + folder + "ca.pem\ncertfile " + folder +
                     "server.pem\nkeyfile " + folder +
                     "server.key\nrequire_certificate true\nuse_identity_as_username true\n");
    ASSERT_TRUE(broker.start()) << broker.log();
  }
  [[nodiscard]] std::string file(const std::string& key, const std::string& name) const {
    return key + " = \"" + (broker.folder() / name).string() + "\"\n";
  }
};

TEST_F(TlsSourceTest, ConnectsWithAClientCertificate) {
  auto source = make(file("ca_file", "ca.pem") + file("certificate_file", "agent.pem") +
                     file("key_file", "agent.key"));
  ASSERT_TRUE(source->start().has_value());
  wait_for_state(*source, SourceState::running);
}

TEST_F(TlsSourceTest, NamesAnAuthorityThatDidNotSignTheBroker) {
  auto source = make(file("ca_file", "other.pem") + file("certificate_file", "agent.pem") +
                     file("key_file", "agent.key"));
  ASSERT_TRUE(source->start().has_value()) << "a wrong authority may be mended while we wait";
  wait_for_state(*source, SourceState::waiting);
  EXPECT_THAT(source->health().detail, HasSubstr("other.pem"));
}

TEST_F(TlsSourceTest, RefusesToStartWithoutItsKeyFile) {
  auto source = make(file("ca_file", "ca.pem") + file("certificate_file", "agent.pem") +
                     file("key_file", "missing.key"));
  const auto started = source->start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Errc::bad_config);
  EXPECT_THAT(started.error().context, HasSubstr("missing.key"));
  EXPECT_THAT(started.error().context, HasSubstr("source \"site\""));
}

}  // namespace
}  // namespace lapwing::agent
