// SPDX-License-Identifier: Apache-2.0
/// The exponential, the dual problem's conditions, and what the score promises.
#include "shared/detect/one_class_svm/one_class_svm.hpp"

#include "shared/detect/one_class_svm/feature_task.hpp"
#include "shared/detect/one_class_svm/features.hpp"
#include "shared/detect/one_class_svm/kernel.hpp"
#include "shared/detect/one_class_svm/solve.hpp"
#include "shared/detect/one_class_svm/task.hpp"
#include "shared/detect/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace lapwing::detect::one_class_svm_test {
namespace {

std::vector<double> two_moons(std::size_t rows, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> values;
  for (std::size_t i = 0; i < rows; ++i) {
    const double angle = 3.14 * random.uniform();
    const bool upper = i % 2 == 0;
    values.push_back((upper ? std::cos(angle) : 1 - std::cos(angle)) + 0.05 * random.normal());
    values.push_back((upper ? std::sin(angle) : 0.5 - std::sin(angle)) + 0.05 * random.normal());
  }
  return values;
}

TEST(Exponential, IsWithinItsStatedError) {
  double worst = 0;
  for (float x = 0; x > -87; x -= 0.00371F) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(svm::exp_negative(x)) / exact - 1));
  }
  EXPECT_LT(worst, 5e-7);
  EXPECT_EQ(svm::exp_negative(0), 1);
  EXPECT_EQ(svm::exp_negative(-1e30F), svm::exp_negative(-87));
}

TEST(Exponential, IsTheSameInVectors) {
  Random random(1);
  std::vector<float> squared(192);
  std::vector<float> weights(192);
  for (float& v : squared) v = static_cast<float>(100 * random.uniform());
  for (float& v : weights) v = static_cast<float>(random.uniform());
  const auto before = squared;
  const float sum = svm::weigh_kernels(squared.data(), weights.data(), 192, 0.7F, 0.25F);
  double expected = 0;
  for (std::size_t i = 0; i < 192; ++i) {
    const float one = svm::exp_negative(-0.7F * (before[i] - 0.25F));
    ASSERT_NEAR(squared[i], one, 1e-6F * one) << i;
    expected += static_cast<double>(one * weights[i]);
  }
  EXPECT_NEAR(sum, expected, 1e-5 * expected);
}

TEST(Cosine, IsWithinItsStatedErrorAndBoundedBeyond) {
  double worst = 0;
  for (float x = -10'000; x < 10'000; x += 0.0737F) {
    worst = std::max(
        worst, std::abs(static_cast<double>(svm::cosine(x)) - std::cos(static_cast<double>(x))));
  }
  EXPECT_LT(worst, 6e-7);
  EXPECT_EQ(svm::cosine(0), 1);
  for (float x = 1e4F; x < 1e30F; x *= 1.01F) ASSERT_LE(std::abs(svm::cosine(x)), 1.000001F) << x;
}

TEST(Cosine, IsTheSameInVectors) {
  Random random(1);
  constexpr std::uint32_t kCount = 192;
  std::vector<float> directions(3 * kCount);
  std::vector<float> phases(kCount);
  for (float& v : directions) v = static_cast<float>(random.normal());
  for (float& v : phases) v = static_cast<float>(6.28 * random.uniform());
  const std::vector<float> query = {0.3F, -4, 3};
  const neighbours::PackedRows packed(directions, 3);
  std::vector<float> amplitudes(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    amplitudes.assign(kCount, 0);
    amplitudes[i] = 1;
    const svm::Features features{.directions = directions.data(),
                                 .phases = phases.data(),
                                 .amplitudes = amplitudes.data(),
                                 .count = kCount,
                                 .width = 3};
    ASSERT_NEAR(svm::sum_cosines(packed, query.data(), phases.data(), amplitudes.data()),
                svm::feature_of(features, query.data(), i), 1e-5F)
        << i;
  }
}

TEST(Dual, MeetsItsConditions) {
  const auto values = two_moons(300, 2);
  const std::vector<float> rows(values.begin(), values.end());
  const double gamma = 2;
  for (const double nu : {0.05, 0.5, 1.0}) {
    const auto solution =
        svm::solve(neighbours::PackedRows(rows, 2), nu, gamma, [] { return true; });
    ASSERT_TRUE(solution);
    double total = 0;
    for (std::size_t i = 0; i < 300; ++i) {
      const double alpha = static_cast<double>(solution->alphas[i]);
      ASSERT_GE(alpha, 0);
      ASSERT_LE(alpha, 1);
      total += alpha;
      double gradient = 0;
      for (std::size_t j = 0; j < 300; ++j) {
        const double dx = values[2 * i] - values[2 * j];
        const double dy = values[2 * i + 1] - values[2 * j + 1];
        gradient +=
            static_cast<double>(solution->alphas[j]) * std::exp(-gamma * (dx * dx + dy * dy));
      }
      if (alpha < 1) {
        ASSERT_GE(gradient, solution->rho - 2e-3) << nu << " " << i;
      }
      if (alpha > 0) {
        ASSERT_LE(gradient, solution->rho + 2e-3) << nu << " " << i;
      }
    }
    EXPECT_NEAR(total, nu * 300, 1e-3);
  }
}

class OneClassSvmTest : public ::testing::Test {
 protected:
  static std::unique_ptr<OneClassSvm> make(double nu) {
    const auto rows = two_moons(1000, 3);
    const Settings settings{.width = 2, .parameters = {{"nu", nu}, {"gamma", 4}}};
    const auto model = kOneClassSvm.train({.values = rows, .width = 2}, settings, {});
    EXPECT_TRUE(model);
    auto made = kOneClassSvm.make(settings, {.model = *model});
    EXPECT_TRUE(made);
    return std::unique_ptr<OneClassSvm>(dynamic_cast<OneClassSvm*>(made->release()));
  }
  static std::vector<float> score(Detector& detector, const std::vector<double>& rows) {
    std::vector<float> raw(rows.size() / 2);
    EXPECT_TRUE(detector.score({.values = rows, .width = 2}, {.raw = raw}));
    return raw;
  }
};

TEST_F(OneClassSvmTest, LeavesTheShareAskedForOutside) {
  for (const double nu : {0.05, 0.3}) {
    const auto detector = make(nu);
    const auto raw = score(*detector, two_moons(1000, 3));
    const auto outside =
        std::ranges::count_if(raw, [&](float one) { return one > detector->threshold(); });
    EXPECT_NEAR(static_cast<double>(outside), 1000 * nu, 25) << nu;
  }
}

TEST_F(OneClassSvmTest, FollowsACurvedRegion) {
  const auto detector = make(0.1);
  const auto raw = score(*detector, {0, 1, 0, 0.3, 0.5, 0.9, -1.5, -1});
  EXPECT_LT(raw[0], detector->threshold()) << "on the upper moon";
  EXPECT_GT(raw[1], raw[0]) << "in its hollow";
  EXPECT_GT(raw[3], detector->threshold()) << "outside both";
}

/// What a CUDA worker does for a row, done here: `score_one(model, scaled)` calls the same task.
template <class Svm, class ScoreOne>
void expect_task_scores_alike(double features, const ScoreOne& score_one) {
  constexpr std::size_t kFrameHeader = 20;
  auto rows = two_moons(1000, 3);
  for (std::size_t i = 0; i < rows.size(); i += 22) rows[i] = std::nan("");
  rows.insert(rows.end(), {1e6, -3e5, 1.5, -1.5, std::nan(""), std::nan("")});
  const Settings settings{.width = 2, .parameters = {{"features", features}}};
  const auto bytes = kOneClassSvm.train({.values = rows, .width = 2}, settings, {});
  ASSERT_TRUE(bytes);
  const auto detector = kOneClassSvm.make(settings, {.model = *bytes});
  ASSERT_TRUE(detector);
  StateReader reader(std::span<const std::byte>(*bytes).subspan(kFrameHeader));
  typename Svm::Model model;
  ASSERT_TRUE(model.read(reader, 2));
  std::vector<float> raw(rows.size() / 2);
  ASSERT_TRUE((*detector)->score({.values = rows, .width = 2}, {.raw = raw}));
  std::vector<float> scaled(2);
  for (std::size_t i = 0; i < raw.size(); ++i) {
    model.columns.scale(std::span(rows).subspan(2 * i, 2), scaled);
    const float one = score_one(model, scaled.data());
    ASSERT_NEAR(one, raw[i], 1e-5F * std::max(1.0F, raw[i])) << features << " " << i;
  }
}

TEST(OneClassSvm, ScoresAsTheTaskOfADeviceDoes) {
  expect_task_scores_alike<OneClassSvm>(
      0, [](const auto& model, const float* row) { return svm::score_row(model.task(), row); });
  for (const double features : {1, 1024, 8192}) {
    expect_task_scores_alike<FeatureSvm>(features, [](const auto& model, const float* row) {
      std::vector<float> query(2);
      return svm::score_row(model.task(), row, query.data());
    });
  }
}

TEST_F(OneClassSvmTest, FeaturesStandInForSupportVectors) {
  const auto rows = two_moons(1000, 3);
  const auto tried = two_moons(500, 4);
  std::map<std::string, double, std::less<>> parameters = {{"gamma", 4}};
  std::vector<std::vector<float>> raw;
  for (const double features : {0, 4096}) {
    parameters["features"] = features;
    const Settings settings{.width = 2, .parameters = parameters};
    const auto model = kOneClassSvm.train({.values = rows, .width = 2}, settings, {});
    ASSERT_TRUE(model);
    const auto detector = kOneClassSvm.make(settings, {.model = *model});
    ASSERT_TRUE(detector);
    raw.push_back(score(**detector, tried));
  }
  for (std::size_t i = 0; i < raw[0].size(); ++i) {
    ASSERT_NEAR(std::exp(-raw[0][i]), std::exp(-raw[1][i]), 4 / std::sqrt(4096.0)) << i;
  }
}

TEST_F(OneClassSvmTest, TellsFarRowsApartWithoutEnd) {
  const auto detector = make(0.1);
  const auto raw = score(*detector, {5, 5, 50, 50, 5e3, 5e3, 5e6, 5e6});
  for (std::size_t i = 1; i < raw.size(); ++i) EXPECT_GT(raw[i], 2 * raw[i - 1]);
}

}  // namespace
}  // namespace lapwing::detect::one_class_svm_test
