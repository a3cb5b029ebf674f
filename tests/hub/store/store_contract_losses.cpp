// SPDX-License-Identifier: Apache-2.0
/// Losses: the time in which they fell, their list, and that accounts add up.
#include "tests/hub/store/store_contract.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

namespace lapwing::hub {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using wire::LossReason;
using wire::Phase;

namespace {

/// Of `StoreContract::summary` that begins at `begin`.
Time end_of(Time begin) { return begin + seconds(10); }

}  // namespace

TEST_P(StoreContract, TellsWhenALossFell) {
  put(key_, 1, {summary(1, "a", t0_), summary(2, "b", t0_ + minutes(1)), loss(3, 7)}, 7,
      t0_ + hours(9));
  auto list = losses();
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].epoch, 1U);
  EXPECT_EQ(list[0].seq_first, 3U);
  EXPECT_EQ(list[0].seq_last, 7U);
  EXPECT_EQ(list[0].reason, LossReason::quota);
  EXPECT_EQ(list[0].records, 5U);
  EXPECT_EQ(list[0].from, end_of(t0_ + minutes(1))) << "the record's own time, not the hub's";
  EXPECT_EQ(list[0].to, std::nullopt) << "nothing came after it";
  EXPECT_EQ(list[0].received_at, t0_ + hours(9));
  reopen();
  put(key_, 1, {summary(8, "a", t0_ + minutes(5)), summary(9, "b", t0_ + minutes(6))}, 9);
  EXPECT_EQ(losses()[0].from, end_of(t0_ + minutes(1)));
  EXPECT_EQ(losses()[0].to, end_of(t0_ + minutes(5)));
  expect_ledger(key_, 9, 4, 5, 0);
}

TEST_P(StoreContract, AnomaliesTellTheTimeByTheirPhase) {
  put(key_, 1,
      {anomaly(1, 5, Phase::opened, t0_), loss(2, 2), anomaly(3, 5, Phase::updated, t0_),
       loss(4, 4), anomaly(5, 5, Phase::closed, t0_)},
      5);
  const auto list = losses();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[1].from, t0_) << "onset";
  EXPECT_EQ(list[1].to, t0_ + seconds(1)) << "peak";
  EXPECT_EQ(list[0].from, t0_ + seconds(1));
  EXPECT_EQ(list[0].to, t0_ + seconds(30)) << "end";
}

TEST_P(StoreContract, WindowsOfSeveralReasonsFollowOneAnother) {
  put(key_, 1,
      {summary(1, "a", t0_), loss(2, 3, LossReason::quota), loss(4, 4, LossReason::corrupt),
       summary(5, "a", t0_ + minutes(4)), loss(6, 9, LossReason::vanished)},
      9);
  put(key_, 1, {summary(10, "a", t0_ + minutes(9))}, 10);
  const auto list = losses();
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].reason, LossReason::vanished);
  EXPECT_EQ(list[0].from, end_of(t0_ + minutes(4)));
  EXPECT_EQ(list[0].to, end_of(t0_ + minutes(9)));
  EXPECT_EQ(list[1].reason, LossReason::corrupt);
  EXPECT_EQ(list[2].reason, LossReason::quota);
  for (const auto i : {1U, 2U}) {
    EXPECT_EQ(list[i].from, end_of(t0_));
    EXPECT_EQ(list[i].to, end_of(t0_ + minutes(4)));
  }
  EXPECT_EQ(ledger(key_).lost, (Losses{2, 1, 4, 0}));
  expect_ledger(key_, 10, 3, 7, 0);
}

TEST_P(StoreContract, ALossBeforeAnyRecordHasNoBegin) {
  put(key_, 1, {loss(1, 4)}, 4);
  EXPECT_EQ(losses()[0].from, std::nullopt);
  put(key_, 1, {summary(5, "a", t0_)}, 5);
  EXPECT_EQ(losses()[0].from, std::nullopt);
  EXPECT_EQ(losses()[0].to, end_of(t0_));
}

/// What a long anomaly's peak says of the time is old news.
TEST_P(StoreContract, ARecordOlderThanTheLossDoesNotEndIt) {
  put(key_, 1, {summary(1, "a", t0_ + hours(1)), loss(2, 3), anomaly(4, 5, Phase::updated, t0_)},
      4);
  EXPECT_EQ(losses()[0].to, std::nullopt);
  put(key_, 1, {loss(5, 5), summary(6, "a", t0_ + hours(2))}, 6);
  for (const auto& one : losses()) {
    EXPECT_EQ(one.from, end_of(t0_ + hours(1)));
    EXPECT_EQ(one.to, end_of(t0_ + hours(2)));
  }
}

TEST_P(StoreContract, LiveCopiesNeitherBeginNorEndAWindow) {
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  put(key_, 1, {summary(5, "a", t0_ + minutes(5)), summary(9, "a", t0_ + minutes(9))});
  put(key_, 1, {loss(2, 7)}, 7);
  auto list = losses();
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].records, 5U) << "the copy within is no loss";
  EXPECT_EQ(list[0].from, end_of(t0_));
  put(key_, 1, {summary(20, "a", t0_ + minutes(20))});
  EXPECT_EQ(losses()[0].to, std::nullopt) << "8 is still to come";
  expect_ledger(key_, 20, 4, 5, 11);
  put(key_, 1, {summary(8, "a", t0_ + minutes(8))}, 8);
  EXPECT_EQ(losses()[0].to, end_of(t0_ + minutes(8)));
}

TEST_P(StoreContract, TheBacklogsOwnCopyOfALiveRecordEndsAWindow) {
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  put(key_, 1, {summary(4, "a", t0_ + minutes(4))});
  put(key_, 1, {loss(2, 3)}, 3);
  EXPECT_EQ(put(key_, 1, {summary(4, "a", t0_ + minutes(4))}, 4).duplicates, 1U);
  EXPECT_EQ(losses()[0].to, end_of(t0_ + minutes(4)));
}

TEST_P(StoreContract, ARangeThatLiveCopiesFillIsNoLoss) {
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  put(key_, 1, {summary(2, "a", t0_ + minutes(2)), summary(3, "a", t0_ + minutes(3))});
  put(key_, 1, {loss(2, 3)}, 3);
  EXPECT_TRUE(losses().empty());
  expect_ledger(key_, 3, 3, 0, 0);
}

TEST_P(StoreContract, ALateRecordLeavesTheWindowAndTheLoss) {
  put(key_, 1, {summary(1, "a", t0_), loss(2, 3)}, 3);
  put(key_, 1, {summary(2, "a", t0_ + hours(3))});
  ASSERT_EQ(losses().size(), 1U);
  EXPECT_EQ(losses()[0].records, 1U);
  EXPECT_EQ(losses()[0].to, std::nullopt) << "it is not after the loss";
  put(key_, 1, {summary(4, "a", t0_ + minutes(4))}, 4);
  EXPECT_EQ(losses()[0].to, end_of(t0_ + minutes(4)));
  put(key_, 1, {summary(3, "a", t0_ + minutes(3))});
  EXPECT_TRUE(losses().empty());
  expect_ledger(key_, 4, 4, 0, 0);
}

TEST_P(StoreContract, ANewEpochGoesOnWhereTheOldOneEnded) {
  put(key_, 1, {summary(1, "a", t0_), loss(2, 5)}, 5);
  put(key_, 2, {loss(1, 2, LossReason::vanished)}, 2);
  expect_ledger(key_, 7, 1, 6, 0);
  put(key_, 2, {summary(3, "a", t0_ + minutes(6)), loss(4, 4)}, 4);
  const auto list = losses();
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].epoch, 2U);
  EXPECT_EQ(list[0].seq_first, 4U);
  EXPECT_EQ(list[0].from, end_of(t0_ + minutes(6)));
  EXPECT_EQ(list[0].to, std::nullopt);
  EXPECT_EQ(list[1].from, end_of(t0_)) << "the newest record is one of the old epoch";
  EXPECT_EQ(list[1].to, end_of(t0_ + minutes(6)));
  EXPECT_EQ(list[2].epoch, 1U);
  EXPECT_EQ(list[2].to, end_of(t0_ + minutes(6)));
  expect_ledger(key_, 9, 2, 7, 0);
}

TEST_P(StoreContract, AClockThatWasWrongDoesNotLast) {
  put(key_, 1, {summary(1, "a", Time::max() - hours(1)), loss(2, 2), summary(3, "a", t0_)}, 3);
  put(key_, 1, {loss(4, 4), summary(5, "a", t0_ + minutes(5))}, 5);
  const auto list = losses();
  EXPECT_EQ(list[0].from, end_of(t0_));
  EXPECT_EQ(list[0].to, end_of(t0_ + minutes(5)));
  EXPECT_EQ(list[1].to, std::nullopt);
  ASSERT_TRUE(store_->history(key_, {.stream = "a"}));
}

TEST_P(StoreContract, APoisonRecordIsALossOfOne) {
  put(key_, 1, {summary(1, "a", t0_)}, 1);
  const auto poison = [&](std::uint64_t seq, std::uint64_t watermark = 0) {
    auto transaction = store_->begin_ingest();
    auto state = (*transaction)->device(key_)->sync;
    ASSERT_TRUE((*transaction)->dead_letter(key_, {1, seq, 77, "not a record", "x", t0_}));
    state.watermark = std::max(state.watermark, watermark);
    ASSERT_TRUE((*transaction)->save_sync(key_, state));
    ASSERT_TRUE((*transaction)->commit());
  };
  poison(3);  // a live copy: nothing is known of when
  ASSERT_EQ(losses().size(), 1U);
  EXPECT_EQ(losses()[0].from, std::nullopt);
  poison(2, 2);
  poison(3, 3);
  expect_ledger(key_, 3, 1, 2, 0);
  put(key_, 1, {summary(4, "a", t0_ + minutes(4))}, 4);
  for (const auto& one : losses()) {
    EXPECT_EQ(one.reason, LossReason::poison);
    EXPECT_EQ(one.records, 1U);
    EXPECT_EQ(one.from, end_of(t0_));
    EXPECT_EQ(one.to, end_of(t0_ + minutes(4)));
  }
  EXPECT_EQ(ledger(key_).lost.poison, 2U);
  EXPECT_EQ(store_->dead_letters(kTenant, {})->items.size(), 2U);
  put(key_, 1, {loss(5, 6)}, 6);
  poison(5);
  EXPECT_EQ(ledger(key_).lost, (Losses{2, 0, 0, 2})) << "lost is lost once";
  expect_ledger(key_, 6, 2, 4, 0);
}

TEST_P(StoreContract, ListsLossesNewestFirstInPages) {
  std::uint64_t seq = 0;
  for (const std::uint64_t epoch : {1U, 2U}) {
    seq = 0;
    for (int i = 0; i < 5; ++i) {
      put(key_, epoch, {loss(seq + 1, seq + 2), summary(seq + 3, "a", t0_ + minutes(seq))},
          seq + 3);
      seq += 3;
    }
  }
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
  PageRequest page{.limit = 4};
  while (true) {
    const auto got = store_->losses(key_, page);
    ASSERT_TRUE(got);
    ASSERT_LE(got->items.size(), 4U);
    for (const auto& one : got->items) seen.emplace_back(one.epoch, one.seq_first);
    if (!got->next_cursor) break;
    page.cursor = *got->next_cursor;
    if (seen.size() == 4) put(key_, 2, {loss(seq + 1, seq + 1)}, seq + 1);  // between two pages
  }
  EXPECT_EQ(seen.size(), 10U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end(), std::greater<>()));
  EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), 10U);
  enrol({"other", key_.device});
  EXPECT_TRUE(store_->losses({"other", key_.device}, {})->items.empty());
  EXPECT_EQ(store_->losses({kTenant, "nobody"}, {}).error().code, Errc::not_found);
  EXPECT_EQ(store_->losses(key_, {.limit = 4, .cursor = "x31-x"}).error().code, Errc::bad_input);
}

TEST_P(StoreContract, BoundsLossesOverAllEpochs) {
  constexpr std::uint64_t kKept = 10'000;
  for (const std::uint64_t epoch :
       {1U, 2U}) {  // the old epoch's numbers are far above the new one's
    const std::uint64_t first = epoch == 1 ? 50'000 : 0;
    std::vector<OwnedRecord> records{loss(1, first + 1)};
    for (std::uint64_t i = 2; i <= 6'000; ++i) {
      const auto reason = i % 2 == 0 ? LossReason::corrupt : LossReason::quota;
      records.push_back(loss(first + i, first + i, reason));
    }
    put(key_, epoch, records, first + 6'000);
  }
  const auto before = ledger(key_);
  const auto trimmed = store_->trim(t0_);
  ASSERT_TRUE(trimmed);
  EXPECT_EQ(trimmed->losses, 2'000U);
  const auto left = losses();
  EXPECT_EQ(left.size(), kKept);
  EXPECT_EQ(left.front().seq_last, 6'000U) << "the newest stay";
  EXPECT_EQ(ledger(key_).lost, before.lost) << "the account keeps what the list forgets";
  EXPECT_EQ(ledger(key_).produced, before.produced);
  put(key_, 2, {summary(6'001, "a", t0_)}, 6'001);
  EXPECT_EQ(losses().front().to, end_of(t0_));
}

TEST_P(StoreContract, TotalsAreTheSumOfAllAccounts) {
  const DeviceKey other{"other", "d"};
  enrol(other);
  EXPECT_EQ(store_->totals()->ledger.produced, 0U);
  put(key_, 1, {summary(1, "a", t0_), loss(2, 3), loss(4, 4, LossReason::corrupt)}, 4);
  put(key_, 1, {summary(9, "a", t0_ + minutes(9))});
  put(other, 3, {summary(1, "a", t0_), loss(2, 6, LossReason::vanished)}, 6);
  const auto sum = store_->totals()->ledger;
  EXPECT_EQ(sum.stored, 3U);
  EXPECT_EQ(sum.lost, (Losses{2, 1, 5, 0}));
  EXPECT_EQ(sum.outstanding, 4U);
  EXPECT_EQ(sum.produced, 15U);
  put(key_, 2, {summary(1, "a", t0_ + minutes(7))}, 1);  // what was outstanding is so no longer
  EXPECT_EQ(store_->totals()->ledger.outstanding, 0U);
  EXPECT_EQ(store_->totals()->ledger.produced, 12U);
}

}  // namespace lapwing::hub
