// SPDX-License-Identifier: Apache-2.0
/// What alignment promises: rows in order, each once; late readings counted; nothing unbounded.
#include "shared/detect/alignment.hpp"

#include "tests/shared/detect/synthetic.hpp"
#include "tests/support/count_allocations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lapwing::detect::alignment_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const Time kStart = from_micros(1'700'000'000'000'000);

struct Row {
  Time time;
  std::vector<double> values;
};

std::vector<Row> take(Alignment& alignment) {
  std::vector<Row> rows;
  while (const auto row = alignment.next()) {
    rows.push_back({row->time, {row->values.begin(), row->values.end()}});
  }
  return rows;
}

Alignment make(std::size_t sensors, Micros wait = seconds(5), std::size_t rows_max = 64) {
  return Alignment(
      {.sensors = sensors, .wait = wait, .interval = seconds(1), .rows_max = rows_max});
}

TEST(Alignment, GivesARowAsSoonAsEverySensorReported) {
  Alignment alignment = make(2);
  alignment.push(0, kStart, 1.5, kStart);
  EXPECT_TRUE(take(alignment).empty());
  alignment.push(1, kStart + milliseconds(300), 2.5, kStart);  // jitter: the same row
  const auto rows = take(alignment);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].values, (std::vector<double>{1.5, 2.5}));
  EXPECT_EQ(rows[0].time, kStart + milliseconds(500));
  EXPECT_EQ(alignment.waiting(), 0U);
}

TEST(Alignment, ASensorThatReportedLaterNoLongerHoldsTheRow) {
  Alignment alignment = make(2);
  alignment.push(0, kStart, 1, kStart);
  alignment.push(1, kStart + seconds(1), 2, kStart);
  auto rows = take(alignment);
  ASSERT_EQ(rows.size(), 1U) << "the second sensor skipped the first row";
  EXPECT_EQ(rows[0].values[0], 1);
  EXPECT_TRUE(std::isnan(rows[0].values[1]));
  alignment.push(0, kStart + seconds(1), 3, kStart);
  rows = take(alignment);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].values, (std::vector<double>{3, 2}));
}

TEST(Alignment, WaitsInEventTimeAndByTheWallClock) {
  Alignment event_time = make(2, seconds(3));
  for (int t = 0; t < 4; ++t) event_time.push(0, kStart + seconds(t), t, kStart);
  EXPECT_TRUE(take(event_time).empty()) << "2.5 s since the end of the first";
  event_time.push(0, kStart + seconds(4), 4, kStart);
  const auto rows = take(event_time);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_TRUE(std::isnan(rows[0].values[1]));

  Alignment wall = make(2, seconds(3));
  wall.push(0, kStart, 1, kStart);
  wall.tick(kStart + milliseconds(3900));
  EXPECT_TRUE(take(wall).empty());
  wall.tick(kStart + seconds(4));
  EXPECT_EQ(take(wall).size(), 1U);
}

TEST(Alignment, CountsAndDropsWhatIsLate) {
  Alignment alignment = make(2);
  alignment.push(0, kStart, 1, kStart);
  alignment.push(1, kStart, 1, kStart);
  EXPECT_EQ(take(alignment).size(), 1U);
  alignment.push(1, kStart + milliseconds(100), 9, kStart);
  alignment.push(1, kStart - seconds(5), 9, kStart);
  EXPECT_TRUE(take(alignment).empty());
  EXPECT_EQ(alignment.late_total(), 2U);
}

TEST(Alignment, TheLastOfSeveralReadingsInAnIntervalCounts) {
  Alignment alignment = make(1);
  alignment.push(0, kStart, 1, kStart);
  EXPECT_EQ(take(alignment).size(), 1U) << "the only sensor completes its row";
  Alignment two = make(2);
  two.push(0, kStart, 1, kStart);
  two.push(0, kStart + milliseconds(200), 7, kStart);
  two.push(1, kStart, 2, kStart);
  EXPECT_EQ(take(two).at(0).values, (std::vector<double>{7, 2}));
}

TEST(Alignment, HoldsNoMoreRowsThanAgreed) {
  Alignment alignment = make(2, minutes(10), 4);
  std::size_t given = 0;
  for (int t = 0; t < 100; ++t) {
    alignment.push(0, kStart + seconds(t), t, kStart);
    for (const Row& row : take(alignment)) EXPECT_EQ(row.values[0], static_cast<double>(given++));
    EXPECT_LE(alignment.waiting(), 4U);
  }
  EXPECT_EQ(given, 96U);
  alignment.finish();
  for (const Row& row : take(alignment)) EXPECT_EQ(row.values[0], static_cast<double>(given++));
  EXPECT_EQ(given, 100U) << "none is lost";
}

TEST(Alignment, AGapMakesNoRowsAndLosesNone) {
  Alignment alignment = make(2);
  alignment.push(0, kStart, 1, kStart);
  alignment.push(0, kStart + minutes(30), 2, kStart + minutes(30));
  alignment.push(1, kStart + minutes(30), 3, kStart + minutes(30));
  const auto rows = take(alignment);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].time - rows[0].time, minutes(30));
  EXPECT_EQ(rows[1].values, (std::vector<double>{2, 3}));
}

TEST(Alignment, OneWrongClockDoesNotCloseTheRowsOfTheOthers) {
  Alignment alignment = make(3);
  for (int t = 0; t < 200; ++t) {
    const Time now = kStart + seconds(t);
    alignment.push(0, now, 1, now);
    alignment.push(1, now, 1, now);
    alignment.push(2, now + std::chrono::hours(24), 1, now);
    for (const Row& row : take(alignment)) {
      EXPECT_EQ(row.values[0] + row.values[1], 2);
      EXPECT_TRUE(std::isnan(row.values[2]));
    }
  }
  EXPECT_EQ(alignment.late_total(), 200U) << "those of the wrong clock";
}

TEST(Alignment, GoesOnAfterEveryClockWasSetBack) {
  Alignment alignment = make(2);
  std::size_t rows = 0;
  for (int t = 0; t < 100; ++t) {
    const Time now = kStart + seconds(t);
    const Time told = t < 50 ? now : now - std::chrono::hours(3);
    for (const std::size_t sensor : {0UL, 1UL}) alignment.push(sensor, told, t, now);
    rows += take(alignment).size();
  }
  EXPECT_GT(rows, 80U);
  EXPECT_LT(alignment.late_total(), 40U);
}

TEST(Alignment, LearnsTheIntervalOfTheSlowestSensor) {
  Alignment alignment({.sensors = 3, .wait = seconds(20)});
  EXPECT_FALSE(alignment.interval());
  testing::Random random(4);
  std::vector<Row> rows;
  for (int t = 0; t < 4000; ++t) {  // tenths of a second; the third sensor is dead
    const Time now = kStart + milliseconds(100 * t);
    const auto jitter = milliseconds(static_cast<int>(40 * random.uniform()));
    if (t % 20 == 0) alignment.push(0, now + jitter, 0, now);
    if (t % 50 == 0) alignment.push(1, now + jitter, 1, now);
    std::ranges::copy(take(alignment), std::back_inserter(rows));
  }
  ASSERT_TRUE(alignment.interval());
  EXPECT_NEAR(static_cast<double>(alignment.interval()->count()), 5e6, 1e5);
  ASSERT_GT(rows.size(), 20U);
  const auto full = std::ranges::count_if(rows, [](const Row& row) {
    return !std::isnan(row.values[0]) && !std::isnan(row.values[1]);
  });
  EXPECT_GT(full, static_cast<std::ptrdiff_t>(rows.size()) - 4);
  EXPECT_GT(alignment.learnt_from_total(), 30U);
}

TEST(Alignment, RowsAreInOrderWhateverOrderReadingsComeIn) {
  testing::Random random(8);
  Alignment alignment = make(3, seconds(4), 8);
  const lapwing::testing::AllocationCount count;
  std::uint64_t cells = 0;
  Time last = kStart - std::chrono::hours(1);
  const auto drain = [&] {
    while (const auto row = alignment.next()) {
      EXPECT_GT(row->time, last);
      last = row->time;
      cells += static_cast<std::uint64_t>(
          std::ranges::count_if(row->values, [](double v) { return !std::isnan(v); }));
    }
  };
  for (int t = 0; t < 3000; ++t) {
    for (std::size_t sensor = 0; sensor < 3; ++sensor) {
      const auto delay = milliseconds(static_cast<int>(7000 * random.uniform()));
      alignment.push(sensor, kStart + seconds(t) - delay, 1, kStart + seconds(t));
      drain();
    }
  }
  alignment.finish();
  drain();
  EXPECT_EQ(count.since_start(), 0U);
  EXPECT_LE(cells + alignment.late_total(), 9000U);
  EXPECT_GT(cells, 4000U);
  EXPECT_GT(alignment.late_total(), 100U);
}

}  // namespace
}  // namespace lapwing::detect::alignment_test
