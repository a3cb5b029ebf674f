// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/tune.hpp"

#include "tests/agent/replay/support.hpp"

#include <functional>
#include <numbers>

namespace lapwing::agent {
namespace {

class Tune : public InFolder {
 protected:
  /// Rows five minutes apart, with noise of deviation about .3.
  Tuning tuned(std::size_t rows, const std::function<double(double)>& of_days,
               const std::string& more = "") {
    std::string text = "timestamp,value\n";
    std::uint32_t random = 7;
    for (std::size_t i = 0; i < rows; ++i) {
      random = random * 1664525U + 1013904223U;
      const double value = 10 + of_days(static_cast<double>(i) / 288) + random / 4294967296.0 - 0.5;
      text += std::to_string(1'699'833'600 + 300 * i) + "," + std::to_string(value) + "\n";
    }
    ReplayOptions options;
    options.file = put("d.csv", text + more);
    options.plot = folder_ / "d.svg";
    const auto tuning = tune(options);
    EXPECT_TRUE(tuning) << tuning.error().context;
    return *tuning;
  }
};

double turn(double phase) { return std::sin(2 * std::numbers::pi * phase); }

TEST_F(Tune, DailyHabitsAskForSeasonal) {
  const Tuning tuning = tuned(10 * 288, [](double days) { return 3 * turn(days); });
  EXPECT_EQ(tuning.watch.detector, "seasonal");
  EXPECT_TRUE(tuning.facts.daily);
  EXPECT_FALSE(tuning.facts.weekly);
  EXPECT_FALSE(tuning.watch.season) << "the day is the default";
  EXPECT_DOUBLE_EQ(tuning.facts.interval_seconds, 300);
  EXPECT_TRUE(tuning.warm);
  EXPECT_TRUE(read(folder_ / "d.svg").starts_with("<svg"));
}

TEST_F(Tune, WeekendsAreAWeeklyHabit) {
  const Tuning tuning = tuned(42 * 288, [](double days) {
    const bool workday = static_cast<int>(days) % 7 < 5;
    const double in = days - std::floor(days);
    return workday && in > 0.3 && in < 0.7 ? 5.0 : 0.0;
  });
  EXPECT_TRUE(tuning.facts.daily);
  EXPECT_TRUE(tuning.facts.weekly);
  EXPECT_EQ(tuning.watch.detector, "seasonal");
}

TEST_F(Tune, OtherPeriodsAskForTheMatrixProfile) {
  const Tuning tuning = tuned(3000, [](double days) { return 3 * turn(days * 288 / 40); });
  EXPECT_EQ(tuning.watch.detector, "matrix_profile");
  ASSERT_TRUE(tuning.facts.period);
  EXPECT_NEAR(std::chrono::duration<double>(*tuning.facts.period).count(), 40 * 300, 300);
  EXPECT_EQ(tuning.watch.season, tuning.facts.period);
}

TEST_F(Tune, WhatDoesNotRepeatIsLeftToTheDefault) {
  const Tuning noise = tuned(3000, [](double) { return 0.0; });
  EXPECT_EQ(noise.watch.detector, "auto");
  EXPECT_FALSE(noise.watch.season);
  const Tuning slow = tuned(3000, [](double days) { return days * days / 10; });
  EXPECT_FALSE(slow.facts.daily) << "a slow change is no habit";
}

TEST_F(Tune, GapsStuckRunsAndRangeAreReported) {
  std::string more;
  const auto row = [&](std::size_t i, const std::string& value) {
    more += std::to_string(1'699'833'600 + 300 * i) + "," + value + "\n";
  };
  for (std::size_t i = 2000; i < 2030; ++i) row(i, "10.25");
  for (std::size_t i = 2500; i < 3000; ++i) row(i, i % 2 == 0 ? "10.5" : "-2");
  const Tuning tuning = tuned(
      2000, [](double) { return 0.0; }, more);
  EXPECT_NEAR(tuning.facts.missing_share, 470.0 / 3000, 0.01);
  EXPECT_EQ(tuning.facts.stuck_longest, 30U);
  EXPECT_EQ(tuning.facts.low, -2);
  ASSERT_TRUE(tuning.min && tuning.max);
  EXPECT_LT(*tuning.min, -2);
  EXPECT_GT(*tuning.max, 10.5);
  const std::string text = to_text(tuning, "pump");
  for (const std::string_view part : {"[[watch]]", "name = \"pump\"", "detector = ", "# min = "}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
}

TEST_F(Tune, FewReadingsAreSaidToBeTooFew) {
  const Tuning tuning = tuned(20, [](double) { return 0.0; });
  EXPECT_FALSE(tuning.warm);
  EXPECT_NE(to_text(tuning, "x").find("too short"), std::string::npos);
}

}  // namespace
}  // namespace lapwing::agent
