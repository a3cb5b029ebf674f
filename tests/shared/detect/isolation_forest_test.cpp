// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/isolation_forest/isolation_forest.hpp"

#include "shared/detect/cuda/fallback.hpp"
#include "shared/detect/random.hpp"
#include "shared/detect/trees/share.hpp"
#include "shared/detect/trees/walk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <hwy/highway.h>
#include <hwy/targets.h>
#include <limits>
#include <string>
#include <vector>

namespace lapwing::detect::isolation_forest_test {
namespace {

using namespace isolation_forest;
using namespace trees;

std::vector<double> normal_rows(std::size_t rows, std::size_t width, std::uint64_t seed = 5) {
  Random random(seed);
  std::vector<double> values(rows * width);
  for (double& value : values) value = random.normal();
  return values;
}

std::vector<std::byte> train(std::span<const double> values, std::size_t width,
                             std::map<std::string, double, std::less<>> parameters = {},
                             std::uint64_t seed = 1) {
  auto model = train_isolation_forest(
      {.values = values, .width = width},
      {.width = width, .seed = seed, .parameters = std::move(parameters)}, {});
  EXPECT_TRUE(model) << model.error().context;
  return std::move(*model);
}

Forest forest_of(std::span<const std::byte> model) {
  auto forest = Forest::read(model);
  EXPECT_TRUE(forest) << forest.error().context;
  return std::move(*forest);
}

std::vector<float> scores(Detector& detector, std::span<const double> values, std::size_t width) {
  std::vector<float> raw(values.size() / width);
  EXPECT_TRUE(detector.score({.values = values, .width = width}, {.raw = raw}));
  return raw;
}

std::vector<float> scores(std::span<const std::byte> model, std::span<const double> values,
                          std::size_t width) {
  auto made = make_isolation_forest({.width = width}, {.model = model});
  EXPECT_TRUE(made) << made.error().context;
  return scores(**made, values, width);
}

TEST(IsolationForest, ExpectedPathsAreThoseOfThePaper) {
  EXPECT_EQ(expected_path(0), 0);
  EXPECT_EQ(expected_path(1), 0);
  EXPECT_EQ(expected_path(2), 1);
  EXPECT_NEAR(expected_path(3), 1.2073923, 1e-6);  // 2 (ln 2 + gamma) - 4/3
  EXPECT_NEAR(expected_path(256), 10.2447709, 1e-6);
}

TEST(IsolationForest, PathOfATreeMadeByHand) {
  // Column 1 below 0.5: a leaf; else column 0 below -0.25 or not.
  Forest forest(2, 1, 8, 0);
  const auto split = [](float value, std::uint32_t column) {
    return (std::bit_cast<std::uint32_t>(value) & ~1U) | column;
  };
  for (std::uint32_t node = 1; node < 8; ++node) forest.word(0, node) = Forest::kEnded;
  forest.word(0, 1) = split(0.5F, 1);
  forest.word(0, 3) = split(-0.25F, 0);
  for (std::uint32_t leaf = 8; leaf < 12; ++leaf) forest.word(0, leaf) = 1 * kUnit;
  for (std::uint32_t leaf = 12; leaf < 14; ++leaf) forest.word(0, leaf) = 2 * kUnit;
  for (std::uint32_t leaf = 14; leaf < 16; ++leaf) forest.word(0, leaf) = 3 * kUnit;
  const std::vector<std::pair<std::array<float, kLanes>, std::uint32_t>> cases = {
      {{0, 0.4F}, 1}, {{-9, 0.4F}, 1}, {{-9, 0.6F}, 2}, {{0, 0.6F}, 3}, {{1e30F, 1e30F}, 3}};
  for (const auto& [row, length] : cases) {
    EXPECT_EQ(walk_all(forest.view(), row.data()), length * kUnit);
    std::uint32_t sum = 0;
    walk_rows(forest.view(), row.data(), kLanes, 1, &sum, nullptr);
    EXPECT_EQ(sum, length * kUnit);
  }
  EXPECT_NEAR(forest.score(3 * kUnit), std::exp2(-3 / expected_path(8)), 1e-6);
}

TEST(IsolationForest, EveryInstructionSetGivesTheSameBits) {
  for (const std::size_t width : {1U, 3U, 8U, 9U, 16U, 17U, 40U}) {
    for (const double count_of_trees : {1.0, 7.0, 16.0, 100.0}) {
      const auto values = normal_rows(kBlockRows, width);
      const Forest forest =
          forest_of(train(values, width, {{"trees", count_of_trees}, {"sample", 64}}));
      const std::size_t stride = row_stride(width);
      std::vector<float> rows(kBlockRows * stride);
      for (std::size_t i = 0; i < kBlockRows; ++i) {
        forest.scale(std::span(values).subspan(i * width, width), &rows[i * stride]);
      }
      for (const std::size_t count : {1U, 3U, 4U, 5U, 64U}) {
        const std::size_t lanes = tree_stride(forest.trees());
        std::vector<std::uint32_t> expected(count);
        std::vector<std::uint32_t> expected_places(count * lanes);
        for (std::size_t i = 0; i < count; ++i) {
          expected[i] = walk_all(forest.view(), &rows[i * stride]);
          for (std::uint32_t tree = 0; tree < forest.trees(); ++tree) {
            walk<1>(forest.view(), tree, &rows[i * stride], &expected_places[i * lanes + tree]);
          }
        }
        for (auto left = static_cast<std::uint64_t>(hwy::SupportedTargets()); left != 0;
             left &= left - 1) {
          hwy::SetSupportedTargetsForTest(static_cast<std::int64_t>(left & (~left + 1)));
          hwy::GetChosenTarget().Update(hwy::SupportedTargets());
          std::vector<std::uint32_t> sums(count, 1);
          std::vector<std::uint32_t> places(count * lanes);
          walk_rows(forest.view(), rows.data(), stride, count, sums.data(), places.data());
          for (std::size_t i = 0; i < places.size();
               ++i) {  // lanes without a tree may hold anything
            if (i % lanes >= forest.trees()) places[i] = 0;
          }
          EXPECT_EQ(sums, expected)
              << width << " columns, " << count_of_trees << " trees, " << count;
          EXPECT_EQ(places, expected_places);
          hwy::SetSupportedTargetsForTest(0);
        }
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
      }
    }
  }
}

TEST(IsolationForest, FindsRowsFarFromTheOthersInAnyUnit) {
  for (const double extension : {0.0, 1.0}) {
    auto values = normal_rows(1000, 3);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] *= i % 3 == 0 ? 1e-12 : 1e9;
    const std::size_t far = 500;
    for (std::size_t c = 0; c < 3; ++c) values[far * 3 + c] = c == 0 ? 9e-12 : -9e9;
    const auto raw = scores(train(values, 3, {{"extension", extension}}), values, 3);
    EXPECT_EQ(std::ranges::max_element(raw) - raw.begin(), far);
    EXPECT_GT(raw[far], 0.7F);
    double mean = 0;
    for (const float one : raw) mean += one / 1000;
    EXPECT_LT(mean, 0.5);
  }
}

TEST(IsolationForest, ExtendedOneSeesWhatTheAxesHide) {
  // Two clouds; the two other corners are ordinary in each column alone.
  auto values = normal_rows(2000, 2);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += i % 4 == 0 || i % 4 == 3 ? 10 : 0;
  const std::vector<double> corner = {0, 0, 10, 10};
  const auto plain = scores(train(values, 2), corner, 2);
  const auto extended = scores(train(values, 2, {{"extension", 1}}), corner, 2);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_GT(extended[i], plain[i] + 0.03F);
}

TEST(IsolationForest, SeedDecides) {
  const auto values = normal_rows(500, 4);
  EXPECT_EQ(train(values, 4, {}, 9), train(values, 4, {}, 9));
  EXPECT_NE(train(values, 4, {}, 9), train(values, 4, {}, 10));
}

TEST(IsolationForest, MissingValuesCountAsTheMedian) {
  auto values = normal_rows(999, 2);
  for (std::size_t i = 0; i < values.size(); i += 7) values[i] = std::nan("");
  const auto model = train(values, 2);
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> asked = {std::nan(""), 4, 0, 4, std::nan(""), std::nan(""), inf, -inf};
  const auto raw = scores(model, asked, 2);
  EXPECT_NEAR(raw[0], raw[1], 0.05);
  EXPECT_EQ(raw[2], 0);
  EXPECT_GT(raw[3], 0.6F) << "infinite is very far";
}

TEST(IsolationForest, SharesAreShapleyValues) {
  constexpr std::size_t kWidth = 5;
  const auto values = normal_rows(300, kWidth);
  const Forest forest = forest_of(train(values, kWidth, {{"trees", 20}}));
  for (std::size_t i = 0; i < 40; ++i) {
    std::array<float, kLanes> row{};
    forest.scale(std::span(values).subspan(i * kWidth, kWidth), row.data());
    // From the definition: over all coalitions, what joining them takes off the path.
    const auto paths = [&](unsigned members) {
      std::array<float, kLanes> mixed{};
      for (std::size_t c = 0; c < kWidth; ++c) mixed[c] = (members >> c & 1U) != 0 ? row[c] : 0;
      return static_cast<double>(walk_all(forest.view(), mixed.data()));
    };
    const auto factorial = [](int n) { return std::tgamma(n + 1.0); };
    std::array<double, kWidth> expected{};
    double sum = 0;
    for (std::size_t c = 0; c < kWidth; ++c) {
      for (unsigned others = 0; others < 1U << kWidth; ++others) {
        if ((others >> c & 1U) != 0) continue;
        const int size = std::popcount(others);
        const double weight =
            factorial(size) * factorial(static_cast<int>(kWidth) - size - 1) / factorial(kWidth);
        expected[c] += weight * (paths(others) - paths(others | 1U << c));
      }
      expected[c] = std::max(0.0, expected[c]);
      sum += expected[c];
    }
    std::array<float, kWidth> shares{};
    share_out(forest.view(), std::span(row).first(kWidth), shares);
    for (std::size_t c = 0; c < kWidth; ++c) {
      EXPECT_NEAR(shares[c], sum > 0 ? expected[c] / sum : 1.0 / kWidth, 1e-3) << i << " " << c;
    }
  }
}

TEST(IsolationForest, ExtendedSharesNameTheColumn) {
  const auto values = normal_rows(500, 4);
  auto made = make_isolation_forest({.width = 4}, {.model = train(values, 4, {{"extension", 3}})});
  ASSERT_TRUE(made);
  const std::vector<double> asked = {0, 0, 9, 0};
  std::vector<float> raw(1);
  std::vector<float> shares(4);
  ASSERT_TRUE((*made)->score({.values = asked, .width = 4}, {.raw = raw, .contributions = shares}));
  EXPECT_EQ(std::ranges::max_element(shares) - shares.begin(), 2);
}

TEST(IsolationForest, RefusesImpossibleModels) {
  const auto values = normal_rows(100, 3);
  const auto model = train(values, 3, {{"trees", 3}});
  const auto refused = [](const Forest& forest) {
    const auto read = Forest::read(forest.write());  // with a good checksum
    return !read && read.error().code == Errc::corrupt;
  };
  EXPECT_FALSE(refused(forest_of(model)));
  Forest column = forest_of(model);
  column.word(1, 5) |= 3;  // there are columns 0 to 2
  EXPECT_TRUE(refused(column));
  Forest length = forest_of(model);
  length.word(2, 200) = 0xFFFFFFFF;
  EXPECT_TRUE(refused(length));
  Forest centre = forest_of(model);
  centre.column(0).centre = std::nan("");
  EXPECT_TRUE(refused(centre));
  Forest plane = forest_of(train(values, 3, {{"extension", 1}}));
  EXPECT_FALSE(refused(plane));
  plane.plane_columns(0, 1)[0] = 3;
  EXPECT_TRUE(refused(plane));
}

TEST(IsolationForest, RefusesAnExtensionThatIsTooWide) {
  const auto values = normal_rows(100, 3);
  const auto model = train_isolation_forest({.values = values, .width = 3},
                                            {.width = 3, .parameters = {{"extension", 3}}}, {});
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, Errc::bad_config);
}

/// Answers as the device does, then fails.
class FailingDevice final : public CudaTrees {
 public:
  FailingDevice(const Forest& forest, int good_calls) : forest_(&forest), good_(good_calls) {}
  Result<void> sum_paths(const float* rows, std::size_t count, std::uint32_t* sums) override {
    if (good_-- <= 0) return Error{Errc::no_device, "fell off the bus"};
    for (std::size_t i = 0; i < count; ++i) {
      sums[i] = walk_all(forest_->view(), rows + i * row_stride(forest_->width()));
    }
    return {};
  }

 private:
  const Forest* forest_;
  int good_;
};

std::string warned;  // NOLINT: a hook is a plain function

TEST(IsolationForest, GoesOnOnTheCpuWhenTheDeviceFails) {
  const std::size_t rows = 2 * CudaTrees::kRowsMax + 300;
  const auto values = normal_rows(rows, 2);
  const auto model = train(values, 2, {{"trees", 8}});
  const auto expected = scores(model, values, 2);
  const Forest forest = forest_of(model);
  const std::uint64_t before = device_failures();
  on_device_failure(+[](std::string_view kind, const Error& error) {
    warned += std::string(kind) + ": " + error.context + "\n";
  });
  for (const int good : {2, 0}) {
    IsolationForest detector(forest_of(model), model,
                             std::make_unique<FailingDevice>(forest, good));
    EXPECT_EQ(scores(detector, values, 2), expected);
    EXPECT_EQ(scores(detector, values, 2), expected) << "told once";
  }
  on_device_failure(nullptr);
  EXPECT_EQ(device_failures() - before, 2U);
  EXPECT_EQ(warned, "isolation_forest: fell off the bus\nisolation_forest: fell off the bus\n");
}

}  // namespace
}  // namespace lapwing::detect::isolation_forest_test
