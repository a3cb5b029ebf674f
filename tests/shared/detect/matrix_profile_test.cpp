// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/matrix_profile/matrix_profile.hpp"

#include "shared/detect/matrix_profile/batch.hpp"
#include "shared/detect/matrix_profile/task.hpp"
#include "shared/detect/period.hpp"
#include "tests/shared/detect/synthetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::detect::matrix_profile_test {
namespace {

using testing::Random;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

std::vector<double> normalised(std::span<const double> window) {
  const auto size = static_cast<double>(window.size());
  double mean = 0;
  for (const double v : window) mean += v / size;
  double variance = 0;
  for (const double v : window) variance += (v - mean) * (v - mean) / size;
  std::vector<double> out;
  for (const double v : window) out.push_back((v - mean) / std::sqrt(variance));
  return out;
}

/// By the definition, in O(n^2 window).
double distance(std::span<const double> a, std::span<const double> b) {
  const auto missing = [](std::span<const double> w) {
    return std::ranges::any_of(w, [](double v) { return !std::isfinite(v); });
  };
  const auto flat = [](std::span<const double> w) {
    return std::ranges::all_of(w, [&](double v) { return v == w.front(); });
  };
  if (missing(a) || missing(b)) return kInfinity;
  if (flat(a) && flat(b)) return 0;
  if (flat(a) || flat(b)) return std::sqrt(static_cast<double>(a.size()));
  const auto x = normalised(a);
  const auto y = normalised(b);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - y[i]) * (x[i] - y[i]);
  return std::sqrt(sum);
}

void expect_as_defined(std::span<const double> values, std::size_t window, bool left) {
  const auto profile = matrix_profile(values, window, left);
  ASSERT_TRUE(profile) << profile.error().context;
  const std::size_t count = values.size() - window + 1;
  const std::size_t apart = (window + 3) / 4;
  ASSERT_EQ(profile->distances.size(), count);
  ASSERT_EQ(profile->neighbours.size(), count);
  for (std::size_t i = 0; i < count; ++i) {
    double best = kInfinity;
    for (std::size_t j = 0; j < count; ++j) {
      const bool allowed = j + apart <= i || (!left && i + apart <= j);
      if (!allowed) continue;
      best = std::min(best, distance(values.subspan(i, window), values.subspan(j, window)));
    }
    const auto found = profile->neighbours[i];
    ASSERT_EQ(found < 0, best == kInfinity) << i;
    if (found < 0) {
      ASSERT_EQ(profile->distances[i], kInfinity);
      continue;
    }
    const double found_distance = profile->distances[i];
    ASSERT_NEAR(found_distance * found_distance, best * best, 1e-7) << i;
    const auto at = static_cast<std::size_t>(found);
    ASSERT_TRUE(at + apart <= i || (!left && i + apart <= at)) << i << " " << found;
    const double there = distance(values.subspan(i, window), values.subspan(at, window));
    ASSERT_NEAR(there * there, best * best, 1e-7) << i;
  }
}

std::vector<double> wandering(std::size_t rows, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> out;
  double level = 100;
  for (std::size_t i = 0; i < rows; ++i) {
    level += 0.3 * random.normal();
    out.push_back(level + 2 * std::sin(static_cast<double>(i) / 5) + 0.2 * random.normal());
  }
  return out;
}

TEST(MatrixProfileBatch, IsAsDefined) {
  for (const bool left : {false, true}) {
    for (const std::size_t window : {3UL, 8UL, 25UL}) {
      for (const std::size_t rows : {26UL, 77UL, 601UL}) {
        SCOPED_TRACE(std::to_string(window) + " of " + std::to_string(rows));
        expect_as_defined(wandering(rows, rows + window), window, left);
      }
    }
  }
}

TEST(MatrixProfileBatch, KnowsFlatAndMissingWindows) {
  auto values = wandering(400, 3);
  std::fill(values.begin() + 50, values.begin() + 75, 7.0);
  std::fill(values.begin() + 200, values.begin() + 217, 7.0);
  std::fill(values.begin() + 300, values.begin() + 330, 1e3);
  values[120] = kNan;
  values[333] = kInfinity;
  for (const bool left : {false, true}) expect_as_defined(values, 16, left);
  expect_as_defined(std::vector<double>(60, 4.5), 10, false);
  expect_as_defined(std::vector<double>(60, kNan), 10, false);
}

TEST(MatrixProfileBatch, IsTheSameInEveryUnit) {
  const auto values = wandering(300, 5);
  const auto one = *matrix_profile(values, 20);
  for (const double factor : {1e-30, 1e30, 1e300}) {
    auto scaled = values;
    for (double& v : scaled) v *= factor;
    const auto other = *matrix_profile(scaled, 20);
    EXPECT_EQ(other.neighbours, one.neighbours);
    for (std::size_t i = 0; i < one.distances.size(); ++i) {
      ASSERT_NEAR(other.distances[i], one.distances[i], 1e-6);
    }
  }
}

TEST(MatrixProfileBatch, RefusesWindowsThatDoNotFit) {
  const std::vector<double> values(10, 1);
  for (const std::size_t window : {0UL, 2UL, 11UL}) {
    const auto profile = matrix_profile(values, window);
    ASSERT_FALSE(profile);
    EXPECT_EQ(profile.error().code, Errc::bad_config);
  }
  EXPECT_FALSE(matrix_profile({}, 5));
  EXPECT_EQ(matrix_profile(values, 10)->neighbours[0], -1) << "no other window";
}

TEST(MatrixProfileTask, WalksDiagonalsAsTheVectorsDo) {
  // The device's worker, run here: every pair once, whatever the stretches.
  const auto values = wandering(500, 6);
  const std::size_t window = 12;
  const std::size_t count = values.size() - window + 1;
  std::vector<double> means;
  std::vector<double> change(count);
  std::vector<double> sum(count);
  std::vector<double> inverse;
  for (std::size_t i = 0; i < count; ++i) {
    const auto moments = profile::moments_of<double>(&values[i], window);
    means.push_back(moments.mean);
    inverse.push_back(1 / std::sqrt(moments.squares));
    if (i == 0) continue;
    const auto step =
        profile::step_of(values[i + window - 1], values[i - 1], means[i], means[i - 1]);
    change[i] = step.change;
    sum[i] = step.sum;
  }
  const profile::Tables tables{values.data(),  means.data(), change.data(), sum.data(),
                               inverse.data(), count,        window,        3};
  std::vector<std::uint64_t> best(count, profile::ordered(-2));
  std::size_t pairs = 0;
  for (std::size_t lag = tables.nearest; lag < count + 5; ++lag) {
    for (std::size_t from = 0; from < count; from += 100) {
      profile::walk_diagonal(tables, lag, from, from + 100,
                             [&](std::size_t row, double correlation, std::size_t later) {
                               ++pairs;
                               ASSERT_EQ(later, row + lag);
                               const auto word = profile::ordered(correlation * inverse[row]);
                               best[row] = std::max(best[row], word);
                               best[later] = std::max(best[later], word);
                             });
    }
  }
  EXPECT_EQ(pairs, (count - 3) * (count - 2) / 2);
  const auto expected = *matrix_profile(values, window);
  for (std::size_t i = 0; i < count; ++i) {
    const double d = profile::distance_of(profile::unordered(best[i]), window);
    ASSERT_NEAR(d * d, expected.distances[i] * expected.distances[i], 1e-8) << i;
  }
}

TEST(MatrixProfileTask, OrdersNumbersAsTheyAre) {
  const std::vector<double> numbers = {-kInfinity, -1e300, -1, -1e-300, 0, 5e-324, 1, 1e300};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_EQ(profile::unordered(profile::ordered(numbers[i])), numbers[i]);
    if (i == 0) continue;
    EXPECT_LT(profile::ordered(numbers[i - 1]), profile::ordered(numbers[i]));
  }
}

TEST(MatrixProfileCuda, GivesWhatTheCpuGivesOrSaysThereIsNoDevice) {
  const char* required = std::getenv("LAPWING_REQUIRE_CUDA");
  auto values = wandering(5000, 2);
  std::fill(values.begin() + 1000, values.begin() + 1100, 7.0);
  values[3000] = kNan;
  for (const bool left : {false, true}) {
    const auto cuda = matrix_profile(values, 50, left, Device::cuda);
    if (!cuda) {
      EXPECT_EQ(cuda.error().code, Errc::no_device);
      EXPECT_TRUE(required == nullptr || std::string_view(required) != "1")
          << "LAPWING_REQUIRE_CUDA=1, but: " << cuda.error().context;
      continue;
    }
    const auto cpu = *matrix_profile(values, 50, left);
    for (std::size_t i = 0; i < cpu.distances.size(); ++i) {
      const double expected = cpu.distances[i];
      if (expected == kInfinity) {
        ASSERT_EQ(cuda->distances[i], kInfinity);
        continue;
      }
      ASSERT_NEAR(cuda->distances[i] * cuda->distances[i], expected * expected, 1e-7) << i;
    }
  }
}

/// A beat of 40 readings with a little noise, at a level that wanders.
std::vector<double> beats(std::size_t rows, std::uint64_t seed = 9) {
  Random random(seed);
  std::vector<double> out;
  double level = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    const double in = static_cast<double>(i % 40) / 40;
    level += 0.02 * random.normal();
    const double beat =
        6 * std::exp(-200 * (in - 0.3) * (in - 0.3)) + 2 * std::sin(2 * std::numbers::pi * in);
    out.push_back(level + beat + 0.1 * random.normal());
  }
  return out;
}

struct Scored {
  std::vector<float> raw;
  std::vector<Band> bands;
  std::vector<Cause> causes;
};
Scored score(Detector& detector, std::span<const double> values) {
  Scored out{std::vector<float>(values.size()), std::vector<Band>(values.size()),
             std::vector<Cause>(values.size())};
  EXPECT_TRUE(detector.score({.values = values},
                             {.raw = out.raw, .bands = out.bands, .causes = out.causes}));
  return out;
}
float highest(const Scored& scored, std::size_t from, std::size_t to) {
  return *std::max_element(scored.raw.begin() + static_cast<std::ptrdiff_t>(from),
                           scored.raw.begin() + static_cast<std::ptrdiff_t>(to));
}

TEST(MatrixProfile, FindsABeatOfAnotherShapeAndSaysSo) {
  auto values = beats(6000);
  // One beat lacks its peak: every value is one that was seen before.
  for (std::size_t i = 5005; i < 5025; ++i) values[i] = values[i - 5];
  const auto detector = *make_matrix_profile({.warmup = 300}, {});
  const auto scored = score(*detector, values);
  EXPECT_GT(highest(scored, 5000, 5040), 2 * highest(scored, 400, 5000));
  EXPECT_NE(std::find(scored.causes.begin() + 5000, scored.causes.begin() + 5060, Cause::pattern),
            scored.causes.begin() + 5060);
}

TEST(MatrixProfile, ForeseesTheNextBeat) {
  const auto values = beats(4000);
  const auto detector = *make_matrix_profile({.warmup = 300}, {});
  const auto scored = score(*detector, values);
  double error = 0;
  double change = 0;
  for (std::size_t i = 3000; i < 4000; ++i) {
    error += std::abs(values[i] - scored.bands[i].expected);
    change += std::abs(values[i] - values[i - 1]);
  }
  EXPECT_LT(error, 0.4 * change);
}

TEST(MatrixProfile, KeepsTheLeftProfileHoweverLongItRuns) {
  // With a window as wide as the exclusion zone of the batch is not, compare by the definition.
  const auto values = beats(3000, 4);
  const std::size_t window = 40;
  const std::size_t history = 1000;
  const auto detector = *make_matrix_profile(
      {.warmup = 300, .parameters = {{"window", window}, {"history", history}}}, {});
  const auto scored = score(*detector, std::span(values).first(2999));
  // The most similar window of the last 1000 readings says what comes next.
  const std::span<const double> all(values);
  const auto newest = all.subspan(2999 - window, window);
  double best = kInfinity;
  std::size_t at = 0;
  for (std::size_t i = 2999 - history; i + 2 * window <= 2999; ++i) {
    const double d = distance(newest, all.subspan(i, window));
    if (d < best) {
      best = d;
      at = i;
    }
  }
  const auto last = score(*detector, all.subspan(2999));
  double mean = 0;
  double mean_then = 0;
  for (std::size_t i = 0; i < window; ++i) {
    mean += newest[i] / window;
    mean_then += values[at + i] / window;
  }
  EXPECT_NEAR(last.bands[0].expected, mean + values[at + window] - mean_then, 0.2);
}

TEST(MatrixProfile, AFaultThatIsNotLearntStaysStrangeUntilAccepted) {
  auto values = beats(3000);
  auto changed = beats(4000);  // the same machine with another beat
  for (std::size_t i = 0; i < changed.size(); ++i) {
    changed[i] += 4 * std::sin(2 * std::numbers::pi * static_cast<double>(i) / 17);
  }
  const auto detector = *make_matrix_profile({.warmup = 300}, {});
  score(*detector, values);
  std::vector<float> raw(2000);
  ASSERT_TRUE(
      detector->score({.values = std::span(changed).first(2000), .learn = false}, {.raw = raw}));
  EXPECT_GT(*std::max_element(raw.begin() + 1500, raw.end()), 6);
  detector->accept_new_normal();
  const auto after = score(*detector, std::span(changed).subspan(2000));
  EXPECT_LT(highest(after, 1500, 2000), 6);
}

TEST(MatrixProfile, QuietStretchesAreAlike) {
  Random random(2);
  std::vector<double> values;
  for (std::size_t i = 0; i < 5000; ++i) {  // bursts of work between rests
    const bool works = i / 100 % 2 == 0;
    values.push_back(works ? 5 * std::sin(static_cast<double>(i % 100) / 4)
                           : 0.001 * random.normal());
  }
  const auto detector = *make_matrix_profile({.warmup = 400, .parameters = {{"window", 50}}}, {});
  const auto scored = score(*detector, values);
  for (std::size_t i = 1150; i < 5000; i += 200) {
    EXPECT_LT(highest(scored, i, i + 50), 3) << "noise of a thousandth is no shape";
  }
}

TEST(MatrixProfile, GoesOnAfterALevelFarAway) {
  auto values = beats(8000);
  for (std::size_t i = 2000; i < values.size(); ++i) values[i] += 1e4;
  const auto detector = *make_matrix_profile({.warmup = 300}, {});
  const auto scored = score(*detector, values);
  EXPECT_GT(scored.raw[2000], 6);
  EXPECT_LT(highest(scored, 7000, 8000), 6);
  EXPECT_NEAR(scored.bands[7500].expected, values[7500], 2);
}

TEST(MatrixProfile, MissingReadingsAreFilledAndNotScored) {
  auto values = beats(4000);
  for (std::size_t i = 2000; i < 2010; ++i) values[i] = kNan;
  for (std::size_t i = 3000; i < 3100; ++i) values[i] = kNan;
  const auto detector = *make_matrix_profile({.warmup = 300}, {});
  const auto scored = score(*detector, values);
  for (std::size_t i = 2000; i < 2010; ++i) EXPECT_EQ(scored.raw[i], 0);
  EXPECT_LT(highest(scored, 2010, 3000), 6) << "a short hole";
  EXPECT_LT(highest(scored, 3100, 4000), 6) << "a long one";
}

TEST(MatrixProfile, RefusesWindowsLongerThanAQuarterOfTheHistory) {
  EXPECT_FALSE(make_matrix_profile({.parameters = {{"window", 4}}}, {}));
  EXPECT_FALSE(make_matrix_profile({.parameters = {{"window", 100}, {"history", 300}}}, {}));
  EXPECT_TRUE(make_matrix_profile({.parameters = {{"window", 75}, {"history", 300}}}, {}));
}

}  // namespace
}  // namespace lapwing::detect::matrix_profile_test
