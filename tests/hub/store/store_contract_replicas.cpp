// SPDX-License-Identifier: Apache-2.0
/// Which replica a device is connected through, who is silent, who holds a lease.
#include "hub/store/replicas.hpp"
#include "tests/hub/store/store_contract.hpp"

namespace lapwing::hub {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

void say(Store& store, const DeviceKey& key, const std::string& replica, Time at,
         const std::string& connection = "1-a", bool online = true) {
  auto transaction = store.begin_ingest().value();
  ASSERT_TRUE(transaction->device(key));
  ASSERT_TRUE(transaction->save_presence(
      key, {.online = online, .connection_id = connection, .seen = at, .replica = replica}));
  ASSERT_TRUE(transaction->commit());
}

std::vector<DeviceKey> greeted_by(Store& store, const std::string& replica) {
  auto transaction = store.begin_ingest().value();
  std::vector<DeviceKey> keys;
  const auto online = transaction->online_devices(replica, 10).value();
  for (const auto& [key, state] : online) {
    keys.push_back(key);
  }
  return keys;
}

}  // namespace

TEST_P(StoreContract, KnowsThroughWhichReplicaADeviceIsConnected) {
  const DeviceKey other{kTenant, "press-2"};
  enrol(other);
  say(*store_, key_, "a", t0_);
  say(*store_, other, "b", t0_);
  EXPECT_EQ(store_->replicas().devices_of("a", 10).value(), std::vector{key_});
  EXPECT_EQ(greeted_by(*store_, "b"), std::vector{other});
  say(*store_, key_, "b", t0_, "2-a");  // it landed elsewhere
  EXPECT_TRUE(store_->replicas().devices_of("a", 10)->empty());
  EXPECT_TRUE(greeted_by(*store_, "a").empty());
  EXPECT_EQ(store_->replicas().devices_of("b", 10)->size(), 2U);
  say(*store_, other, "b", t0_, "1-a", false);
  EXPECT_EQ(store_->replicas().devices_of("b", 10).value(), std::vector{key_});
  reopen();
  EXPECT_EQ(store_->replicas().devices_of("b", 10).value(), std::vector{key_});
}

TEST_P(StoreContract, GreetsDevicesOfAVersionThatNamedNoReplica) {
  say(*store_, key_, "", t0_);
  EXPECT_EQ(greeted_by(*store_, "a"), std::vector{key_});
  EXPECT_TRUE(store_->replicas().devices_of("a", 10)->empty());
}

TEST_P(StoreContract, MarksDevicesOfAReplicaThatDiedButNotOfOneThatDidNotHear) {
  const DeviceKey other{kTenant, "press-2"};
  enrol(other);
  auto& replicas = store_->replicas();
  say(*store_, key_, "dead", t0_);
  say(*store_, other, "deaf", t0_);
  ASSERT_TRUE(replicas.beat({"dead", t0_, t0_}));
  // The other lost its broker or its store, and hears again since a minute only.
  ASSERT_TRUE(replicas.beat({"deaf", t0_ + minutes(9), t0_ + minutes(10)}));
  const auto now = t0_ + minutes(10);
  EXPECT_EQ(store_->mark_silent_offline(now - minutes(5)).value(), 1U);
  EXPECT_EQ(store_->device(key_)->status, DeviceStatus::offline);
  EXPECT_EQ(store_->device(other)->status, DeviceStatus::online);
  // Having heard for as long as a device may be silent, it is believed.
  EXPECT_EQ(store_->mark_silent_offline(t0_ + minutes(9)).value(), 1U);
  EXPECT_EQ(store_->device(other)->status, DeviceStatus::offline);
}

TEST_P(StoreContract, RemembersWhatReplicasSayAndForgetsThoseOfLastMonth) {
  auto& replicas = store_->replicas();
  ASSERT_TRUE(replicas.beat({"b", t0_, t0_}));
  ASSERT_TRUE(replicas.beat({"a", t0_, t0_ + seconds(1)}));
  ASSERT_TRUE(replicas.beat({"a", t0_ + seconds(2), t0_ + seconds(3)}));
  const auto rows = replicas.list();
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ((*rows)[0].hearing_since, t0_ + seconds(2));
  EXPECT_EQ((*rows)[0].heard_at, t0_ + seconds(3));
  ASSERT_TRUE(replicas.beat({"a", t0_, t0_ + std::chrono::hours(24 * 30)}));
  EXPECT_EQ(replicas.list()->size(), 1U);
}

TEST_P(StoreContract, GivesALeaseToOneUntilItLapsesOrIsGivenBack) {
  auto& replicas = store_->replicas();
  EXPECT_TRUE(replicas.take_lease("x", "a", t0_, seconds(20)).value());
  EXPECT_FALSE(replicas.take_lease("x", "b", t0_ + seconds(19), seconds(20)).value());
  EXPECT_TRUE(replicas.take_lease("y", "b", t0_, seconds(20)).value());
  EXPECT_TRUE(replicas.take_lease("x", "a", t0_ + seconds(10), seconds(20)).value());
  EXPECT_FALSE(replicas.take_lease("x", "b", t0_ + seconds(29), seconds(20)).value());
  EXPECT_TRUE(replicas.take_lease("x", "b", t0_ + seconds(30), seconds(20)).value());
  EXPECT_FALSE(replicas.take_lease("x", "a", t0_ + seconds(31), seconds(20)).value());
  ASSERT_TRUE(replicas.release_lease("x", "a"));  // not its own
  EXPECT_FALSE(replicas.take_lease("x", "a", t0_ + seconds(31), seconds(20)).value());
  ASSERT_TRUE(replicas.release_lease("x", "b"));
  EXPECT_TRUE(replicas.take_lease("x", "a", t0_ + seconds(31), seconds(20)).value());
}

}  // namespace lapwing::hub
