// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/sketch.hpp"

#include "shared/detect/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lapwing::federate::sketch_test {
namespace {

constexpr std::size_t kDevices = 50;

/// Heavy tails on both sides of 20, and what each device has of them.
struct Numbers {
  std::vector<double> all;
  std::vector<std::vector<double>> devices{kDevices};

  Numbers() {
    detect::Random random(5);
    for (int i = 0; i < 100'000; ++i) {
      const double one = 20 + std::exp(2 * random.normal()) * (random.uniform() < 0.3 ? -1 : 1);
      all.push_back(one);
      const auto device = static_cast<std::size_t>(std::pow(random.uniform(), 2) * kDevices);
      devices[device].push_back(one);
    }
  }
};

template <class Summary>
Summary merged(std::vector<Summary> parts, std::uint64_t seed) {
  detect::Random random(seed);
  while (parts.size() > 1) {
    std::swap(parts[random.below(parts.size())], parts.back());
    const Summary last = parts.back();
    parts.pop_back();
    EXPECT_TRUE(parts[random.below(parts.size())].merge(last));
  }
  return parts[0];
}

template <class Summary>
Summary filled(Summary empty, const std::vector<double>& numbers) {
  for (const double one : numbers) empty.add(one);
  return empty;
}

TEST(Sketch, OfFiftyDevicesIsTheUnionsInAnyOrderAndWithinItsBound) {
  const Numbers numbers;
  auto sorted = numbers.all;
  std::ranges::sort(sorted);
  for (const double origin : {0.0, 20.0}) {
    std::vector<Sketch> parts;
    for (const auto& one : numbers.devices) parts.push_back(filled(Sketch(origin), one));
    const auto whole = filled(Sketch(origin), numbers.all);
    for (std::uint64_t order = 1; order <= 10; ++order) EXPECT_EQ(merged(parts, order), whole);
    for (const double share : {0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
      const auto rank =
          static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size()) - 1e-6));
      const double exact = sorted[rank - 1];
      EXPECT_NEAR(whole.quantile(share), exact,
                  Sketch::kError * std::abs(exact - origin) * (1 + 1e-9))
          << origin << ", " << share;
    }
  }
}

TEST(Sketch, NumbersThatAreNoneOrFarOutHaveTheirPlace) {
  Sketch sketch;
  EXPECT_EQ(sketch.quantile(0.5), 0);
  for (const double one : {std::nan(""), 0.0, 1e-12, 1e300, -1e300, HUGE_VAL}) sketch.add(one);
  EXPECT_EQ(sketch.count(), 5);
  EXPECT_NEAR(sketch.quantile(1), Sketch::kFarthest, 0.02 * Sketch::kFarthest);
  EXPECT_NEAR(sketch.quantile(0.01), -Sketch::kFarthest, 0.02 * Sketch::kFarthest);
  EXPECT_EQ(sketch.quantile(0.5), 0);
  EXPECT_FALSE(sketch.merge(Sketch(1)));
}

TEST(Histogram, OfFiftyDevicesIsTheUnionsExactly) {
  const Numbers numbers;
  const auto empty = Histogram::of(10, 40, 16);
  std::vector<Histogram> parts;
  for (const auto& one : numbers.devices) parts.push_back(filled(empty, one));
  auto whole = filled(empty, numbers.all);
  for (std::uint64_t order = 1; order <= 10; ++order) EXPECT_EQ(merged(parts, order), whole);
  double sum = 0;
  for (const double count : whole.counts) sum += count;
  EXPECT_EQ(sum, 100'000);
  EXPECT_FALSE(whole.merge(Histogram::of(10, 41, 16)));
}

}  // namespace
}  // namespace lapwing::federate::sketch_test
