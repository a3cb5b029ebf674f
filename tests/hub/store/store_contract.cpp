// SPDX-License-Identifier: Apache-2.0
#include "tests/hub/store/store_contract.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <thread>

namespace lapwing::hub {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

OwnedRecord StoreContract::summary(std::uint64_t seq, const std::string& stream, Time begin,
                                   double value, const std::string& watch) {
  wire::SummaryRecord s;
  s.stream = stream;
  s.watch = watch;
  s.begin = begin;
  s.end = begin + seconds(10);
  s.readings = 10;
  s.value_min = value - 1;
  s.value_mean = value;
  s.value_max = value + 1;
  s.score_max = 0.5;
  s.band = {value, value - 2, value + 2};
  s.tags = {{"site", "north"}};
  return {seq, seq, wire::RecordClass::summary, std::move(s)};
}

OwnedRecord StoreContract::anomaly(std::uint64_t seq, std::uint64_t id, wire::Phase phase,
                                   Time onset, const std::string& stream) {
  wire::AnomalyRecord a;
  a.id = id;
  a.phase = phase;
  a.severity = wire::Severity::major;
  a.reason = wire::Reason::unusual;
  a.stream = stream;
  a.watch = "w";
  a.detector = "auto";
  a.onset = onset;
  a.peak_time = onset + seconds(1);
  if (phase == wire::Phase::closed) a.end = onset + seconds(30);
  a.peak_score = 3.5;
  a.peak_value = 99;
  a.band = {50, 40, 60};
  a.text = "far above the band";
  a.contributions = {{stream, 1.0}};
  a.tags = {{"site", "north"}};
  return {seq, seq, wire::RecordClass::anomaly, std::move(a)};
}

OwnedRecord StoreContract::loss(std::uint64_t first, std::uint64_t last, wire::LossReason reason) {
  return {first, last, wire::RecordClass::loss, wire::LossRecord{reason, first, last}};
}

StoredCounts StoreContract::put_in(IngestTransaction& transaction, const DeviceKey& key,
                                   std::uint64_t epoch, const std::vector<OwnedRecord>& records,
                                   std::uint64_t watermark, Time at) {
  auto session = transaction.device(key);
  EXPECT_TRUE(session);
  if (!session) return {};
  if (session->sync.epoch != epoch) {  // a hello was answered with it
    auto fresh = session->sync;
    fresh.epoch = epoch;
    fresh.watermark = 0;
    EXPECT_TRUE(transaction.save_sync(key, fresh));
  }
  std::vector<IncomingRecord> incoming;
  for (const auto& record : records) {
    incoming.push_back(
        {record.seq, record.seq_last, record.record_class, record.seq * 7919, &record.body});
  }
  auto counts = transaction.store(key, epoch, at == Time{} ? t0_ : at, incoming);
  EXPECT_TRUE(counts) << counts.error().context;
  if (watermark != 0) {
    auto state = transaction.device(key)->sync;
    state.watermark = watermark;
    EXPECT_TRUE(transaction.save_sync(key, state));
  }
  return counts ? *counts : StoredCounts{};
}

StoredCounts StoreContract::put(const DeviceKey& key, std::uint64_t epoch,
                                const std::vector<OwnedRecord>& records, std::uint64_t watermark,
                                Time at) {
  auto transaction = store_->begin_ingest();
  EXPECT_TRUE(transaction);
  if (!transaction) return {};
  const auto counts = put_in(**transaction, key, epoch, records, watermark, at);
  EXPECT_TRUE((*transaction)->commit());
  return counts;
}

void StoreContract::expect_ledger(const DeviceKey& key, std::uint64_t produced,
                                  std::uint64_t stored, std::uint64_t lost,
                                  std::uint64_t outstanding) {
  const auto l = ledger(key);
  EXPECT_EQ(l.produced, produced);
  EXPECT_EQ(l.stored, stored);
  EXPECT_EQ(l.lost.total(), lost);
  EXPECT_EQ(l.outstanding, outstanding);
  EXPECT_EQ(l.produced, l.stored + l.lost.total() + l.outstanding);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContract);

// --- taking records in ---------------------------------------------------------------------------

TEST_P(StoreContract, StoresEachKeyOnce) {
  const std::vector batch{summary(1, "a", t0_), summary(2, "b", t0_)};
  EXPECT_EQ(put(key_, 1, batch, 2).stored, 2U);
  const auto again = put(key_, 1, batch, 2);
  EXPECT_EQ(again.stored, 0U);
  EXPECT_EQ(again.duplicates, 2U);
  expect_ledger(key_, 2, 2, 0, 0);
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->size(), 1U);
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
  const auto online = store_->begin_ingest().value()->online_devices(10);
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

/// A tiny model of the ledger, fed with the same random batches.
TEST_P(StoreContract, AgreesWithASimpleModelOnRandomBatches) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::set<std::uint64_t> stored{1};
  std::set<std::uint64_t> lost;
  std::uint64_t watermark = 1;
  std::uint64_t produced = 1;
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  for (int round = 0; round < 200; ++round) {
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
    put(key_, 1, batch, live ? 0 : watermark);
    expect_ledger(key_, produced, stored.size(), lost.size(),
                  produced - stored.size() - lost.size());
    if (HasFailure()) return;
  }
}

// --- anomalies and the feed ----------------------------------------------------------------------

TEST_P(StoreContract, MergesAnAnomalyByPhaseWhateverTheOrder) {
  put(key_, 1, {anomaly(3, 5, wire::Phase::closed, t0_)});
  put(key_, 1, {anomaly(1, 5, wire::Phase::opened, t0_), anomaly(2, 5, wire::Phase::updated, t0_)},
      3, t0_ + minutes(1));
  const auto row = store_->anomaly(key_, 5);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->record.phase, wire::Phase::closed);
  EXPECT_TRUE(row->record.end);
  EXPECT_EQ(row->updated_at, t0_);
  EXPECT_EQ(store_->device(key_)->anomalies_open, 0U);
  EXPECT_EQ(store_->feed(kTenant, {})->size(), 1U) << "older steps are no news";
  EXPECT_EQ(store_->anomalies(kTenant, {}, {})->items.size(), 1U);
}

TEST_P(StoreContract, KeepsEveryFieldOfAnAnomaly) {
  const auto record = anomaly(1, 0xfedcba9876543210ULL, wire::Phase::opened, t0_, "plant/ü");
  put(key_, 1, {record}, 1);
  const auto row = store_->anomaly(key_, 0xfedcba9876543210ULL);
  ASSERT_TRUE(row);
  const auto& want = std::get<wire::AnomalyRecord>(record.body);
  const auto& got = row->record;
  EXPECT_EQ(row->device, key_.device);
  EXPECT_EQ(got.id, want.id);
  EXPECT_EQ(got.severity, want.severity);
  EXPECT_EQ(got.reason, want.reason);
  EXPECT_EQ(got.stream, want.stream);
  EXPECT_EQ(got.watch, want.watch);
  EXPECT_EQ(got.detector, want.detector);
  EXPECT_EQ(got.onset, want.onset);
  EXPECT_EQ(got.peak_time, want.peak_time);
  EXPECT_EQ(got.end, want.end);
  EXPECT_EQ(got.peak_score, want.peak_score);
  EXPECT_EQ(got.peak_value, want.peak_value);
  EXPECT_EQ(got.band.upper, want.band.upper);
  EXPECT_EQ(got.text, want.text);
  ASSERT_EQ(got.contributions.size(), 1U);
  EXPECT_EQ(got.contributions[0].stream, "plant/ü");
  EXPECT_EQ(got.tags, want.tags);
  EXPECT_EQ(row->received_at, t0_);
  EXPECT_EQ(store_->anomaly(key_, 1).error().code, Errc::not_found);
}

TEST_P(StoreContract, KeepsUnknownNumbersUnknown) {
  auto record = anomaly(1, 1, wire::Phase::opened, t0_);
  auto& a = std::get<wire::AnomalyRecord>(record.body);
  a.peak_value = wire::kUnknown;
  a.band = {};
  put(key_, 1, {record}, 1);
  EXPECT_TRUE(std::isnan(store_->anomaly(key_, 1)->record.peak_value));
  EXPECT_TRUE(std::isnan(store_->anomaly(key_, 1)->record.band.lower));
}

TEST_P(StoreContract, ListsAnomaliesNewestFirstInPagesThatNeitherRepeatNorMiss) {
  std::vector<OwnedRecord> records;
  for (std::uint64_t i = 1; i <= 25; ++i) {  // two share each onset
    records.push_back(anomaly(i, i, wire::Phase::opened, t0_ + minutes(i / 2)));
  }
  put(key_, 1, records, 25);
  std::vector<std::uint64_t> seen;
  PageRequest page{.limit = 4};
  for (int pages = 0; pages < 10; ++pages) {
    const auto got = store_->anomalies(kTenant, {}, page);
    ASSERT_TRUE(got);
    for (const auto& row : got->items) seen.push_back(row.record.id);
    if (!got->next_cursor) break;
    page.cursor = *got->next_cursor;
    // A newer one arrives between two pages.
    const std::uint64_t id = 100 + static_cast<std::uint64_t>(pages);
    put(key_, 1,
        {anomaly(26 + static_cast<std::uint64_t>(pages), id, wire::Phase::opened, t0_ + hours(1))},
        26 + static_cast<std::uint64_t>(pages));
  }
  ASSERT_EQ(seen.size(), 25U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end(), std::greater<>()));
  EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), 25U);
}

TEST_P(StoreContract, FiltersAnomalies) {
  const DeviceKey other{kTenant, "press-2"};
  enrol(other);
  put(key_, 1,
      {anomaly(1, 1, wire::Phase::opened, t0_, "a"),
       anomaly(2, 2, wire::Phase::closed, t0_ + hours(1), "b")},
      2);
  auto stuck = anomaly(1, 3, wire::Phase::opened, t0_ + hours(2), "a");
  std::get<wire::AnomalyRecord>(stuck.body).reason = wire::Reason::stuck;
  std::get<wire::AnomalyRecord>(stuck.body).severity = wire::Severity::critical;
  put(other, 1, {stuck}, 1);
  const auto ids = [&](const AnomalyFilter& filter) {
    std::vector<std::uint64_t> out;
    const auto got = store_->anomalies(kTenant, filter, {});
    EXPECT_TRUE(got);
    if (!got) return out;
    for (const auto& row : got->items) out.push_back(row.record.id);
    return out;
  };
  using Ids = std::vector<std::uint64_t>;
  EXPECT_EQ(ids({}), (Ids{3, 2, 1}));
  EXPECT_EQ(ids({.device = "press-2"}), (Ids{3}));
  EXPECT_EQ(ids({.device = "nobody"}), Ids{});
  EXPECT_EQ(ids({.stream = "a"}), (Ids{3, 1}));
  EXPECT_EQ(ids({.open = true}), (Ids{3, 1}));
  EXPECT_EQ(ids({.open = false}), (Ids{2}));
  EXPECT_EQ(ids({.severity = wire::Severity::critical}), (Ids{3}));
  EXPECT_EQ(ids({.reason = wire::Reason::unusual}), (Ids{2, 1}));
  EXPECT_EQ(ids({.from = t0_ + hours(1)}), (Ids{3, 2}));
  EXPECT_EQ(ids({.to = t0_ + hours(1)}), (Ids{1}));
  EXPECT_EQ(
      ids({.device = "press-1", .stream = "a", .open = true, .from = t0_, .to = t0_ + hours(9)}),
      (Ids{1}));
}

TEST_P(StoreContract, AnnouncesEveryStepInTheFeedInOrder) {
  put(key_, 1, {anomaly(1, 5, wire::Phase::opened, t0_)}, 1);
  const auto first = store_->feed(kTenant, {});
  ASSERT_EQ(first->size(), 1U);
  put(key_, 1, {anomaly(2, 5, wire::Phase::updated, t0_), anomaly(3, 5, wire::Phase::closed, t0_)},
      3);
  const auto later = store_->feed(kTenant, {.after = first->back().seq});
  ASSERT_EQ(later->size(), 2U);
  EXPECT_EQ((*later)[0].phase, wire::Phase::updated);
  EXPECT_EQ((*later)[1].phase, wire::Phase::closed);
  EXPECT_LT((*later)[0].seq, (*later)[1].seq);
  EXPECT_EQ((*later)[1].anomaly.record.id, 5U);
  EXPECT_EQ(store_->feed(kTenant, {.after = 0, .device = "other"})->size(), 0U);
  EXPECT_EQ(store_->feed(kTenant, {.limit = 1})->size(), 1U);
  EXPECT_EQ(store_->feed_bounds(kTenant)->newest, later->back().seq);
  EXPECT_EQ(store_->feed_bounds("nobody")->newest, 0U);
}

TEST_P(StoreContract, CommitTellsTheNewestFeedSeq) {
  auto transaction = store_->begin_ingest();
  put_in(**transaction, key_, 1, {anomaly(1, 5, wire::Phase::opened, t0_)}, 1, t0_);
  const auto newest = (*transaction)->commit();
  ASSERT_TRUE(newest);
  EXPECT_EQ(*newest, store_->feed_bounds(kTenant)->newest);
}

TEST_P(StoreContract, CountsOpenAnomaliesOfDevicesAndStreams) {
  put(key_, 1,
      {anomaly(1, 5, wire::Phase::opened, t0_, "a"), anomaly(2, 6, wire::Phase::opened, t0_, "b"),
       anomaly(3, 6, wire::Phase::closed, t0_, "b")},
      3);
  EXPECT_EQ(store_->device(key_)->anomalies_open, 1U);
  EXPECT_EQ(store_->totals()->anomalies_open, 1U);
  const auto streams = store_->streams(key_, {});
  ASSERT_EQ(streams->items.size(), 2U);
  EXPECT_EQ(streams->items[0].anomalies_open, 1U);
  EXPECT_EQ(streams->items[1].anomalies_open, 0U);
}

// --- streams and history -------------------------------------------------------------------------

TEST_P(StoreContract, ShowsTheLatestOfEachStream) {
  put(key_, 1,
      {summary(1, "b", t0_, 1), summary(2, "a", t0_, 5), summary(3, "b", t0_ + minutes(1), 2)}, 3);
  put(key_, 1, {summary(4, "b", t0_ - minutes(1), 9)}, 4);  // late, older
  const auto got = store_->streams(key_, {});
  ASSERT_EQ(got->items.size(), 2U);
  EXPECT_EQ(got->items[0].stream, "a");
  EXPECT_EQ(got->items[1].stream, "b");
  EXPECT_EQ(got->items[1].last_value, 2);
  EXPECT_EQ(got->items[1].band.upper, 4);
  EXPECT_EQ(got->items[1].last_score, 0.5);
  EXPECT_EQ(got->items[1].last_time, t0_ + minutes(1) + seconds(10));
  EXPECT_EQ(got->items[1].tags, (std::vector<wire::Tag>{{"site", "north"}}));
  EXPECT_EQ(store_->device(key_)->streams, 2U);
  const auto page = store_->streams(key_, {.limit = 1});
  ASSERT_TRUE(page->next_cursor);
  const auto rest = store_->streams(key_, {.limit = 1, .cursor = *page->next_cursor});
  ASSERT_EQ(rest->items.size(), 1U);
  EXPECT_EQ(rest->items[0].stream, "b");
  EXPECT_FALSE(rest->next_cursor);
  EXPECT_EQ(store_->streams({kTenant, "nobody"}, {}).error().code, Errc::not_found);
}

TEST_P(StoreContract, TellsHistoryOldestFirst) {
  std::vector<OwnedRecord> records;
  std::uint64_t seq = 0;
  for (int i = 0; i < 50; ++i) {  // 25 s apart, three streams, and an hour of silence in between
    const auto at = t0_ + seconds(25) * i + (i >= 30 ? hours(1) : hours(0));
    for (const auto* stream : {"a", "b", "c"}) {
      if (i % 7 == 3 && *stream == 'b') continue;
      records.push_back(summary(++seq, stream, at, i));
    }
  }
  put(key_, 1, records, seq);
  const auto values = [&](const HistoryQuery& query) {
    std::vector<int> out;
    const auto got = store_->history(key_, query);
    EXPECT_TRUE(got);
    if (!got) return out;
    EXPECT_TRUE(std::is_sorted(got->begin(), got->end(),
                               [](const auto& l, const auto& r) { return l.begin < r.begin; }));
    for (const auto& point : *got) out.push_back(static_cast<int>(point.value_mean));
    return out;
  };
  EXPECT_EQ(values({.stream = "a"}).size(), 50U);
  EXPECT_EQ(values({.stream = "b"}).size(), 43U);
  EXPECT_EQ(values({.stream = "c", .limit = 3}), (std::vector{47, 48, 49})) << "the newest";
  EXPECT_EQ(values({.stream = "a", .from = t0_ + seconds(25), .limit = 2}), (std::vector{1, 2}));
  EXPECT_EQ(values({.stream = "a", .from = t0_, .to = t0_ + seconds(50)}), (std::vector{0, 1}));
  EXPECT_EQ(values({.stream = "a", .to = t0_ + seconds(51), .limit = 2}), (std::vector{1, 2}));
  EXPECT_EQ(values({.stream = "b", .from = t0_ + minutes(20), .to = t0_ + minutes(40)}).size(), 0U);
  EXPECT_EQ(values({.stream = "b", .from = t0_ + seconds(25 * 29), .limit = 2}),
            (std::vector{29, 30}))
      << "across the silence";
  EXPECT_EQ(store_->history(key_, {.stream = "z"}).error().code, Errc::not_found);
  const auto point = store_->history(key_, {.stream = "a", .limit = 1})->at(0);
  EXPECT_EQ(point.readings, 10U);
  EXPECT_EQ(point.value_min, 48);
  EXPECT_EQ(point.value_max, 50);
  EXPECT_EQ(point.score_max, 0.5);
  EXPECT_TRUE(std::isnan(point.score_mean));
  EXPECT_EQ(point.band.lower, 47);
}

TEST_P(StoreContract, SurvivesTimesFromWrongClocks) {
  put(key_, 1,
      {summary(1, "a", from_micros(-5'000'000)), summary(2, "a", from_micros(0)),
       summary(3, "a", from_micros(4'102'444'800'000'000)), summary(4, "a", t0_)},
      4);
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->size(), 4U);
  EXPECT_EQ(
      store_->history(key_, {.stream = "a", .from = from_micros(-6'000'000), .to = from_micros(1)})
          ->size(),
      2U);
  EXPECT_EQ(store_->history(key_, {.stream = "a", .from = Time::min(), .to = Time::max()})->size(),
            4U);
  EXPECT_EQ(store_->history(key_, {.stream = "a", .from = Time::max(), .to = Time::min()})->size(),
            0U);
}

TEST_P(StoreContract, KeepsTwoWatchesOfOneStreamApart) {
  put(key_, 1,
      {summary(1, "a", t0_, 1, "fast"), summary(2, "a", t0_, 2, "slow"),
       summary(3, "a", t0_ + minutes(1), 3, "slow")},
      3);
  EXPECT_EQ(store_->streams(key_, {})->items.size(), 2U);
  EXPECT_EQ(store_->history(key_, {.stream = "a", .watch = "fast"})->size(), 1U);
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->size(), 2U) << "the watch that reported last";
}

// --- tenants -------------------------------------------------------------------------------------

TEST_P(StoreContract, TenantsDoNotSeeEachOther) {
  const DeviceKey theirs{"other", key_.device};
  enrol(theirs);
  put(key_, 1, {summary(1, "a", t0_, 1), anomaly(2, 5, wire::Phase::opened, t0_)}, 2);
  put(theirs, 4, {summary(1, "a", t0_, 2), anomaly(2, 5, wire::Phase::closed, t0_)}, 2);
  EXPECT_EQ(store_->device(key_)->epoch, 1U);
  EXPECT_EQ(store_->device(theirs)->epoch, 4U);
  EXPECT_EQ(store_->devices(kTenant, {})->items.size(), 1U);
  EXPECT_EQ(store_->streams(key_, {})->items[0].last_value, 1);
  EXPECT_EQ(store_->history(theirs, {.stream = "a"})->at(0).value_mean, 2);
  EXPECT_EQ(store_->anomalies(kTenant, {}, {})->items.size(), 1U);
  EXPECT_EQ(store_->anomaly(key_, 5)->record.phase, wire::Phase::opened);
  EXPECT_EQ(store_->anomaly(theirs, 5)->record.phase, wire::Phase::closed);
  EXPECT_EQ(store_->feed(kTenant, {})->size(), 1U);
  EXPECT_EQ(store_->feed("other", {})->size(), 1U);
  EXPECT_EQ(store_->devices("nobody", {})->items.size(), 0U);
  EXPECT_EQ(store_->totals()->devices, 2U);
  ASSERT_TRUE(store_->add_token({"other", "t9", "n", "h9", {"read"}, t0_}));
  EXPECT_EQ(store_->tokens(kTenant, {})->items.size(), 0U);
  EXPECT_EQ(store_->revoke_token(kTenant, "t9", t0_).error().code, Errc::not_found);
  ASSERT_TRUE(store_->add_audit({0, "other", t0_, "cli", "x", "y", "z"}));
  EXPECT_EQ(store_->audit(kTenant, {})->items.size(), 0U);
}

// --- devices -------------------------------------------------------------------------------------

TEST_P(StoreContract, ListsDevicesByNameInPages) {
  for (int i = 0; i < 7; ++i) enrol({kTenant, "d" + std::to_string(i)});
  std::vector<std::string> names;
  PageRequest page{.limit = 3};
  while (true) {
    const auto got = store_->devices(kTenant, page);
    ASSERT_TRUE(got);
    for (const auto& row : got->items) names.push_back(row.device);
    if (!got->next_cursor) break;
    page.cursor = *got->next_cursor;
  }
  EXPECT_EQ(names.size(), 8U);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
}

TEST_P(StoreContract, ReportsSilentDevicesOffline) {
  auto transaction = store_->begin_ingest();
  ASSERT_TRUE((*transaction)->device(key_));
  ASSERT_TRUE((*transaction)->save_presence(key_, {true, "c1", t0_}));
  ASSERT_TRUE((*transaction)->commit());
  EXPECT_EQ(store_->totals()->devices_online, 1U);
  EXPECT_EQ(*store_->mark_silent_offline(t0_), 0U);
  EXPECT_EQ(*store_->mark_silent_offline(t0_ + seconds(1)), 1U);
  EXPECT_EQ(store_->device(key_)->status, DeviceStatus::offline);
  EXPECT_EQ(store_->begin_ingest().value()->device(key_)->connection_id, "c1");
}

TEST_P(StoreContract, RefusesCursorsItDidNotGive) {
  for (const auto* cursor : {"x", "zz", "x616", "x61-", "-", "' OR 1", "x61-x61-x61", "x31-xGG"}) {
    SCOPED_TRACE(cursor);
    const PageRequest page{.limit = 10, .cursor = cursor};
    EXPECT_EQ(store_->anomalies(kTenant, {}, page).error().code, Errc::bad_input);
    EXPECT_EQ(
        store_->audit(kTenant, {.limit = 10, .cursor = std::string("x61") + cursor}).error().code,
        Errc::bad_input);
    if (cursor != std::string("x")) {
      EXPECT_EQ(store_->devices(kTenant, page).error().code, Errc::bad_input);
    }
  }
}

// --- credentials and audit -----------------------------------------------------------------------

TEST_P(StoreContract, KeepsTokensAndTheirRevocation) {
  const TokenRow token{kTenant, "t1", "dashboard", "hash1", {"read", "enrol"}, t0_, t0_ + hours(1)};
  ASSERT_TRUE(store_->add_token(token));
  EXPECT_EQ(store_->add_token(token).error().code, Errc::exists);
  EXPECT_EQ(store_->add_token({"other", "t2", "n", "hash1", {}, t0_}).error().code, Errc::exists);
  const auto found = store_->token_by_hash("hash1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tenant, kTenant);
  EXPECT_EQ(found->name, "dashboard");
  EXPECT_EQ(found->scopes, token.scopes);
  EXPECT_TRUE(found->usable(t0_));
  EXPECT_FALSE(found->usable(t0_ + hours(1)));
  ASSERT_TRUE(store_->revoke_token(kTenant, "t1", t0_ + minutes(1)));
  ASSERT_TRUE(store_->revoke_token(kTenant, "t1", t0_ + minutes(2)));
  EXPECT_EQ(store_->token_by_hash("hash1")->revoked_at, t0_ + minutes(1));
  EXPECT_FALSE(store_->token_by_hash("hash1")->usable(t0_));
  EXPECT_EQ(store_->token_by_hash("nope").error().code, Errc::not_found);
  EXPECT_EQ(store_->tokens(kTenant, {})->items.size(), 1U);
}

TEST_P(StoreContract, LetsOneOfManyUseAnEnrolmentToken) {
  ASSERT_TRUE(store_->add_enrolment({kTenant, "e1", "new", t0_, t0_ + hours(1), {}}));
  EXPECT_EQ(store_->add_enrolment({kTenant, "e1", "new", t0_, t0_, {}}).error().code, Errc::exists);
  EXPECT_EQ(store_->consume_enrolment("e1", t0_ + hours(1)).error().code, Errc::denied);
  EXPECT_EQ(store_->consume_enrolment("e2", t0_).error().code, Errc::not_found);
  std::atomic<int> used{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto got = store_->consume_enrolment("e1", t0_);
      if (got) {
        ++used;
      } else {
        EXPECT_EQ(got.error().code, Errc::denied);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(used, 1);
}

TEST_P(StoreContract, TellsTheAuditNewestFirst) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(store_->add_audit(
        {0, kTenant, t0_ + minutes(i), "cli", "token.create", "t" + std::to_string(i), "d"}));
  }
  const auto page = store_->audit(kTenant, {.limit = 3});
  ASSERT_EQ(page->items.size(), 3U);
  EXPECT_EQ(page->items[0].subject, "t4");
  EXPECT_EQ(page->items[0].at, t0_ + minutes(4));
  const auto rest = store_->audit(kTenant, {.limit = 3, .cursor = *page->next_cursor});
  ASSERT_EQ(rest->items.size(), 2U);
  EXPECT_EQ(rest->items[1].subject, "t0");
}

// --- retention -----------------------------------------------------------------------------------

TEST_P(StoreContract, TrimsWhatRetentionNoLongerKeeps) {
  Retention keep;
  keep.history = hours(2);
  keep.anomalies = hours(2);
  keep.feed_rows = 3;
  keep.ledger_rows_per_device = 4;
  keep.dead_letters_per_tenant = 2;
  reopen(keep);
  std::vector<OwnedRecord> records;
  for (std::uint64_t i = 1; i <= 10; ++i) {
    records.push_back(summary(i, "a", t0_ + minutes(30) * static_cast<int>(i)));
  }
  for (std::uint64_t i = 11; i <= 16; ++i) {
    records.push_back(anomaly(i, i, i % 2 == 0 ? wire::Phase::closed : wire::Phase::opened, t0_));
  }
  put(key_, 1, records, 16);
  {
    auto transaction = store_->begin_ingest();
    ASSERT_TRUE((*transaction)->device(key_));
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE((*transaction)->dead_letter(key_, {0, 0, 0, "bad frame", "x", t0_}));
    }
    ASSERT_TRUE((*transaction)->commit());
  }
  const auto newest = store_->feed_bounds(kTenant)->newest;
  const auto trimmed = store_->trim(t0_ + hours(5));
  ASSERT_TRUE(trimmed) << trimmed.error().context;
  EXPECT_FALSE(trimmed->more);
  EXPECT_EQ(trimmed->history, 5U);
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->size(), 5U);
  EXPECT_EQ(trimmed->anomalies, 3U);
  EXPECT_EQ(store_->anomalies(kTenant, {}, {})->items.size(), 3U) << "open ones stay";
  EXPECT_EQ(trimmed->feed, 3U);
  EXPECT_EQ(store_->feed_bounds(kTenant)->newest, newest);
  EXPECT_EQ(trimmed->dead_letters, 3U);
  EXPECT_EQ(store_->dead_letters(kTenant, {})->items.size(), 2U);
  EXPECT_EQ(trimmed->ledger, 12U);
  // Exactly-once does not need the trimmed keys.
  EXPECT_EQ(put(key_, 1, records, 16).duplicates, records.size());
  expect_ledger(key_, 16, 16, 0, 0);
}

TEST_P(StoreContract, NeverTrimsKeysAheadOfTheWatermark) {
  Retention keep;
  keep.ledger_rows_per_device = 0;
  reopen(keep);
  put(key_, 1, {summary(1, "a", t0_), summary(2, "a", t0_ + minutes(2))}, 2);
  put(key_, 1, {summary(10, "a", t0_ + minutes(10))});
  ASSERT_TRUE(store_->trim(t0_));
  EXPECT_EQ(put(key_, 1, {summary(10, "a", t0_ + minutes(10))}).duplicates, 1U);
  put(key_, 1, {loss(3, 12)}, 12);
  expect_ledger(key_, 12, 3, 9, 0);
}

TEST_P(StoreContract, BoundsHistoryByRows) {
  Retention keep;
  keep.history_rows = 100;
  reopen(keep);
  std::vector<OwnedRecord> records;
  for (std::uint64_t i = 1; i <= 300; ++i) {
    records.push_back(summary(i, "a", t0_ + minutes(i)));
  }
  put(key_, 1, records, 300);
  ASSERT_TRUE(store_->trim(t0_ + minutes(300)));
  const auto left = store_->history(key_, {.stream = "a"});
  EXPECT_LE(left->size(), 100U);
  EXPECT_GE(left->size(), 40U);
  EXPECT_EQ(left->back().begin, t0_ + minutes(300)) << "the newest stay";
}

// --- threads -------------------------------------------------------------------------------------

TEST_P(StoreContract, AnswersQueriesWhileRecordsComeIn) {
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 6; ++i) {
    readers.emplace_back([&] {
      std::uint64_t last = 0;
      while (!done) {
        const auto row = store_->device(key_);
        ASSERT_TRUE(row) << row.error().context;
        ASSERT_GE(row->ledger.stored, last);
        ASSERT_EQ(row->ledger.stored % 50, 0U) << "half a transaction was seen";
        last = row->ledger.stored;
        ASSERT_TRUE(store_->anomalies(kTenant, {}, {.limit = 5}));
      }
    });
  }
  std::uint64_t seq = 0;
  for (int round = 0; round < 40; ++round) {
    std::vector<OwnedRecord> batch;
    for (int i = 0; i < 50; ++i) {
      ++seq;
      batch.push_back(summary(seq, "s" + std::to_string(i), t0_ + seconds(round)));
    }
    put(key_, 1, batch, seq);
  }
  done = true;
  for (auto& reader : readers) reader.join();
  expect_ledger(key_, 2000, 2000, 0, 0);
}

}  // namespace lapwing::hub
