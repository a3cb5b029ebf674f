// SPDX-License-Identifier: Apache-2.0
/// What waits for sinks.
#include "hub/store/spool.hpp"
#include "tests/hub/store/store_contract.hpp"

#include <algorithm>

namespace lapwing::hub {
namespace {

using std::chrono::seconds;

SpoolRow row_of(const DeviceKey& key, std::uint64_t epoch, const IncomingRecord& record, Time at) {
  return {.sink = "k",
          .key = key,
          .record_class = static_cast<int>(record.record_class),
          .epoch = epoch,
          .seq = record.seq,
          .seq_last = record.seq_last,
          .received_at = at,
          .value = "{\"seq\":" + std::to_string(record.seq) + "}"};
}

std::vector<SpoolRow> oldest(Store& store, std::size_t rows = 1000, std::uint64_t bytes = 1 << 20) {
  auto found = store.spool().oldest("k", rows, bytes);
  EXPECT_TRUE(found) << found.error().context;
  return found ? *found : std::vector<SpoolRow>();
}

std::vector<std::uint64_t> seqs(const std::vector<SpoolRow>& rows) {
  std::vector<std::uint64_t> all;
  for (const auto& row : rows) all.push_back(row.seq);
  return all;
}

}  // namespace

std::vector<OwnedRecord> StoreContract::summaries(std::uint64_t first, std::uint64_t last) const {
  std::vector<OwnedRecord> records;
  for (auto seq = first; seq <= last; ++seq) records.push_back(summary(seq, "a", t0_));
  return records;
}

void StoreContract::spool_all(IngestTransaction& t) {
  t.watch([&t](const DeviceKey& whose, std::uint64_t epoch, Time at, const IncomingRecord& one) {
    t.spool(row_of(whose, epoch, one, at));
  });
}

void StoreContract::put_spooled(const DeviceKey& key, const std::vector<OwnedRecord>& records,
                                bool commit) {
  auto transaction = store_->begin_ingest();
  ASSERT_TRUE(transaction);
  spool_all(**transaction);
  put_in(**transaction, key, 1, records, records.back().seq_last, t0_);
  if (commit) {
    ASSERT_TRUE((*transaction)->commit());
  }
}

TEST_P(StoreContract, HoldsWhatATransactionStoredForTheFirstTimeAndNothingElse) {
  put_spooled(key_, {summary(1, "a", t0_)}, false);
  EXPECT_TRUE(oldest(*store_).empty()) << "nothing was committed";
  put_spooled(key_, {summary(1, "a", t0_), anomaly(2, 5, wire::Phase::opened, t0_)});
  put_spooled(key_, {summary(1, "a", t0_), anomaly(2, 5, wire::Phase::opened, t0_), loss(3, 6)});
  put_spooled(key_, {loss(3, 6), summary(7, "a", t0_)});
  {
    auto transaction = store_->begin_ingest();
    auto& t = **transaction;
    spool_all(t);
    ASSERT_TRUE(t.device(key_));
    ASSERT_TRUE(t.dead_letter(key_, {1, 8, 9, "cannot be read", "x", t0_}));
    ASSERT_TRUE(t.dead_letter(key_, {1, 8, 9, "cannot be read", "x", t0_}));
    ASSERT_TRUE(t.commit());
  }
  const auto rows = oldest(*store_);
  EXPECT_EQ(seqs(rows), (std::vector<std::uint64_t>{1, 2, 3, 7, 8}));
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows[1].key, key_);
  EXPECT_EQ(rows[1].epoch, 1U);
  EXPECT_EQ(rows[1].record_class, static_cast<int>(wire::RecordClass::anomaly));
  EXPECT_EQ(rows[1].received_at, t0_);
  EXPECT_EQ(rows[1].value, "{\"seq\":2}");
  EXPECT_EQ(rows[2].seq_last, 6U);
  EXPECT_EQ(rows[4].record_class, static_cast<int>(wire::RecordClass::loss));
  EXPECT_TRUE(store_->spool().oldest("other", 10, 1000)->empty());
}

TEST_P(StoreContract, GivesTheOldestWithinBoundsUntilTheyAreRemoved) {
  put_spooled(key_, summaries(1, 1200));
  EXPECT_EQ(oldest(*store_, 5).size(), 5U);
  EXPECT_EQ(oldest(*store_, 100, 25).size(), 2U) << "of 9 bytes each";
  EXPECT_EQ(oldest(*store_, 100, 1).size(), 1U) << "one at least";
  std::vector<std::uint64_t> numbers;
  for (const auto& row : oldest(*store_, 1100)) numbers.push_back(row.number);
  ASSERT_TRUE(store_->spool().remove(numbers));
  EXPECT_EQ(oldest(*store_).front().seq, 1101U);
  const auto figures = store_->spool().figures("k");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->rows, 100U);
  EXPECT_EQ(figures->bytes, 1200U);
  EXPECT_EQ(figures->oldest, t0_);
  EXPECT_EQ(store_->spool().figures("other")->rows, 0U);
}

TEST_P(StoreContract, WhatIsGivenUpIsToldInItsPlaceAndCounted) {
  enrol({kTenant, "press-2"});
  put_spooled(key_, summaries(1, 10));
  put_spooled({kTenant, "press-2"}, {summary(1, "a", t0_)});
  put_spooled(key_, summaries(11, 20));
  auto& spool = store_->spool();
  const auto in_flight = oldest(*store_, 2).back().number;
  EXPECT_EQ(*spool.give_up("k", in_flight, 12), 12U);  // 3..10, press-2's, 11..13
  auto rows = oldest(*store_);
  EXPECT_EQ(seqs(rows), (std::vector<std::uint64_t>{1, 2, 3, 1, 14, 15, 16, 17, 18, 19, 20}));
  EXPECT_EQ(rows[2].record_class, kSpoolGivenUp);
  EXPECT_EQ(rows[2].seq_last, 13U);
  EXPECT_EQ(rows[2].records, 11U);
  EXPECT_EQ(rows[2].value, "");
  EXPECT_EQ(rows[3].key.device, "press-2");
  EXPECT_EQ(*spool.give_up("k", in_flight, 4), 2U) << "what was given up before is not news";
  rows = oldest(*store_);
  EXPECT_EQ(rows[2].seq_last, 15U);
  EXPECT_EQ(rows[2].records, 13U);
  EXPECT_EQ(seqs(rows), (std::vector<std::uint64_t>{1, 2, 3, 1, 16, 17, 18, 19, 20}));
  ASSERT_TRUE(spool.refuse(rows[0].number));
  EXPECT_EQ(oldest(*store_)[0].record_class, kSpoolRefused);
  EXPECT_EQ(oldest(*store_)[0].value, "");
}

TEST_P(StoreContract, LeaseIsOneHoldersAtATime) {
  auto& spool = store_->spool();
  EXPECT_TRUE(*spool.lease("k", "a", t0_, seconds(30)));
  EXPECT_FALSE(*spool.lease("k", "b", t0_ + seconds(29), seconds(30)));
  EXPECT_TRUE(*spool.lease("other", "b", t0_, seconds(30)));
  EXPECT_TRUE(*spool.lease("k", "a", t0_ + seconds(20), seconds(30))) << "renewed";
  EXPECT_FALSE(*spool.lease("k", "b", t0_ + seconds(40), seconds(30)));
  EXPECT_TRUE(*spool.lease("k", "b", t0_ + seconds(50), seconds(30))) << "it ended";
  ASSERT_TRUE(spool.release("k", "a"));
  EXPECT_FALSE(*spool.lease("k", "a", t0_ + seconds(51), seconds(30)));
  ASSERT_TRUE(spool.release("k", "b"));
  EXPECT_TRUE(*spool.lease("k", "a", t0_ + seconds(51), seconds(30)));
}

}  // namespace lapwing::hub
