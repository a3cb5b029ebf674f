// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/reservoir.hpp"

#include "tests/support/count_allocations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace lapwing::federate::reservoir_test {
namespace {

TEST(Reservoir, KeepsEachRowAsLikelyAsAnyOther) {
  constexpr std::size_t kWidth = 160;  // 256 rows are kept
  constexpr std::size_t kRows = 2560;
  constexpr int kRuns = 400;
  std::array<int, 10> kept{};  // by tenth of the rows
  std::vector<double> row(kWidth);
  for (int run = 0; run < kRuns; ++run) {
    Reservoir reservoir(kWidth, static_cast<std::uint64_t>(run) + 1);
    ASSERT_EQ(reservoir.capacity(), 256U);
    for (std::size_t i = 0; i < kRows; ++i) {
      row[0] = static_cast<double>(i);
      reservoir.push(row);
    }
    for (std::size_t at = 0; at < reservoir.values().size(); at += kWidth) {
      ++kept[static_cast<std::size_t>(reservoir.values()[at]) * 10 / kRows];
    }
  }
  const double expected = 256.0 * kRuns / 10;
  for (const int one : kept) EXPECT_NEAR(one, expected, 5 * std::sqrt(expected));
}

TEST(Reservoir, TheSameSeedKeepsTheSameAndIsBounded) {
  Reservoir a(4, 7);
  Reservoir b(4, 7);
  Reservoir c(4, 8);
  for (int i = 0; i < 100'000; ++i) {
    const std::array<double, 4> row{1.0 * i, HUGE_VAL, std::nan(""), -1};
    for (auto* one : {&a, &b, &c}) one->push(row);
  }
  const auto same = [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); };
  EXPECT_TRUE(std::ranges::equal(a.values(), b.values(), same));
  EXPECT_FALSE(std::ranges::equal(a.values(), c.values(), same));
  EXPECT_EQ(a.values().size(), 2048U * 4);
  EXPECT_EQ(a.seen(), 100'000U);
  EXPECT_TRUE(std::isnan(a.values()[1])) << "infinite is missing";
}

TEST(Reservoir, TakesNoMemoryARow) {
  Reservoir reservoir(8, 1);
  const std::array<double, 8> row{1, 2, 3, 4, 5, 6, 7, 8};
  const lapwing::testing::AllocationCount count;
  for (int i = 0; i < 50'000; ++i) reservoir.push(row);
  EXPECT_EQ(count.since_start(), 0U);
}

}  // namespace
}  // namespace lapwing::federate::reservoir_test
