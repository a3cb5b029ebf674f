// SPDX-License-Identifier: Apache-2.0
// The hub's decisions over what its store keeps of one device.
#include "shared/sync/hub.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace lapwing::sync {
namespace {

using std::chrono::minutes;
using wire::HelloOutcome;

class SyncHub : public testing::Test {
 protected:
  wire::Hello hello(std::string connection, std::uint64_t epoch, std::uint64_t acked,
                    std::uint64_t next, std::string instance = "i1") const {
    return {.connection_id = std::move(connection),
            .instance_id = std::move(instance),
            .database_id = "db",
            .epoch = epoch,
            .next_seq = next,
            .acked_seq = acked,
            .acked_hash = acked == 0 ? 0 : 1000 + acked};
  }

  HelloDecision greet(const wire::Hello& hello) {
    const std::optional<std::uint64_t> hash =
        hello.acked_seq > 0 && hello.acked_seq <= state_.watermark
            ? std::optional(1000 + hello.acked_seq)
            : std::nullopt;
    auto decision = on_hello(state_, hello,
                             {.at_acked = hash, .at_newest = 1000 + newest_seq(state_)}, {}, at_);
    state_ = decision.state;
    return decision;
  }

  wire::RecordBatch batch(std::string connection, std::uint64_t from, std::uint64_t to) const {
    wire::RecordBatch b{.epoch = state_.epoch, .connection_id = std::move(connection)};
    for (auto seq = from; seq <= to; ++seq) b.entries.push_back({seq, seq, {}, "x"});
    return b;
  }

  BatchDecision take(const wire::RecordBatch& b) {
    auto decision = on_batch(state_, b);
    if (decision.verdict == BatchVerdict::accept) state_.watermark = decision.watermark;
    return decision;
  }

  DeviceSyncState state_;
  Time at_ = from_micros(1'800'000'000'000'000);
};

TEST_F(SyncHub, GrantsTheFirstEpochOnceAndAgainWhenItsWelcomeIsLost) {
  auto said = greet(hello("1-a", 0, 0, 5));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_EQ(said.welcome.epoch, 1U);
  EXPECT_TRUE(said.alert.empty());
  said = greet(hello("2-b", 0, 0, 9));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_EQ(said.welcome.epoch, 1U);
  said = greet(hello("3-c", 1, 0, 9));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::resume);
}

TEST_F(SyncHub, ResumesAtTheWatermark) {
  greet(hello("1-a", 0, 0, 5));
  take(batch("1-a", 1, 4));
  const auto said = greet(hello("2-b", 1, 2, 9));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::resume);
  EXPECT_EQ(said.welcome.watermark, 4U);
  EXPECT_TRUE(said.alert.empty());
}

TEST_F(SyncHub, TakesOnlyWhatFollowsTheWatermark) {
  greet(hello("1-a", 0, 0, 99));
  auto said = take(batch("1-a", 1, 10));
  EXPECT_EQ(said.verdict, BatchVerdict::accept);
  EXPECT_EQ(said.ack->watermark, 10U);
  said = take(batch("1-a", 21, 30));
  EXPECT_EQ(said.verdict, BatchVerdict::gap);
  EXPECT_EQ(said.ack->watermark, 10U);
  said = take(batch("1-a", 1, 10));
  EXPECT_EQ(said.verdict, BatchVerdict::duplicate);
  EXPECT_EQ(said.ack->watermark, 10U);
  said = take(batch("1-a", 6, 15));
  EXPECT_EQ(said.verdict, BatchVerdict::accept);
  EXPECT_EQ(said.first_entry, 5U);
  EXPECT_EQ(said.first_seq, 11U);
  EXPECT_EQ(said.ack->watermark, 15U);
}

TEST_F(SyncHub, ALossOccupiesItsRangeAndMayBeCutByTheWatermark) {
  greet(hello("1-a", 0, 0, 99));
  take(batch("1-a", 1, 10));
  wire::RecordBatch losses{.epoch = 1, .connection_id = "1-a"};
  losses.entries = {{8, 20, wire::RecordClass::loss, "x"}, {21, 21, {}, "x"}};
  const auto said = take(losses);
  EXPECT_EQ(said.verdict, BatchVerdict::accept);
  EXPECT_EQ(said.first_entry, 0U);
  EXPECT_EQ(said.first_seq, 11U);
  EXPECT_EQ(said.watermark, 21U);
}

TEST_F(SyncHub, AsksForAHelloWhenItDoesNotKnowTheConnection) {
  auto said = on_batch(state_, batch("1-a", 1, 2));
  EXPECT_EQ(said.verdict, BatchVerdict::ask_hello);
  EXPECT_EQ(said.ack->epoch, 0U);
  EXPECT_EQ(said.ack->connection_id, "1-a");
  greet(hello("2-b", 0, 0, 9));
  EXPECT_EQ(take(batch("1-a", 1, 2)).verdict, BatchVerdict::ask_hello);
  auto other = batch("2-b", 1, 2);
  other.epoch = 7;
  EXPECT_EQ(take(other).verdict, BatchVerdict::ask_hello);
}

TEST_F(SyncHub, AHelloRepeatedOnItsConnectionNeverBreaksTheHistory) {
  // A broker may deliver a hello twice, the second time behind the batches that followed it.
  const auto first = hello("1-a", 0, 0, 1);
  greet(first);
  const auto later = hello("1-a", 1, 0, 1);
  take(batch("1-a", 1, 10));
  auto said = greet(first);
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_EQ(said.welcome.epoch, 1U) << "the grant, again";
  said = greet(later);
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::resume);
  EXPECT_EQ(said.welcome.watermark, 10U);
  EXPECT_TRUE(said.alert.empty());
}

TEST_F(SyncHub, AnOlderConnectionsHelloDoesNotTakeOver) {
  greet(hello("1-a", 0, 0, 1));
  const auto late = hello("2-b", 1, 0, 1);
  greet(hello("10-c", 1, 0, 20));
  take(batch("10-c", 1, 10));
  const auto before = state_;
  EXPECT_FALSE(greet(late).answer);
  EXPECT_EQ(state_, before);
  EXPECT_EQ(take(batch("10-c", 11, 19)).verdict, BatchVerdict::accept);
}

TEST_F(SyncHub, ALateHelloOfAProcessThatEndedDoesNotBreakTheHistory) {
  greet(hello("1-a", 0, 0, 1, "i1"));
  const auto late = hello("2-b", 1, 0, 1, "i1");
  greet(hello("1-c", 1, 0, 20, "i2"));
  take(batch("1-c", 1, 10));
  EXPECT_FALSE(greet(late).answer);
  EXPECT_EQ(state_.epoch, 1U);
  EXPECT_EQ(state_.instance_id, "i2");
  EXPECT_FALSE(greet(late).answer);
  EXPECT_EQ(state_.returns, 1U) << "one message, doubled, is no second copy";
  EXPECT_EQ(take(batch("1-c", 11, 19)).verdict, BatchVerdict::accept);
}

TEST_F(SyncHub, AnEchoOfAConnectionThatWasLeftIsNoSecondCopy) {
  const auto first = hello("1-a", 0, 0, 1, "i1");
  greet(first);
  const auto second = hello("1-b", 1, 0, 5, "i2");
  greet(second);
  greet(hello("1-c", 1, 0, 9, "i3"));
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(greet(i % 2 == 0 ? first : second).answer);
  }
  EXPECT_EQ(state_.returns, 0U);
  EXPECT_EQ(state_.quarantine, "");
  EXPECT_EQ(take(batch("1-c", 1, 5)).verdict, BatchVerdict::accept);
}

TEST_F(SyncHub, ARecordTheDeviceAsksToCompare) {
  greet(hello("1-a", 0, 0, 50));
  take(batch("1-a", 1, 20));
  auto asks = hello("1-a", 1, 0, 50);
  asks.check_seq = 12;
  asks.check_hash = 99;
  const auto same = on_hello(state_, asks, {.at_newest = 77, .at_check = 99}, {}, at_);
  EXPECT_EQ(same.welcome.outcome, HelloOutcome::resume);
  EXPECT_EQ(same.welcome.checked_seq, 12U);
  const auto other = on_hello(state_, asks, {.at_newest = 77, .at_check = 98}, {}, at_);
  EXPECT_EQ(other.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_NE(other.alert.find("record 12"), std::string::npos);
  EXPECT_EQ(on_hello(state_, asks, {.at_newest = 77}, {}, at_).welcome.outcome,
            HelloOutcome::new_epoch)
      << "the hub holds a loss there";
}

TEST_F(SyncHub, AProcessThatLivesIsHeardOnItsNextConnection) {
  const auto first = hello("1-a", 0, 0, 1, "i0");  // overtaken by everything that follows
  greet(hello("1-b", 0, 0, 20, "i1"));
  take(batch("1-b", 1, 10));
  greet(first);  // a process the hub did not know: it could be the newest one
  EXPECT_EQ(state_.epoch, 2U);
  EXPECT_FALSE(greet(hello("1-b", 1, 10, 20, "i1")).answer);
  EXPECT_FALSE(greet(hello("1-b", 1, 10, 20, "i1")).answer) << "however often";
  const auto said = greet(hello("2-c", 1, 10, 20, "i1"));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_EQ(said.welcome.watermark, 10U);
}

TEST_F(SyncHub, ARestoredOutboxGetsANewEpoch) {
  greet(hello("1-a", 0, 0, 50));
  take(batch("1-a", 1, 49));
  const auto said = greet(hello("1-b", 1, 10, 30, "i2"));  // a backup from when 29 were made
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_EQ(said.welcome.epoch, 2U);
  EXPECT_EQ(said.welcome.watermark, 10U) << "what it still has is sent again";
  EXPECT_FALSE(said.alert.empty());
}

TEST_F(SyncHub, ARestoredOutboxBehindALiveCopyGetsANewEpoch) {
  greet(hello("1-a", 0, 0, 50));
  take(batch("1-a", 1, 10));
  const auto wanted = on_live(state_, batch("1-a", 40, 49));
  ASSERT_EQ(wanted.size(), 10U);
  state_.live_through = 49;
  EXPECT_EQ(greet(hello("1-b", 1, 10, 45, "i2")).welcome.outcome, HelloOutcome::new_epoch)
      << "45 to 49 would be other records under the same numbers";
  EXPECT_EQ(state_.live_through, 0U);
}

TEST_F(SyncHub, ADifferentRecordAtTheAcknowledgedPlaceGetsANewEpoch) {
  greet(hello("1-a", 0, 0, 50));
  take(batch("1-a", 1, 10));
  auto other = hello("1-b", 1, 10, 30, "i2");
  other.acked_hash = 77;
  EXPECT_EQ(greet(other).welcome.outcome, HelloOutcome::new_epoch);
}

TEST_F(SyncHub, AnAcknowledgedRecordThatBecameUnreadableIsNoDifference) {
  greet(hello("1-a", 0, 0, 50));
  take(batch("1-a", 1, 10));
  auto unknown = hello("2-b", 1, 10, 30);
  unknown.acked_hash = 0;
  EXPECT_EQ(greet(unknown).welcome.outcome, HelloOutcome::resume);
}

TEST_F(SyncHub, TellsWhatItHoldsSoThatAForkIsSeen) {
  greet(hello("1-a", 0, 0, 50));
  take(batch("1-a", 1, 10));
  state_.live_through = 40;
  auto said = greet(hello("2-b", 1, 5, 60));
  EXPECT_EQ(said.welcome.known_seq, 40U);
  EXPECT_EQ(said.welcome.known_hash, 1040U);
  auto fork = hello("2-b", 1, 5, 60);
  fork.forked = true;
  said = greet(fork);
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_EQ(said.welcome.watermark, 5U);
  said = greet(fork);
  EXPECT_EQ(said.welcome.epoch, 2U) << "asked twice, granted once";
}

TEST_F(SyncHub, AnotherOutboxGetsANewEpoch) {
  greet(hello("1-a", 0, 0, 50));
  take(batch("1-a", 1, 10));
  auto other = hello("1-b", 0, 0, 3, "i2");
  other.database_id = "another";
  const auto said = greet(other);
  EXPECT_EQ(said.welcome.epoch, 2U);
  EXPECT_EQ(said.welcome.watermark, 0U);
}

TEST_F(SyncHub, ARestoredHubGivesAnEpochAboveTheDevices) {
  greet(hello("1-a", 0, 0, 50));
  const auto backup = state_;
  take(batch("1-a", 1, 20));
  state_ = backup;
  auto said = greet(hello("2-b", 1, 20, 50));
  EXPECT_EQ(said.welcome.epoch, 2U);
  EXPECT_EQ(said.welcome.watermark, 20U);
  state_ = {};  // and one that lost everything
  said = greet(hello("3-c", 2, 30, 50));
  EXPECT_EQ(said.welcome.epoch, 3U);
  EXPECT_EQ(said.welcome.watermark, 30U);
}

TEST_F(SyncHub, TwoLiveCopiesAreQuarantinedAndNothingIsOverwritten) {
  greet(hello("1-a", 0, 0, 50, "i1"));
  take(batch("1-a", 1, 20));
  std::string alert;
  std::uint64_t stored = state_.watermark;
  int turns = 0;
  for (; turns < 10 && state_.quarantine.empty(); ++turns) {
    const auto said =
        greet(hello(std::to_string(turns) + "-b", 1, 10, 50, turns % 2 == 0 ? "i2" : "i1"));
    alert = said.alert;
    at_ += minutes(1);
  }
  ASSERT_FALSE(state_.quarantine.empty());
  EXPECT_LE(turns, 6);
  EXPECT_NE(alert.find("cloned"), std::string::npos);
  EXPECT_EQ(stored, 20U);
  EXPECT_EQ(on_batch(state_, batch("2-b", 21, 22)).verdict, BatchVerdict::silent);
  EXPECT_TRUE(on_live(state_, batch("2-b", 30, 31)).empty());
  EXPECT_EQ(greet(hello("9-z", 1, 10, 50, "i3")).welcome.outcome, HelloOutcome::quarantined);

  const auto epoch = state_.epoch;
  release_quarantine(state_);
  const auto said = greet(hello("10-z", 1, 10, 50, "i1"));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_EQ(said.welcome.epoch, epoch + 1);
}

TEST_F(SyncHub, RestartsAreNotCopies) {
  greet(hello("1-a", 0, 0, 50, "i0"));
  for (int i = 1; i < 100; ++i) {
    const auto said = greet(hello("1-a" + std::to_string(i), 1, 0, 50, "i" + std::to_string(i)));
    ASSERT_EQ(said.welcome.outcome, HelloOutcome::resume) << i;
    at_ += std::chrono::seconds(1);
  }
  EXPECT_LE(state_.superseded.size(), kSupersededMax);
}

TEST_F(SyncHub, LiveCopiesAreTakenOnceAheadOfTheWatermarkWithoutLosses) {
  greet(hello("1-a", 0, 0, 500));
  take(batch("1-a", 1, 20));
  auto copy = batch("1-a", 18, 24);
  copy.entries[4].record_class = wire::RecordClass::loss;  // 22
  EXPECT_EQ(on_live(state_, copy), (std::vector<std::size_t>{3, 5, 6}));
  copy.connection_id = "0-old";
  EXPECT_TRUE(on_live(state_, copy).empty());
  EXPECT_EQ(state_.watermark, 20U);
}

TEST_F(SyncHub, AnOlderConnectionsWillDoesNotCount) {
  greet(hello("1-a", 0, 0, 5));
  greet(hello("2-b", 1, 0, 5));
  EXPECT_FALSE(on_status(state_, {.connection_id = "1-a", .online = false}).current);
  EXPECT_TRUE(on_status(state_, {.connection_id = "2-b", .online = false}).current);
}

TEST_F(SyncHub, AConnectionThatAnotherFollowedIsNeverCurrentAgain) {
  greet(hello("1-a", 0, 0, 9));
  EXPECT_EQ(take(batch("1-a", 1, 3)).verdict, BatchVerdict::accept);
  greet(hello("1-z", 1, 0, 9, "clone"));
  EXPECT_EQ(take(batch("1-z", 4, 5)).verdict, BatchVerdict::accept);
  // A second copy of the first hello, and behind it what was sent on that connection.
  const auto late = greet(hello("1-a", 1, 3, 9));
  EXPECT_FALSE(late.answer);
  EXPECT_EQ(state_.connection_id, "1-z");
  EXPECT_EQ(take(batch("1-a", 4, 6)).verdict, BatchVerdict::ask_hello)
      << "4 and 5 are not the clone's";
  EXPECT_TRUE(greet(hello("2-a", 1, 3, 9)).answer) << "its next connection is heard";
  for (int i = 3; i < 40; ++i) greet(hello(std::to_string(i) + "-a", 1, 3, 9));
  EXPECT_LE(state_.left.size(), kSupersededMax);
}

TEST_F(SyncHub, AConnectionThatLivesAndIsNotTheCurrentOneIsAskedForAHello) {
  greet(hello("1-a", 0, 0, 5));
  greet(hello("1-z", 1, 0, 5, "clone"));
  EXPECT_FALSE(on_status(state_, {.connection_id = "1-z", .online = true}).ack);
  EXPECT_FALSE(on_status(state_, {.connection_id = "1-a", .online = false}).ack) << "a will";
  const auto asked = on_status(state_, {.connection_id = "1-a", .online = true}).ack;
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->epoch, 0U);
  EXPECT_EQ(asked->connection_id, "1-a");
  state_.quarantine = "two copies";
  EXPECT_FALSE(on_status(state_, {.connection_id = "1-a", .online = true}).ack);
}

TEST_F(SyncHub, RefusesInWordsAndKeepsNothing) {
  const auto said = refuse(hello("1-a", 0, 0, 5), "revoked", at_);
  EXPECT_EQ(said.outcome, HelloOutcome::refused);
  EXPECT_EQ(said.connection_id, "1-a");
  EXPECT_EQ(said.reason, "revoked");
}

TEST(ConnectionId, TellsItsNumberAndOldIdsNone) {
  EXPECT_EQ(connection_number(connection_id(12, "abc")), 12U);
  EXPECT_FALSE(connection_number("c1"));
  EXPECT_FALSE(connection_number("0123456789abcdef0123456789abcdef"));
  EXPECT_FALSE(connection_number("12"));
  EXPECT_FALSE(connection_number(""));
}

}  // namespace
}  // namespace lapwing::sync
