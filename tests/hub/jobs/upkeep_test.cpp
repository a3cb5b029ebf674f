// SPDX-License-Identifier: Apache-2.0
/// Several replicas' upkeep on one store, on a virtual clock.
#include "hub/jobs/upkeep.hpp"

#include "hub/ingest/hearing.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "hub/store/replicas.hpp"
#include "hub/store/sqlite_store.hpp"
#include "hub/store/uploads.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

namespace lapwing::hub {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class UpkeepTest : public ::testing::Test {
 protected:
  const DeviceKey key_{"acme", "press-1"};
  const Time t0_ = from_micros(1'790'000'000'000'000);

  void SetUp() override {
    store_ = open_sqlite_store(folder_.path() / "hub.db").value();
    ASSERT_TRUE(store_->register_device({key_, t0_, "0a", std::nullopt}));
  }
  Upkeep replica(const std::string& name) {
    return Upkeep({.replica = name, .silence = minutes(5), .trim_every = minutes(1)}, *store_,
                  metrics_);
  }
  void say(const std::string& replica, Time at) {
    auto transaction = store_->begin_ingest().value();
    ASSERT_TRUE(transaction->device(key_));
    ASSERT_TRUE(transaction->save_presence(
        key_, {.online = true, .connection_id = "1-a", .seen = at, .replica = replica}));
    ASSERT_TRUE(transaction->commit());
  }
  bool online() { return store_->device(key_)->status == DeviceStatus::online; }
  void put_old_point() {
    auto transaction = store_->begin_ingest().value();
    auto state = transaction->device(key_).value().sync;
    state.epoch = 1;
    ASSERT_TRUE(transaction->save_sync(key_, state));
    wire::SummaryRecord summary;
    summary.stream = "s";
    summary.begin = t0_ - hours(24 * 60);
    summary.end = summary.begin + minutes(1);
    const wire::RecordBody body = summary;
    const IncomingRecord record{1, 1, wire::RecordClass::summary, 1, &body};
    ASSERT_TRUE(transaction->store(key_, 1, t0_, std::span(&record, 1)));
    state.watermark = 1;
    ASSERT_TRUE(transaction->save_sync(key_, state));
    ASSERT_TRUE(transaction->commit());
  }
  std::size_t points() {
    return store_->history(key_, {.stream = "s", .from = t0_ - hours(24 * 90)})->points.size();
  }

  lapwing::testing::TempDir folder_;
  Metrics metrics_;
  std::unique_ptr<Store> store_;
};

TEST_F(UpkeepTest, IsDoneByOneAndTakenOverWhenItDies) {
  auto a = replica("a");
  auto b = replica("b");
  put_old_point();
  a.round(t0_);
  b.round(t0_);
  EXPECT_TRUE(a.holds());
  EXPECT_FALSE(b.holds());
  b.round(t0_ + seconds(61));  // its own next trim would be due, were it the one; a is not heard of
  EXPECT_TRUE(b.holds());
  a.round(t0_ + seconds(62));
  EXPECT_FALSE(a.holds()) << "it came back from a long pause";
  EXPECT_EQ(points(), 1U);
  b.round(t0_ + seconds(75));
  b.round(t0_ + seconds(125));
  EXPECT_EQ(points(), 0U);
}

TEST_F(UpkeepTest, ForgetsUploadsThatNobodyCompletes) {
  auto a = replica("a");
  a.round(t0_);
  for (const auto age : {hours(0), hours(2)}) {
    ASSERT_TRUE(store_->uploads().add(
        {.tenant = "acme", .name = "x", .actor = "t1", .created_at = t0_ + age}));
  }
  a.round(t0_ + hours(25));
  EXPECT_EQ(store_->uploads().list("acme", {})->items.size(), 1U);
}

TEST_F(UpkeepTest, IsGivenBackAtTheEnd) {
  auto a = replica("a");
  a.start();
  ASSERT_TRUE(
      lapwing::testing::eventually([&] { return metrics_.gauge("hub_upkeep", "").value() == 1; }));
  a.stop();
  auto b = replica("b");
  b.round(now());
  EXPECT_TRUE(b.holds());
}

TEST_F(UpkeepTest, MarksAKilledReplicasDevicesAfterSilence) {
  Hearing(*store_, "dead").look(true, t0_);
  say("dead", t0_ + seconds(100));
  auto a = replica("a");
  for (Time at = t0_; at < t0_ + seconds(400); at += seconds(2)) a.round(at);
  EXPECT_TRUE(online());
  a.round(t0_ + seconds(402));
  EXPECT_FALSE(online());
}

TEST_F(UpkeepTest, AReplicaThatStartsMarksNobodyBeforeTheOthersSpoke) {
  Hearing hearing(*store_, "b");
  hearing.look(true, t0_);
  say("b", t0_);
  // The database was away for an hour; device and replica were not.
  const auto back = t0_ + hours(1);
  auto a = replica("a");
  a.round(back);
  EXPECT_TRUE(online());
  hearing.look(true, back + seconds(3));
  for (auto at = back + seconds(2); at < back + seconds(300); at += seconds(2)) {
    a.round(at);
    hearing.look(true, at + seconds(1));
  }
  EXPECT_TRUE(online()) << "heard since five minutes only";
  a.round(back + seconds(310));
  EXPECT_FALSE(online());
}

TEST_F(UpkeepTest, ALostBrokerBeginsSilenceAnew) {
  Hearing hearing(*store_, "b");
  hearing.look(true, t0_);
  EXPECT_EQ(store_->replicas().list()->front().hearing_since, t0_);
  hearing.look(false, t0_ + seconds(10));
  hearing.look(true, t0_ + seconds(20));
  EXPECT_EQ(store_->replicas().list()->front().hearing_since, t0_ + seconds(20));
  hearing.look(true, t0_ + seconds(22));
  EXPECT_EQ(store_->replicas().list()->front().heard_at, t0_ + seconds(20)) << "not every time";
  hearing.look(true, t0_ + seconds(60));
  EXPECT_EQ(store_->replicas().list()->front().hearing_since, t0_ + seconds(60)) << "it had paused";
}

}  // namespace
}  // namespace lapwing::hub
