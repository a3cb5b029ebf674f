// SPDX-License-Identifier: Apache-2.0
/// Rollouts: one open for a model, steps taken once, decisions kept; and labels of devices.
#include "hub/store/commands.hpp"
#include "hub/store/rollouts.hpp"
#include "hub/store/targets.hpp"
#include "tests/hub/store/store_contract.hpp"

#include <atomic>
#include <thread>

namespace lapwing::hub {
namespace {

using std::chrono::minutes;

RolloutRow pumps(Time at, std::uint64_t number = 4, const std::string& tenant = "acme") {
  return {.tenant = tenant,
          .id = 0,
          .model = "pumps",
          .number = number,
          .undo = number + 1,
          .plan = R"({"soak_s":1})",
          .state = {},
          .actor = "t1",
          .created_at = at,
          .ended_at = std::nullopt};
}

Rollouts::Order just(std::vector<std::string> devices) {
  return [devices](std::uint64_t) {
    std::vector<RolloutMember> members;
    for (const auto& device : devices) {
      members.push_back({.device = device, .ring = static_cast<std::uint32_t>(members.size())});
    }
    return members;
  };
}

RolloutStep step_of(const RolloutRow& row, RolloutPhase phase, Time at,
                    const std::string& actor = "rollout") {
  RolloutStep step{.tenant = row.tenant,
                   .id = row.id,
                   .revision = row.revision,
                   .state = row.state,
                   .decision = RolloutDecision{.number = 0,
                                               .at = at,
                                               .actor = actor,
                                               .action = "ring",
                                               .text = "ring 1 begins",
                                               .figures = "{\"gates\":[]}"},
                   .left_out = {},
                   .targets = {},
                   .at = at};
  step.state.phase = phase;
  step.state.since = at;
  return step;
}

}  // namespace

TEST_P(StoreContract, KeepsARolloutAndItsRings) {
  enrol({kTenant, "press-2"});
  enrol({"other", "press-1"});
  auto& rollouts = store_->rollouts();
  std::uint64_t told = 0;
  const auto made = rollouts
                        .add(pumps(t0_),
                             [&](std::uint64_t id) {
                               told = id;
                               return just({"press-2", "press-1"})(id);
                             })
                        .value();
  EXPECT_EQ(made.id, told);
  EXPECT_EQ(made.state.phase, RolloutPhase::waiting);
  EXPECT_EQ(made.revision, 1U);
  auto step = step_of(made, RolloutPhase::active, t0_ + minutes(1));
  step.state.resume = RolloutPhase::shadow;
  step.state.ring = 1;
  step.state.ready_at = t0_ + minutes(2);
  step.state.judged_from = t0_ + minutes(3);
  step.state.baseline = {.rows = 10, .alarms = 3, .cost_p99 = 1.5e-5};
  step.state.text = "so it is";
  step.left_out = {"press-2"};
  ASSERT_TRUE(rollouts.step(step).value());
  reopen();
  auto& again = store_->rollouts();
  const auto seen = again.get(kTenant, made.id).value();
  EXPECT_EQ(seen.model, "pumps");
  EXPECT_EQ(seen.number, 4U);
  EXPECT_EQ(seen.undo, 5U);
  EXPECT_EQ(seen.plan, R"({"soak_s":1})");
  EXPECT_EQ(seen.actor, "t1");
  EXPECT_EQ(seen.revision, 2U);
  EXPECT_EQ(seen.created_at, t0_);
  EXPECT_FALSE(seen.ended_at);
  EXPECT_EQ(seen.state.phase, RolloutPhase::active);
  EXPECT_EQ(seen.state.resume, RolloutPhase::shadow);
  EXPECT_EQ(seen.state.ring, 1U);
  EXPECT_EQ(seen.state.since, t0_ + minutes(1));
  EXPECT_EQ(seen.state.ready_at, t0_ + minutes(2));
  EXPECT_EQ(seen.state.judged_from, t0_ + minutes(3));
  EXPECT_EQ(seen.state.baseline, step.state.baseline);
  EXPECT_EQ(seen.state.text, "so it is");
  const auto first = again.members(kTenant, made.id, {.limit = 1}).value();
  ASSERT_EQ(first.items.size(), 1U);
  EXPECT_EQ(first.items[0], (RolloutMember{.device = "press-1", .ring = 1}));
  ASSERT_TRUE(first.next_cursor);
  const auto rest = again.members(kTenant, made.id, {.cursor = *first.next_cursor}).value();
  ASSERT_EQ(rest.items.size(), 1U);
  EXPECT_EQ(rest.items[0], (RolloutMember{.device = "press-2", .ring = 0, .left_out = true}));
  const auto decisions = again.decisions(kTenant, made.id, {}).value();
  ASSERT_EQ(decisions.items.size(), 1U);
  EXPECT_EQ(decisions.items[0].number, 1U);
  EXPECT_EQ(decisions.items[0].at, t0_ + minutes(1));
  EXPECT_EQ(decisions.items[0].figures, "{\"gates\":[]}");
  EXPECT_EQ(again.get("other", made.id).error().code, Errc::not_found);
  EXPECT_EQ(again.members("other", made.id, {}).error().code, Errc::not_found);
  EXPECT_EQ(again.decisions("other", made.id, {}).error().code, Errc::not_found);
  auto others = step_of(seen, RolloutPhase::aborted, t0_);
  others.tenant = "other";
  EXPECT_FALSE(again.step(others).value()) << "nobody steps another tenant's";
}

TEST_P(StoreContract, AStepWantsItsTargetsOrIsNotTaken) {
  auto& rollouts = store_->rollouts();
  const auto made = rollouts.add(pumps(t0_), just({"press-1"})).value();
  std::atomic<int> woken = 0;
  const auto watch = store_->commands().watch([&] { ++woken; }).value();
  auto step = step_of(made, RolloutPhase::shadow, t0_);
  step.targets = {{.key = key_, .model = "pumps", .number = 4, .rollout = made.id}};
  ASSERT_TRUE(rollouts.step(step).value());
  EXPECT_GT(woken, 0) << "devices are told at once";
  const auto target = store_->targets().get(key_, "pumps").value();
  EXPECT_EQ(target.target.number, 4U);
  EXPECT_EQ(target.target.rollout, made.id);
  EXPECT_EQ(target.offer, 1U);
  EXPECT_EQ(store_->targets().list(kTenant, {.rollout = made.id}, {})->items.size(), 1U);
  step.targets[0].number = 5;
  EXPECT_FALSE(rollouts.step(step).value()) << "of a revision that is gone";
  EXPECT_EQ(store_->targets().get(key_, "pumps")->target.number, 4U);
  step.revision = 2;
  step.targets[0].key.device = "nobody";
  EXPECT_EQ(rollouts.step(step).error().code, Errc::not_found);
  EXPECT_EQ(rollouts.get(kTenant, made.id)->revision, 2U) << "nothing of it was done";
  EXPECT_EQ(rollouts.decisions(kTenant, made.id, {})->items.size(), 1U);
}

TEST_P(StoreContract, HasOneOpenRolloutOfAModel) {
  auto& rollouts = store_->rollouts();
  enrol({"other", "press-1"});
  EXPECT_EQ(rollouts.add(pumps(t0_), just({})).error().code, Errc::bad_input);
  EXPECT_EQ(rollouts.add(pumps(t0_), just({"press-1", "nobody"})).error().code, Errc::bad_input);
  EXPECT_TRUE(rollouts.open(10)->empty()) << "nothing is left of those";
  const auto one = rollouts.add(pumps(t0_), just({"press-1"})).value();
  EXPECT_EQ(rollouts.add(pumps(t0_, 6), just({"press-1"})).error().code, Errc::exists);
  EXPECT_TRUE(rollouts.add(pumps(t0_, 6, "other"), just({"press-1"})));
  auto valves = pumps(t0_);
  valves.model = "valves";
  const auto second = rollouts.add(valves, just({"press-1"})).value();
  ASSERT_TRUE(rollouts.step(step_of(second, RolloutPhase::paused, t0_)).value());
  const auto open = rollouts.open(10).value();
  ASSERT_EQ(open.size(), 2U) << "of all tenants, without the paused";
  EXPECT_EQ(open[0].id, one.id);
  ASSERT_TRUE(rollouts.step(step_of(one, RolloutPhase::done, t0_ + minutes(1))).value());
  const auto ended = rollouts.get(kTenant, one.id).value();
  EXPECT_EQ(ended.ended_at, t0_ + minutes(1));
  EXPECT_FALSE(rollouts.step(step_of(ended, RolloutPhase::active, t0_)).value())
      << "what has ended stays so";
  const auto next = rollouts.add(pumps(t0_, 6), just({"press-1"})).value();
  EXPECT_GT(next.id, one.id);
  const auto page = rollouts.list(kTenant, {.limit = 2}).value();
  ASSERT_EQ(page.items.size(), 2U);
  EXPECT_EQ(page.items[0].id, next.id) << "newest first";
  EXPECT_EQ(rollouts.list(kTenant, {.cursor = *page.next_cursor})->items.size(), 1U);
}

TEST_P(StoreContract, OfManyWhoStepARolloutOneDoes) {
  auto& rollouts = store_->rollouts();
  auto row = rollouts.add(pumps(t0_), just({"press-1"})).value();
  for (int round = 0; round < 10; ++round) {
    std::atomic<int> stepped = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        const auto done = rollouts.step(step_of(row, RolloutPhase::shadow, t0_));
        if (done && *done) ++stepped;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(stepped, 1);
    row = rollouts.get(kTenant, row.id).value();
    EXPECT_EQ(row.revision, static_cast<std::uint64_t>(round) + 2);
    EXPECT_EQ(rollouts.decisions(kTenant, row.id, {})->items.size(),
              static_cast<std::size_t>(round) + 1);
  }
}

TEST_P(StoreContract, KeepsRoomForTheHubsDecisions) {
  auto& rollouts = store_->rollouts();
  auto row = rollouts.add(pumps(t0_), just({"press-1"})).value();
  constexpr auto kByPeople = Rollouts::kDecisionsMax - Rollouts::kDecisionsReserved;
  for (std::size_t i = 0; i < kByPeople; ++i) {
    ASSERT_TRUE(rollouts.step(step_of(row, RolloutPhase::paused, t0_, "t1")).value());
    ++row.revision;
  }
  EXPECT_EQ(rollouts.step(step_of(row, RolloutPhase::paused, t0_, "t1")).error().code, Errc::limit);
  EXPECT_EQ(rollouts.get(kTenant, row.id)->revision, row.revision) << "nothing of it was done";
  ASSERT_TRUE(rollouts.step(step_of(row, RolloutPhase::rolling_back, t0_)).value());
  const auto page = rollouts.decisions(kTenant, row.id, {.limit = 2}).value();
  EXPECT_EQ(page.items.at(0).number, kByPeople + 1);
  EXPECT_EQ(page.items.at(1).number, kByPeople);
}

TEST_P(StoreContract, LabelsDevicesAndFindsThem) {
  const Labels lab{{"site", "lab"}, {"line", "1.a/b"}};
  enrol({kTenant, "press-2"});
  enrol({"other", "press-2"});
  ASSERT_TRUE(store_->label_device(key_, lab));
  ASSERT_TRUE(store_->label_device({kTenant, "press-2"}, {{"site", "lab-2"}}));
  ASSERT_TRUE(store_->label_device({"other", "press-2"}, lab));
  EXPECT_EQ(store_->label_device({kTenant, "nobody"}, lab).error().code, Errc::not_found);
  reopen();
  EXPECT_EQ(store_->device(key_)->labels, lab);
  const auto found = [&](std::vector<std::string> labels) {
    std::string names;
    const auto page = store_->devices(kTenant, {}, {.labels = std::move(labels)}).value();
    for (const auto& row : page.items) {
      names += row.device + " ";
    }
    return names;
  };
  EXPECT_EQ(found({}), "press-1 press-2 ");
  EXPECT_EQ(found({"site=lab"}), "press-1 ") << "and not lab-2";
  EXPECT_EQ(found({"site=lab", "line=1.a/b"}), "press-1 ");
  EXPECT_EQ(found({"site=lab-2", "line=1.a/b"}), "");
  EXPECT_EQ(found({"site=LAB"}), "");
  ASSERT_TRUE(store_->label_device(key_, {}));
  EXPECT_TRUE(store_->device(key_)->labels.empty());
}

TEST(Labels, AreShortPlainWords) {
  EXPECT_TRUE(check_labels({{"site", "lab-1"}, {"a/b.c", "_"}}));
  for (const auto* label : {"", "a", "=", "a=", "=b", "a=b=c", "a|b=c", "a=b c", "a=\xc3\xa4"}) {
    EXPECT_EQ(check_label(label).error().code, Errc::bad_input) << label;
  }
  EXPECT_FALSE(check_label("a=" + std::string(kLabelBytesMax + 1, 'x')));
  Labels many;
  for (std::size_t i = 0; i <= kLabelsMax; ++i) many.emplace("k" + std::to_string(i), "v");
  EXPECT_EQ(check_labels(many).error().code, Errc::bad_input);
  EXPECT_EQ(labels_from(labels_text({})), Labels{});
  many.erase("k0");
  EXPECT_EQ(labels_from(labels_text(many)), many);
}

}  // namespace lapwing::hub
