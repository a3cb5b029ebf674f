// SPDX-License-Identifier: Apache-2.0
/// Several lanes take records in side by side, on a real PostgreSQL: the account stays exact, and
/// each device hears its answers in their order.
#include "hub/ingest/batch_store.hpp"
#include "hub/store/postgres_store.hpp"
#include "shared/wire/codec.hpp"
#include "tests/support/postgres.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace lapwing::hub {
namespace {

using testing::PostgresServer;
using wire::Channel;

constexpr int kDevices = 24;
constexpr std::uint64_t kBatches = 20;
constexpr std::uint64_t kBatchRecords = 10;
constexpr std::size_t kLanes = 4;

wire::Identity who(int device) { return {"acme", "press-" + std::to_string(device)}; }

class Lanes : public ::testing::Test {
 protected:
  void SetUp() override {
    auto* server = PostgresServer::shared();
    if (server == nullptr) GTEST_SKIP() << "PostgreSQL's server is not installed";
    auto opened = open_postgres_store(
        {.connection = {.url = server->new_database()}, .readers = 1, .lanes = kLanes});
    ASSERT_TRUE(opened) << opened.error().context;
    store_ = *std::move(opened);
    ASSERT_EQ(store_->lanes(), kLanes);
    for (int i = 0; i < kDevices; ++i) {
      ASSERT_TRUE(store_->register_device({{"acme", who(i).device}, now(), "01", {}}));
    }
  }

  void put(int device, Channel channel, const std::string& body) {
    ASSERT_TRUE(queue_.put(wire::topic(who(device), channel), writer_.seal(body), now()));
  }
  void put_hello(int device) {
    wire::Hello hello;
    hello.connection_id = "c1";
    hello.instance_id = "i1";
    hello.database_id = "d1";
    hello.next_seq = 1 + kBatches * kBatchRecords;
    hello.sent = now();
    put(device, Channel::hello, wire::encode(hello));
  }
  /// Every record a step of an anomaly, so that all lanes want numbers of the feed.
  void put_batch(int device, std::uint64_t number) {
    wire::RecordBatch batch;
    batch.epoch = 1;
    batch.connection_id = "c1";
    for (auto seq = (number - 1) * kBatchRecords + 1; seq <= number * kBatchRecords; ++seq) {
      wire::AnomalyRecord a;
      a.id = seq;
      a.stream = "s" + std::to_string(seq % 3);
      a.onset = a.peak_time = now();
      batch.entries.push_back({seq, seq, wire::RecordClass::anomaly, wire::encode_record(a)});
    }
    put(device, Channel::records, wire::encode(batch));
  }

  /// One thread a lane, as in Ingest, until the queue is closed and empty.
  void take_all() {
    std::vector<std::jthread> threads;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      threads.emplace_back([this, lane] { run(lane); });
    }
  }
  void run(std::size_t lane) {
    IngestConfig config;
    config.commit_records_max = 50;  // many small transactions, to meet
    BatchStore batches(*store_, config, metrics_, lane);
    while (!queue_.ended(lane)) {
      const auto messages = queue_.take(lane, std::chrono::milliseconds(50), 1U << 20U);
      for (auto rest = std::span(messages); !rest.empty();) {
        const auto taken = batches.take(rest);
        ASSERT_TRUE(taken) << taken.error().context;
        rest = rest.subspan(taken->messages);
        for (const auto& answer : taken->answers) hear(lane, answer);
      }
    }
  }
  void hear(std::size_t lane, const Answer& answer) {
    const auto topic = wire::parse_topic(answer.topic);
    wire::FrameReader reader;
    const auto body = reader.open(answer.payload);
    ASSERT_TRUE(topic && body);
    const std::scoped_lock lock(mutex_);
    const auto& device = topic->identity.device;
    lanes_of_[device].insert(lane);
    if (topic->channel == Channel::ack) {
      acks_[device].push_back(wire::decode_ack(*body)->watermark);
    } else {
      EXPECT_TRUE(acks_[device].empty()) << "the welcome comes first";
    }
  }

  Metrics metrics_;
  IngestQueue queue_{100'000, 64U << 20U, kLanes};
  wire::FrameWriter writer_;
  std::unique_ptr<Store> store_;
  std::mutex mutex_;  // guards what was heard
  std::map<std::string, std::vector<std::uint64_t>> acks_;
  std::map<std::string, std::set<std::size_t>> lanes_of_;
};

TEST_F(Lanes, StoreExactlyOnceAndAnswerEachDeviceInOrder) {
  for (int i = 0; i < kDevices; ++i) put_hello(i);
  std::minstd_rand random(7);
  std::vector<std::uint64_t> next(kDevices, 1);
  for (auto left = kDevices * kBatches; left > 0;) {
    const auto device = static_cast<int>(random() % kDevices);
    auto& number = next[static_cast<std::size_t>(device)];
    if (number > kBatches) continue;
    put_batch(device, number++);
    if (random() % 8 == 0) put_batch(device, number - 1);  // sent again: changes nothing
    --left;
  }
  queue_.close();
  take_all();

  std::set<std::size_t> used;
  for (int i = 0; i < kDevices; ++i) {
    const auto& device = who(i).device;
    EXPECT_EQ(lanes_of_[device].size(), 1U) << "a device keeps its lane";
    used.insert(*lanes_of_[device].begin());
    const auto& acks = acks_[device];
    ASSERT_FALSE(acks.empty());
    EXPECT_TRUE(std::is_sorted(acks.begin(), acks.end())) << device;
    EXPECT_EQ(acks.back(), kBatches * kBatchRecords);
    const auto row = store_->device({"acme", device});
    EXPECT_EQ(row->ledger.stored, kBatches * kBatchRecords);
    EXPECT_EQ(row->ledger.outstanding, 0U);
    EXPECT_EQ(row->anomalies_open, kBatches * kBatchRecords);
    EXPECT_EQ(row->streams, 3U);
  }
  EXPECT_EQ(used.size(), kLanes) << "24 devices fall into all four";
  constexpr auto kAll = kDevices * kBatches * kBatchRecords;
  std::uint64_t after = 0;
  while (after < kAll) {
    const auto feed = store_->feed("acme", {.after = after, .limit = 5000});
    ASSERT_TRUE(feed && !feed->empty());
    for (const auto& row : *feed) ASSERT_EQ(row.seq, ++after) << "numbers have no hole";
  }
  EXPECT_EQ(metrics_.counter("hub_records_total", "", {{"class", "anomaly"}}).value(), kAll)
      << "one metric over all lanes";
}

TEST_F(Lanes, AreBoundedTogether) {
  IngestQueue queue(10, 1U << 20U, kLanes);
  int taken = 0;
  for (int i = 0; i < 40; ++i) {
    if (queue.put(wire::topic(who(i), Channel::records), "x", now())) ++taken;
  }
  EXPECT_EQ(taken, 10);
  EXPECT_EQ(queue.messages(), 10U);
  queue.close();
  std::size_t out = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    out += queue.take(lane, Micros(0), 1U << 20U).size();
    EXPECT_TRUE(queue.ended(lane));
  }
  EXPECT_EQ(out, 10U);
  EXPECT_EQ(queue.bytes(), 0U);
}

}  // namespace
}  // namespace lapwing::hub
