// SPDX-License-Identifier: Apache-2.0
/// Helpers, tenants, devices, threads.
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
  auto state = transaction.device(key)->sync;
  if (watermark != 0) {
    state.watermark = watermark;
  } else if (!records.empty()) {
    state.live_through = std::max(state.live_through, records.back().seq_last);
  }
  EXPECT_TRUE(transaction.save_sync(key, state));
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

std::vector<LossRow> StoreContract::losses() {
  std::vector<LossRow> all;
  PageRequest page{.limit = 1'000};
  while (true) {
    const auto got = store_->losses(key_, page);
    EXPECT_TRUE(got);
    if (!got) return all;
    all.insert(all.end(), got->items.begin(), got->items.end());
    if (!got->next_cursor) return all;
    page.cursor = *got->next_cursor;
  }
}

void StoreContract::expect_ledger(const DeviceKey& key, std::uint64_t produced,
                                  std::uint64_t stored, std::uint64_t lost,
                                  std::uint64_t outstanding) {
  const auto l = ledger(key);
  EXPECT_EQ(l.produced, produced);
  EXPECT_EQ(l.stored, stored);
  EXPECT_EQ(l.lost.total(), lost);
  EXPECT_EQ(l.outstanding, outstanding);
  EXPECT_EQ(l.produced, l.stored + l.lost.total() + l.elsewhere + l.outstanding);
  if (key != key_) return;
  std::uint64_t listed = 0;
  for (const auto& one : losses()) listed += one.records;
  EXPECT_EQ(listed, lost);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContract);

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
  EXPECT_EQ(store_->history(theirs, {.stream = "a"})->points.at(0).value_mean, 2);
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
