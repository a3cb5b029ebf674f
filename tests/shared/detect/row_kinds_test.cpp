// SPDX-License-Identifier: Apache-2.0
/// What the trained kinds of rows share, beyond the contract: damaged models, missing numbers,
/// shares, other units.
#include "shared/detect/columns.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/detect/random.hpp"
#include "shared/detect/snapshot.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace lapwing::detect::row_kinds_test {
namespace {

constexpr std::size_t kWidth = 4;
const double kNan = std::numeric_limits<double>::quiet_NaN();

/// Columns 0 and 1 move together, 2 is noise with a heavy tail, 3 a flag that is seldom set.
std::vector<double> make_rows(std::size_t rows, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> values;
  for (std::size_t i = 0; i < rows; ++i) {
    const double level = random.normal();
    const double tail = random.normal();
    values.insert(values.end(), {20 + 3 * level, -1000 + 50 * (level + 0.1 * random.normal()),
                                 tail * tail * tail, random.uniform() < 0.05 ? 1.0 : 0.0});
  }
  return values;
}

class RowKinds : public ::testing::TestWithParam<Kind> {
 protected:
  [[nodiscard]] static std::vector<std::byte> train(const std::vector<double>& rows,
                                                    const Settings& settings = {.width = kWidth}) {
    auto model = GetParam().train({.values = rows, .width = kWidth}, settings, {});
    EXPECT_TRUE(model) << model.error().context;
    return std::move(*model);
  }
  [[nodiscard]] static std::unique_ptr<Detector> make(std::span<const std::byte> model) {
    auto made = GetParam().make({.width = kWidth}, {.model = model});
    EXPECT_TRUE(made) << made.error().context;
    return std::move(*made);
  }
  static std::vector<float> score(Detector& detector, const std::vector<double>& rows) {
    std::vector<float> raw(rows.size() / kWidth);
    EXPECT_TRUE(detector.score({.values = rows, .width = kWidth}, {.raw = raw}));
    return raw;
  }
  static std::vector<float> shares(Detector& detector, const std::vector<double>& row) {
    std::vector<float> raw(1);
    std::vector<float> shares(kWidth);
    EXPECT_TRUE(
        detector.score({.values = row, .width = kWidth}, {.raw = raw, .contributions = shares}));
    return shares;
  }
};

/// Kinds whose scores have no end.
class FarRows : public RowKinds {};

TEST_P(RowKinds, SurvivesDamagedModelsWhoseChecksumIsRight) {
  const auto model = train(make_rows(150, 1));
  const auto rows = make_rows(20, 2);
  constexpr std::size_t kHeader = 20;
  std::uint32_t magic = 0;
  std::uint64_t tag = 0;
  StateReader header(model);
  header(magic, tag);
  std::size_t refused = 0;
  Random random(5);
  for (std::size_t at = kHeader; at < model.size(); at += 1 + at / 97) {
    auto content = std::vector(model.begin() + kHeader, model.end());
    for (std::size_t i = at - kHeader; i < std::min(at - kHeader + 8, content.size()); ++i) {
      content[i] = at % 2 == 0 ? std::byte{0xFF} : static_cast<std::byte>(random.bits() & 0xFF);
    }
    std::vector<std::byte> damaged;
    const std::size_t begun = begin_frame(damaged, tag);
    damaged.insert(damaged.end(), content.begin(), content.end());
    end_frame(damaged, begun);
    const auto made = GetParam().make({.width = kWidth}, {.model = damaged});
    if (!made) {
      EXPECT_EQ(made.error().code, Errc::corrupt);
      ++refused;
      continue;
    }
    for (const float raw : score(**made, rows)) {
      ASSERT_TRUE(std::isfinite(raw) && raw >= 0) << "byte " << at << ": " << raw;
    }
  }
  EXPECT_GT(refused, 10U);
}

TEST_P(FarRows, LeavesMissingColumnsOut) {
  const auto detector = make(train(make_rows(600, 1)));
  std::vector<double> normal = make_rows(200, 3);
  for (std::size_t i = 0; i < 200; ++i) normal[i * kWidth + i % 3] = kNan;
  const auto gaps = score(*detector, normal);
  const auto fault = score(*detector, {20, kNan, 400, 0});
  EXPECT_GT(fault[0], *std::ranges::max_element(gaps)) << "a fault shows beside a gap";
  EXPECT_EQ(score(*detector, {kNan, kNan, kNan, kNan})[0], 0) << "nothing known, nothing strange";
  EXPECT_EQ(shares(*detector, {20, kNan, 400, 0})[1], 0);
}

TEST_P(FarRows, TrainsOnRowsWithGaps) {
  auto rows = make_rows(600, 1);
  Random random(9);
  for (double& value : rows) value = random.uniform() < 0.2 ? kNan : value;
  const auto detector = make(train(rows));
  const auto normal = score(*detector, make_rows(200, 3));
  EXPECT_GT(score(*detector, {80, 0, 400, 1})[0], *std::ranges::max_element(normal));
}

TEST_P(RowKinds, NamesTheSensorThatIsFarAway) {
  const auto detector = make(train(make_rows(600, 1)));
  const auto far = shares(*detector, {20, -1000, 4000, 0});
  EXPECT_GT(far[2], 0.5F);
}

TEST_P(RowKinds, IsTheSameInOtherUnits) {
  const auto change = [](std::vector<double> rows) {
    for (std::size_t i = 0; i < rows.size(); i += kWidth) {
      rows[i] = rows[i] * 1024;
      rows[i + 1] = rows[i + 1] / 4096;
    }
    return rows;
  };
  const auto one = make(train(make_rows(400, 1)));
  const auto two = make(train(change(make_rows(400, 1))));
  const auto a = score(*one, make_rows(200, 3));
  const auto b = score(*two, change(make_rows(200, 3)));
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4F * (1 + a[i])) << i;
}

TEST_P(RowKinds, SeesAConstantColumnChange) {
  auto rows = make_rows(400, 1);
  for (std::size_t i = 0; i < rows.size(); i += kWidth) rows[i + 3] = 7.25;
  const auto detector = make(train(rows));
  auto normal = make_rows(100, 3);
  for (std::size_t i = 0; i < normal.size(); i += kWidth) normal[i + 3] = 7.25;
  const auto before = score(*detector, normal);
  for (std::size_t i = 0; i < normal.size(); i += kWidth) normal[i + 3] = 7.26;
  const auto after = score(*detector, normal);
  EXPECT_GT(after[0], before[0]);
  EXPECT_GT(*std::ranges::min_element(after), before[50]);
  EXPECT_GT(shares(*detector, {20, -1000, 0, 7.26})[3], 0.4F);
}

/// one_class_svm whose models hold random features.
constexpr Kind kWithFeatures = [] {
  Kind kind = kOneClassSvm;
  kind.name = "one_class_svm_features";
  kind.train = [](const Table& table, const Settings& settings, const Progress& progress) {
    Settings with = settings;
    with.parameters["features"] = 1024;
    return train_one_class_svm(table, with, progress);
  };
  return kind;
}();

INSTANTIATE_TEST_SUITE_P(Near, RowKinds,
                         ::testing::Values(kAutoRows, kKnn, kLocalOutlierFactor, kOneClassSvm,
                                           kWithFeatures, kPca),
                         [](const auto& one) { return std::string(one.param.name); });

INSTANTIATE_TEST_SUITE_P(Near, FarRows,
                         ::testing::Values(kAutoRows, kKnn, kLocalOutlierFactor, kOneClassSvm,
                                           kPca),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Columns, DrawTheSameRowsForTheSameSeed) {
  const auto values = make_rows(1000, 1);
  const Table table{.values = values, .width = kWidth};
  const auto drawn = draw_rows(table, 100, 7);
  EXPECT_EQ(drawn, draw_rows(table, 100, 7));
  EXPECT_NE(drawn, draw_rows(table, 100, 8));
  ASSERT_EQ(drawn.size(), 100U);
  EXPECT_EQ(std::ranges::adjacent_find(drawn, std::greater_equal{}), drawn.end()) << "ascending";
  EXPECT_LT(drawn.back(), 1000U);
  EXPECT_EQ(draw_rows(table, 1000, 7).size(), 1000U);
}

TEST(Columns, ScaleByWhatTheTableShowed) {
  const std::vector<double> values = {1, 5, kNan, 3, 5, kNan, 5, 5, kNan, 7, 5, kNan, 9, 5, kNan};
  const Table table{.values = values, .width = 3};
  const auto standard = Columns::learn("test", table, Scaling::standard);
  ASSERT_TRUE(standard);
  EXPECT_NEAR(standard->scale(0, 9), 4 / std::sqrt(8.0), 1e-6);
  EXPECT_EQ(standard->scale(1, 5), 0);
  EXPECT_EQ(standard->scale(1, 5.01), Columns::kConstantStep);
  EXPECT_EQ(standard->scale(1, -2), -Columns::kConstantStep);
  EXPECT_TRUE(std::isnan(standard->scale(0, kNan)));
  EXPECT_EQ(standard->scale(0, std::numeric_limits<double>::infinity()), Columns::kFarthest);
  const auto robust = Columns::learn("test", table, Scaling::robust);
  ASSERT_TRUE(robust);
  EXPECT_NEAR(robust->scale(0, 9), std::asinh(4 / (4 / 1.349)), 1e-6);
  EXPECT_NEAR(robust->scale(0, 5), 0, 1e-6);
}

}  // namespace
}  // namespace lapwing::detect::row_kinds_test
