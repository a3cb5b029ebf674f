// SPDX-License-Identifier: Apache-2.0
/// Sinks against brokers that fail: of each device everything arrives, in order.
#include "hub/api/rows_json.hpp"
#include "hub/sink/record_json.hpp"
#include "hub/sink/sinks.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/sqlite/connection.hpp"
#include "tests/hub/sink/mock_kafka.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <csignal>
#include <cstdio>
#include <map>
#include <set>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace lapwing::hub {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::MockKafka;
using testing::TempDir;
using Json = nlohmann::json;

constexpr int kTimedOut = 7;
constexpr int kNotLeader = 6;
constexpr int kNotEnoughReplicas = 19;
constexpr int kNotAuthorized = 29;

DeviceKey device(int number) { return {"acme", "press-" + std::to_string(number)}; }

wire::AnomalyRecord anomaly(std::uint64_t id) {
  wire::AnomalyRecord a;
  a.id = id;
  a.phase = wire::Phase::opened;
  a.severity = wire::Severity::major;
  a.reason = wire::Reason::unusual;
  a.stream = "plant/pump";
  a.watch = "w";
  a.detector = "auto";
  a.onset = a.peak_time = from_micros(1'790'000'000'000'000);
  a.peak_score = 3.5;
  a.text = "far above the band";
  a.contributions = {{"plant/pump", 1.0}};
  a.tags = {{"site", "north"}};
  return a;
}

/// Takes in, as ingest does: each device's next `count` anomalies, in one transaction.
Result<void> take(Store& store, Sinks& sinks, int devices, std::uint64_t count,
                  const std::string& text = {}) {
  auto transaction = store.begin_ingest();
  if (!transaction) return transaction.error();
  const auto tap = sinks.follow(**transaction);
  for (int d = 0; d < devices; ++d) {
    const auto session = (*transaction)->device(device(d));
    if (!session) return session.error();
    auto state = session->sync;
    state.epoch = 1;
    if (session->sync.epoch != 1) {
      if (auto saved = (*transaction)->save_sync(device(d), state); !saved) return saved;
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto seq = ++state.watermark;
      auto one = anomaly(seq);
      if (!text.empty()) one.text = text;
      const wire::RecordBody body = std::move(one);
      const IncomingRecord record{seq, seq, wire::RecordClass::anomaly, seq, &body};
      auto stored = (*transaction)->store(device(d), 1, now(), std::span(&record, 1));
      if (!stored) return stored.error();
    }
    if (auto saved = (*transaction)->save_sync(device(d), state); !saved) return saved;
  }
  if (auto passed = tap->before_commit(); !passed) return passed;
  auto committed = (*transaction)->commit();
  if (!committed) return committed.error();
  return {};
}

/// What a consumer makes of the topic: the first time of each (device, epoch, seq) counts.
struct Seen {
  std::map<std::string, std::vector<std::uint64_t>> records;  ///< by device, in order
  std::map<std::string, std::uint64_t> given_up;
  std::map<std::string, std::set<int>> partitions;
  std::uint64_t told = 0;  ///< records, those that were given up included
  std::size_t duplicates = 0;

  /// Further messages of the topic, of which this is all so far.
  void take(const std::vector<MockKafka::Message>& messages);

 private:
  std::size_t taken_ = 0;
  std::set<std::tuple<std::string, std::uint64_t, std::uint64_t, bool>> known_;
};

void Seen::take(const std::vector<MockKafka::Message>& messages) {
  for (; taken_ < messages.size(); ++taken_) {
    const auto& message = messages[taken_];
    const auto value = Json::parse(message.value);
    EXPECT_EQ(message.key,
              value["tenant"].get<std::string>() + "/" + value["device"].get<std::string>());
    EXPECT_EQ(message.record_class, value["class"]);
    const bool loss = value["class"] == "loss";
    const std::uint64_t seq = value["seq"];
    partitions[message.key].insert(message.partition);
    if (!known_.emplace(message.key, value["epoch"], seq, loss).second) {
      ++duplicates;
    } else if (loss) {
      given_up[message.key] += value["records"].get<std::uint64_t>();
      told += value["records"].get<std::uint64_t>();
    } else {
      records[message.key].push_back(seq);
      ++told;
    }
  }
}

class KafkaSink : public ::testing::Test {
 protected:
  static constexpr int kDevices = 5;

  void SetUp() override { open(); }
  void open() {
    sinks_.reset();
    store_.reset();
    auto opened = open_sqlite_store(folder_.path() / "hub.db");
    ASSERT_TRUE(opened) << opened.error().context;
    store_ = *std::move(opened);
    for (int d = 0; d < kDevices; ++d) {
      ASSERT_TRUE(store_->register_device({device(d), now(), "0a", now()}));
    }
  }
  [[nodiscard]] SinkConfig config() const {
    SinkConfig c;
    c.name = "plant";
    c.brokers = kafka_.brokers();
    c.topic = MockKafka::topic();
    c.compression = "none";
    return c;
  }
  void start(const SinkConfig& config) {
    auto started = Sinks::start({config}, *store_, metrics_);
    ASSERT_TRUE(started) << started.error().context;
    sinks_ = *std::move(started);
  }
  /// Reads until so many records were told.
  const Seen& read(std::uint64_t records) {
    kafka_.read([&](const auto& all) {
      seen_.take(all);
      return seen_.told >= records;
    });
    return seen_;
  }
  /// Each device's first `last` records are there, or told as given up; in order.
  const Seen& expect_all(std::uint64_t last) {
    read(last * kDevices);
    for (int d = 0; d < kDevices; ++d) {
      const auto key = "acme/press-" + std::to_string(d);
      const auto& seqs = seen_.records[key];
      EXPECT_EQ(seqs.size() + seen_.given_up[key], last) << key;
      EXPECT_TRUE(std::is_sorted(seqs.begin(), seqs.end())) << key << " out of order";
      EXPECT_EQ(seen_.partitions[key].size(), 1U);
    }
    return seen_;
  }
  std::uint64_t waiting() { return store_->spool().figures("plant")->rows; }

  TempDir folder_;
  Metrics metrics_;
  MockKafka kafka_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Sinks> sinks_;
  Seen seen_;
};

TEST_F(KafkaSink, HandsOnWhatIsCommittedOnceAndInOrder) {
  start(config());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(take(*store_, *sinks_, kDevices, 20));
  EXPECT_EQ(expect_all(400).duplicates, 0U);
  EXPECT_TRUE(testing::eventually([this] { return waiting() == 0; }));
  EXPECT_TRUE(testing::eventually([this] { return sinks_->notes().empty(); }));
  EXPECT_THAT(metrics_.text(),
              HasSubstr("lapwing_hub_sink_sent_total{class=\"anomaly\",sink=\"plant\"} 2000"));
}

TEST_F(KafkaSink, OfTwoReplicasOneHandsOn) {
  start(config());
  auto other = Sinks::start({config()}, *store_, metrics_);
  ASSERT_TRUE(other);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(take(*store_, i % 2 == 0 ? *sinks_ : **other, kDevices, 10));
  }
  EXPECT_EQ(expect_all(100).duplicates, 0U);
  sinks_.reset();  // the other goes on at once: the lease was given back
  ASSERT_TRUE(take(*store_, **other, kDevices, 10));
  EXPECT_EQ(expect_all(110).duplicates, 0U);
}

TEST_F(KafkaSink, WhatBrokersRefuseForNowArrivesInOrder) {
  start(config());
  for (int i = 0; i < 10; ++i) {
    kafka_.fail_produce({kTimedOut, kNotLeader, 0, kNotEnoughReplicas, kNotLeader});
    ASSERT_TRUE(take(*store_, *sinks_, kDevices, 20));
  }
  expect_all(200);
}

TEST_F(KafkaSink, AFailureThatIsNotTriedAgainByItselfIsTriedAgain) {
  start(config());
  kafka_.fail_produce({kNotAuthorized, kNotAuthorized, kNotAuthorized});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(take(*store_, *sinks_, kDevices, 20));
  expect_all(100);
  EXPECT_THAT(metrics_.text(), HasSubstr("reason=\"TOPIC_AUTHORIZATION_FAILED\",sink=\"plant\""));
}

TEST_F(KafkaSink, IngestGoesOnWhileKafkaIsAway) {
  start(config());
  ASSERT_TRUE(take(*store_, *sinks_, kDevices, 10));
  expect_all(10);
  kafka_.down();
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(take(*store_, *sinks_, kDevices, 10));
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(5));
  EXPECT_TRUE(testing::eventually([this] { return !sinks_->notes().empty(); }));
  EXPECT_THAT(sinks_->notes().at(0), HasSubstr("sink plant"));
  EXPECT_EQ(waiting(), kDevices * 100U);
  kafka_.up();
  expect_all(110);
  EXPECT_TRUE(testing::eventually([this] { return waiting() == 0 && sinks_->notes().empty(); }));
}

TEST_F(KafkaSink, WhatWaitsSurvivesTheEndOfTheHub) {
  kafka_.down();
  start(config());
  ASSERT_TRUE(take(*store_, *sinks_, kDevices, 50));
  open();  // it ends although Kafka is away
  kafka_.up();
  start(config());
  ASSERT_TRUE(take(*store_, *sinks_, kDevices, 50));
  expect_all(100);
}

TEST_F(KafkaSink, AtItsBoundTheOldestIsGivenUpAndTold) {
  kafka_.down();
  auto bounded = config();
  bounded.spool_rows_max = 1000;
  start(bounded);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(take(*store_, *sinks_, kDevices, 100));
  ASSERT_TRUE(testing::eventually([this] { return waiting() <= 1000; }));
  kafka_.up();
  const auto& seen = expect_all(1000);
  EXPECT_EQ(seen.given_up.size(), static_cast<std::size_t>(kDevices));
  std::uint64_t given_up = 0;
  for (const auto& [key, count] : seen.given_up) given_up += count;
  EXPECT_THAT(metrics_.text(), HasSubstr("lapwing_hub_sink_given_up_total{sink=\"plant\"} " +
                                         std::to_string(given_up)));
}

TEST_F(KafkaSink, ARecordThatKafkaNeverTakesIsToldAndStopsNothing) {
  start(config());
  ASSERT_TRUE(take(*store_, *sinks_, kDevices, 3));
  ASSERT_TRUE(take(*store_, *sinks_, 1, 1, std::string(1'100'000, 'x')));
  ASSERT_TRUE(take(*store_, *sinks_, kDevices, 3));
  const auto& seen = read(6 * kDevices + 1);
  EXPECT_EQ(seen.records.at("acme/press-0"), (std::vector<std::uint64_t>{1, 2, 3, 5, 6, 7}));
  EXPECT_EQ(seen.given_up.at("acme/press-0"), 1U);
  EXPECT_THAT(metrics_.text(), HasSubstr("lapwing_hub_sink_refused_total{reason=\"MSG_SIZE_TOO_"
                                         "LARGE\",sink=\"plant\"} 1"));
}

TEST_F(KafkaSink, BeforeAckNothingIsStoredThatKafkaHasNot) {
  auto strict = config();
  strict.delivery = SinkConfig::Delivery::before_ack;
  strict.timeout = seconds(4);  // a producer's first record waits for its connection
  start(strict);
  ASSERT_TRUE(take(*store_, *sinks_, kDevices, 10));
  EXPECT_EQ(read(50).told, 50U);
  kafka_.down();
  const auto refused = take(*store_, *sinks_, kDevices, 10);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("devices keep theirs"));
  EXPECT_EQ(store_->ledger(device(0))->stored, 10U);
  EXPECT_EQ(sinks_->notes().size(), 1U);
  kafka_.up();
  // Devices send again, until it is taken.
  ASSERT_TRUE(
      testing::eventually([this] { return take(*store_, *sinks_, kDevices, 10).has_value(); }));
  EXPECT_EQ(waiting(), 0U);
  expect_all(20);
  EXPECT_TRUE(sinks_->notes().empty());
}

TEST_F(KafkaSink, BeforeAckARecordThatKafkaNeverTakesIsToldToo) {
  auto strict = config();
  strict.delivery = SinkConfig::Delivery::before_ack;
  start(strict);
  ASSERT_TRUE(take(*store_, *sinks_, 1, 2));
  ASSERT_TRUE(take(*store_, *sinks_, 1, 1, std::string(1'100'000, 'x')));
  EXPECT_EQ(read(3).given_up.at("acme/press-0"), 1U);
}

TEST_F(KafkaSink, TakesTheClassesItIsAskedFor) {
  auto all = config();
  all.classes = {wire::RecordClass::summary, wire::RecordClass::loss};
  start(all);
  {
    auto transaction = store_->begin_ingest();
    const auto tap = sinks_->follow(**transaction);
    ASSERT_TRUE((*transaction)->device(device(0)));
    sync::DeviceSyncState state;
    state.epoch = 2;
    state.watermark = 0;
    ASSERT_TRUE((*transaction)->save_sync(device(0), state));
    wire::SummaryRecord s;
    s.stream = "plant/pump";
    s.watch = "w";
    const std::array<wire::RecordBody, 3> bodies{anomaly(1), s,
                                                 wire::LossRecord{wire::LossReason::quota, 3, 9}};
    const std::array<IncomingRecord, 3> records{
        IncomingRecord{1, 1, wire::RecordClass::anomaly, 1, &bodies[0]},
        IncomingRecord{2, 2, wire::RecordClass::summary, 2, &bodies[1]},
        IncomingRecord{3, 9, wire::RecordClass::loss, 3, &bodies[2]}};
    ASSERT_TRUE((*transaction)->store(device(0), 2, now(), records));
    state.watermark = 9;
    ASSERT_TRUE((*transaction)->save_sync(device(0), state));
    ASSERT_TRUE((*transaction)->commit());
  }
  const auto got = kafka_.read([](const auto& messages) { return messages.size() >= 2; });
  ASSERT_EQ(got.size(), 2U);
  const auto summary = Json::parse(got[0].value);
  EXPECT_EQ(summary["class"], "summary");
  EXPECT_EQ(summary["value_mean"], nullptr) << "not known";
  const auto loss = Json::parse(got[1].value);
  EXPECT_EQ(loss["seq"], 3);
  EXPECT_EQ(loss["seq_last"], 9);
  EXPECT_EQ(loss["reason"], "quota");
  EXPECT_EQ(loss["records"], 7);
}

TEST(RecordJson, SpeaksAsTheApiDoes) {
  const wire::RecordBody body = anomaly(0xabc);
  const auto mine = Json::parse(
      record_json(device(1), 3, from_micros(0), {7, 7, wire::RecordClass::anomaly, 1, &body}));
  AnomalyRow row{.device = "press-1", .record = std::get<wire::AnomalyRecord>(body)};
  auto api = Json::parse(to_json(row));
  for (const auto* of_hub : {"updated_at", "region"}) api.erase(of_hub);  // not of the record
  for (const auto& [name, value] : api.items()) EXPECT_EQ(mine[name], value) << name;
  EXPECT_EQ(mine["tenant"], "acme");
  EXPECT_EQ(mine["class"], "anomaly");
  EXPECT_EQ(mine["phase"], "opened");
  EXPECT_EQ(mine["epoch"], 3);
  EXPECT_EQ(mine["seq"], 7);
}

/// A process that was forked while this one had one thread, and forks hubs when it is told to.
class Hubs {
 public:
  explicit Hubs(const std::function<void(const std::string& brokers)>& hub) {
    if (::pipe(ask_.data()) != 0 || ::pipe(tell_.data()) != 0) throw std::runtime_error("pipe");
    forker_ = ::fork();
    if (forker_ != 0) return;
    ::signal(SIGCHLD, SIG_IGN);
    ::close(ask_[1]);
    for (Brokers brokers{}; ::read(ask_[0], brokers.data(), brokers.size()) > 0;) {
      const auto child = ::fork();
      if (child == 0) {
        hub(brokers.data());
        ::_exit(0);
      }
      if (::write(tell_[1], &child, sizeof(child)) < 0) break;
    }
    ::_exit(0);
  }
  ~Hubs() {
    ::close(ask_[1]);
    ::waitpid(forker_, nullptr, 0);
  }
  Hubs(const Hubs&) = delete;
  Hubs& operator=(const Hubs&) = delete;

  /// Its process id.
  pid_t start(const std::string& at) const {
    Brokers brokers{};
    at.copy(brokers.data(), brokers.size() - 1);
    pid_t child = -1;
    if (::write(ask_[1], brokers.data(), brokers.size()) < 0) return -1;
    return ::read(tell_[0], &child, sizeof(child)) == sizeof(child) ? child : -1;
  }

 private:
  using Brokers = std::array<char, 256>;
  std::array<int, 2> ask_{};
  std::array<int, 2> tell_{};
  pid_t forker_ = -1;
};

TEST(KafkaSinkKilled, LosesNothingThatWasCommitted) {
  const TempDir folder;
  Metrics metrics;
  SinkConfig config;
  config.name = "plant";
  config.topic = MockKafka::topic();
  const auto open = [&] {
    auto store = open_sqlite_store(folder.path() / "hub.db").value();
    for (int d = 0; d < 5; ++d) {
      EXPECT_TRUE(store->register_device({device(d), now(), "0a", now()}));
    }
    return store;
  };
  const Hubs hubs([&](const std::string& brokers) {
    config.brokers = brokers;
    const auto store = open();
    const auto sinks = Sinks::start({config}, *store, metrics).value();
    while (take(*store, *sinks, 5, 7)) {
    }
  });
  MockKafka kafka;
  config.brokers = kafka.brokers();
  std::size_t before = 0;
  for (int run = 0; run < 4; ++run) {
    const auto hub = hubs.start(config.brokers);
    ASSERT_GT(hub, 0);
    // The lease of one that was killed has to end first; here time is of the essence.
    before = kafka.read([&](const auto& all) { return all.size() >= before + 200; }).size();
    ASSERT_EQ(::kill(hub, SIGKILL), 0);
    ASSERT_TRUE(testing::eventually([&] { return ::kill(hub, 0) != 0; }));
    auto db = sqlite::Connection::open(folder.path() / "hub.db", {});
    (*db)->run("DELETE FROM spool_leases");
  }
  const auto store = open();
  const auto sinks = Sinks::start({config}, *store, metrics).value();
  std::uint64_t stored = 0;
  for (int d = 0; d < 5; ++d) stored += store->ledger(device(d))->stored;
  Seen seen;
  kafka.read([&](const auto& all) {
    seen.take(all);
    return seen.told >= stored;
  });
  for (int d = 0; d < 5; ++d) {
    const auto& seqs = seen.records.at("acme/press-" + std::to_string(d));
    EXPECT_EQ(seqs.size(), store->ledger(device(d))->stored);
    EXPECT_TRUE(std::is_sorted(seqs.begin(), seqs.end())) << "out of order";
  }
  std::printf("%llu records, %zu sent twice\n", static_cast<unsigned long long>(stored),
              seen.duplicates);
}

}  // namespace
}  // namespace lapwing::hub
