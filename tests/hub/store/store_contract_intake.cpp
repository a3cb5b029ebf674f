// SPDX-License-Identifier: Apache-2.0
/// Taking records in: exactly once, and the ledger.
#include "tests/hub/store/store_contract.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>
#include <set>
#include <thread>

namespace lapwing::hub {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// --- taking records in ---------------------------------------------------------------------------

TEST_P(StoreContract, StoresEachKeyOnce) {
  const std::vector batch{summary(1, "a", t0_), summary(2, "b", t0_)};
  EXPECT_EQ(put(key_, 1, batch, 2).stored, 2U);
  const auto again = put(key_, 1, batch, 2);
  EXPECT_EQ(again.stored, 0U);
  EXPECT_EQ(again.duplicates, 2U);
  expect_ledger(key_, 2, 2, 0, 0);
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->points.size(), 1U);
}

TEST_P(StoreContract, KeepsNothingWithoutCommit) {
  {
    auto transaction = store_->begin_ingest();
    ASSERT_TRUE(transaction);
    put_in(**transaction, key_, 1, {summary(1, "a", t0_), anomaly(2, 5, wire::Phase::opened, t0_)},
           2, t0_);
  }
  expect_ledger(key_, 0, 0, 0, 0);
  EXPECT_EQ(store_->feed(kTenant, {})->size(), 0U);
  EXPECT_EQ(store_->streams(key_, {})->items.size(), 0U);
  // What was undone can be stored, and the feed and stream numbers are not confused by it.
  put(key_, 1, {summary(1, "a", t0_), anomaly(2, 5, wire::Phase::opened, t0_)}, 2);
  expect_ledger(key_, 2, 2, 0, 0);
  EXPECT_EQ(store_->feed(kTenant, {})->size(), 1U);
  EXPECT_EQ(store_->streams(key_, {})->items.size(), 1U);
}

TEST_P(StoreContract, FindsEverythingAgainAfterReopening) {
  put(key_, 3, {summary(1, "a", t0_), anomaly(2, 5, wire::Phase::opened, t0_)}, 2);
  const auto newest = store_->feed_bounds(kTenant)->newest;
  reopen();
  const auto row = store_->device(key_);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->epoch, 3U);
  EXPECT_EQ(row->watermark, 2U);
  expect_ledger(key_, 2, 2, 0, 0);
  EXPECT_EQ(store_->begin_ingest().value()->device(key_)->sync.watermark, 2U);
  put(key_, 3, {anomaly(3, 6, wire::Phase::opened, t0_)}, 3);
  EXPECT_GT(store_->feed_bounds(kTenant)->newest, newest);
}

TEST_P(StoreContract, StoresManyDevicesInOneTransaction) {
  std::vector<DeviceKey> keys;
  for (int i = 0; i < 20; ++i) keys.push_back({kTenant, "d" + std::to_string(i)});
  for (const auto& key : keys) enrol(key);
  auto transaction = store_->begin_ingest();
  for (const auto& key : keys) {
    put_in(**transaction, key, 1, {summary(1, "a", t0_), summary(2, "b", t0_)}, 2, t0_);
  }
  ASSERT_TRUE((*transaction)->commit());
  for (const auto& key : keys) expect_ledger(key, 2, 2, 0, 0);
}

TEST_P(StoreContract, DoesNotKnowDevicesThatNeverEnrolled) {
  auto transaction = store_->begin_ingest();
  const auto session = (*transaction)->device({kTenant, "stranger"});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, Errc::not_found);
  // The transaction lives on for the others.
  put_in(**transaction, key_, 1, {summary(1, "a", t0_)}, 1, t0_);
  EXPECT_TRUE((*transaction)->commit());
  expect_ledger(key_, 1, 1, 0, 0);
}

TEST_P(StoreContract, SaysWhichDevicesAreRevokedUntilTheyEnrolAgain) {
  ASSERT_TRUE(store_->revoke_device(key_, t0_));
  EXPECT_TRUE(store_->begin_ingest().value()->device(key_)->revoked);
  EXPECT_EQ(store_->device(key_)->revoked_at, t0_);
  enrol(key_);
  EXPECT_FALSE(store_->begin_ingest().value()->device(key_)->revoked);
  EXPECT_EQ(store_->revoke_device({kTenant, "nobody"}, t0_).error().code, Errc::not_found);
}

TEST_P(StoreContract, RemembersTheWholeSyncState) {
  sync::DeviceSyncState state;
  state.epoch = 4;
  state.base = 10;
  state.watermark = 12;
  state.database_id = "db";
  state.connection_id = "c";
  state.instance_id = "i";
  state.superseded = {"h", "g"};
  state.left = {"c0", "c9"};
  state.returns = 2;
  state.returns_since = t0_;
  state.quarantine = "two copies";
  {
    auto transaction = store_->begin_ingest();
    ASSERT_TRUE((*transaction)->device(key_));
    ASSERT_TRUE((*transaction)->save_sync(key_, state));
    ASSERT_TRUE((*transaction)->save_presence(key_, {true, "c", t0_}));
    ASSERT_TRUE((*transaction)->commit());
  }
  reopen();
  EXPECT_EQ(store_->begin_ingest().value()->device(key_)->sync, state);
  EXPECT_EQ(store_->device(key_)->status, DeviceStatus::quarantined);
  EXPECT_EQ(store_->totals()->devices_quarantined, 1U);
  const auto online = store_->begin_ingest().value()->online_devices("hub", 10);
  ASSERT_EQ(online->size(), 1U);
  EXPECT_EQ(online->front().first, key_);
  EXPECT_EQ(online->front().second, state);
  ASSERT_TRUE(store_->release_quarantine(key_));
  EXPECT_EQ(store_->device(key_)->status, DeviceStatus::online);
  EXPECT_TRUE(store_->begin_ingest().value()->device(key_)->sync.quarantine.empty());
  EXPECT_EQ(store_->release_quarantine({kTenant, "nobody"}).error().code, Errc::not_found);
}

TEST_P(StoreContract, KnowsTheHashOfEachRecord) {
  put(key_, 1, {summary(1, "a", t0_), loss(2, 3)}, 3);
  auto transaction = store_->begin_ingest();
  ASSERT_TRUE((*transaction)->device(key_));
  EXPECT_EQ(*(*transaction)->record_hash(key_, 1, 1), 7919U);
  EXPECT_EQ(*(*transaction)->record_hash(key_, 1, 2), std::nullopt);
  EXPECT_EQ(*(*transaction)->record_hash(key_, 2, 1), std::nullopt);
}

TEST_P(StoreContract, RefusesSequenceNumbersNoAgentReaches) {
  auto transaction = store_->begin_ingest();
  ASSERT_TRUE((*transaction)->device(key_));
  const auto record = summary(~0ULL, "a", t0_);
  const IncomingRecord incoming{record.seq, record.seq_last, record.record_class, 1, &record.body};
  EXPECT_FALSE((*transaction)->store(key_, 1, t0_, {&incoming, 1}));
}

// --- the ledger ----------------------------------------------------------------------------------

TEST_P(StoreContract, CountsALiveCopyOnceWhenItsBacklogArrives) {
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  put(key_, 1, {summary(5, "a", t0_ + minutes(5))});  // live, ahead of the watermark
  expect_ledger(key_, 5, 2, 0, 3);
  std::vector<OwnedRecord> backlog;
  for (std::uint64_t seq = 2; seq <= 6; ++seq) {
    backlog.push_back(summary(seq, "a", t0_ + minutes(seq)));
  }
  const auto counts = put(key_, 1, backlog, 6);
  EXPECT_EQ(counts.stored, 4U);
  EXPECT_EQ(counts.duplicates, 1U);
  expect_ledger(key_, 6, 6, 0, 0);
}

TEST_P(StoreContract, CountsALiveCopyOnceWhenItsBacklogArrivesInTheSameTransaction) {
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  auto transaction = store_->begin_ingest();
  ASSERT_TRUE(transaction);
  put_in(**transaction, key_, 1, summaries(8, 9), 0, t0_);  // live
  EXPECT_EQ(put_in(**transaction, key_, 1, summaries(2, 5), 5, t0_).stored, 4U);
  put_in(**transaction, key_, 1, summaries(12, 12), 0, t0_);  // live
  const auto counts = put_in(**transaction, key_, 1, summaries(6, 13), 13, t0_);
  EXPECT_EQ(counts.stored, 5U);
  EXPECT_EQ(counts.duplicates, 3U);
  ASSERT_TRUE((*transaction)->commit());
  expect_ledger(key_, 13, 13, 0, 0);
}

TEST_P(StoreContract, DoesNotCountLiveCopiesAsLost) {
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  put(key_, 1, {summary(5, "a", t0_ + minutes(5)), summary(6, "a", t0_ + minutes(6))});
  EXPECT_EQ(put(key_, 1, {loss(2, 8)}, 8).lost, 5U);
  expect_ledger(key_, 8, 3, 5, 0);
  EXPECT_EQ(ledger(key_).lost.quota, 5U);
}

TEST_P(StoreContract, CountsOverlappingLossRangesOnce) {
  put(key_, 1, {loss(3, 4, wire::LossReason::corrupt)});
  put(key_, 1, {loss(1, 10)}, 10);
  put(key_, 1, {loss(1, 10)}, 10);
  put(key_, 1, {loss(8, 12, wire::LossReason::vanished)}, 12);
  expect_ledger(key_, 12, 0, 12, 0);
  EXPECT_EQ(ledger(key_).lost, (Losses{8, 2, 2, 0}));
}

TEST_P(StoreContract, MovesALateRecordFromLostToStored) {
  put(key_, 1, {loss(1, 10)}, 10);
  EXPECT_EQ(put(key_, 1, {summary(4, "a", t0_)}).stored, 1U);
  EXPECT_EQ(put(key_, 1, {summary(4, "a", t0_)}).stored, 0U);
  expect_ledger(key_, 10, 1, 9, 0);
}

TEST_P(StoreContract, AccountsPoisonOnceAndKeepsItsBytes) {
  for (int times = 0; times < 2; ++times) {
    auto transaction = store_->begin_ingest();
    ASSERT_TRUE((*transaction)->device(key_));
    sync::DeviceSyncState state = (*transaction)->device(key_)->sync;
    state.epoch = 1;
    ASSERT_TRUE((*transaction)->save_sync(key_, state));
    ASSERT_TRUE((*transaction)
                    ->dead_letter(key_, {1, 1, 77, "not a record", std::string(10'000, 'x'), t0_}));
    state.watermark = 1;
    ASSERT_TRUE((*transaction)->save_sync(key_, state));
    ASSERT_TRUE((*transaction)->commit());
  }
  expect_ledger(key_, 1, 0, 1, 0);
  EXPECT_EQ(ledger(key_).lost.poison, 1U);
  const auto letters = store_->dead_letters(kTenant, {});
  ASSERT_EQ(letters->items.size(), 1U);
  EXPECT_EQ(letters->items[0].device, key_.device);
  EXPECT_EQ(letters->items[0].seq, 1U);
  EXPECT_EQ(letters->items[0].reason, "not a record");
  EXPECT_EQ(letters->items[0].bytes, std::string(4096, 'x'));
}

TEST_P(StoreContract, SettlesTheOldEpochWhenANewOneBegins) {
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  put(key_, 1, {summary(5, "a", t0_ + minutes(5))});
  expect_ledger(key_, 5, 2, 0, 3);
  // Everything after the watermark is sent again under the new epoch.
  put(key_, 2, {summary(1, "a", t0_ + minutes(7)), summary(2, "a", t0_ + minutes(8))}, 2);
  expect_ledger(key_, 4, 4, 0, 0);
  EXPECT_EQ(store_->device(key_)->epoch, 2U);
}

TEST_P(StoreContract, LearnsFromStatusWhatIsOutstanding) {
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  auto transaction = store_->begin_ingest();
  ASSERT_TRUE((*transaction)->device(key_));
  wire::Status status;
  status.produced_seq = 9;
  status.readings_total = 1234;
  ASSERT_TRUE((*transaction)->save_presence(key_, {true, "c1", t0_, "1.2.3", 0, status}));
  ASSERT_TRUE((*transaction)->commit());
  expect_ledger(key_, 9, 1, 0, 8);
  const auto row = store_->device(key_);
  EXPECT_EQ(row->status, DeviceStatus::online);
  EXPECT_EQ(row->agent_version, "1.2.3");
  EXPECT_EQ(row->readings_total, 1234U);
  EXPECT_EQ(row->last_seen, t0_);
}

/// A tiny model of the ledger, fed with the same random batches, some in one transaction.
TEST_P(StoreContract, AgreesWithASimpleModelOnRandomBatches) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::set<std::uint64_t> stored{1};
  std::set<std::uint64_t> lost;
  std::uint64_t watermark = 1;
  std::uint64_t produced = 1;
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  std::unique_ptr<IngestTransaction> transaction;
  for (int round = 0; round < 400; ++round) {
    if (!transaction) transaction = store_->begin_ingest().value();
    const bool live = random() % 3 == 0;
    auto seq = live ? watermark + 1 + random() % 20
                    : watermark + 1 - std::min<std::uint64_t>(watermark, random() % 3);
    std::vector<OwnedRecord> batch;
    for (auto n = random() % 6; n > 0; --n) {
      if (!live && random() % 5 == 0) {
        const auto last = seq + random() % 8;
        batch.push_back(loss(seq, last));
        for (; seq <= last; ++seq) {
          if (seq > watermark && !stored.contains(seq)) lost.insert(seq);
        }
      } else {
        batch.push_back(summary(seq, "a", t0_ + minutes(seq)));
        if (seq > watermark || lost.contains(seq)) {
          stored.insert(seq);
          lost.erase(seq);
        }
        ++seq;
      }
    }
    if (!batch.empty()) produced = std::max(produced, batch.back().seq_last);
    if (!live) watermark = std::max(watermark, seq - 1);
    put_in(*transaction, key_, 1, batch, live ? 0 : watermark, t0_);
    if (random() % 3 != 0) continue;
    ASSERT_TRUE(transaction->commit());
    transaction.reset();
    expect_ledger(key_, produced, stored.size(), lost.size(),
                  produced - stored.size() - lost.size());
    if (HasFailure()) return;
  }
}

}  // namespace lapwing::hub
