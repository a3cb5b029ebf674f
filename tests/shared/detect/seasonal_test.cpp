// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/seasonal/seasonal.hpp"

#include "shared/detect/pipeline.hpp"
#include "tests/shared/detect/synthetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

namespace lapwing::detect::seasonal_test {
namespace {

using testing::Random;

constexpr std::size_t kDay = 288;  // readings, five minutes apart
constexpr std::size_t kWeek = 7 * kDay;
constexpr Time kMonday = from_micros(1'699'833'600'000'000);  // 2023-11-13 00:00 UTC

Time at(std::size_t row) { return kMonday + std::chrono::minutes(5) * static_cast<int>(row); }

using Shape = std::function<double(std::size_t)>;

std::vector<Sample> stream(std::size_t rows, const Shape& shape, std::uint64_t seed = 1) {
  Random random(seed);
  std::vector<Sample> out;
  for (std::size_t i = 0; i < rows; ++i) out.push_back({at(i), 20 + shape(i) + random.normal()});
  return out;
}

/// Fifteen minutes at 03:00, every day.
double job(std::size_t row) { return row % kDay >= 36 && row % kDay < 39 ? 15 : 0; }
/// Office hours on workdays.
double office(std::size_t row) {
  const bool workday = row / kDay % 7 < 5;
  const std::size_t in = row % kDay;
  return workday && in >= 96 && in < 204 ? 12 : 0;
}
double wave(std::size_t row) {
  return 8 * std::sin(2 * std::numbers::pi * static_cast<double>(row) / kDay);
}

/// Raw scores as a watch sees them: what is strange is not learnt until eight readings later.
std::vector<float> scores(const std::vector<Sample>& samples, const Settings& settings = {}) {
  const auto detector = *make_seasonal(settings, {});
  std::vector<float> out;
  int quiet = 100;
  for (const Sample& sample : samples) {
    float raw = 0;
    EXPECT_TRUE(detector->score({.values = std::span(&sample.value, 1),
                                 .times = std::span(&sample.time, 1),
                                 .learn = quiet > 8},
                                {.raw = std::span(&raw, 1)}));
    quiet = raw > 6 ? 0 : quiet + 1;
    out.push_back(raw);
  }
  return out;
}

float highest(const std::vector<float>& raw, std::size_t from, std::size_t to) {
  return *std::max_element(raw.begin() + static_cast<std::ptrdiff_t>(from),
                           raw.begin() + static_cast<std::ptrdiff_t>(to));
}
std::size_t above(const std::vector<float>& raw, float limit, std::size_t from, std::size_t to) {
  return static_cast<std::size_t>(std::count_if(raw.begin() + static_cast<std::ptrdiff_t>(from),
                                                raw.begin() + static_cast<std::ptrdiff_t>(to),
                                                [limit](float score) { return score > limit; }));
}

TEST(Seasonal, DailyJobsAreNoLongerFlaggedAfterAFewDays) {
  const auto raw = scores(stream(21 * kDay, job));
  EXPECT_GT(highest(raw, kDay, 2 * kDay), 10) << "at first it stands out";
  EXPECT_EQ(above(raw, 6, 5 * kDay, 21 * kDay), 0U);
}

TEST(Seasonal, AJobThatFailsToRunOrRunsAtAnotherTimeIsFound) {
  const auto moved = [](std::size_t row) { return job(row < 20 * kDay ? row : row - 60); };
  const auto raw = scores(stream(21 * kDay, moved));
  EXPECT_GT(highest(raw, 20 * kDay + 36, 20 * kDay + 39), 6) << "it did not run";
  EXPECT_GT(highest(raw, 20 * kDay + 96, 20 * kDay + 99), 6) << "it ran in the morning";
}

TEST(Seasonal, AJobThatBeginsLateIsLearntToo) {
  const auto later = [](std::size_t row) { return row < 30 * kDay ? 0 : job(row); };
  const auto raw = scores(stream(45 * kDay, later));
  EXPECT_GT(highest(raw, 30 * kDay, 31 * kDay), 10);
  EXPECT_EQ(above(raw, 6, 35 * kDay, 45 * kDay), 0U);
}

TEST(Seasonal, OneStrangeDayIsNotExpectedOnTheNext) {
  const auto once = [](std::size_t row) { return row / kDay == 20 ? job(row) : 0; };
  const auto raw = scores(stream(25 * kDay, once));
  EXPECT_GT(highest(raw, 20 * kDay, 21 * kDay), 10);
  EXPECT_LT(highest(raw, 21 * kDay, 25 * kDay), 6);
}

TEST(Seasonal, WeekendsAreNormalAfterAFewWeeks) {
  const auto raw = scores(stream(8 * kWeek, office));
  EXPECT_LE(above(raw, 6, 4 * kWeek, 8 * kWeek), 4U) << "of 8064";
  auto strike = [](std::size_t row) { return row / kDay == 7 * 8 + 2 ? 0 : office(row); };
  const auto found = scores(stream(9 * kWeek, strike));
  EXPECT_GT(highest(found, 8 * kWeek + 2 * kDay, 8 * kWeek + 3 * kDay), 6)
      << "a Wednesday like a Sunday";
}

TEST(Seasonal, FaultsInsideADailyWaveAreFoundThoughTheLevelIsCommon) {
  auto samples = stream(14 * kDay, wave);
  for (std::size_t i = 13 * kDay + 200; i < 13 * kDay + 230; ++i) samples[i].value += 8;
  const auto raw = scores(samples);
  EXPECT_EQ(above(raw, 6, 4 * kDay, 13 * kDay + 200), 0U);
  EXPECT_GT(highest(raw, 13 * kDay + 200, 13 * kDay + 230), 6);
}

TEST(Seasonal, FollowsTheClockWhenItIsPutBack) {
  const auto saving = [](std::size_t row) { return office(row < 8 * kWeek ? row : row - 12); };
  const auto raw = scores(stream(10 * kWeek, saving));
  EXPECT_GT(above(raw, 6, 8 * kWeek, 8 * kWeek + kDay), 2U);
  EXPECT_LE(above(raw, 6, 8 * kWeek + 3 * kDay, 10 * kWeek), 2U) << "within three days";
}

TEST(Seasonal, GoesOnByTheClockAfterAGap) {
  auto samples = stream(16 * kDay, wave);
  samples.erase(samples.begin() + 10 * kDay, samples.begin() + 11 * kDay + 150);
  const auto raw = scores(samples);
  EXPECT_LT(highest(raw, 10 * kDay, raw.size()), 6);
}

TEST(Seasonal, TakesIrregularRows) {
  Random random(5);
  std::vector<Sample> samples;
  double minutes = 0;
  while (minutes < 20 * 1440) {
    minutes += 1 + 18 * random.uniform() * random.uniform();
    const double value = 8 * std::sin(2 * std::numbers::pi * minutes / 1440) + random.normal();
    samples.push_back({kMonday + Micros(static_cast<std::int64_t>(minutes * 60e6)), value});
  }
  const auto raw = scores(samples);
  EXPECT_EQ(above(raw, 6, samples.size() / 4, samples.size()), 0U);
}

TEST(Seasonal, TheNamedSeasonIsLearnt) {
  // 5 hours: fits neither day nor week.
  const auto cycle = [](std::size_t row) { return row % 60 < 5 ? 12.0 : 0.0; };
  const auto raw = scores(stream(10 * kDay, cycle), {.season = std::chrono::hours(5)});
  EXPECT_EQ(above(raw, 6, 2 * kDay, 10 * kDay), 0U);
  EXPECT_GT(above(scores(stream(10 * kDay, cycle)), 3, 2 * kDay, 10 * kDay), 100U)
      << "unnamed it is not";
}

TEST(Seasonal, ASlowDriftIsFoundAndCalledOne) {
  const auto drift = [](std::size_t row) {
    return row < 10 * kDay ? 0 : 10 * std::min(1.0, static_cast<double>(row - 10 * kDay) / 400);
  };
  const auto samples = stream(12 * kDay, drift);
  const auto detector = *make_seasonal({}, {});
  bool found = false;
  for (std::size_t i = 0; i < samples.size() && !found; ++i) {
    float raw = 0;
    Cause cause = Cause::none;
    ASSERT_TRUE(detector->score(
        {.values = std::span(&samples[i].value, 1), .times = std::span(&samples[i].time, 1)},
        {.raw = std::span(&raw, 1), .causes = std::span(&cause, 1)}));
    if (i < 10 * kDay) {
      ASSERT_LT(raw, 6.5F) << i;
    }
    found = i >= 10 * kDay && raw > 6 && cause == Cause::drift;
  }
  EXPECT_TRUE(found);
}

TEST(Seasonal, ASteadyTrendIsExpected) {
  const auto climb = [](std::size_t row) { return 0.01 * static_cast<double>(row); };
  const auto raw = scores(stream(40 * kDay, climb));
  EXPECT_EQ(above(raw, 6, 20 * kDay, 40 * kDay), 0U);
}

TEST(Seasonal, ALongFaultIsNotLearntAsASeason) {
  const auto level = [](std::size_t row) { return row >= 20 * kDay ? 12.0 : 0.0; };
  const auto raw = scores(stream(23 * kDay, level));
  EXPECT_GT(raw.back(), 6) << "three days later";
}

TEST(Seasonal, AWatchWithDailyJobsStaysWithinItsBudget) {
  WatchConfig watch;
  watch.detector = "seasonal";
  const auto pipeline = *Pipeline::make(watch, 1);
  std::vector<Event> events;
  for (const Sample& sample :
       stream(10 * kWeek, [](std::size_t row) { return job(row) + office(row); })) {
    pipeline->push({&sample, 1}, sample.time, events);
  }
  const auto late = std::ranges::count_if(events, [](const Event& event) {
    return event.phase == wire::Phase::opened && event.onset > at(5 * kWeek);
  });
  EXPECT_LE(late, 10) << "asked for: 5 in 5 weeks";
}

}  // namespace
}  // namespace lapwing::detect::seasonal_test
