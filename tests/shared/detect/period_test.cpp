// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/period.hpp"

#include "shared/detect/random.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

namespace lapwing::detect::period_test {
namespace {

TEST(Period, IsTheShortestThatRepeats) {
  std::vector<float> wave;
  std::vector<float> noise;
  Random random(8);
  for (std::size_t i = 0; i < 1000; ++i) {
    noise.push_back(static_cast<float>(random.normal()));
    const double turn = 2 * std::numbers::pi * static_cast<double>(i) / 50;
    wave.push_back(1e4F + 3 * static_cast<float>(std::sin(turn)) + noise.back());
  }
  wave[77] = 1e9F;
  EXPECT_EQ(find_period(wave, 400, PeriodRule::clear), 50U);
  EXPECT_EQ(find_period(wave, 400), 0U) << "one outlier hides it where none are cut";
  EXPECT_EQ(find_period(noise, 400, PeriodRule::clear), 0U);
  std::vector<float> flat(100, 3);
  EXPECT_EQ(find_period(flat, 400, PeriodRule::clear), 0U);
  EXPECT_EQ(find_period({}, 400, PeriodRule::clear), 0U);
}

/// What is slow is like itself at every lag; only a clear period asks for more.
TEST(Period, OfSlowNoiseIsNotClear) {
  std::vector<float> slow;
  Random random(3);
  double level = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    level = 0.98 * level + random.normal();
    slow.push_back(static_cast<float>(level + 3 * random.normal()));
  }
  EXPECT_GT(find_period(slow, 400), 0U);
  EXPECT_EQ(find_period(slow, 400, PeriodRule::clear), 0U);
}

TEST(Period, LooksAtTheNewestOfManyValues) {
  std::vector<float> values(kPeriodValuesMax + 5000, 1e6F);
  for (std::size_t i = 5000; i < values.size(); ++i) {
    values[i] = static_cast<float>(std::sin(2 * std::numbers::pi * static_cast<double>(i) / 100));
  }
  EXPECT_EQ(find_period(values, 1024), 100U);
}

}  // namespace
}  // namespace lapwing::detect::period_test
