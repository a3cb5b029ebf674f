// SPDX-License-Identifier: Apache-2.0
/// What small counts say: against an independent reckoning, and in many trials.
#include "hub/rollout/evidence.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace lapwing::hub::rollout {
namespace {

double evidence(std::uint64_t first, std::uint64_t second, std::uint64_t rows = 1'000) {
  return std::exp(log_evidence_of_more(first, rows, second, rows));
}

/// The integral itself, by the midpoint rule.
double by_hand(double x, double y, double equal) {
  constexpr int kSteps = 200'000;
  double sum = 0;
  for (int i = 0; i < kSteps; ++i) {
    const double p = equal + (1 - equal) * (i + .5) / kSteps;
    sum += std::exp(x * std::log(p / equal) + y * std::log((1 - p) / (1 - equal)));
  }
  return sum / kSteps;
}

TEST(Evidence, IsTheMeanLikelihoodRatio) {
  for (const auto& [x, y, equal] :
       {std::tuple{3., 1., .5}, {0., 5., .5}, {40., 20., .5}, {7., 9., .25}, {200., 100., .5}}) {
    const auto rows = static_cast<std::uint64_t>(equal * 1'000);
    const auto got = std::exp(log_evidence_of_more(static_cast<std::uint64_t>(x), rows,
                                                   static_cast<std::uint64_t>(y), 1'000 - rows));
    EXPECT_NEAR(got / by_hand(x, y, equal), 1, 1e-4) << x << " against " << y;
  }
}

TEST(Evidence, ToleratesWhatIsNoEvidence) {
  EXPECT_EQ(log_evidence_of_more(0, 10, 0, 10), 0);
  EXPECT_EQ(log_evidence_of_more(5, 10, 0, 0), 0) << "nothing to compare with";
  EXPECT_LT(evidence(3, 1), 5) << "three times as many of almost none";
  EXPECT_LT(evidence(6, 3), 5);
  EXPECT_LT(evidence(20, 10), 100);
  EXPECT_LT(evidence(1'000, 1'000), 1);
  EXPECT_LT(evidence(10, 10'000), 1);
  EXPECT_LT(log_evidence_of_more(0, 1'000, 1'000'000, 1'000), -700) << "and stays a number";
}

TEST(Evidence, IsSureOfATwofoldRateOnceThereIsEnough) {
  EXPECT_GT(evidence(9, 0), 100) << "nine where there were none";
  EXPECT_GT(evidence(90, 45), 100);
  EXPECT_GT(evidence(2'000, 1'000), 1e50);
  EXPECT_TRUE(std::isfinite(log_evidence_of_more(2'000'000, 1'000, 1'000'000, 1'000)));
}

/// Looked at after every alarm: a model that alarms as often as the one before is called worse at
/// most once in a hundred trials, one that alarms twice as often almost always.
TEST(Evidence, HoldsHoweverOftenOneLooks) {
  constexpr int kTrials = 1'000;
  constexpr int kAlarms = 300;
  for (const double share : {.5, 2. / 3}) {
    std::mt19937_64 random(7);
    int stopped = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      std::uint64_t first = 0;
      std::uint64_t second = 0;
      for (int i = 0; i < kAlarms; ++i) {
        ++(std::uniform_real_distribution<>()(random) < share ? first : second);
        if (evidence(first, second) < 100) continue;
        ++stopped;
        break;
      }
    }
    if (share == .5) {
      EXPECT_LE(stopped, kTrials / 100);
    } else {
      EXPECT_GE(stopped, kTrials * 99 / 100);
    }
  }
}

}  // namespace
}  // namespace lapwing::hub::rollout
