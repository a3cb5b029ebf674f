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

class SyncRegions : public testing::Test {
 protected:
  /// One region's hub and what it keeps of the device.
  struct Hub {
    Region region;
    DeviceSyncState state;
  };
  static wire::Hello hello(int connection, std::uint64_t epoch, std::uint64_t acked,
                           std::vector<wire::RegionMark> regions = {}) {
    return {.connection_id = connection_id(static_cast<std::uint64_t>(connection), "x"),
            .instance_id = "i1",
            .database_id = "db",
            .epoch = epoch,
            .next_seq = acked + 100,
            .acked_seq = acked,
            .acked_hash = acked == 0 ? 0 : 1000 + acked,
            .regions = std::move(regions)};
  }
  HelloDecision greet(Hub& hub, const wire::Hello& hello) const {
    auto decision = on_hello(hub.state, hello, {}, {}, at_, hub.region);
    hub.state = decision.state;
    return decision;
  }
  Hub a_{{1, "a"}, {}};
  Hub b_{{2, "b"}, {}};
  Time at_ = from_micros(1'800'000'000'000'000);
};

TEST_F(SyncRegions, EpochsOfDifferentRegionsNeverCollide) {
  EXPECT_EQ(next_epoch(0, 0), 1U);
  EXPECT_EQ(next_epoch(7, 0), 8U);
  EXPECT_EQ(next_epoch(0, 1), 257U);
  EXPECT_EQ(next_epoch(0, 255), 511U);
  for (std::uint64_t known : {0ULL, 1ULL, 255ULL, 256ULL, 257ULL, 511ULL, 512ULL, 100'000ULL}) {
    for (std::uint32_t region = 1; region <= wire::kRegionLast; ++region) {
      const auto epoch = next_epoch(known, region);
      EXPECT_GT(epoch, known);
      EXPECT_GE(epoch, 256U);
      EXPECT_LE(epoch, std::max<std::uint64_t>(known, 255) + 256);
      EXPECT_EQ(epoch % 256, region);
    }
  }
}

TEST_F(SyncRegions, AnEpochGoesOnInAnotherRegionAndBack) {
  const auto first = greet(a_, hello(1, 0, 0)).welcome;
  EXPECT_EQ(first.epoch, 257U);
  EXPECT_EQ(first.region, 1U);
  EXPECT_EQ(first.region_name, "a");
  a_.state.watermark = 120;  // the device heard of 100 of them
  auto said = greet(b_, hello(2, 257, 100, {{1, 100}}));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::resume);
  EXPECT_EQ(said.welcome.epoch, 257U);
  EXPECT_EQ(said.welcome.watermark, 100U);
  EXPECT_EQ(said.welcome.known_seq, 100U);
  EXPECT_TRUE(said.alert.empty());
  EXPECT_EQ(said.elsewhere_last, 0U) << "it begins there";
  EXPECT_EQ(b_.state.base, 100U);
  b_.state.watermark = 300;
  said = greet(a_, hello(3, 257, 300, {{1, 100}, {2, 300}}));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::resume);
  EXPECT_EQ(said.welcome.watermark, 300U);
  EXPECT_EQ(said.elsewhere_first, 121U);
  EXPECT_EQ(said.elsewhere_last, 300U);
  EXPECT_EQ(said.welcome.known_seq, 300U);
  EXPECT_EQ(said.welcome.known_hash, 0U);
  EXPECT_TRUE(said.alert.empty());
  // The same hello again changes nothing more.
  said = greet(a_, hello(3, 257, 300, {{1, 100}, {2, 300}}));
  EXPECT_EQ(said.welcome.watermark, 300U);
  EXPECT_EQ(said.elsewhere_last, 0U);
}

TEST_F(SyncRegions, ARegionThatLostWhatItAcknowledgedDoesNotCallItElsewhere) {
  greet(a_, hello(1, 0, 0));
  a_.state.watermark = 80;  // restored: it had acknowledged 100
  auto said = greet(a_, hello(2, 257, 300, {{1, 100}, {2, 300}}));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_EQ(said.welcome.epoch, 513U);
  EXPECT_EQ(said.elsewhere_last, 0U);
  EXPECT_FALSE(said.alert.empty());
  // Nor does one that lost everything take the epoch for another's.
  Hub empty{{1, "a"}, {}};
  said = greet(empty, hello(2, 258, 300, {{1, 100}, {2, 300}}));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_FALSE(said.alert.empty());
}

TEST_F(SyncRegions, WithoutAWordOnRegionsNothingIsExplained) {
  greet(a_, hello(1, 0, 0));
  a_.state.watermark = 100;
  auto said = greet(a_, hello(2, 257, 300));  // an older agent
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_FALSE(said.alert.empty());
  Hub alone{{}, {}};
  greet(alone, hello(1, 0, 0));
  alone.state.watermark = 100;
  said = greet(alone, hello(2, 1, 300, {{2, 300}}));  // no region itself: as it always was
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
}

TEST_F(SyncRegions, LiveCopiesAheadOfTheJumpStayComparable) {
  greet(a_, hello(1, 0, 0));
  a_.state.watermark = 100;
  a_.state.live_through = 390;
  auto there = hello(2, 257, 300, {{1, 100}, {2, 300}});
  const auto said = on_hello(a_.state, there, {.at_newest = 77}, {}, at_, a_.region);
  EXPECT_EQ(said.welcome.watermark, 300U);
  EXPECT_EQ(said.welcome.known_seq, 390U);
  EXPECT_EQ(said.welcome.known_hash, 77U);
}

TEST_F(SyncRegions, AGrantThatWasNeverHeardGivesWayToTheOneThatWas) {
  greet(b_, hello(1, 0, 0));  // 258; the welcome is lost
  greet(a_, hello(2, 0, 0));  // 257; heard
  const auto said = greet(b_, hello(3, 257, 50, {{1, 50}}));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::resume);
  EXPECT_EQ(said.welcome.epoch, 257U);
  EXPECT_EQ(said.welcome.watermark, 50U);
  EXPECT_TRUE(said.alert.empty());
  b_.state.watermark = 60;
  auto forked = hello(4, 257, 60, {{1, 50}, {2, 60}});
  forked.forked = true;
  EXPECT_EQ(greet(b_, forked).welcome.epoch, 514U) << "258 was given once, and is not again";
  // One that was heard, or granted for a reason, does not give way.
  b_.state.watermark = 70;
  EXPECT_EQ(greet(b_, hello(5, 513, 65, {{1, 65}})).welcome.epoch, 770U);
  EXPECT_EQ(greet(b_, hello(6, 514, 68, {{1, 68}})).welcome.epoch, 1026U)
      << "it had that one, and its history is another";
}

TEST_F(SyncRegions, ABrokenHistoryIsNotAdopted) {
  auto forked = hello(1, 257, 100, {{1, 100}});
  forked.forked = true;  // another region showed it
  EXPECT_EQ(greet(b_, forked).welcome.outcome, HelloOutcome::new_epoch);
  // An older epoch than the one adopted: a restored outbox.
  Hub c{{3, "c"}, {}};
  greet(c, hello(1, 257, 100, {{1, 100}}));
  const auto said = greet(c, hello(2, 0, 40));
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
  EXPECT_EQ(said.welcome.epoch, 259U);
  EXPECT_FALSE(said.alert.empty());
  // After a quarantine each copy gets an epoch of its own, wherever its last one is from.
  release_quarantine(c.state);
  EXPECT_EQ(greet(c, hello(3, 513, 100, {{1, 100}})).welcome.outcome, HelloOutcome::new_epoch);
}

TEST_F(SyncRegions, AnotherRecordAtTheAcknowledgedPlaceIsStillSeen) {
  greet(a_, hello(1, 0, 0));
  a_.state.watermark = 100;
  a_.state.live_through = 350;
  const auto there = hello(2, 257, 300, {{1, 100}, {2, 300}});
  const auto said = on_hello(a_.state, there, {.at_acked = 5, .at_newest = 6}, {}, at_, a_.region);
  EXPECT_EQ(said.welcome.outcome, HelloOutcome::new_epoch);
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
