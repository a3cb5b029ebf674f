// SPDX-License-Identifier: Apache-2.0
/// What people look at: anomalies, feed, streams, history.
#include "tests/hub/store/store_contract.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace lapwing::hub {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

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

TEST_P(StoreContract, TakesManyStepsOfManyAnomaliesInOneTransaction) {
  const DeviceKey other{kTenant, "press-2"};
  enrol(other);
  put(key_, 1, {anomaly(1, 1, wire::Phase::opened, t0_, "a")}, 1);
  using enum wire::Phase;
  auto transaction = store_->begin_ingest();
  ASSERT_TRUE(transaction);
  // The same names at two devices; one step that is older than what is known.
  put_in(**transaction, key_, 1,
         {anomaly(2, 1, updated, t0_, "a"), anomaly(3, 2, opened, t0_ + minutes(1), "b"),
          anomaly(4, 1, closed, t0_, "a"), anomaly(5, 1, updated, t0_, "a"),
          anomaly(6, 3, opened, t0_ + minutes(2), "b")},
         6, t0_ + minutes(5));
  put_in(**transaction, other, 1,
         {anomaly(1, 1, opened, t0_, "a"), anomaly(2, 2, opened, t0_, "a"),
          anomaly(3, 2, closed, t0_, "a")},
         3, t0_ + minutes(6));
  ASSERT_TRUE((*transaction)->commit());
  transaction->reset();
  using Told = std::vector<std::pair<std::string, wire::Phase>>;
  Told told;
  const auto feed = store_->feed(kTenant, {});
  ASSERT_TRUE(feed);
  for (const auto& row : *feed) {
    told.emplace_back(row.anomaly.device + "/" + std::to_string(row.anomaly.record.id), row.phase);
  }
  const Told expected{{"press-1/1", opened}, {"press-1/1", updated}, {"press-1/2", opened},
                      {"press-1/1", closed}, {"press-1/3", opened},  {"press-2/1", opened},
                      {"press-2/2", opened}, {"press-2/2", closed}};
  EXPECT_EQ(told, expected) << "in the order of their coming";
  const auto first = store_->anomaly(key_, 1);
  EXPECT_EQ(first->record.phase, closed);
  EXPECT_EQ(first->received_at, t0_) << "of its first step";
  EXPECT_EQ(first->updated_at, t0_ + minutes(5));
  EXPECT_EQ(store_->device(key_)->anomalies_open, 2U);
  EXPECT_EQ(store_->device(other)->anomalies_open, 1U);
  EXPECT_EQ(store_->anomaly(other, 2)->record.phase, closed);
  const auto streams = store_->streams(key_, {});
  ASSERT_EQ(streams->items.size(), 2U);
  EXPECT_EQ(streams->items[0].anomalies_open, 0U);
  EXPECT_EQ(streams->items[1].anomalies_open, 2U);
  EXPECT_EQ(store_->totals()->anomalies_open, 3U);
}

TEST_P(StoreContract, TakesMoreInOneTransactionThanItGathers) {
  // Beyond a ledger's run of 4,096 and a COPY of 4 MiB; more anomalies than wait together.
  constexpr std::uint64_t kSummaries = 30'000;
  constexpr std::uint64_t kAnomalies = 4'500;
  constexpr auto kAll = kSummaries + kAnomalies;
  std::vector<OwnedRecord> records;
  for (std::uint64_t seq = 1; seq <= kSummaries; ++seq) {
    records.push_back(summary(seq, "s" + std::to_string(seq % 3), t0_ + seconds(10 * seq)));
  }
  for (std::uint64_t seq = kSummaries + 1; seq <= kAll; ++seq) {
    records.push_back(anomaly(seq, seq, wire::Phase::opened, t0_ + seconds(seq), "s1"));
  }
  const auto counts = put(key_, 1, records, kAll);
  EXPECT_EQ(counts.stored, kAll);
  expect_ledger(key_, kAll, kAll, 0, 0);
  {
    auto transaction = store_->begin_ingest().value();
    ASSERT_TRUE(transaction->device(key_));
    for (const std::uint64_t seq : {std::uint64_t{1}, std::uint64_t{4096}, std::uint64_t{4097},
                                    std::uint64_t{4098}, std::uint64_t{8193}, kAll}) {
      EXPECT_EQ(transaction->record_hash(key_, 1, seq)->value_or(0), seq * 7919) << seq;
    }
    EXPECT_FALSE(transaction->record_hash(key_, 1, kAll + 1)->has_value());
  }
  const auto history = store_->history(key_, {.stream = "s1", .limit = 10'000});
  ASSERT_TRUE(history);
  EXPECT_EQ(history->points.size(), kSummaries / 3);
  EXPECT_EQ(store_->device(key_)->anomalies_open, kAnomalies);
  EXPECT_EQ(store_->feed_bounds(kTenant)->newest, kAnomalies);
  // All of it again, as when the answer was lost.
  EXPECT_EQ(put(key_, 1, records, kAll).stored, 0U);
  expect_ledger(key_, kAll, kAll, 0, 0);
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
  EXPECT_FALSE(streams->items[0].last_time) << "no summary yet";
  EXPECT_EQ(streams->items[1].anomalies_open, 0U);
}

// --- streams and history -------------------------------------------------------------------------

TEST_P(StoreContract, ShowsTheLatestOfEachStream) {
  put(key_, 1,
      {summary(1, "b", t0_, 1), summary(2, "a", t0_, 5), summary(3, "b", t0_ + minutes(1), 2)}, 3);
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

TEST_P(StoreContract, TheLatestOfAStreamFollowsTheNumbersNotTheClock) {
  const auto latest = [&] { return store_->streams(key_, {})->items.at(0).last_value; };
  put(key_, 1, {summary(1, "s", t0_ + hours(24), 1)}, 1);  // a clock that ran ahead
  put(key_, 1, {summary(2, "s", t0_, 2)}, 2);              // and was set right
  EXPECT_EQ(latest(), 2);

  {  // a live copy ahead of a backlog, then what is behind it
    auto transaction = store_->begin_ingest();
    auto live = *(*transaction)->device(key_);
    put_in(**transaction, key_, 1, {summary(9, "s", t0_ + minutes(9), 9)}, 2, t0_);
    live.sync.live_through = 9;
    ASSERT_TRUE((*transaction)->save_sync(key_, live.sync));
    put_in(**transaction, key_, 1, {summary(3, "s", t0_ + minutes(3), 3)}, 3, t0_);
    ASSERT_TRUE((*transaction)->commit());
  }
  EXPECT_EQ(latest(), 9);
  put(key_, 1, {summary(4, "s", t0_ + minutes(4), 4)}, 4);
  EXPECT_EQ(latest(), 9);
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
    EXPECT_TRUE(std::is_sorted(got->points.begin(), got->points.end(),
                               [](const auto& l, const auto& r) { return l.begin < r.begin; }));
    for (const auto& point : got->points) out.push_back(static_cast<int>(point.value_mean));
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
  const auto point = store_->history(key_, {.stream = "a", .limit = 1})->points.at(0);
  EXPECT_EQ(point.readings, 10U);
  EXPECT_EQ(point.value_min, 48);
  EXPECT_EQ(point.value_max, 50);
  EXPECT_EQ(point.score_max, 0.5);
  EXPECT_TRUE(std::isnan(point.score_mean));
  EXPECT_EQ(point.band.lower, 47);
}

TEST_P(StoreContract, TellsTheHistoryOfOneOfManyStreams) {
  // More streams than an engine reads through, and a silence of some days in the middle.
  constexpr std::uint64_t kStreams = 100;
  constexpr std::uint64_t kTurns = 60;
  std::vector<OwnedRecord> records;
  for (std::uint64_t turn = 0; turn < kTurns; ++turn) {
    const auto begin = t0_ + minutes(5 * turn) + (turn < kTurns / 2 ? hours(0) : hours(100));
    for (std::uint64_t stream = 0; stream < kStreams; ++stream) {
      if (stream == 7 && turn % 2 == 1) continue;  // one that says less than others
      records.push_back(summary(records.size() + 1, "s" + std::to_string(stream), begin,
                                static_cast<double>(turn)));
    }
  }
  put(key_, 1, records, records.size());
  const auto turns = [&](const HistoryQuery& query) {
    std::vector<double> out;
    const auto got = store_->history(key_, query);
    EXPECT_TRUE(got);
    if (!got) return out;
    for (const auto& point : got->points) out.push_back(point.value_mean);
    return out;
  };
  const auto all = turns({.stream = "s42"});
  ASSERT_EQ(all.size(), kTurns);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  EXPECT_EQ(turns({.stream = "s42", .from = t0_ - hours(1)}), all) << "from either end";
  EXPECT_EQ(turns({.stream = "s7"}).size(), kTurns / 2);
  using Turns = std::vector<double>;
  EXPECT_EQ(turns({.stream = "s42", .limit = 2}), (Turns{kTurns - 2, kTurns - 1}));
  EXPECT_EQ(turns({.stream = "s42", .from = t0_ + minutes(141), .limit = 3}),
            (Turns{29, kTurns / 2, kTurns / 2 + 1}))
      << "over the silence";
  EXPECT_EQ(turns({.stream = "s42", .to = t0_ + hours(100), .limit = 2}), (Turns{28, 29}));
  EXPECT_EQ(turns({.stream = "s42", .from = t0_ + hours(10), .to = t0_ + hours(90)}), Turns{});
}

TEST_P(StoreContract, SurvivesTimesFromWrongClocks) {
  put(key_, 1,
      {summary(1, "a", from_micros(-5'000'000)), summary(2, "a", from_micros(0)),
       summary(3, "a", from_micros(4'102'444'800'000'000)), summary(4, "a", t0_)},
      4);
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->points.size(), 4U);
  EXPECT_EQ(
      store_->history(key_, {.stream = "a", .from = from_micros(-6'000'000), .to = from_micros(1)})
          ->points.size(),
      2U);
  EXPECT_EQ(
      store_->history(key_, {.stream = "a", .from = Time::min(), .to = Time::max()})->points.size(),
      4U);
  EXPECT_EQ(
      store_->history(key_, {.stream = "a", .from = Time::max(), .to = Time::min()})->points.size(),
      0U);
}

TEST_P(StoreContract, KeepsTwoWatchesOfOneStreamApart) {
  put(key_, 1,
      {summary(1, "a", t0_, 1, "fast"), summary(2, "a", t0_, 2, "slow"),
       summary(3, "a", t0_ + minutes(1), 3, "slow")},
      3);
  EXPECT_EQ(store_->streams(key_, {})->items.size(), 2U);
  EXPECT_EQ(store_->history(key_, {.stream = "a", .watch = "fast"})->points.size(), 1U);
  EXPECT_EQ(store_->history(key_, {.stream = "a"})->points.size(), 2U)
      << "the watch that reported last";
}

}  // namespace lapwing::hub
