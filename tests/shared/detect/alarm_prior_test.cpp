// SPDX-License-Identifier: Apache-2.0
/// What settled streams teach a new one: nearer to its budget from the first row, whatever one of
/// them does.
#include "shared/detect/alarm_prior.hpp"

#include "shared/detect/alarm_budget.hpp"
#include "shared/detect/snapshot.hpp"
#include "tests/shared/detect/synthetic.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <vector>

namespace lapwing::detect::alarm_prior_test {
namespace {

constexpr double kMemory = 500;
constexpr int kWeek = 2016;  // rows
constexpr double kWeekly = 1.0 / kWeek;
constexpr std::uint64_t kSeeds = 20;

AlarmBudget budget_of(const AlarmPrior& prior = {}) {
  AlarmBudget budget;
  budget.begin_with(prior);
  budget.set_rate(kWeekly);
  return budget;
}

/// Alarms of rows that pass each level `times` as often as those of streams in general, but for
/// the far tail.
int alarms_of(AlarmBudget& budget, int rows, double times, std::uint64_t seed) {
  constexpr double kTail = 0.85;
  constexpr double kSmallest = 0.05;
  const double rate = times * kWeekly * std::pow(kSmallest, -kTail);
  testing::Random random(seed * 1'000'003);
  int alarms = 0;
  for (int i = 0; i < rows; ++i) {
    const bool any = random.uniform() < rate;
    const double size = kSmallest * std::pow(1 - random.uniform(), -1 / kTail);
    alarms += budget.push(any ? static_cast<float>(size) : 0, kMemory) > 0 ? 1 : 0;
  }
  return alarms;
}

AlarmExperience settled(double times, std::uint64_t seed, int weeks = 10) {
  auto budget = budget_of();
  alarms_of(budget, weeks * kWeek, times, seed + 1000);
  return budget.experience().value();
}

AlarmPriorLearner taught_by(int streams, double times) {
  AlarmPriorLearner learner;
  for (int i = 0; i < streams; ++i) learner.add(settled(times, static_cast<std::uint64_t>(i)));
  return learner;
}

/// Alarms in the first `weeks` of new streams, the mean of twenty.
double first_alarms(const AlarmPrior& prior, int weeks, double times) {
  int alarms = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    auto budget = budget_of(prior);
    alarms += alarms_of(budget, weeks * kWeek, times, seed);
  }
  return static_cast<double>(alarms) / kSeeds;
}

/// The novelty that raises a new stream's first alarm.
float first_threshold(const AlarmPrior& prior) {
  auto budget = budget_of(prior);
  budget.push(1e-6F, kMemory);
  return budget.threshold();
}

std::vector<std::byte> bytes_of(const AlarmBudget& budget) {
  std::vector<std::byte> bytes;
  snapshot_state(bytes, 1, budget);
  return bytes;
}

TEST(AlarmPrior, WithoutPeersEveryBitIsThatOfStreamsInGeneral) {
  const AlarmPrior prior = AlarmPriorLearner{}.learn();
  EXPECT_FALSE(prior.learnt());
  auto with = budget_of(prior);
  AlarmBudget without;
  without.set_rate(kWeekly);
  EXPECT_EQ(alarms_of(with, 4 * kWeek, 3, 1), alarms_of(without, 4 * kWeek, 3, 1));
  EXPECT_EQ(bytes_of(with), bytes_of(without));
}

TEST(AlarmPrior, AStreamTeachesOnlyOnceItHasSettled) {
  auto budget = budget_of();
  EXPECT_FALSE(budget.experience());
  alarms_of(budget, 4 * kWeek, 1, 1);
  EXPECT_FALSE(budget.experience());
  alarms_of(budget, kWeek, 1, 2);
  EXPECT_TRUE(budget.experience());
}

TEST(AlarmPrior, NoisyPeersBringANewStreamNearerToItsBudget) {
  for (const double times : {3.0, 6.0, 12.0}) {
    const AlarmPrior prior = taught_by(12, times).learn();
    EXPECT_TRUE(prior.plausible());
    for (const int weeks : {1, 4}) {
      const double with = first_alarms(prior, weeks, times);
      const double without = first_alarms({}, weeks, times);
      EXPECT_LT(std::abs(with - weeks), 0.7 * std::abs(without - weeks))
          << times << " times, " << weeks << " weeks: " << with << ", was " << without;
    }
  }
}

TEST(AlarmPrior, PeersLikeStreamsInGeneralChangeLittle) {
  const AlarmPrior prior = taught_by(12, 1).learn();
  EXPECT_NEAR(first_threshold(prior) / first_threshold({}), 1, 0.25);
}

TEST(AlarmPrior, QuietPeersMakeANewStreamHearAFaultItWouldMiss) {
  const AlarmPrior prior = taught_by(12, 0.1).learn();
  int found = 0;
  const auto hears = [](AlarmBudget budget, std::uint64_t seed) {
    constexpr int kDay = 288;
    alarms_of(budget, kDay, 0.1, seed);
    for (int i = 0; i < 500; ++i) budget.push(0, kMemory);  // whatever came before is forgotten
    return budget.push(0.4F, kMemory) > 0;
  };
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    EXPECT_FALSE(hears(budget_of(), seed));
    found += hears(budget_of(prior), seed) ? 1 : 0;
  }
  EXPECT_GE(found, 15) << "of 20 faults";
  EXPECT_LE(first_alarms(prior, 4, 0.1), 1.5 * 4) << "and it keeps to its budget";
}

TEST(AlarmPrior, OneWildPeerInTwentyChangesLittle) {
  for (const double wild : {100.0, 0.0}) {
    auto peers = taught_by(19, 3);
    auto with = peers;
    peers.add(settled(3, 77));
    with.add(settled(wild, 77));
    const double changed = first_threshold(with.learn()) / first_threshold(peers.learn());
    EXPECT_NEAR(changed, 1, 0.2) << wild << " times";
  }
}

TEST(AlarmPrior, FewPeersChangeLittle) {
  const float general = first_threshold({});
  EXPECT_LT(first_threshold(taught_by(1, 100).learn()), 2 * general);
  EXPECT_GT(first_threshold(taught_by(1, 0).learn()), general / 2);
  EXPECT_GT(first_threshold(taught_by(20, 100).learn()), 5 * general) << "many do";
}

TEST(AlarmPrior, IsTheSameInWhateverOrderItsStreamsAreMerged) {
  AlarmPriorLearner forward;
  AlarmPriorLearner backward;
  AlarmPriorLearner half;
  for (std::uint64_t i = 0; i < 8; ++i) {
    forward.add(settled(1 + static_cast<double>(i), i));
    (i < 4 ? half : backward).add(settled(8 - static_cast<double>(i), 7 - i));
  }
  backward.merge(half);
  ASSERT_EQ(backward.streams(), 8U);
  const AlarmPrior one = forward.learn();
  const AlarmPrior other = backward.learn();
  for (std::size_t i = 0; i < AlarmLevels::kCount; ++i) {
    EXPECT_NEAR(one.rarity(AlarmLevels::at(i)), other.rarity(AlarmLevels::at(i)), 1e-5);
  }
}

TEST(AlarmPrior, AHigherLevelIsNeverPassedMoreOften) {
  AlarmExperience odd{.rows = 20 * kWeek};
  for (std::size_t i = 0; i < AlarmLevels::kCount; ++i) odd.alarms[i] = i % 2 == 0 ? 0 : 500;
  AlarmPriorLearner learner;
  for (int i = 0; i < 30; ++i) learner.add(odd);
  const AlarmPrior prior = learner.learn();
  EXPECT_TRUE(prior.plausible());
  for (double level = AlarmLevels::kLowest; level < AlarmLevels::kHighest; level += 0.01) {
    EXPECT_GE(prior.rarity(level + 0.01), prior.rarity(level) - 1e-6) << level;
  }
}

}  // namespace
}  // namespace lapwing::detect::alarm_prior_test
