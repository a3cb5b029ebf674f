// SPDX-License-Identifier: Apache-2.0
/// What each view of `auto` for rows sees, and that strange training rows do not blind it.
#include "shared/detect/auto_rows/auto_rows.hpp"

#include "shared/detect/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lapwing::detect::auto_rows_test {
namespace {

constexpr std::size_t kWidth = 3;

/// A level, what follows from it, and a flag that is set once in 50 rows.
std::vector<double> make_rows(std::size_t rows, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> values;
  for (std::size_t i = 0; i < rows; ++i) {
    const double level = random.normal();
    values.insert(values.end(),
                  {level, 3 * level + 0.2 * random.normal(), random.uniform() < 0.02 ? 1.0 : 0.0});
  }
  return values;
}

std::unique_ptr<Detector> trained(const std::vector<double>& rows) {
  const auto model = kAutoRows.train({.values = rows, .width = kWidth}, {.width = kWidth}, {});
  EXPECT_TRUE(model);
  auto made = kAutoRows.make({.width = kWidth}, {.model = *model});
  EXPECT_TRUE(made);
  return std::move(*made);
}

std::vector<float> score(Detector& detector, const std::vector<double>& rows) {
  std::vector<float> raw(rows.size() / kWidth);
  EXPECT_TRUE(detector.score({.values = rows, .width = kWidth}, {.raw = raw}));
  return raw;
}

/// The share of `rows` that score less.
double rank(Detector& detector, const std::vector<double>& rows, const std::vector<double>& row) {
  const auto all = score(detector, rows);
  const float one = score(detector, row)[0];
  const auto less = std::ranges::count_if(all, [one](float other) { return other < one; });
  return static_cast<double>(less) / static_cast<double>(all.size());
}

TEST(AutoRows, SeesWhatIsFarBrokenOrRare) {
  const auto detector = trained(make_rows(3000, 1));
  const auto normal = make_rows(2000, 2);
  EXPECT_GT(rank(*detector, normal, {6, 18, 0}), 0.995) << "far";
  EXPECT_GT(rank(*detector, normal, {1.2, -3.6, 0}), 0.98) << "a broken relation";
  EXPECT_GT(rank(*detector, normal, {0, 0, 1}), 0.9) << "a rare flag";
  EXPECT_LT(rank(*detector, normal, {0.1, 0.3, 0}), 0.4) << "nothing at all";
}

TEST(AutoRows, StrangeTrainingRowsDoNotBlindIt) {
  auto rows = make_rows(1960, 1);
  Random random(3);
  for (int i = 0; i < 40; ++i) {  // one row in fifty, all alike
    rows.insert(rows.end(), {5 + 0.1 * random.normal(), -9 + 0.1 * random.normal(), 0});
  }
  const auto detector = trained(rows);
  EXPECT_GT(rank(*detector, make_rows(2000, 2), {5, -9, 0}), 0.95);
}

TEST(AutoRows, GoesOnRisingBeyondAllTrainingRows) {
  const auto detector = trained(make_rows(3000, 1));
  const auto raw = score(*detector, {5, 15, 0, 10, 30, 0, 100, 300, 0, 1e6, 3e6, 0});
  for (std::size_t i = 1; i < raw.size(); ++i) EXPECT_GT(raw[i], raw[i - 1]);
}

TEST(AutoRows, ScoresARowTheSameInWhateverCompany) {
  const auto detector = trained(make_rows(3000, 1));
  const auto together = score(*detector, make_rows(50, 2));
  auto more = make_rows(500, 5);
  const auto same = make_rows(50, 2);
  more.insert(more.end(), same.begin(), same.end());
  const auto all = score(*detector, more);
  EXPECT_TRUE(std::ranges::equal(together, std::span(all).last(50)));
}

TEST(Surprise, IsTheLogOfTheShareAtLeastAsLarge) {
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) values.push_back(i);
  const rows::Surprise surprise(values);
  EXPECT_EQ(surprise.of(-5), 0);
  EXPECT_NEAR(surprise.of(499.5), std::log(2), 0.01);
  EXPECT_NEAR(surprise.of(899.5), std::log(10), 0.02);
  double last = 0;
  for (double v = 0; v < 5000; v += 0.5) {
    ASSERT_GE(surprise.of(v), last) << v;
    last = surprise.of(v);
  }
  EXPECT_NEAR(surprise.of(1099) - surprise.of(999), 2, 0.1) << "mean excess of the tail: 50";
}

}  // namespace
}  // namespace lapwing::detect::auto_rows_test
