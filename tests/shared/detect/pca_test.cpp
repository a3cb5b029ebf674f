// SPDX-License-Identifier: Apache-2.0
/// T^2 and Q on rows whose answer is known.
#include "shared/detect/pca/pca.hpp"

#include "shared/detect/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace lapwing::detect::pca_test {
namespace {

constexpr std::size_t kWidth = 5;

/// Two hidden causes move five sensors.
std::vector<double> plant(std::size_t rows, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> values;
  for (std::size_t i = 0; i < rows; ++i) {
    const double a = random.normal();
    const double b = random.normal();
    for (const double clean : {a, a, a + b, b, b}) {
      values.push_back(50 + 4 * clean + 0.4 * random.normal());
    }
  }
  return values;
}

class PcaTest : public ::testing::Test {
 protected:
  static std::unique_ptr<Detector> make(double variance = 0.9) {
    const auto rows = plant(4000, 1);
    const Settings settings{.width = kWidth, .parameters = {{"variance", variance}}};
    const auto model = kPca.train({.values = rows, .width = kWidth}, settings, {});
    EXPECT_TRUE(model);
    auto made = kPca.make(settings, {.model = *model});
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  struct Result {
    float raw = 0;
    std::vector<float> shares = std::vector<float>(kWidth);
  };
  static Result score(Detector& detector, const std::vector<double>& row) {
    Result result;
    EXPECT_TRUE(detector.score({.values = row, .width = kWidth},
                               {.raw = std::span(&result.raw, 1), .contributions = result.shares}));
    return result;
  }
};

TEST_F(PcaTest, HoldsNormalRowsWithinItsLimits) {
  const auto detector = make();
  const auto rows = plant(2000, 2);
  std::vector<float> raw(2000);
  ASSERT_TRUE(detector->score({.values = rows, .width = kWidth}, {.raw = raw}));
  const auto above = std::ranges::count_if(raw, [](float one) { return one > std::sqrt(2.0F); });
  EXPECT_LT(above, 30) << "both limits at once are rare";
  EXPECT_GT(std::ranges::count_if(raw, [](float one) { return one > 0.8F; }), 30);
}

TEST_F(PcaTest, SeesABrokenRelationThoughEveryValueIsOrdinary) {
  const auto detector = make();
  const auto broken = score(*detector, {54, 46, 50, 50, 50});
  EXPECT_GT(broken.raw, 2);
  EXPECT_GT(broken.shares[0] + broken.shares[1], 0.6F);
}

TEST_F(PcaTest, SeesAFarLevelThatKeepsTheRelations) {
  const auto detector = make();
  EXPECT_LT(score(*detector, {54, 54, 54, 50, 50}).raw, 1);
  EXPECT_GT(score(*detector, {80, 80, 80, 50, 50}).raw, 2);
}

TEST_F(PcaTest, NamesTheFaultySensor) {
  const auto detector = make();
  for (std::size_t sensor = 0; sensor < kWidth; ++sensor) {
    std::vector<double> row(kWidth, 50);
    row[sensor] += 12;
    const auto faulty = score(*detector, row);
    EXPECT_EQ(std::ranges::max_element(faulty.shares) - faulty.shares.begin(),
              static_cast<std::ptrdiff_t>(sensor));
    EXPECT_GT(faulty.raw, 1.5F);
  }
}

TEST_F(PcaTest, MissingSensorsAreWhatTheOthersSay) {
  const auto detector = make();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const float far = score(*detector, {58, nan, 58, 50, 50}).raw;
  EXPECT_NEAR(far, score(*detector, {58, 58, 58, 50, 50}).raw, 0.05);
}

TEST_F(PcaTest, KeepsMoreComponentsForMoreVariance) {
  EXPECT_GT(make(0.999)->state_bytes(), make(0.5)->state_bytes());
}

TEST_F(PcaTest, SeesAnExactRelationBreak) {
  std::vector<double> rows;
  Random random(3);
  for (int i = 0; i < 300; ++i) {
    const double a = random.normal();
    rows.insert(rows.end(), {a, 2 * a + 3});
  }
  const Settings settings{.width = 2};
  const auto model = kPca.train({.values = rows, .width = 2}, settings, {});
  ASSERT_TRUE(model);
  const auto detector = kPca.make(settings, {.model = *model});
  ASSERT_TRUE(detector);
  const std::vector<double> tried = {0.5, 4, 0.5, 4.05};
  std::vector<float> raw(2);
  ASSERT_TRUE((*detector)->score({.values = tried, .width = 2}, {.raw = raw}));
  EXPECT_LT(raw[0], 1);
  EXPECT_GT(raw[1], 3);
}

}  // namespace
}  // namespace lapwing::detect::pca_test
