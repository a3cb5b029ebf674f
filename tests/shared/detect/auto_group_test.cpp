// SPDX-License-Identifier: Apache-2.0
/// What `auto` promises for groups beyond the contract: relations, missing sensors, bounds.
#include "shared/detect/auto_group/auto_group.hpp"

#include "tests/shared/detect/synthetic.hpp"
#include "tests/support/count_allocations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace lapwing::detect::auto_group_test {
namespace {

using testing::Random;

constexpr std::size_t kWidth = 4;
constexpr std::uint32_t kWarmup = 400;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Pressure drives flow and current; the fourth sensor is a pump that is on or off.
std::vector<double> machine(std::size_t rows, std::uint64_t seed = 3) {
  Random random(seed);
  std::vector<double> out;
  double pressure = 0;
  double pump = 0;
  for (std::size_t t = 0; t < rows; ++t) {
    pressure = 0.95 * pressure + 0.3 * random.normal();
    if (random.uniform() < 0.02) pump = 1 - pump;
    out.push_back(5 + pressure);
    out.push_back(20 + 3 * pressure + 0.1 * random.normal());
    out.push_back(1 - 0.5 * pressure + 0.02 * random.normal());
    out.push_back(pump);
  }
  return out;
}

struct Result4 {
  std::vector<float> raw;
  std::vector<float> shares;
};

Result4 run(Detector& detector, const std::vector<double>& values, std::size_t width = kWidth) {
  const std::size_t rows = values.size() / width;
  Result4 out{std::vector<float>(rows), std::vector<float>(values.size())};
  const auto done = detector.score({.values = values, .width = width},
                                   {.raw = out.raw, .contributions = out.shares});
  EXPECT_TRUE(done);
  return out;
}

AutoGroup make(std::uint32_t warmup = kWarmup, double adapt = 0) {
  return AutoGroup({.width = kWidth, .warmup = warmup, .parameters = {{"adapt", adapt}}});
}

float highest(std::span<const float> values, std::size_t begin, std::size_t end) {
  return *std::ranges::max_element(values.subspan(begin, end - begin));
}

TEST(AutoGroup, SeesABrokenRelationWithinEverySensorsOwnRange) {
  auto values = machine(1200);
  // The flow goes on as it was long ago: by itself a normal course.
  for (std::size_t t = 900; t < 950; ++t) {
    values[t * kWidth + 1] = values[(t - 437) * kWidth + 1];
  }
  AutoGroup detector = make();
  const auto out = run(detector, values);
  EXPECT_GT(highest(out.raw, 900, 950), 2 * highest(out.raw, kWarmup, 900));
  for (const std::size_t sensor : {0UL, 2UL, 3UL}) {
    EXPECT_GT(out.shares[920 * kWidth + 1], out.shares[920 * kWidth + sensor]) << sensor;
  }
}

TEST(AutoGroup, WarmupScoresAreThoseOfRowsNotLearnt) {
  AutoGroup detector = make();
  const auto values = machine(4000);
  EXPECT_TRUE(detector.warmup_scores().empty()) << "not before the warm-up ends";
  const auto out = run(detector, values);
  const auto honest = detector.warmup_scores();
  ASSERT_GT(honest.size(), kWarmup / 2);
  const auto above = [](auto begin, auto end) {
    return static_cast<double>(std::count_if(begin, end, [](float v) { return v > 1; })) /
           static_cast<double>(end - begin);
  };
  EXPECT_NEAR(above(honest.begin(), honest.end()), 0.01, 0.006);
  // What they announce holds: about as many of the rows to come are above 1.
  EXPECT_LT(above(out.raw.begin() + kWarmup, out.raw.end()), 0.05);
}

TEST(AutoGroup, MissingSensorsAddNothingAndTheOthersGoOn) {
  auto values = machine(1400);
  for (std::size_t t = 700; t < 900; ++t) values[t * kWidth] = kNan;
  for (std::size_t t = 800; t < 820; ++t) values[t * kWidth + 2] += 2;
  AutoGroup detector = make();
  const auto out = run(detector, values);
  for (std::size_t t = 701; t < 790; ++t) {
    EXPECT_EQ(out.shares[t * kWidth] > 0.5F, false) << "row " << t;
  }
  const float normal = highest(out.raw, kWarmup, 700);
  EXPECT_GT(highest(out.raw, 800, 820), 2 * normal) << "a fault of another sensor is seen";
  EXPECT_LT(highest(out.raw, 900, 1400), 2 * normal) << "its return is no fault";
}

TEST(AutoGroup, EveryCellMayBeMissing) {
  AutoGroup detector = make();
  const std::vector<double> nothing(kWidth * 1000, kNan);
  const auto out = run(detector, nothing);
  EXPECT_EQ(highest(out.raw, 0, 1000), 0);
  AutoGroup late = make();
  auto values = machine(1000);
  for (std::size_t t = 0; t < kWarmup; ++t) values[t * kWidth + 1] = kNan;
  const auto after = run(late, values);
  EXPECT_EQ(after.shares[700 * kWidth + 1], 0) << "a sensor that was never learnt adds nothing";
  EXPECT_TRUE(std::ranges::all_of(after.raw, [](float v) { return std::isfinite(v); }));
}

TEST(AutoGroup, ASwitchThatFlipsSaysLessThanANumberThatLeavesItsCourse) {
  const auto values = machine(1200);
  auto flipped = values;
  auto shifted = values;
  Random random(5);
  for (std::size_t t = 900; t < 930; ++t) {
    flipped[t * kWidth + 3] = random.uniform() < 0.5 ? 0 : 1;
    shifted[t * kWidth] += 2;
  }
  AutoGroup one = make();
  AutoGroup two = make();
  const float of_switch = highest(run(one, flipped).raw, 900, 930);
  const float of_number = highest(run(two, shifted).raw, 900, 930);
  EXPECT_GT(of_number, 2 * of_switch);
}

TEST(AutoGroup, StaysFrozenUnlessToldToAdapt) {
  auto values = machine(6000);
  Random random(21);
  for (std::size_t t = kWarmup; t < 6000; ++t) {  // noise that grows too slowly to stand out
    const double grown = std::exp(2.5 * static_cast<double>(t - kWarmup) / 5600);
    values[t * kWidth + 1] += 0.1 * grown * random.normal();
  }
  AutoGroup frozen = make();
  AutoGroup adapting = make(kWarmup, 400);
  const auto a = run(frozen, values);
  const auto b = run(adapting, values);
  const auto mean = [](const Result4& out) {
    return std::accumulate(out.raw.end() - 500, out.raw.end(), 0.0F) / 500;
  };
  EXPECT_GT(mean(a), 1.5F * mean(b));
  auto broken = machine(6000);
  for (std::size_t t = 1000; t < 6000; ++t) broken[t * kWidth] += 12;
  AutoGroup gated = make(kWarmup, 400);
  const auto c = run(gated, broken);
  EXPECT_GT(c.raw[5900], 2) << "a fault is not learnt however long it lasts";
}

TEST(AutoGroup, WideGroupsAreBoundedAndBlockwise) {
  constexpr std::size_t kWide = 150;  // three blocks
  Random random(9);
  std::vector<double> values;
  for (std::size_t t = 0; t < 700; ++t) {
    for (std::size_t c = 0; c < kWide; ++c) values.push_back(random.normal());
  }
  for (std::size_t t = 600; t < 620; ++t) values[t * kWide + 140] += 15;
  AutoGroup detector({.width = kWide, .warmup = 300});
  const auto out = run(detector, values, kWide);
  const auto* const shares = &out.shares[610 * kWide];
  EXPECT_EQ(std::max_element(shares, shares + kWide) - shares, 140);
  EXPECT_GT(out.raw[610], 1.5F * highest(out.raw, 300, 600));

  const AutoGroup widest({.width = 4096, .warmup = 100'000});
  EXPECT_LT(widest.state_bytes(), 64U << 20);
}

TEST(AutoGroup, LearnsWithoutAllocating) {
  AutoGroup detector = make();
  const auto values = machine(1000);
  std::vector<float> raw(1000);
  const lapwing::testing::AllocationCount count;
  ASSERT_TRUE(detector.score({.values = values, .width = kWidth}, {.raw = raw}));
  detector.accept_new_normal();
  EXPECT_EQ(count.since_start(), 0U);
}

}  // namespace
}  // namespace lapwing::detect::auto_group_test
