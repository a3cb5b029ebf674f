// SPDX-License-Identifier: Apache-2.0
/// What regions tell one another, between two stores of the same engine.
#include "hub/store/exchange.hpp"
#include "tests/hub/store/store_contract.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

namespace lapwing::hub {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;

/// One region takes what another tells, as the puller does.
class Pull {
 public:
  Pull(Store& from, Store& to, std::string region, std::size_t rows = 500)
      : from_(from.exchange()), to_(to.exchange()), peer_{"acme", std::move(region)}, rows_(rows) {}

  /// One page of anomalies; whether there is more.
  bool page(Time at) {
    const auto cursor = to_.cursor(peer_, ExchangeKind::anomalies);
    EXPECT_TRUE(cursor);
    const auto page = from_.page("acme", ExchangeKind::anomalies, {*cursor, rows_});
    EXPECT_TRUE(page) << page.error().context;
    if (!page) return false;
    EXPECT_LE(page->rows.size(), rows_);
    count(to_.take(peer_, ExchangeKind::anomalies, page->rows, page->next, true, at));
    return page->more;
  }
  void list(ExchangeKind kind, Time at) {
    std::string cursor;
    do {
      const auto page = from_.page("acme", kind, {cursor, rows_});
      ASSERT_TRUE(page) << page.error().context;
      count(to_.take(peer_, kind, page->rows, std::nullopt, false, at));
      cursor = page->next;
    } while (!cursor.empty());
  }
  void all(Time at) {
    list(ExchangeKind::devices, at);
    list(ExchangeKind::ledgers, at);
    while (page(at)) {
    }
  }

  std::uint64_t changed = 0;
  std::uint64_t known = 0;
  std::uint64_t passed = 0;

 private:
  void count(const Result<Merged>& taken) {
    ASSERT_TRUE(taken) << taken.error().context;
    changed += taken->changed;
    known += taken->known;
    passed += taken->unknown_devices;
  }

  Exchange& from_;
  Exchange& to_;
  Peer peer_;
  std::size_t rows_;
};

std::map<std::uint64_t, AnomalyRow> anomalies(Store& store) {
  std::map<std::uint64_t, AnomalyRow> all;
  PageRequest page{.limit = 1000};
  while (true) {
    const auto got = store.anomalies("acme", {}, page);
    EXPECT_TRUE(got);
    for (const auto& row : got->items) {
      EXPECT_TRUE(all.emplace(row.record.id, row).second) << "twice: " << row.record.id;
    }
    if (!got->next_cursor) return all;
    page.cursor = *got->next_cursor;
  }
}

/// But for the region.
void expect_same(Store& left, Store& right) {
  const auto a = anomalies(left);
  const auto b = anomalies(right);
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [id, row] : a) {
    ASSERT_TRUE(b.contains(id));
    const auto& other = b.at(id);
    EXPECT_EQ(row.record.phase, other.record.phase);
    EXPECT_EQ(row.record.stream, other.record.stream);
    EXPECT_EQ(row.record.onset, other.record.onset);
    EXPECT_EQ(row.record.end, other.record.end);
    EXPECT_EQ(row.record.peak_score, other.record.peak_score);
    EXPECT_EQ(row.record.text, other.record.text);
    EXPECT_EQ(row.record.tags, other.record.tags);
    EXPECT_EQ(row.record.contributions.size(), other.record.contributions.size());
    EXPECT_EQ(row.updated_at, other.updated_at);
  }
}

/// The device and its streams count the open anomalies that are there.
void expect_counted(Store& store, const DeviceKey& key) {
  std::uint64_t open = 0;
  for (const auto& [id, row] : anomalies(store)) {
    if (row.device == key.device && row.record.phase != wire::Phase::closed) ++open;
  }
  EXPECT_EQ(store.device(key)->anomalies_open, open);
  const auto streams = store.streams(key, {.limit = 1000});
  ASSERT_TRUE(streams);
  std::uint64_t by_streams = 0;
  for (const auto& row : streams->items) by_streams += row.anomalies_open;
  EXPECT_EQ(by_streams, open);
}

}  // namespace

TEST_P(StoreContract, TellsEveryAnomalyOnceAndThenWhatChanges) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  std::vector<OwnedRecord> records;
  for (std::uint64_t i = 1; i <= 25; ++i) {  // several share an onset
    const auto onset = t0_ + minutes(i / 4);
    records.push_back(anomaly(2 * i - 1, i, wire::Phase::opened, onset, i % 2 ? "a" : "b"));
    if (i % 3 == 0)
      records.push_back(anomaly(2 * i, i, wire::Phase::closed, onset, i % 2 ? "a" : "b"));
  }
  put(key_, 1, records, 50);
  Pull pull(*store_, *other_, "eu", 4);
  pull.all(t0_);
  EXPECT_EQ(pull.changed, 25U + 1) << "anomalies and their device";
  expect_same(*store_, *other_);
  expect_counted(*other_, key_);
  EXPECT_EQ(other_->feed(kTenant, {})->size(), 25U) << "what was taken is news here, once";
  for (const auto& [id, row] : anomalies(*other_)) EXPECT_EQ(row.region, "eu");

  put(key_, 1,
      {anomaly(51, 5, wire::Phase::closed, t0_ + minutes(1), "a"),
       anomaly(52, 99, wire::Phase::opened, t0_ - hours(1), "c")},
      52, t0_ + hours(1));
  const auto feed = other_->feed_bounds(kTenant)->newest;
  Pull again(*store_, *other_, "eu", 4);
  while (again.page(t0_)) {
  }
  EXPECT_EQ(again.changed, 2U);
  EXPECT_EQ(again.known, 0U);
  expect_same(*store_, *other_);
  expect_counted(*other_, key_);
  EXPECT_EQ(other_->feed(kTenant, {.after = feed})->size(), 2U);
}

TEST_P(StoreContract, TakingAPageAgainChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  put(key_, 1, {anomaly(1, 7, wire::Phase::opened, t0_), anomaly(2, 8, wire::Phase::closed, t0_)},
      2);
  Pull(*store_, *other_, "eu").all(t0_);
  const auto feed = other_->feed_bounds(kTenant)->newest;
  const auto page = store_->exchange().page(kTenant, ExchangeKind::anomalies, {});
  ASSERT_EQ(page->rows.size(), 2U);
  for (const auto* region : {"eu", "us"}) {  // also from another who knows it
    const auto taken = other_->exchange().take({kTenant, region}, ExchangeKind::anomalies,
                                               page->rows, std::nullopt, false, t0_);
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->changed, 0U);
    EXPECT_EQ(taken->known, 2U);
    EXPECT_EQ(taken->feed_newest, 0U);
  }
  EXPECT_EQ(other_->feed_bounds(kTenant)->newest, feed);
  expect_counted(*other_, key_);
}

TEST_P(StoreContract, GoesOnWhereThePageThatWasKeptEnded) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  std::vector<OwnedRecord> records;
  for (std::uint64_t i = 1; i <= 9; ++i) {
    records.push_back(anomaly(i, i, wire::Phase::opened, t0_ + minutes(i)));
  }
  put(key_, 1, records, 9);
  Pull first(*store_, *other_, "eu", 4);
  first.list(ExchangeKind::devices, t0_);
  EXPECT_TRUE(first.page(t0_));
  // The process ends here; what changes meanwhile lies before and behind the cursor.
  other_.reset();
  ASSERT_NO_FATAL_FAILURE(open_other());
  put(key_, 1,
      {anomaly(10, 1, wire::Phase::closed, t0_ + minutes(1)),
       anomaly(11, 100, wire::Phase::opened, t0_ - hours(1)),
       anomaly(12, 9, wire::Phase::closed, t0_ + minutes(9))},
      12);
  Pull rest(*store_, *other_, "eu", 4);
  while (rest.page(t0_)) {
  }
  EXPECT_EQ(rest.changed, 5U + 2U) << "the five behind it, the closed and the new one before it";
  expect_same(*store_, *other_);
  expect_counted(*other_, key_);
}

TEST_P(StoreContract, AnAnomalyThatEndsInAnotherRegionIsOne) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  put(key_, 1, {anomaly(1, 7, wire::Phase::opened, t0_, "a")}, 1);
  Pull(*store_, *other_, "eu").all(t0_);
  // The device moved; the other region grants a later epoch.
  put_other(
      key_, 2,
      {anomaly(2, 7, wire::Phase::updated, t0_, "a"), anomaly(3, 7, wire::Phase::closed, t0_, "a")},
      3, t0_ + minutes(1));
  EXPECT_EQ(other_->anomaly(key_, 7)->region, "") << "its own now";
  expect_counted(*other_, key_);
  Pull back(*other_, *store_, "us");
  back.all(t0_ + minutes(2));
  expect_same(*store_, *other_);
  EXPECT_EQ(store_->anomaly(key_, 7)->region, "us");
  EXPECT_EQ(store_->anomaly(key_, 7)->received_at, t0_);
  expect_counted(*store_, key_);
  EXPECT_EQ(store_->device(key_)->anomalies_open, 0U);
  // An older step changes nothing, wherever it comes from.
  put(key_, 1, {anomaly(4, 7, wire::Phase::updated, t0_, "a")}, 4);
  EXPECT_EQ(store_->anomaly(key_, 7)->record.phase, wire::Phase::closed);
}

TEST_P(StoreContract, BothDirectionsAtOnceComeToRest) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  const DeviceKey here{kTenant, "press-9"};
  ASSERT_TRUE(other_->register_device({here, t0_, "0b", t0_ + hours(24)}));
  put(key_, 1, {anomaly(1, 1, wire::Phase::opened, t0_)}, 1);
  put_other(here, 1, {anomaly(1, 2, wire::Phase::opened, t0_)}, 1, t0_);
  for (int round = 0; round < 2; ++round) {
    Pull(*store_, *other_, "eu").all(t0_);
    Pull(*other_, *store_, "us").all(t0_);
  }
  expect_same(*store_, *other_);
  EXPECT_EQ(store_->anomaly(key_, 1)->region, "");
  EXPECT_EQ(store_->anomaly(here, 2)->region, "us");
  EXPECT_EQ(other_->anomaly(key_, 1)->region, "eu");
  EXPECT_EQ(other_->anomaly(here, 2)->region, "");
  const auto feeds =
      std::pair(store_->feed_bounds(kTenant)->newest, other_->feed_bounds(kTenant)->newest);
  for (auto* store : {store_.get(), other_.get()}) {
    const auto page = store->exchange().page(kTenant, ExchangeKind::anomalies, {});
    EXPECT_EQ(page->rows.size(), 1U) << "only its own";
  }
  Pull(*store_, *other_, "eu").all(t0_);
  Pull(*other_, *store_, "us").all(t0_);
  EXPECT_EQ(std::pair(store_->feed_bounds(kTenant)->newest, other_->feed_bounds(kTenant)->newest),
            feeds);
}

TEST_P(StoreContract, TellsAllAgainWhereTheFeedNoLongerReachesBack) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  Retention keep;
  keep.feed_rows = 3;
  reopen(keep);
  put(key_, 1, {anomaly(1, 1, wire::Phase::opened, t0_)}, 1);
  Pull(*store_, *other_, "eu").all(t0_);
  std::vector<OwnedRecord> records;
  for (std::uint64_t i = 2; i <= 9; ++i) {
    records.push_back(anomaly(i, i, wire::Phase::opened, t0_));
  }
  put(key_, 1, records, 9);
  ASSERT_TRUE(store_->trim(t0_ + minutes(1)));
  Pull rest(*store_, *other_, "eu");
  while (rest.page(t0_)) {
  }
  EXPECT_EQ(rest.changed, 8U);
  EXPECT_EQ(rest.known, 1U);
  expect_same(*store_, *other_);
  // From here on it goes by the feed again.
  put(key_, 1, {anomaly(10, 1, wire::Phase::closed, t0_)}, 10);
  Pull last(*store_, *other_, "eu");
  while (last.page(t0_)) {
  }
  EXPECT_EQ(last.changed + last.known, 1U);
}

TEST_P(StoreContract, TellsAllAgainWhenTheStoreWasSetBack) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  put(key_, 1, {anomaly(1, 1, wire::Phase::opened, t0_)}, 1);
  Pull(*store_, *other_, "eu").all(t0_);
  put(key_, 1, {anomaly(2, 2, wire::Phase::opened, t0_)}, 2);
  Pull(*store_, *other_, "eu").all(t0_);
  // As of a backup before the second one, and gone on from there: another took its number.
  place_ = GetParam().make_place();
  reopen();
  enrol(key_);
  put(key_, 1, {anomaly(1, 1, wire::Phase::opened, t0_)}, 1);
  put(key_, 2, {anomaly(2, 3, wire::Phase::opened, t0_)}, 2);
  Pull rest(*store_, *other_, "eu");
  while (rest.page(t0_)) {
  }
  EXPECT_TRUE(other_->anomaly(key_, 3)) << "behind the cursor, by its number";
}

TEST_P(StoreContract, ACutCannotBeToldFromAFullPage) {
  std::vector<OwnedRecord> records;
  for (std::uint64_t i = 1; i <= 6; ++i) {
    auto one = anomaly(i, i, wire::Phase::opened, t0_ + minutes(i));
    std::get<wire::AnomalyRecord>(one.body).text = std::string(4000, 'x');
    records.push_back(std::move(one));
  }
  put(key_, 1, records, 6);
  std::string cursor;
  std::set<std::uint64_t> seen;
  for (int pages = 0; pages < 9; ++pages) {
    const auto page =
        store_->exchange().page(kTenant, ExchangeKind::anomalies, {cursor, 500, 5000});
    ASSERT_TRUE(page);
    EXPECT_LE(page->rows.size(), 2U);
    for (const auto& row : page->rows) {
      EXPECT_TRUE(seen.insert(std::get<ExchangedAnomaly>(row).record.id).second);
    }
    cursor = page->next;
    if (!page->more) break;
  }
  EXPECT_EQ(seen.size(), 6U);
}

TEST_P(StoreContract, ADeviceOfAnotherRegionMayConnectHereUntilItIsRevoked) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  Pull(*store_, *other_, "eu").all(t0_);
  const auto row = other_->device(key_);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->region, "eu");
  EXPECT_EQ(row->certificate_serial, "0a");
  EXPECT_EQ(row->enrolled_at, t0_);
  const auto revoked = [&] {
    auto transaction = other_->begin_ingest();
    return (*transaction)->device(key_)->revoked;
  };
  // Whose certificates its broker lets in no more.
  const auto listed = [&] {
    std::vector<std::string> serials;
    const auto list = other_->certificates().revoked(t0_ + hours(3)).value();
    for (const auto& entry : list.entries) serials.push_back(entry.serial);
    return serials;
  };
  EXPECT_FALSE(revoked());
  EXPECT_THAT(listed(), ElementsAre());
  const auto changes = other_->certificates().changes().value();
  ASSERT_TRUE(store_->revoke_device(key_, t0_ + hours(1)));
  Pull(*store_, *other_, "eu").all(t0_);
  EXPECT_TRUE(revoked());
  EXPECT_EQ(other_->device(key_)->revoked_at, t0_ + hours(1));
  EXPECT_THAT(listed(), ElementsAre("0a"));
  EXPECT_GT(other_->certificates().changes().value(), changes);
  // What the other tells back does not undo it.
  Pull(*other_, *store_, "us").all(t0_);
  EXPECT_TRUE(store_->device(key_)->revoked_at);
  // A later enrolment does.
  ASSERT_TRUE(store_->register_device({key_, t0_ + hours(2), "0c", t0_ + hours(48)}));
  Pull(*other_, *store_, "us").all(t0_);
  EXPECT_FALSE(store_->device(key_)->revoked_at);
  Pull(*store_, *other_, "eu").all(t0_);
  EXPECT_FALSE(revoked());
  EXPECT_EQ(other_->device(key_)->certificate_serial, "0c");
  EXPECT_THAT(listed(), ElementsAre("0a"));
  // Renewed there: the one before holds until it expires, and the device's revocation takes both.
  ASSERT_TRUE(store_->certificates().add(
      {.key = key_, .serial = "0d", .issued_at = t0_ + hours(2), .expires_at = t0_ + hours(72)}));
  Pull(*store_, *other_, "eu").all(t0_);
  EXPECT_THAT(listed(), ElementsAre("0a"));
  ASSERT_TRUE(other_->revoke_device(key_, t0_ + hours(3)));
  EXPECT_THAT(listed(), ElementsAre("0a", "0c", "0d"));
}

TEST_P(StoreContract, ShowsADeviceWhereItWasHeardOfLast) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  const auto online = [&](Store& store, std::uint64_t epoch, std::uint64_t produced, Time seen) {
    auto transaction = store.begin_ingest();
    const auto session = (*transaction)->device(key_);
    ASSERT_TRUE(session);
    auto sync = session->sync;
    sync.epoch = epoch;
    ASSERT_TRUE((*transaction)->save_sync(key_, sync));
    ASSERT_TRUE((*transaction)
                    ->save_presence(key_, {.connection_id = "c",
                                           .seen = seen,
                                           .agent_version = "1",
                                           .produced_seq = produced}));
    ASSERT_TRUE((*transaction)->commit());
  };
  online(*store_, 1, 5, t0_);
  put(key_, 1, {summary(1, "a", t0_), summary(2, "a", t0_ + minutes(1))}, 2);
  Pull(*store_, *other_, "eu").all(t0_);
  auto row = other_->device(key_);
  EXPECT_EQ(row->region, "eu");
  EXPECT_EQ(row->status, DeviceStatus::online);
  EXPECT_EQ(row->ledger.produced, 5U);
  EXPECT_EQ(row->ledger.stored, 2U);
  EXPECT_EQ(row->ledger.outstanding, 3U);
  EXPECT_EQ(row->agent_version, "1");

  online(*other_, 2, 7, t0_ + hours(1));
  row = other_->device(key_);
  EXPECT_EQ(row->region, "");
  EXPECT_EQ(row->ledger.stored, 0U) << "its own account";
  const auto told = other_->exchange().ledgers(key_);
  ASSERT_TRUE(told);
  ASSERT_EQ(told->size(), 2U);
  EXPECT_EQ(told->at(0).first, "");
  EXPECT_EQ(told->at(0).second.ledger.produced, 7U);
  EXPECT_EQ(told->at(1).first, "eu");
  EXPECT_EQ(told->at(1).second.ledger.stored, 2U);
  Pull(*other_, *store_, "us").all(t0_ + hours(1));
  EXPECT_EQ(store_->device(key_)->region, "us");

  const auto names = [&](Store& store, const char* region) {
    return store.devices(kTenant, {}, {.region = region})->items.size();
  };
  EXPECT_EQ(names(*store_, "us"), 1U);
  EXPECT_EQ(names(*store_, ""), 0U);
  EXPECT_EQ(names(*other_, "eu"), 0U);
  EXPECT_EQ(names(*other_, ""), 1U);
  online(*store_, 3, 9, t0_ + hours(2));
  EXPECT_EQ(store_->device(key_)->region, "");
}

TEST_P(StoreContract, FiltersByRegion) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  put(key_, 1, {anomaly(1, 1, wire::Phase::opened, t0_)}, 1);
  Pull(*store_, *other_, "eu").all(t0_);
  put_other(key_, 2, {anomaly(1, 2, wire::Phase::opened, t0_)}, 1, t0_);
  const auto ids = [&](const char* region) {
    const auto got = other_->anomalies(kTenant, {.region = region}, {});
    std::set<std::uint64_t> out;
    for (const auto& row : got->items) out.insert(row.record.id);
    return out;
  };
  EXPECT_EQ(ids("eu"), (std::set<std::uint64_t>{1}));
  EXPECT_EQ(ids(""), (std::set<std::uint64_t>{2}));
  EXPECT_EQ(ids("nowhere"), (std::set<std::uint64_t>{}));
}

TEST_P(StoreContract, RowsOfUnknownDevicesAreHeldBackOrPassedOver) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  put(key_, 1, {anomaly(1, 1, wire::Phase::opened, t0_)}, 1);
  const auto page = store_->exchange().page(kTenant, ExchangeKind::anomalies, {});
  const auto take = [&](bool pass) {
    return other_->exchange().take({kTenant, "eu"}, ExchangeKind::anomalies, page->rows, page->next,
                                   pass, t0_);
  };
  EXPECT_EQ(take(false).error().code, Errc::not_found);
  EXPECT_EQ(*other_->exchange().cursor({kTenant, "eu"}, ExchangeKind::anomalies), "");
  const auto passed = take(true);
  ASSERT_TRUE(passed);
  EXPECT_EQ(passed->unknown_devices, 1U);
  EXPECT_EQ(passed->changed, 0U);
  EXPECT_EQ(*other_->exchange().cursor({kTenant, "eu"}, ExchangeKind::anomalies), page->next);
}

TEST_P(StoreContract, TellsWhenAllOfARegionWasHere) {
  ASSERT_NO_FATAL_FAILURE(open_other());
  EXPECT_TRUE(other_->exchange().regions(kTenant)->empty());
  Pull(*store_, *other_, "eu").all(t0_);
  ASSERT_TRUE(other_->exchange().complete({kTenant, "eu"}, t0_ + hours(1)));
  const auto regions = other_->exchange().regions(kTenant);
  ASSERT_EQ(regions->size(), 1U);
  EXPECT_EQ(regions->at(0).region, "eu");
  EXPECT_EQ(regions->at(0).complete_at, t0_ + hours(1));
  EXPECT_TRUE(other_->exchange().regions("nobody")->empty());
  EXPECT_EQ(other_->exchange().page(kTenant, ExchangeKind::anomalies, {"x!"}).error().code,
            Errc::bad_input);
  EXPECT_TRUE(other_->exchange().page("nobody", ExchangeKind::anomalies, {})->rows.empty());
}

}  // namespace lapwing::hub
