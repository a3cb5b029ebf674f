// SPDX-License-Identifier: Apache-2.0
/// Federated rounds: who is asked, what is kept once, when a pass is over.
#include "hub/store/jobs.hpp"
#include "hub/store/rounds.hpp"
#include "tests/hub/store/store_contract.hpp"

#include <set>

namespace lapwing::hub {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const std::vector<std::string> kThree{"p1", "p2", "p3"};
const std::string kDigest(64, 'a');

RoundRow round_of(Time at, const std::string& tenant = "acme") {
  return {.tenant = tenant,
          .name = "pumps of autumn",
          .model = "pumps",
          .kind = "pca",
          .schema = kDigest,
          .plan = "{}",
          .pass_length = hours(1),
          .deadline = at + hours(1),
          .devices_min = 3,
          .enough = 3,
          .actor = "t1",
          .created_at = at};
}

RoundPart piece(std::uint64_t round, std::uint32_t part, const std::string& bytes,
                std::uint32_t pass = 1) {
  return {.round = round,
          .pass = pass,
          .part = part,
          .parts = 2,
          .sha256 = kDigest,
          .rows = 500,
          .bytes = bytes,
          .problem = {}};
}

void add_three(Store& store, Time at) {
  for (const auto& name : kThree) {
    ASSERT_TRUE(store.register_device({.key = {"acme", name}, .enrolled_at = at}));
  }
}

void tell_all(Rounds& rounds, const RoundRow& round, const std::string& device) {
  const auto at = round.created_at;
  EXPECT_TRUE(rounds.take({"acme", device}, piece(round.id, 0, "ab", round.pass), at).value());
  EXPECT_TRUE(rounds.take({"acme", device}, piece(round.id, 1, "c", round.pass), at).value());
}

void come_online(Store& store, const std::string& device, Time at) {
  auto transaction = store.begin_ingest().value();
  const DeviceKey key{"acme", device};
  ASSERT_TRUE(transaction->device(key));
  ASSERT_TRUE(transaction->save_presence(
      key, {.connection_id = "1-" + device, .seen = at, .replica = "r1"}));
  ASSERT_TRUE(transaction->commit());
}

}  // namespace

TEST_P(StoreContract, KeepsAPieceOnceWhateverIsRepeated) {
  add_three(*store_, t0_);
  const auto rounds = [this]() -> Rounds& { return store_->rounds(); };
  const auto round = rounds().add(round_of(t0_), kThree).value();
  const DeviceKey p1{"acme", "p1"};
  EXPECT_TRUE(rounds().take(p1, piece(round.id, 1, "de"), t0_).value());
  EXPECT_FALSE(rounds().take(p1, piece(round.id, 1, "de"), t0_).value());
  EXPECT_TRUE(rounds().told(round.id).value().empty());
  EXPECT_TRUE(rounds().take(p1, piece(round.id, 0, std::string("a\0c", 3)), t0_).value());
  EXPECT_FALSE(rounds().take(p1, piece(round.id, 0, "abc"), t0_).value());
  const auto told = rounds().told(round.id).value();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].device, "p1");
  EXPECT_EQ(told[0].rows, 500U);
  EXPECT_EQ(told[0].bytes, 5U);
  EXPECT_EQ(rounds().contribution(round.id, p1).value(), std::string("a\0cde", 5));
  auto other = piece(round.id, 0, "zz");
  other.sha256 = std::string(64, 'b');
  EXPECT_FALSE(rounds().take(p1, other, t0_).value()) << "it has told all";
}

TEST_P(StoreContract, PiecesOfAnotherTellingReplaceThoseBefore) {
  add_three(*store_, t0_);
  const auto rounds = [this]() -> Rounds& { return store_->rounds(); };
  const auto round = rounds().add(round_of(t0_), kThree).value();
  const DeviceKey p1{"acme", "p1"};
  EXPECT_TRUE(rounds().take(p1, piece(round.id, 0, "ab"), t0_).value());
  auto again = piece(round.id, 1, "z");
  again.sha256 = std::string(64, 'b');
  EXPECT_TRUE(rounds().take(p1, again, t0_).value());
  EXPECT_TRUE(rounds().told(round.id).value().empty());
  again.part = 0;
  again.bytes = "xy";
  EXPECT_TRUE(rounds().take(p1, again, t0_).value());
  EXPECT_EQ(rounds().contribution(round.id, p1).value(), "xyz");
}

TEST_P(StoreContract, NobodyElseAndNothingElseIsTaken) {
  add_three(*store_, t0_);
  const auto rounds = [this]() -> Rounds& { return store_->rounds(); };
  const auto round = rounds().add(round_of(t0_), kThree).value();
  ASSERT_TRUE(store_->register_device({.key = {"acme", "p4"}, .enrolled_at = t0_}));
  ASSERT_TRUE(store_->register_device({.key = {"other", "p1"}, .enrolled_at = t0_}));
  EXPECT_FALSE(rounds().take({"acme", "p4"}, piece(round.id, 0, "ab"), t0_).value());
  EXPECT_FALSE(rounds().take({"other", "p1"}, piece(round.id, 0, "ab"), t0_).value());
  EXPECT_FALSE(rounds().take({"acme", "p1"}, piece(round.id, 0, "ab", 2), t0_).value());
  EXPECT_FALSE(rounds().take({"acme", "p1"}, piece(round.id + 1, 0, "ab"), t0_).value());
  auto longer = piece(round.id, 0, "ab");
  EXPECT_TRUE(rounds().take({"acme", "p1"}, longer, t0_).value());
  longer.parts = 3;
  longer.part = 2;
  EXPECT_FALSE(rounds().take({"acme", "p1"}, longer, t0_).value());
}

TEST_P(StoreContract, ARoundGoesFromPassToPassToItsEnd) {
  add_three(*store_, t0_);
  const auto rounds = [this]() -> Rounds& { return store_->rounds(); };
  auto round = rounds().add(round_of(t0_), kThree).value();
  EXPECT_TRUE(rounds().due(t0_, 10).value().empty());
  tell_all(rounds(), round, "p1");
  tell_all(rounds(), round, "p2");
  EXPECT_TRUE(rounds().due(t0_, 10).value().empty());
  EXPECT_EQ(rounds().due(round.deadline, 10).value().size(), 1U) << "its deadline is over";
  tell_all(rounds(), round, "p3");
  ASSERT_EQ(rounds().due(t0_, 10).value().size(), 1U) << "enough told";
  const auto job =
      store_->jobs().add({.tenant = "acme", .kind = "federate", .created_at = t0_}).value();
  EXPECT_FALSE(rounds().begin_merge(round.id, 2, job.id).value());
  EXPECT_TRUE(rounds().begin_merge(round.id, 1, job.id).value());
  EXPECT_FALSE(rounds().begin_merge(round.id, 1, job.id).value());
  EXPECT_TRUE(rounds().due(t0_, 10).value().empty()) << "its job is open";
  RoundStep step{.id = round.id,
                 .pass = 1,
                 .state = RoundState::gathering,
                 .result = kDigest,
                 .report = "[1]",
                 .text = "pass 2",
                 .left = {{"p2", "far off"}},
                 .at = t0_ + minutes(10)};
  EXPECT_TRUE(rounds().step(step).value());
  EXPECT_FALSE(rounds().step(step).value()) << "once";
  reopen();
  round = rounds().get("acme", round.id).value();
  EXPECT_EQ(round.pass, 2U);
  EXPECT_EQ(round.state, RoundState::gathering);
  EXPECT_EQ(round.deadline, t0_ + minutes(70));
  EXPECT_EQ(round.result, kDigest);
  EXPECT_EQ(rounds().contribution(round.id, {"acme", "p1"}).value(), "") << "not kept";
  EXPECT_FALSE(rounds().take({"acme", "p2"}, piece(round.id, 0, "ab", 2), t0_).value());
  tell_all(rounds(), round, "p1");
  auto none = piece(round.id, 0, "", 2);
  none.problem = "the group does not share";
  EXPECT_TRUE(rounds().take({"acme", "p3"}, none, t0_).value());
  ASSERT_EQ(rounds().due(t0_, 10).value().size(), 1U) << "nobody is waited for";
  step = {.id = round.id,
          .pass = 2,
          .state = RoundState::done,
          .result = kDigest,
          .report = "[2]",
          .text = "done",
          .left = {},
          .at = t0_ + minutes(20)};
  EXPECT_TRUE(rounds().step(step).value());
  round = rounds().get("acme", round.id).value();
  EXPECT_EQ(round.state, RoundState::done);
  EXPECT_EQ(round.ended_at, t0_ + minutes(20));
  EXPECT_TRUE(rounds().due(t0_ + hours(9), 10).value().empty());
  const auto members = rounds().members("acme", round.id, {}).value().items;
  ASSERT_EQ(members.size(), 3U);
  EXPECT_EQ(members[0].state, RoundMemberState::told);
  EXPECT_EQ(members[0].bytes, 6U) << "of both passes";
  EXPECT_EQ(members[1].state, RoundMemberState::left);
  EXPECT_EQ(members[1].text, "far off");
  EXPECT_EQ(members[2].state, RoundMemberState::refused);
  EXPECT_EQ(members[2].text, "the group does not share");
}

TEST_P(StoreContract, AJobThatEndedWithoutItsRoundIsSeen) {
  add_three(*store_, t0_);
  const auto rounds = [this]() -> Rounds& { return store_->rounds(); };
  const auto round = rounds().add(round_of(t0_), kThree).value();
  const auto job =
      store_->jobs().add({.tenant = "acme", .kind = "federate", .created_at = t0_}).value();
  ASSERT_TRUE(rounds().begin_merge(round.id, 1, job.id).value());
  ASSERT_TRUE(store_->jobs().cancel("acme", job.id, t0_));
  const auto due = rounds().due(t0_, 10).value();
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].state, RoundState::merging);
}

TEST_P(StoreContract, OnlyOnlineDevicesAreAskedAndNotAgainTooSoon) {
  add_three(*store_, t0_);
  const auto rounds = [this]() -> Rounds& { return store_->rounds(); };
  const auto round = rounds().add(round_of(t0_), kThree).value();
  EXPECT_TRUE(rounds().to_ask(t0_, minutes(1), 10).value().empty()) << "nobody is online";
  for (const auto& name : {"p1", "p3"}) come_online(*store_, name, t0_);
  auto asked = rounds().to_ask(t0_, minutes(1), 10).value();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0].first.id, round.id);
  EXPECT_EQ(asked[0].second, (DeviceKey{"acme", "p1"}));
  ASSERT_TRUE(rounds().mark_asked(round.id, {"acme", "p1"}, t0_));
  EXPECT_EQ(rounds().to_ask(t0_, minutes(1), 10).value().size(), 1U);
  EXPECT_EQ(rounds().to_ask(t0_ + minutes(2), minutes(1), 10).value().size(), 2U);
  tell_all(rounds(), round, "p3");
  EXPECT_EQ(rounds().to_ask(t0_ + minutes(2), minutes(1), 10).value().size(), 1U);
  EXPECT_TRUE(rounds().to_ask(round.deadline, minutes(1), 10).value().empty());
}

TEST_P(StoreContract, IsBoundedAndOfItsTenant) {
  add_three(*store_, t0_);
  const auto rounds = [this]() -> Rounds& { return store_->rounds(); };
  EXPECT_EQ(rounds().add(round_of(t0_), {}).error().code, Errc::bad_input);
  const std::vector<std::string> unknown{"p1", "nobody"};
  EXPECT_EQ(rounds().add(round_of(t0_), unknown).error().code, Errc::bad_input);
  const auto round = rounds().add(round_of(t0_), kThree).value();
  EXPECT_EQ(rounds().get("other", round.id).error().code, Errc::not_found);
  EXPECT_EQ(rounds().cancel("other", round.id, t0_).error().code, Errc::not_found);
  EXPECT_EQ(rounds().members("other", round.id, {}).error().code, Errc::not_found);
  for (std::size_t i = 1; i < Rounds::kOpenMax; ++i)
    static_cast<void>(rounds().add(round_of(t0_), kThree).value());
  EXPECT_EQ(rounds().add(round_of(t0_), kThree).error().code, Errc::limit);
  EXPECT_EQ(rounds().cancel("acme", round.id, t0_).value().state, RoundState::cancelled);
  EXPECT_FALSE(rounds().take({"acme", "p1"}, piece(round.id, 0, "ab"), t0_).value());
  const auto page = rounds().list("acme", {.limit = 3}).value();
  ASSERT_EQ(page.items.size(), 3U);
  EXPECT_GT(page.items[0].id, page.items[1].id);
  const auto more = rounds().list("acme", {.limit = 100, .cursor = *page.next_cursor}).value();
  EXPECT_EQ(more.items.size(), Rounds::kOpenMax - 3);
}

}  // namespace lapwing::hub
