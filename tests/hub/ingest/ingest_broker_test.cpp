// SPDX-License-Identifier: Apache-2.0
/// Ingest on a real mosquitto with TLS and the ACL that `init` writes; a device speaks the
/// protocol.
#include "hub/fleet/enrolment.hpp"
#include "hub/fleet/init.hpp"
#include "hub/ingest/ingest.hpp"
#include "hub/store/config.hpp"
#include "hub/store/replicas.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/base/files.hpp"
#include "shared/wire/codec.hpp"
#include "tests/support/broker.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <unistd.h>

namespace lapwing::hub {
namespace {

using lapwing::testing::accepts;
using lapwing::testing::eventually;
using lapwing::testing::Process;
using lapwing::testing::TempDir;
using std::chrono::seconds;
using wire::Channel;

/// A device at the level of messages; answers are kept until somebody waits for them.
class Device {
 public:
  Device(std::uint16_t port, const std::filesystem::path& folder, wire::Identity who)
      : who_(std::move(who)), client_(options(port, folder), handlers()) {
    client_.subscribe({{wire::down_filter(who_), 1}});
    EXPECT_TRUE(client_.start());
  }
  ~Device() { client_.stop(); }

  bool wait_connected() {
    return eventually([this] { return client_.connected(); });
  }
  void send(Channel channel, const std::string& body) {
    EXPECT_TRUE(eventually([&] {
      return client_.publish(wire::topic(who_, channel), writer_.seal(body), 1).has_value();
    }));
  }
  std::optional<wire::Welcome> wait_welcome() {
    const auto body = wait(Channel::welcome);
    return body ? std::optional(wire::decode_welcome(*body).value()) : std::nullopt;
  }
  std::optional<wire::Command> wait_command() {
    const auto body = wait(Channel::command);
    return body ? std::optional(wire::decode_command(*body).value()) : std::nullopt;
  }
  std::optional<wire::Ack> wait_ack() {
    const auto body = wait(Channel::ack);
    return body ? std::optional(wire::decode_ack(*body).value()) : std::nullopt;
  }

 private:
  mqtt::Options options(std::uint16_t port, const std::filesystem::path& folder) const {
    mqtt::Options options;
    options.host = "localhost";
    options.port = port;
    options.client_id = wire::to_string(who_);
    options.tls = mqtt::Tls{folder / "ca.pem", folder / "device.pem", folder / "device.key", true};
    options.backoff_max = std::chrono::milliseconds(300);
    return options;
  }
  mqtt::Handlers handlers() {
    mqtt::Handlers handlers;
    handlers.on_message = [this](const mqtt::Message& message) {
      const auto topic = wire::parse_topic(message.topic);
      if (!topic) return;
      const std::lock_guard lock(mutex_);
      heard_[topic->channel].emplace_back(message.payload);
      changed_.notify_all();
    };
    handlers.make_will = [this] {
      wire::Status status;
      status.connection_id = "c1";
      status.online = false;
      return mqtt::Will{.topic = wire::topic(who_, Channel::status),
                        .payload = wire::FrameWriter().seal(wire::encode(status))};
    };
    return handlers;
  }
  std::optional<std::string> wait(Channel channel) {
    std::unique_lock lock(mutex_);
    auto& queue = heard_[channel];
    if (!changed_.wait_until(lock, std::chrono::system_clock::now() + lapwing::testing::kPatience,
                             [&] { return !queue.empty(); })) {
      return std::nullopt;
    }
    const auto frame = std::move(queue.front());
    queue.pop_front();
    return std::string(wire::FrameReader().open(frame).value());
  }

  wire::Identity who_;
  wire::FrameWriter writer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Channel, std::deque<std::string>> heard_;
  mqtt::Client client_;
};

class IngestOnABroker : public ::testing::Test {
 protected:
  const wire::Identity who_{"acme", "edge-1"};
  const DeviceKey key_{"acme", "edge-1"};

  void SetUp() override {
    options_ = {.directory = folder_.path() / "hub",
                .tenant = "acme",
                .hosts = {"localhost"},
                .mqtt_port = lapwing::testing::free_port(),
                .run_as_root = ::geteuid() == 0};
    ASSERT_TRUE(init(options_, now()));
    store_ = open_sqlite_store(options_.directory / "hub.db").value();
    identity_ = enrol(key_);
    start_broker();
    start_ingest();
  }
  void TearDown() override {
    ingest_.reset();
    broker_.reset();
  }

  std::filesystem::path enrol(const DeviceKey& key) {
    Enrolment enrolment(*store_, trust::Authority::load(options_.directory / "ca.pem",
                                                        options_.directory / "ca.key")
                                     .value());
    const auto permit = enrolment.permit(key, seconds(60), "test", now());
    const auto secret = trust::PrivateKey::generate().value();
    const auto enrolled =
        enrolment.enrol(permit->token.reveal(), trust::make_csr(secret, key.device).value(), now());
    EXPECT_TRUE(enrolled) << enrolled.error().context;
    const auto folder = folder_.path() / key.device;
    std::filesystem::create_directories(folder);
    EXPECT_TRUE(write_file_atomic(folder / "ca.pem", enrolled->authority_pem));
    EXPECT_TRUE(write_file_atomic(folder / "device.pem", enrolled->certificate_pem));
    EXPECT_TRUE(secret.write_new(folder / "device.key"));
    return folder;
  }
  void start_broker() {
    broker_ = std::make_unique<Process>(std::vector<std::string>{
        "mosquitto", "-c", (options_.directory / "mosquitto.conf").string()});
    ASSERT_TRUE(eventually([&] { return accepts(options_.mqtt_port); })) << broker_->err();
  }
  void start_ingest(Ingest::Listener listener = {}) {
    mqtt::Options broker;
    broker.host = "localhost";
    broker.port = options_.mqtt_port;
    broker.tls = mqtt::Tls{options_.directory / "ca.pem", options_.directory / "hub.pem",
                           options_.directory / "hub.key", true};
    ingest_ = std::make_unique<Ingest>(IngestConfig{}, broker, *store_, feed_, metrics_);
    ingest_->tell(std::move(listener));
    ASSERT_TRUE(ingest_->start());
    ASSERT_TRUE(eventually([&] { return ingest_->ready(); }));
  }

  static std::string hello(const std::string& connection) {
    wire::Hello h;
    h.connection_id = connection;
    h.instance_id = "i1";
    h.database_id = "db1";
    h.sent = now();
    return wire::encode(h);
  }
  static std::string batch(std::uint64_t first, std::uint64_t last,
                           const std::string& connection = "c1") {
    wire::RecordBatch b;
    b.epoch = 1;
    b.connection_id = connection;
    for (auto seq = first; seq <= last; ++seq) {
      wire::AnomalyRecord a;
      a.id = seq;
      a.stream = "pump";
      a.onset = now();
      b.entries.push_back({seq, seq, wire::RecordClass::anomaly, wire::encode_record(a)});
    }
    return wire::encode(b);
  }

  TempDir folder_;
  InitOptions options_;
  Metrics metrics_;
  Feed feed_;
  std::unique_ptr<Store> store_;
  std::filesystem::path identity_;
  std::unique_ptr<Process> broker_;
  std::unique_ptr<Ingest> ingest_;
};

TEST_F(IngestOnABroker, WhatCameWhileTheStoreWasAwayIsAnsweredWhenItIsBack) {
  if (!lapwing::testing::PostgresServer::installed()) GTEST_SKIP();
  lapwing::testing::PostgresServer server;
  ASSERT_TRUE(server.start());
  ingest_.reset();
  store_ = open_store({.url = server.new_database()}, options_.directory).value();
  identity_ = enrol({"acme", "edge-2"});
  start_ingest();
  Device device(options_.mqtt_port, identity_, {"acme", "edge-2"});
  ASSERT_TRUE(device.wait_connected());
  server.crash();
  device.send(Channel::hello, hello("c1"));  // said once: a device would wait before it repeats it
  ASSERT_TRUE(eventually([&] { return !ingest_->ready(); }));
  ASSERT_TRUE(server.start());
  EXPECT_TRUE(device.wait_welcome());
  EXPECT_TRUE(eventually([&] { return ingest_->ready(); }));
  ingest_.reset();
  store_.reset();
}

TEST_F(IngestOnABroker, StoresAcknowledgesAndWakesTheFeed) {
  std::atomic<std::uint64_t> newest{0};
  const auto subscription = feed_.listen([&](std::uint64_t seq) { newest = seq; });
  Device device(options_.mqtt_port, identity_, who_);
  ASSERT_TRUE(device.wait_connected());
  device.send(Channel::hello, hello("c1"));
  const auto welcome = device.wait_welcome();
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->epoch, 1U);
  device.send(Channel::records, batch(1, 10));
  const auto ack = device.wait_ack();
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->watermark, 10U);
  EXPECT_EQ(store_->ledger(key_)->stored, 10U);
  EXPECT_TRUE(eventually([&] { return newest == store_->feed_bounds("acme")->newest; }));
  EXPECT_TRUE(eventually([&] { return metrics_.gauge("hub_ledger_produced", "").value() == 10; }));
}

TEST_F(IngestOnABroker, ADeviceThatIsCutOffGoesOfflineByItsWill) {
  Device device(options_.mqtt_port, identity_, who_);
  ASSERT_TRUE(device.wait_connected());
  device.send(Channel::hello, hello("c1"));
  ASSERT_TRUE(device.wait_welcome());
  EXPECT_EQ(store_->device(key_)->status, DeviceStatus::online);
  // The broker ends the first connection when the same identity connects again.
  Device second(options_.mqtt_port, identity_, who_);
  EXPECT_TRUE(eventually([&] { return store_->device(key_)->status == DeviceStatus::offline; }));
}

TEST_F(IngestOnABroker, GoesOnAfterTheBrokerWasKilled) {
  Device device(options_.mqtt_port, identity_, who_);
  ASSERT_TRUE(device.wait_connected());
  device.send(Channel::hello, hello("c1"));
  ASSERT_TRUE(device.wait_welcome());
  device.send(Channel::records, batch(1, 5));
  ASSERT_TRUE(device.wait_ack());
  broker_->kill();
  ASSERT_TRUE(eventually([&] { return !ingest_->ready(); }));
  start_broker();
  ASSERT_TRUE(eventually([&] { return ingest_->ready() && device.wait_connected(); }));
  device.send(Channel::records, batch(1, 8));
  EXPECT_TRUE(eventually([&] { return store_->ledger(key_)->stored == 8; }));
}

TEST_F(IngestOnABroker, ToldWhereItStandsTheDeviceGoesOnWhenTheHubComesBack) {
  Device device(options_.mqtt_port, identity_, who_);
  ASSERT_TRUE(device.wait_connected());
  device.send(Channel::hello, hello("c1"));
  ASSERT_TRUE(device.wait_welcome());
  device.send(Channel::records, batch(1, 5));
  ASSERT_TRUE(device.wait_ack());
  ingest_.reset();
  start_ingest();
  const auto ack = device.wait_ack();  // nobody asked for it
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->watermark, 5U);
  EXPECT_EQ(ack->connection_id, "c1");
}

TEST_F(IngestOnABroker, HandsOffItsDevicesAndTellsWhatTheyAnswered) {
  Device device(options_.mqtt_port, identity_, who_);
  ASSERT_TRUE(device.wait_connected());
  EXPECT_EQ(ingest_->hand_off(seconds(5)).value(), 0U) << "nobody said hello";
  device.send(Channel::hello, hello("c1"));
  ASSERT_TRUE(device.wait_welcome());
  EXPECT_EQ(store_->replicas().devices_of("hub", 10).value(), std::vector{key_});
  EXPECT_EQ(ingest_->hand_off(seconds(5)).value(), 1U);
  const auto command = device.wait_command();
  ASSERT_TRUE(command);
  EXPECT_EQ(command->id, 0U);
  EXPECT_EQ(command->kind, "reconnect");
  EXPECT_EQ(command->arguments, R"({"within_ms":5000})");

  ingest_.reset();
  std::mutex mutex;
  std::vector<std::pair<DeviceKey, wire::CommandResult>> answers;
  start_ingest({.on_hello = {}, .on_results = [&](auto results) {
                  const std::scoped_lock lock(mutex);
                  answers = std::move(results);
                }});
  device.send(Channel::result, "not a result");
  device.send(Channel::result,
              wire::encode(wire::CommandResult{"c1", 7, wire::CommandState::done, "fine"}));
  EXPECT_TRUE(eventually([&] {
    const std::scoped_lock lock(mutex);
    return answers.size() == 1 && answers[0].first == key_ && answers[0].second.id == 7;
  }));
  EXPECT_EQ(store_->dead_letters("acme", {})->items.size(), 1U);
}

TEST_F(IngestOnABroker, NamesTheCertificateItCannotUse) {
  mqtt::Options broker;
  broker.host = "localhost";
  broker.port = options_.mqtt_port;
  broker.tls = mqtt::Tls{options_.directory / "ca.pem", "/nonexistent/hub.pem",
                         options_.directory / "hub.key", true};
  Ingest ingest({}, broker, *store_, feed_, metrics_);
  const auto started = ingest.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::bad_config);
  EXPECT_NE(started.error().context.find("/nonexistent/hub.pem"), std::string::npos);
}

}  // namespace
}  // namespace lapwing::hub
