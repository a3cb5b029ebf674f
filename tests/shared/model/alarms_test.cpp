// SPDX-License-Identifier: Apache-2.0
// How many alarms rows raise that the training did not see.
#include "shared/model/alarms.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace lapwing::model {
namespace {

constexpr double kRowsPerWeek = 7 * 24 * 60;

std::vector<float> scores(std::size_t count, std::uint64_t seed, float factor = 1) {
  std::mt19937_64 random(seed);
  std::gamma_distribution<float> spread(3, 0.3F);
  std::vector<float> list(count);
  for (auto& one : list) one = factor * spread(random);
  return list;
}

TEST(Alarms, AreAboutAsManyAsAskedWhereTheRowsAreAlike) {
  double raised = 0;
  double expected = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto alarms =
        count_alarms(scores(60'000, seed), scores(40'000, 100 + seed), kRowsPerWeek, 5);
    ASSERT_TRUE(alarms);
    EXPECT_NEAR(alarms->weeks, 40'000 / kRowsPerWeek, 1e-9);
    EXPECT_NEAR(alarms->expected, 5 * alarms->weeks, 1e-9);
    raised += static_cast<double>(alarms->raised);
    expected += alarms->expected;
  }
  EXPECT_GT(raised, 0.5 * expected);
  EXPECT_LT(raised, 1.5 * expected);
}

TEST(Alarms, AreMoreWhereTheRowsHaveChanged) {
  const auto alarms =
      count_alarms(scores(60'000, 1), scores(10'000, 2, 1.5F), kRowsPerWeek, 1).value();
  EXPECT_GT(static_cast<double>(alarms.raised), 4 * alarms.expected);
}

TEST(Alarms, AreNotToldWhereNothingIsKnown) {
  EXPECT_FALSE(count_alarms(scores(15, 1), scores(100, 2), kRowsPerWeek, 1));
  EXPECT_FALSE(count_alarms(scores(100, 1), {}, kRowsPerWeek, 1));
  EXPECT_FALSE(count_alarms(scores(100, 1), scores(100, 2), 0, 1));
}

}  // namespace
}  // namespace lapwing::model
