// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/moments.hpp"

#include "shared/detect/kinds.hpp"
#include "shared/detect/pca/assemble.hpp"
#include "shared/model/model.hpp"
#include "shared/model/train.hpp"
#include "tests/shared/federate/fleet.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lapwing::federate::moments_test {
namespace {

constexpr std::size_t kDevices = 50;
constexpr std::size_t kWidth = 6;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Sensors that go together, far from 0, of very different units; some numbers are missing.
Rows fleet_rows(std::size_t rows, std::uint64_t seed, double missing) {
  detect::Random random(seed);
  Rows made{kWidth};
  for (std::size_t i = 0; i < rows; ++i) {
    const double load = random.normal();
    const double heat = random.normal();
    for (std::size_t c = 0; c < kWidth; ++c) {
      const double own = c % 2 == 0 ? load : heat;
      const double unit = std::pow(10.0, static_cast<double>(c) - 2);
      const double value = unit * (1e4 + own + 0.2 * random.normal());
      made.values.push_back(random.uniform() < missing ? kNan : value);
    }
  }
  return made;
}

std::vector<Rows> devices_of(const Rows& all) { return split_evenly(all, kDevices, 3); }

/// Merges in a random order and random tree shape.
Moments merged(std::vector<Moments> parts, std::uint64_t seed) {
  detect::Random random(seed);
  while (parts.size() > 1) {
    const std::size_t a = random.below(parts.size());
    std::swap(parts[a], parts.back());
    const Moments last = parts.back();
    parts.pop_back();
    EXPECT_TRUE(parts[random.below(parts.size())].merge(last));
  }
  return parts[0];
}

/// In long double and two passes, of all rows.
long double covariance(const Rows& all, std::size_t a, std::size_t b) {
  const auto mean = [&](std::size_t c) {
    long double sum = 0;
    long double count = 0;
    for (std::size_t row = 0; row < all.count(); ++row) {
      const double value = all.values[row * kWidth + c];
      if (std::isnan(value)) continue;
      sum += value;
      ++count;
    }
    return sum / count;
  };
  const long double mean_a = mean(a);
  const long double mean_b = mean(b);
  long double sum = 0;
  long double rows = 0;
  for (std::size_t row = 0; row < all.count(); ++row) {
    const double* values = &all.values[row * kWidth];
    bool any = false;
    for (std::size_t c = 0; c < kWidth; ++c) any = any || !std::isnan(values[c]);
    rows += any ? 1 : 0;
    if (std::isnan(values[a]) || std::isnan(values[b])) continue;
    sum += (values[a] - mean_a) * (values[b] - mean_b);
  }
  return sum / rows;
}

void expect_equal(const Moments& merged, const Rows& all) {
  const auto whole = Moments::of(all.table());
  EXPECT_EQ(merged.rows(), whole.rows());
  EXPECT_EQ(merged.empty_rows(), whole.empty_rows());
  for (std::size_t a = 0; a < kWidth; ++a) {
    EXPECT_EQ(merged.count(a), whole.count(a));
    EXPECT_EQ(merged.least(a), whole.least(a));
    EXPECT_EQ(merged.greatest(a), whole.greatest(a));
    EXPECT_NEAR(merged.mean(a), whole.mean(a), 1e-9 * whole.deviation(a));
    for (std::size_t b = 0; b < kWidth; ++b) {
      const auto exact = static_cast<double>(covariance(all, a, b));
      const double size = whole.deviation(a) * whole.deviation(b);
      EXPECT_NEAR(merged.covariance(a, b), exact, 1e-9 * size) << a << ", " << b;
    }
  }
}

TEST(Moments, OfFiftyDevicesAreThoseOfTheUnionInAnyOrder) {
  for (const double missing : {0.0, 0.2, 0.7}) {
    const auto all = fleet_rows(20'000, 7, missing);
    std::vector<Moments> parts;
    for (const auto& device : devices_of(all)) parts.push_back(Moments::of(device.table()));
    for (std::uint64_t order = 1; order <= 5; ++order) expect_equal(merged(parts, order), all);
  }
}

TEST(Moments, ADeviceWithoutRowsChangesNothing) {
  const auto all = fleet_rows(500, 9, 0.1);
  Moments merged = Moments::of(all.table());
  ASSERT_TRUE(merged.merge(Moments(kWidth)));
  Moments other(kWidth);
  ASSERT_TRUE(other.merge(Moments::of(all.table())));
  expect_equal(merged, all);
  expect_equal(other, all);
  EXPECT_FALSE(merged.merge(Moments(kWidth + 1)));
}

TEST(Moments, WeighedAsIfEachRowHadBeenThereSoOften) {
  const auto some = fleet_rows(300, 11, 0.1);
  Rows twice = some;
  twice.values.insert(twice.values.end(), some.values.begin(), some.values.end());
  expect_equal(Moments::of(some.table()).weighed(2), twice);
}

std::vector<float> scores(const model::Model& model, const Rows& rows) {
  const auto detector = model.make_detector();
  EXPECT_TRUE(detector);
  std::vector<float> raw(rows.count());
  EXPECT_TRUE((*detector)->score({.values = rows.values, .width = rows.width, .learn = false},
                                 {.raw = raw}));
  return raw;
}

/// Training scales rows to single precision, the moments do not: 1e-5 between them. The limits are
/// quantiles of a sketch: within its 1 %.
TEST(FederatedPca, OfFiftyDevicesIsTheOneTrainedOnTheUnion) {
  for (const double missing : {0.0, 0.1}) {
    const auto all = fleet_rows(20'000, 7, missing);
    const auto fresh = fleet_rows(500, 8, missing);
    const Plan plan{.kind = Kind::pca, .sensors = sensors_of(kWidth), .tool = "test 1"};
    const auto file = run_round(plan, devices_of(all));
    ASSERT_TRUE(file) << file.error().context;
    const auto merged = model::Model::read(*file);
    ASSERT_TRUE(merged) << merged.error().context;
    const auto trained = model::train({.kind = detect::find_kind("pca", detect::Input::rows),
                                       .table = all.table(),
                                       .sensors = sensors_of(kWidth),
                                       .held_out_share = 0});
    ASSERT_TRUE(trained) << trained.error().context;
    const auto whole = model::Model::read(trained->file);
    ASSERT_TRUE(whole);
    const auto& a = merged->header();
    const auto& b = whole->header();
    EXPECT_EQ(a.lineage.rows, b.lineage.rows);
    EXPECT_EQ(a.lineage.tool, "federated over 50 devices; test 1");
    for (std::size_t c = 0; c < kWidth; ++c) {
      EXPECT_NEAR(a.sensors[c].mean, b.sensors[c].mean, 1e-9 * b.sensors[c].deviation);
      EXPECT_NEAR(a.sensors[c].deviation, b.sensors[c].deviation, 1e-9 * b.sensors[c].deviation);
      const double step = b.sensors[c].deviation / 6;  // devices' deviations differ a little
      EXPECT_LE(a.sensors[c].least, b.sensors[c].least) << "told blurred";
      EXPECT_GT(a.sensors[c].least, b.sensors[c].least - step);
      EXPECT_GE(a.sensors[c].greatest, b.sensors[c].greatest);
      EXPECT_LT(a.sensors[c].greatest, b.sensors[c].greatest + step);
      EXPECT_NEAR(a.sensors[c].missing_share, b.sensors[c].missing_share, 1e-12);
    }
    ASSERT_EQ(a.calibration.shares, b.calibration.shares);
    for (std::size_t i = 0; i < a.calibration.scores.size(); ++i) {
      EXPECT_NEAR(a.calibration.scores[i], b.calibration.scores[i],
                  0.021 * b.calibration.scores[i]);
    }
    const auto theirs = scores(*merged, fresh);
    const auto ours = scores(*whole, fresh);
    for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(theirs[i], ours[i], 0.011 * ours[i]);
    // T^2 and Q of both models, which their limits do not touch.
    const auto d = detect::pca::distances(merged->payload(), fresh.table());
    const auto e = detect::pca::distances(whole->payload(), fresh.table());
    ASSERT_TRUE(d && e);
    for (std::size_t i = 0; i < e->within.size(); ++i) {
      EXPECT_NEAR(d->within[i], e->within[i], 1e-5 * (1 + e->within[i]));
      EXPECT_NEAR(d->beside[i], e->beside[i], 1e-5 * (1 + e->beside[i]));
    }
  }
}

}  // namespace
}  // namespace lapwing::federate::moments_test
