// SPDX-License-Identifier: Apache-2.0
// The agent's half of the protocol on a virtual clock.
#include "shared/sync/agent.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <vector>

namespace lapwing::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

template <class T>
std::vector<T> all(const Actions& actions) {
  std::vector<T> found;
  for (const auto& action : actions) {
    if (const auto* one = std::get_if<T>(&action)) found.push_back(*one);
  }
  return found;
}

template <class T>
bool has(const Actions& actions) {
  return !all<T>(actions).empty();
}

OwnRecord readable(std::uint64_t hash) {
  return {.state = OwnRecord::State::readable, .hash = hash};
}

class SyncAgent : public testing::Test {
 protected:
  explicit SyncAgent() { limits_.batch_records_max = 10; }

  Agent make(Agent::Position position, std::uint64_t seed = 1) const {
    return {limits_, position, seed};
  }

  wire::Welcome welcome(wire::HelloOutcome outcome, std::uint64_t epoch,
                        std::uint64_t watermark) const {
    return {.connection_id = "c",
            .outcome = outcome,
            .epoch = epoch,
            .watermark = watermark,
            .reason = "why"};
  }

  /// Connected, welcomed and, batch after batch, everything sent that may be under way.
  Actions stream(Agent& agent, std::uint64_t epoch, std::uint64_t watermark) {
    agent.connected("c", at_);
    return send(agent, agent.welcomed(welcome(wire::HelloOutcome::resume, epoch, watermark),
                                      OwnRecord{}, at_));
  }

  /// Carries SendBatch out, 10 records each, until no more is asked for.
  Actions send(Agent& agent, Actions actions) {
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const auto* batch = std::get_if<SendBatch>(&actions[i]);
      if (batch == nullptr) continue;
      const auto through = std::min(batch->from_seq + batch->records_max - 1, next_seq_ - 1);
      auto more = agent.sent(through, 1000, at_);
      actions.insert(actions.end(), more.begin(), more.end());
    }
    return actions;
  }

  AgentLimits limits_;
  Ticks at_{seconds(1000)};
  std::uint64_t next_seq_ = 1;
};

TEST_F(SyncAgent, SaysHelloFirstAndSendsNothingBeforeTheWelcome) {
  auto agent = make({0, 0, 100});
  const auto actions = agent.connected("c", at_);
  EXPECT_TRUE(has<SendHello>(actions));
  EXPECT_TRUE(has<ArmTimer>(actions));
  EXPECT_FALSE(has<SendBatch>(actions));
  EXPECT_FALSE(has<SendBatch>(agent.committed(200, at_)));
  EXPECT_FALSE(agent.streaming());
}

TEST_F(SyncAgent, KeepsANewEpochBeforeAnythingIsSent) {
  auto agent = make({0, 0, 6});
  agent.connected("c", at_);
  const auto actions =
      agent.welcomed(welcome(wire::HelloOutcome::new_epoch, 1, 0), OwnRecord{}, at_);
  ASSERT_GE(actions.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<AdoptEpoch>(actions[0]));
  ASSERT_EQ(all<SendBatch>(actions).size(), 1U);
  EXPECT_EQ(all<SendBatch>(actions)[0].from_seq, 1U);
  EXPECT_EQ(agent.epoch(), 1U);
}

TEST_F(SyncAgent, ResumesAfterTheHubsWatermark) {
  next_seq_ = 21;
  auto agent = make({3, 5, next_seq_});
  agent.connected("c", at_);
  const auto actions = agent.welcomed(welcome(wire::HelloOutcome::resume, 3, 8), OwnRecord{}, at_);
  ASSERT_TRUE(has<DeleteThrough>(actions));
  EXPECT_EQ(all<DeleteThrough>(actions)[0].seq, 8U);
  EXPECT_EQ(all<SendBatch>(actions)[0].from_seq, 9U);
}

TEST_F(SyncAgent, SaysWhoseAcknowledgementItIs) {
  next_seq_ = 21;
  auto agent = make({300, 5, next_seq_, {1}});
  agent.connected("c", at_);
  auto from = welcome(wire::HelloOutcome::resume, 300, 8);
  from.region = 2;
  const auto actions = agent.welcomed(from, OwnRecord{}, at_);
  ASSERT_TRUE(has<DeleteThrough>(actions));
  EXPECT_EQ(all<DeleteThrough>(actions)[0].region, 2U);
  const auto more = agent.acked({300, 10, "c"}, at_);
  ASSERT_TRUE(has<DeleteThrough>(more));
  EXPECT_EQ(all<DeleteThrough>(more)[0].region, 2U);
  agent.disconnected();
  agent.connected("c", at_);
  from = welcome(wire::HelloOutcome::new_epoch, 513, 10);
  from.region = 1;
  const auto granted = agent.welcomed(from, OwnRecord{}, at_);
  ASSERT_TRUE(has<AdoptEpoch>(granted));
  EXPECT_EQ(all<AdoptEpoch>(granted)[0].region, 1U);
}

TEST_F(SyncAgent, OneRegionMoreThanCanBeRememberedBeginsANewEpoch) {
  Agent::Position position{300, 5, 21, {}};
  for (std::uint32_t region = 1; region <= wire::kRegionsMax; ++region) {
    position.regions.push_back(region);
  }
  auto agent = make(position);
  agent.connected("c", at_);
  auto from = welcome(wire::HelloOutcome::resume, 300, 5);
  from.region = 1;
  EXPECT_FALSE(has<SendHello>(agent.welcomed(from, OwnRecord{}, at_)));
  agent.disconnected();
  agent.connected("c", at_);
  from.region = 99;
  const auto asked = all<SendHello>(agent.welcomed(from, OwnRecord{}, at_));
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_TRUE(asked[0].forked);
}

TEST_F(SyncAgent, HasAtMostTheStatedNumberOfBatchesUnderWay) {
  limits_.batches_in_flight_max = 3;
  next_seq_ = 1001;
  auto agent = make({1, 0, next_seq_});
  const auto batches = all<SendBatch>(stream(agent, 1, 0));
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[1].from_seq, 11U);
  EXPECT_EQ(batches[2].from_seq, 21U);
  const auto more =
      send(agent, agent.acked({.epoch = 1, .watermark = 10, .connection_id = "c"}, at_));
  EXPECT_EQ(all<SendBatch>(more).size(), 1U);
  EXPECT_EQ(all<SendBatch>(more)[0].from_seq, 31U);
}

TEST_F(SyncAgent, OneAcknowledgementStandsForAllBefore) {
  next_seq_ = 51;
  auto agent = make({1, 0, next_seq_});
  stream(agent, 1, 0);
  const auto actions = agent.acked({.epoch = 1, .watermark = 50, .connection_id = "c"}, at_);
  EXPECT_EQ(all<DeleteThrough>(actions).at(0).seq, 50U);
  EXPECT_EQ(agent.backlog(), 0U);
  EXPECT_TRUE(agent.acked({.epoch = 1, .watermark = 20, .connection_id = "c"}, at_).empty());
  EXPECT_EQ(agent.watermark(), 50U) << "an older answer that arrives late changes nothing";
}

TEST_F(SyncAgent, IgnoresAcknowledgementsOfOtherConnectionsEpochsAndTheFuture) {
  next_seq_ = 51;
  auto agent = make({2, 0, next_seq_});
  stream(agent, 2, 0);
  EXPECT_TRUE(agent.acked({.epoch = 2, .watermark = 10, .connection_id = "old"}, at_).empty());
  EXPECT_TRUE(agent.acked({.epoch = 1, .watermark = 10, .connection_id = "c"}, at_).empty());
  EXPECT_TRUE(agent.acked({.epoch = 2, .watermark = 51, .connection_id = "c"}, at_).empty());
  EXPECT_EQ(agent.watermark(), 0U);
}

TEST_F(SyncAgent, GoesBackOnceWhenTheHubRepeatsItself) {
  next_seq_ = 51;
  auto agent = make({1, 0, next_seq_});
  stream(agent, 1, 0);
  const wire::Ack repeated{.epoch = 1, .watermark = 0, .connection_id = "c"};
  const auto back = send(agent, agent.acked(repeated, at_));
  ASSERT_TRUE(has<SendBatch>(back));
  EXPECT_EQ(all<SendBatch>(back)[0].from_seq, 1U);
  EXPECT_EQ(agent.resends(), 1U);
  EXPECT_FALSE(has<SendBatch>(agent.acked(repeated, at_))) << "the same gap, told again";
}

TEST_F(SyncAgent, SendsAgainAtOnceWhenTheHubComesBack) {
  next_seq_ = 8;
  auto agent = make({1, 0, next_seq_});
  stream(agent, 1, 0);
  wire::Ack standing{.epoch = 1, .watermark = 0, .connection_id = "c", .standing = true};
  auto back = send(agent, agent.acked(standing, at_));
  ASSERT_EQ(all<SendBatch>(back).size(), 1U) << "one batch under way is enough";
  EXPECT_EQ(all<SendBatch>(back)[0].from_seq, 1U);
  standing.watermark = 3;  // the answer to a part of it was lost, too
  back = send(agent, agent.acked(standing, at_));
  ASSERT_EQ(all<SendBatch>(back).size(), 1U);
  EXPECT_EQ(all<SendBatch>(back)[0].from_seq, 4U);
  standing.watermark = 7;
  EXPECT_FALSE(has<SendBatch>(agent.acked(standing, at_))) << "nothing is under way";
}

TEST_F(SyncAgent, GoesBackWhenAnswersStayAwayAndGivesTheConnectionUpAtLast) {
  limits_.timeouts_max = 3;
  next_seq_ = 21;
  auto agent = make({1, 0, next_seq_});
  auto actions = stream(agent, 1, 0);
  for (std::uint32_t i = 0; i < limits_.timeouts_max; ++i) {
    at_ = all<ArmTimer>(actions).back().at;
    actions = send(agent, agent.timer(at_));
    ASSERT_TRUE(has<SendBatch>(actions)) << i;
    EXPECT_EQ(all<SendBatch>(actions)[0].from_seq, 1U);
  }
  at_ = all<ArmTimer>(actions).back().at;
  EXPECT_TRUE(has<Reconnect>(agent.timer(at_)));
}

TEST_F(SyncAgent, RepeatsHelloAndGivesTheConnectionUpAtLast) {
  limits_.timeouts_max = 2;
  auto agent = make({1, 0, 1});
  auto actions = agent.connected("c", at_);
  for (int i = 0; i < 2; ++i) {
    at_ = all<ArmTimer>(actions).back().at;
    actions = agent.timer(at_);
    ASSERT_TRUE(has<SendHello>(actions));
  }
  at_ = all<ArmTimer>(actions).back().at;
  EXPECT_TRUE(has<Reconnect>(agent.timer(at_)));
}

TEST_F(SyncAgent, ProgressForgivesEarlierTimeouts) {
  limits_.timeouts_max = 1;
  next_seq_ = 101;
  auto agent = make({1, 0, next_seq_});
  stream(agent, 1, 0);
  for (std::uint64_t seq = 10; seq <= 50; seq += 10) {
    EXPECT_FALSE(has<Reconnect>(send(agent, agent.timer(at_))));
    send(agent, agent.acked({.epoch = 1, .watermark = seq, .connection_id = "c"}, at_));
  }
}

TEST_F(SyncAgent, WaitsAtLeastTheTimeoutWithFullJitterThatGrows) {
  limits_.answer_timeout = seconds(5);
  limits_.answer_timeout_max = seconds(20);
  limits_.timeouts_max = 100;
  std::set<std::int64_t> waits;
  std::int64_t longest = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    auto agent = make({1, 0, 1}, seed);
    auto actions = agent.connected("c", at_);
    const auto first = all<ArmTimer>(actions).back().at - at_;
    EXPECT_GE(first, seconds(5));
    EXPECT_LE(first, seconds(10));
    waits.insert(first.count());
    for (int i = 0; i < 5; ++i) actions = agent.timer(at_);
    const auto later = all<ArmTimer>(actions).back().at - at_;
    EXPECT_GE(later, seconds(5));
    EXPECT_LE(later, seconds(25));
    longest = std::max(longest, later.count());
  }
  EXPECT_GT(waits.size(), 190U) << "devices do not answer in chorus";
  EXPECT_GT(longest, Micros(seconds(20)).count());
}

TEST_F(SyncAgent, ConnectsAnewWhenTheHubDoesNotKnowTheConnection) {
  next_seq_ = 51;
  auto agent = make({1, 0, next_seq_});
  stream(agent, 1, 0);
  const auto asked = agent.acked({.epoch = 0, .connection_id = "c"}, at_);
  EXPECT_TRUE(has<Reconnect>(asked));
  EXPECT_FALSE(has<SendHello>(asked)) << "what is under way must not count after the new hello";
  agent.disconnected();
  agent.connected("d", at_);
  auto answer = welcome(wire::HelloOutcome::resume, 1, 20);
  answer.connection_id = "d";
  const auto actions = agent.welcomed(answer, OwnRecord{}, at_);
  EXPECT_EQ(all<SendBatch>(actions).at(0).from_seq, 21U);
}

TEST_F(SyncAgent, IgnoresAWelcomeThatWasOvertaken) {
  next_seq_ = 51;
  auto agent = make({1, 0, next_seq_});
  stream(agent, 1, 0);
  send(agent, agent.acked({.epoch = 1, .watermark = 30, .connection_id = "c"}, at_));
  agent.disconnected();
  agent.connected("c", at_);
  for (const auto outcome : {wire::HelloOutcome::resume, wire::HelloOutcome::new_epoch}) {
    EXPECT_TRUE(agent.welcomed(welcome(outcome, 1, 0), OwnRecord{}, at_).empty());
  }
  EXPECT_EQ(agent.watermark(), 30U);
}

TEST_F(SyncAgent, AsksForANewEpochWhenItsRecordIsNotTheHubs) {
  auto agent = make({1, 5, 51});
  agent.connected("c", at_);
  auto answer = welcome(wire::HelloOutcome::resume, 1, 20);
  answer.known_seq = 20;
  answer.known_hash = 77;
  auto actions = agent.welcomed(answer, readable(78), at_);
  ASSERT_EQ(all<SendHello>(actions).size(), 1U);
  EXPECT_TRUE(all<SendHello>(actions)[0].forked);
  EXPECT_FALSE(has<SendBatch>(actions));
  EXPECT_TRUE(agent.welcomed(answer, readable(78), at_).empty()) << "the first welcome, doubled";
  actions = agent.welcomed(welcome(wire::HelloOutcome::new_epoch, 2, 5), OwnRecord{}, at_);
  EXPECT_EQ(all<SendBatch>(actions).at(0).from_seq, 6U);
  auto same = make({1, 5, 51});
  same.connected("c", at_);
  EXPECT_TRUE(has<SendBatch>(same.welcomed(answer, readable(77), at_)));
}

TEST_F(SyncAgent, AsksForANewEpochWhenItCannotShowThatItsRecordIsTheHubs) {
  auto answer = welcome(wire::HelloOutcome::resume, 1, 20);
  answer.known_seq = 20;
  const auto forks = [&](const OwnRecord& own) {
    auto agent = make({1, 5, 51});
    agent.connected("c", at_);
    const auto hellos = all<SendHello>(agent.welcomed(answer, own, at_));
    return hellos.size() == 1 && hellos[0].forked;
  };
  const OwnRecord damaged{.state = OwnRecord::State::damaged};
  answer.known_hash = 77;
  EXPECT_TRUE(forks(damaged)) << "the hub's may be a clone's";
  answer.known_hash = 0;
  EXPECT_TRUE(forks(readable(77))) << "the hub holds a loss: a clone's row may have been damaged";
  EXPECT_FALSE(forks(damaged)) << "a loss on both sides";
}

TEST_F(SyncAgent, WhereItGaveTheRecordUpTheOneBeforeIsCompared) {
  auto answer = welcome(wire::HelloOutcome::resume, 1, 20);
  answer.known_seq = 20;
  answer.known_hash = 77;
  OwnRecord own{.state = OwnRecord::State::given_up};
  auto empty = make({1, 5, 51});
  empty.connected("c", at_);
  EXPECT_TRUE(has<SendBatch>(empty.welcomed(answer, own, at_))) << "nothing is left to lose";

  own.below_seq = 12;
  own.below_hash = 99;
  auto agent = make({1, 5, 51});
  agent.connected("c", at_);
  const auto hellos = all<SendHello>(agent.welcomed(answer, own, at_));
  ASSERT_EQ(hellos.size(), 1U);
  EXPECT_FALSE(hellos[0].forked);
  EXPECT_EQ(hellos[0].check_seq, 12U);
  EXPECT_EQ(hellos[0].check_hash, 99U);
  EXPECT_TRUE(agent.welcomed(answer, own, at_).empty()) << "the first welcome, doubled";
  answer.checked_seq = 12;
  EXPECT_TRUE(has<SendBatch>(agent.welcomed(answer, own, at_))) << "the hub's is the same";
}

TEST_F(SyncAgent, LeavesAConnectionWhoseWelcomeDoesNotFit) {
  auto beyond = make({1, 0, 5});
  beyond.connected("c", at_);
  EXPECT_TRUE(
      has<Reconnect>(beyond.welcomed(welcome(wire::HelloOutcome::resume, 1, 5), OwnRecord{}, at_)));
  auto other = make({1, 0, 5});
  other.connected("c", at_);
  EXPECT_TRUE(
      has<Reconnect>(other.welcomed(welcome(wire::HelloOutcome::resume, 7, 0), OwnRecord{}, at_)));
  EXPECT_TRUE(has<Reconnect>(
      other.welcomed(welcome(wire::HelloOutcome::new_epoch, 0, 0), OwnRecord{}, at_)));
}

TEST_F(SyncAgent, IsQuietWhileQuarantinedAndAsksSeldom) {
  next_seq_ = 51;
  auto agent = make({1, 0, next_seq_});
  agent.connected("c", at_);
  auto actions = agent.welcomed(welcome(wire::HelloOutcome::quarantined, 0, 0), OwnRecord{}, at_);
  ASSERT_TRUE(has<Halted>(actions));
  EXPECT_EQ(all<ArmTimer>(actions).back().at, at_ + limits_.halted_retry);
  EXPECT_TRUE(agent.committed(100, at_).empty());
  at_ = all<ArmTimer>(actions).back().at;
  EXPECT_TRUE(has<SendHello>(agent.timer(at_)));
  next_seq_ = 100;
  actions = agent.welcomed(welcome(wire::HelloOutcome::new_epoch, 2, 0), OwnRecord{}, at_);
  EXPECT_TRUE(has<AdoptEpoch>(actions)) << "released by an operator";
  EXPECT_TRUE(has<SendBatch>(actions));
}

TEST_F(SyncAgent, SendsNewRecordsLiveOnlyBehindABacklog) {
  limits_.live_backlog = 100;
  limits_.batches_in_flight_max = 3;
  next_seq_ = 51;
  auto agent = make({1, 0, next_seq_});
  stream(agent, 1, 0);
  EXPECT_FALSE(has<SendLive>(agent.committed(61, at_))) << "they will go in a moment";
  const auto live = all<SendLive>(agent.committed(203, at_));
  ASSERT_EQ(live.size(), 1U);
  EXPECT_EQ(live[0].from_seq, 193U) << "the newest of them, one message at first";
  agent.sent_live(1000, at_);
  EXPECT_FALSE(has<SendLive>(agent.committed(205, at_))) << "nothing was acknowledged since";
  for (const std::uint64_t watermark : {10, 20, 30, 40}) {
    agent.acked({.epoch = 1, .watermark = watermark, .connection_id = "c"}, at_);
  }
  const auto burst = all<SendLive>(agent.committed(305, at_)).at(0);
  EXPECT_EQ(burst.messages_max, 3U) << "as many as batches may be under way";
  EXPECT_EQ(burst.from_seq, 275U);
  EXPECT_EQ(burst.through, 304U);
}

TEST_F(SyncAgent, OnALinkThatIsTooSlowItSendsLessAtATimeAndMoreWhenItCan) {
  limits_.timeouts_max = 100;
  next_seq_ = 100'001;
  auto agent = make({1, 0, next_seq_});
  auto actions = stream(agent, 1, 0);
  const auto time_out = [&](int times) {
    for (int i = 0; i < times; ++i) {
      at_ += limits_.answer_timeout_max * 2;
      actions = send(agent, agent.timer(at_));
    }
  };
  time_out(3);
  EXPECT_EQ(agent.window(), 1U);
  EXPECT_EQ(agent.batch_records(), 10U);
  time_out(10);
  EXPECT_EQ(agent.batch_records(), 1U);
  EXPECT_EQ(all<SendBatch>(actions).size(), 1U) << "one at a time";
  std::uint64_t watermark = 0;
  for (int i = 0; i < 100; ++i) {
    watermark += 1;
    send(agent, agent.acked({.epoch = 1, .watermark = watermark, .connection_id = "c"}, at_));
  }
  EXPECT_EQ(agent.window(), limits_.batches_in_flight_max);
  EXPECT_EQ(agent.batch_records(), limits_.batch_records_max);
}

TEST_F(SyncAgent, KeepsThePace) {
  limits_.pace_bytes_per_second = 10'000;  // a batch of 1000 bytes each 100 ms
  next_seq_ = 1001;
  auto agent = make({1, 0, next_seq_});
  auto actions = stream(agent, 1, 0);
  const Ticks began = at_;
  std::size_t bytes = 0;
  std::uint64_t acked = 0;
  while (at_ < began + seconds(2)) {
    for (const auto& batch : all<SendBatch>(actions)) {
      bytes += 1000;
      acked = batch.from_seq + batch.records_max - 1;
    }
    actions = send(agent, agent.acked({.epoch = 1, .watermark = acked, .connection_id = "c"}, at_));
    if (has<SendBatch>(actions)) continue;
    const auto timers = all<ArmTimer>(actions);
    ASSERT_FALSE(timers.empty());
    at_ = timers.back().at;
    actions = send(agent, agent.timer(at_));
  }
  EXPECT_NEAR(static_cast<double>(bytes), 20'000, 1'500);
}

TEST_F(SyncAgent, GoingBackWhilePacedWaitsForThePaceNotForATimeout) {
  limits_.pace_bytes_per_second = 2'000;  // 500 ms a batch
  next_seq_ = 1001;
  auto agent = make({1, 0, next_seq_});
  stream(agent, 1, 0);
  at_ += milliseconds(100);
  const auto actions = agent.timer(at_);  // an answer is overdue
  EXPECT_FALSE(has<SendBatch>(actions));
  EXPECT_EQ(all<ArmTimer>(actions).back().at, at_ + milliseconds(400));
}

TEST_F(SyncAgent, TriesAgainLaterWhenNothingCouldBeSent) {
  next_seq_ = 11;
  auto agent = make({1, 0, next_seq_});
  agent.connected("c", at_);
  auto actions = agent.welcomed(welcome(wire::HelloOutcome::resume, 1, 0), OwnRecord{}, at_);
  ASSERT_TRUE(has<SendBatch>(actions));
  actions = agent.sent(0, 0, at_);  // the outbox could not be read
  ASSERT_TRUE(has<ArmTimer>(actions));
  EXPECT_FALSE(has<SendBatch>(actions));
  EXPECT_EQ(all<SendBatch>(agent.timer(all<ArmTimer>(actions)[0].at)).at(0).from_seq, 1U);
}

TEST_F(SyncAgent, TakesTheSmallerOfItsAndTheHubsBatchLimits) {
  next_seq_ = 51;
  auto agent = make({1, 0, next_seq_});
  agent.connected("c", at_);
  auto answer = welcome(wire::HelloOutcome::resume, 1, 0);
  answer.batch_records_max = 4;
  answer.batch_bytes_max = 1U << 30;
  const auto batch = all<SendBatch>(agent.welcomed(answer, OwnRecord{}, at_)).at(0);
  EXPECT_EQ(batch.records_max, 4U);
  EXPECT_EQ(batch.bytes_max, limits_.batch_bytes_max);
}

TEST_F(SyncAgent, DoesNothingWhileOffline) {
  auto agent = make({1, 0, 51});
  stream(agent, 1, 0);
  EXPECT_TRUE(agent.disconnected().empty());
  EXPECT_TRUE(agent.committed(60, at_).empty());
  EXPECT_TRUE(agent.timer(at_).empty());
  EXPECT_TRUE(agent.acked({.epoch = 1, .watermark = 10, .connection_id = "c"}, at_).empty());
  EXPECT_TRUE(agent.welcomed(welcome(wire::HelloOutcome::resume, 1, 10), OwnRecord{}, at_).empty());
}

}  // namespace
}  // namespace lapwing::sync
