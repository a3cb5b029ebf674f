// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/alarm_budget.hpp"

#include "shared/detect/snapshot.hpp"
#include "tests/shared/detect/synthetic.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <vector>

namespace lapwing::detect::alarm_budget_test {
namespace {

constexpr double kMemory = 500;
constexpr double kWeekly = 1.0 / 2016;

AlarmBudget budget_of(double rate) {
  AlarmBudget budget;
  budget.set_rate(rate);
  return budget;
}

/// Alarms of rows that have novelty at `rate`, its size a power law of `tail`.
int alarms_of(AlarmBudget& budget, int rows, double rate, double tail, std::uint64_t seed) {
  testing::Random random(seed * 1'000'003);
  int alarms = 0;
  for (int i = 0; i < rows; ++i) {
    const bool any = random.uniform() < rate;
    const double size = 0.1 * std::pow(1 - random.uniform(), -1 / tail);
    alarms += budget.push(any ? static_cast<float>(size) : 0, kMemory) > 0 ? 1 : 0;
  }
  return alarms;
}

TEST(AlarmBudget, SaysNothingBeforeItKnowsTheRate) {
  AlarmBudget budget;
  EXPECT_FALSE(budget.has_rate());
  EXPECT_EQ(budget.push(100, kMemory), 0);
}

TEST(AlarmBudget, JudgesANewStreamByWhatIsKnownOfStreams) {
  auto weekly = budget_of(kWeekly);
  EXPECT_EQ(weekly.push(0.7F, kMemory), 0);
  EXPECT_GT(weekly.push(1.5F, kMemory), 1);
  auto rare = budget_of(kWeekly / 5);
  EXPECT_EQ(rare.push(1.5F, kMemory), 0) << "a fifth of the alarms needs more";
  EXPECT_GT(rare.push(20, kMemory), 1);
  auto fast = budget_of(kWeekly / 3000);  // ten readings a second
  EXPECT_EQ(fast.push(20, kMemory), 0);
  EXPECT_GT(fast.push(200, kMemory), 1) << "no budget is so small that nothing passes";
}

TEST(AlarmBudget, HoldsBackEchoesButNothingMuchStronger) {
  auto budget = budget_of(kWeekly);
  EXPECT_GT(budget.push(5, kMemory), 0);
  EXPECT_EQ(budget.push(6, kMemory), 0);
  EXPECT_GT(budget.push(60, kMemory), 0) << "the next row";
  for (int i = 0; i < 500; ++i) EXPECT_EQ(budget.push(0, kMemory), 0);
  EXPECT_GT(budget.push(5, kMemory), 0) << "a memory later the first is forgotten";
}

TEST(AlarmBudget, KeepsToTheRateWhateverTheTail) {
  for (const double tail : {0.6, 1.0, 2.0}) {
    for (const double rate : {0.001, 0.02}) {
      for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        auto budget = budget_of(kWeekly);
        alarms_of(budget, 8 * 2016, rate, tail, seed + 10);  // gets to know the stream
        const int alarms = alarms_of(budget, 20 * 2016, rate, tail, seed);
        EXPECT_GE(alarms, 10) << "tail " << tail << " rate " << rate;
        EXPECT_LE(alarms, 30) << "tail " << tail << " rate " << rate;
      }
    }
  }
}

/// What the threshold is after the next rows, without novelty, were taken.
float threshold_after(AlarmBudget budget, std::optional<Feedback> feedback) {
  if (feedback) budget.take(*feedback);
  budget.push(1e-6F, kMemory);
  return budget.threshold();
}

TEST(AlarmBudget, ATrueAlarmCostsNothingAndANuisanceTwice) {
  auto budget = budget_of(0.01);
  alarms_of(budget, 5000, 0.05, 1, 7);
  const float unsaid = threshold_after(budget, {});
  EXPECT_LT(threshold_after(budget, Feedback::real_fault), unsaid);
  EXPECT_GT(threshold_after(budget, Feedback::false_alarm), unsaid);
}

TEST(AlarmBudget, TheLastWordCounts) {
  auto budget = budget_of(0.01);
  alarms_of(budget, 5000, 0.05, 1, 7);
  auto changed = budget;
  for (const auto feedback : {Feedback::false_alarm, Feedback::false_alarm, Feedback::real_fault}) {
    changed.take(feedback);
  }
  EXPECT_FLOAT_EQ(threshold_after(changed, {}), threshold_after(budget, Feedback::real_fault));
}

TEST(AlarmBudget, AWordBeforeAnyAlarmChangesNothing) {
  auto budget = budget_of(kWeekly);
  EXPECT_EQ(threshold_after(budget, Feedback::false_alarm), threshold_after(budget, {}));
}

TEST(AlarmBudget, TrueFaultsDoNotDeafenAStream) {
  const auto after_faults = [](bool told) {
    auto budget = budget_of(kWeekly);
    for (int fault = 0; fault < 30; ++fault) {
      for (int i = 0; i < 1000; ++i) budget.push(0, kMemory);
      if (budget.push(40, kMemory) > 0 && told) budget.take(Feedback::real_fault);
    }
    budget.push(1e-6F, kMemory);
    return budget.threshold();
  };
  EXPECT_LT(2 * after_faults(true), after_faults(false));
}

TEST(AlarmBudget, GoesOnAfterASnapshot) {
  auto one = budget_of(kWeekly);
  alarms_of(one, 5000, 0.02, 1, 3);
  std::vector<std::byte> bytes;
  snapshot_state(bytes, 1, one);
  auto two = restore_state<AlarmBudget>(bytes, 1);
  ASSERT_TRUE(two);
  EXPECT_TRUE(two->plausible());
  EXPECT_EQ(alarms_of(one, 20'000, 0.02, 1, 4), alarms_of(*two, 20'000, 0.02, 1, 4));
}

}  // namespace
}  // namespace lapwing::detect::alarm_budget_test
