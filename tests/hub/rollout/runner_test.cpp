// SPDX-License-Identifier: Apache-2.0
/// Rollouts carried out: whoever dies when, and by one at a time.
#include "hub/rollout/runner.hpp"

#include "hub/rollout/rings.hpp"
#include "hub/store/config.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "tests/support/process.hpp"
#include "tests/support/rollout_stores.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapwing::hub::rollout {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr Time kBegin = from_micros(1'790'000'000'000'000);

Plan quick() {
  Plan plan;
  plan.rings = {{.percent = 10, .label = {}, .shadow_for = {}, .soak = {}},
                {.percent = 100, .label = {}, .shadow_for = {}, .soak = {}}};
  plan.shadow_for = plan.soak = minutes(10);
  return plan;
}

RolloutRow pumps(const Plan& plan) {
  return {.tenant = "acme",
          .id = 0,
          .model = "pumps",
          .number = 4,
          .undo = 5,
          .plan = write_plan(plan),
          .state = {},
          .actor = "t1",
          .created_at = kBegin,
          .ended_at = std::nullopt};
}

Rollouts::Order order(const Plan& plan, std::size_t devices) {
  return [&plan, devices](std::uint64_t id) {
    std::vector<Candidate> all;
    for (std::size_t i = 0; i < devices; ++i) all.push_back({"d" + std::to_string(i), {}});
    return fill_rings(plan, id, std::move(all));
  };
}

/// What a device says that does as it is told; `bad`: the version shows scores that are none.
wire::ModelReport answer(const TargetRow& row, Time now, bool bad) {
  const bool shadow = row.target.stage == wire::ModelStage::shadow;
  wire::ModelReport report{.model = row.target.model,
                           .version = row.target.number,
                           .state = shadow ? "shadow" : "confirmed",
                           .detail = {},
                           .offer = row.offer,
                           .rollout = row.target.rollout,
                           .at = now,
                           .statistics = wire::ModelStatistics{.rows = 10'000, .quantiles = {}}};
  if (shadow) report.statistics->agreement = 1;
  if (bad && row.target.number == 4) report.statistics->not_a_number = 3;
  return report;
}

struct Run {
  std::vector<std::string> decisions;
  std::size_t touched = 0;
  std::size_t writes = 0;
  RolloutPhase end{};
};

/// A rollout over 20 devices whose runner dies at that write (before or after it), and is followed.
Run run(bool bad, std::size_t die_at, bool after) {
  const auto plan = quick();
  MemoryTargets targets;
  MemoryRollouts rollouts(targets);
  Run out;
  rollouts.on_write = [&](bool is_after) {
    if (!is_after) ++out.writes;
    return out.writes != die_at || is_after != after;
  };
  const auto made = rollouts.add(pumps(plan), order(plan, 20)).value();
  Time now = kBegin;
  for (int round = 0; round < 200; ++round, now += seconds(30)) {
    for (std::size_t i = 0; i < 20; ++i) {
      const DeviceKey key{"acme", "d" + std::to_string(i)};
      if (const auto* row = targets.find(key, "pumps"))
        targets.report(key, answer(*row, now, bad), now);
    }
    const auto open = rollouts.open(10).value();
    for (const auto& row : open) {
      auto at = row;
      for (;;) {
        const auto stepped = step_once(rollouts, targets, at, now);
        if (!stepped || !stepped->more) break;  // died, or waits: the next begins with what is kept
        at = rollouts.get("acme", row.id).value();
      }
    }
  }
  const auto decisions = rollouts.decisions("acme", made.id, {}).value();
  for (auto it = decisions.items.rbegin(); it != decisions.items.rend(); ++it) {
    out.decisions.push_back(it->action);
  }
  out.touched =
      targets.list("acme", {.device = {}, .model = {}, .rollout = made.id}, {.limit = 1'000})
          ->items.size();
  out.end = rollouts.get("acme", made.id)->state.phase;
  return out;
}

TEST(RolloutRunner, AKillAtAnyWriteChangesNothing) {
  for (const bool bad : {false, true}) {
    const auto whole = run(bad, 0, false);
    EXPECT_EQ(whole.end, bad ? RolloutPhase::rolled_back : RolloutPhase::done);
    EXPECT_EQ(whole.touched, bad ? 2U : 20U);
    ASSERT_GT(whole.writes, 4U);
    for (std::size_t at = 1; at <= whole.writes; ++at) {
      for (const bool after : {false, true}) {
        SCOPED_TRACE(std::to_string(at) + (after ? " after" : " before"));
        const auto killed = run(bad, at, after);
        EXPECT_EQ(killed.decisions, whole.decisions);
        EXPECT_EQ(killed.touched, whole.touched);
        EXPECT_EQ(killed.end, whole.end);
      }
    }
  }
}

TEST(RolloutRunner, OneThatSleptDoesNotActOnWhatItSaw) {
  const auto plan = quick();
  MemoryTargets targets;
  MemoryRollouts rollouts(targets);
  const auto made = rollouts.add(pumps(plan), order(plan, 20)).value();
  const auto seen = rollouts.get("acme", made.id).value();
  ASSERT_TRUE(step_once(rollouts, targets, seen, kBegin)->decision);
  const auto late = step_once(rollouts, targets, seen, kBegin + minutes(1)).value();
  EXPECT_TRUE(late.overtaken);
  EXPECT_FALSE(late.decision);
  EXPECT_EQ(rollouts.decisions("acme", made.id, {})->items.size(), 1U);
}

/// On a real store, with another runner beside.
class StoredRollout : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_store({}, folder_.path());
    ASSERT_TRUE(opened) << opened.error().context;
    store_ = *std::move(opened);
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(store_->register_device(
          {{"acme", "d" + std::to_string(i)}, kBegin, "0a", kBegin + std::chrono::hours(24)}));
    }
  }
  /// All devices say what becomes of their targets.
  void report(Time now, bool bad) {
    auto transaction = store_->begin_ingest().value();
    const auto told = store_->targets().list("acme", {}, {.limit = 1'000}).value();
    for (const auto& row : told.items) {
      const auto& key = row.target.key;
      ASSERT_TRUE(transaction->device(key));
      const wire::RecordBody body = answer(row, now, bad);
      const auto seq = ++seq_;
      const IncomingRecord record{.seq = seq,
                                  .seq_last = seq,
                                  .record_class = wire::RecordClass::model_report,
                                  .body = &body};
      ASSERT_TRUE(transaction->store(key, 1, now, {&record, 1}));
    }
    ASSERT_TRUE(transaction->commit());
  }
  testing::TempDir folder_;
  std::unique_ptr<Store> store_;
  std::uint64_t seq_ = 0;
  Metrics metrics_;
  Metrics other_metrics_;
};

TEST_F(StoredRollout, IsCarriedOutByOneReplicaAndTold) {
  const auto plan = quick();
  const auto made = store_->rollouts().add(pumps(plan), order(plan, 20)).value();
  Runner first({.replica = "r1"}, *store_, metrics_);
  Runner second({.replica = "r2"}, *store_, other_metrics_);
  Time now = kBegin;
  first.round(now);
  second.round(now);
  EXPECT_TRUE(first.holds());
  EXPECT_FALSE(second.holds());
  for (int i = 0; i < 10; ++i, now += minutes(1)) {
    report(now, true);
    second.round(now);  // the first is gone; after its lease the other goes on
  }
  second.round(now);
  EXPECT_TRUE(second.holds());
  first.round(now);
  EXPECT_FALSE(first.holds());
  EXPECT_EQ(store_->rollouts().get("acme", made.id)->state.phase, RolloutPhase::rolled_back);
  const auto audit = store_->audit("acme", {}).value();
  ASSERT_GE(audit.items.size(), 3U);
  EXPECT_EQ(audit.items[0].action, "rollout.rolled_back");
  EXPECT_EQ(audit.items[1].action, "rollout.roll_back");
  EXPECT_EQ(audit.items[1].actor, "rollout");
  EXPECT_THAT(other_metrics_.text(),
              HasSubstr("lapwing_hub_rollout_decisions_total{action=\"roll_back\"} 1"));
  EXPECT_THAT(metrics_.text(), HasSubstr("lapwing_hub_rollout_runner 0"));
}

}  // namespace
}  // namespace lapwing::hub::rollout
