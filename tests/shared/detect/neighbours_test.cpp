// SPDX-License-Identifier: Apache-2.0
/// The nearest-row search against every row tried in turn, and what `knn` and
/// `local_outlier_factor` make of it.
#include "shared/detect/kinds.hpp"
#include "shared/detect/local_outlier_factor/local_outlier_factor.hpp"
#include "shared/detect/neighbours/reference.hpp"
#include "shared/detect/neighbours/task.hpp"
#include "shared/detect/random.hpp"
#include "shared/detect/snapshot.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace lapwing::detect::neighbours_test {
namespace {

using neighbours::Index;
using neighbours::Search;

std::vector<float> random_rows(std::size_t rows, std::size_t width, Random& random, bool coarse) {
  std::vector<float> values(rows * width);
  for (float& value : values) {
    const auto v = static_cast<float>(random.normal());
    value = coarse ? std::round(v) : v;  // coarse: many rows are equal
  }
  return values;
}

TEST(NearestRows, AreThoseOfTryingEveryRow) {
  Random random(1);
  for (const std::size_t width : {1U, 3U, 8U, 37U}) {
    for (const std::size_t rows : {5U, 63U, 64U, 65U, 1000U}) {
      for (const bool coarse : {false, true}) {
        auto values = random_rows(rows, width, random, coarse);
        Index::order(values, width);
        const Index index(values, width);
        const std::size_t count = std::min<std::size_t>(rows, 21);
        Search search(index, count);
        search.present = width;
        std::iota(search.columns.begin(), search.columns.end(), 0U);
        for (int query = 0; query < 20; ++query) {
          search.query = random_rows(1, width, random, coarse);
          if (query == 0) std::ranges::fill(search.query, 1e12F);  // farther than the padding bears
          find_nearest(index, search);
          std::vector<float> all;
          for (std::size_t row = 0; row < rows; ++row) {
            float squared = 0;
            for (std::size_t c = 0; c < width; ++c) {
              squared = neighbours::add_column(squared, search.query[c], values[row * width + c]);
            }
            all.push_back(squared);
          }
          for (std::size_t i = 0; i < count; ++i) {
            ASSERT_NEAR(search.squared[i], all[search.rows[i]], 1e-5F * search.squared[i]);
          }
          std::ranges::sort(all);
          for (std::size_t i = 0; i < count; ++i) {
            ASSERT_NEAR(search.squared[i], all[i], 1e-5F * all[i])
                << width << " " << rows << " " << i;
          }
          std::ranges::sort(search.rows);
          EXPECT_EQ(std::ranges::adjacent_find(search.rows), search.rows.end()) << "no row twice";
        }
      }
    }
  }
}

TEST(NearestRows, KeepTheirValuesWhenOrdered) {
  Random random(2);
  const auto values = random_rows(500, 3, random, false);
  auto ordered = values;
  Index::order(ordered, 3);
  const auto rows_of = [](const std::vector<float>& all) {
    std::vector<std::vector<float>> rows;
    for (std::size_t i = 0; i < all.size(); i += 3)
      rows.push_back({all[i], all[i + 1], all[i + 2]});
    std::ranges::sort(rows);
    return rows;
  };
  EXPECT_EQ(rows_of(values), rows_of(ordered));
  const Index index(ordered, 3);
  EXPECT_EQ(index.value(321, 2), ordered[321 * 3 + 2]);
}

std::unique_ptr<Detector> trained(const Kind& kind, const std::vector<double>& rows,
                                  std::size_t width,
                                  std::map<std::string, double, std::less<>> parameters) {
  const Settings settings{.width = width, .parameters = std::move(parameters)};
  const auto model = kind.train({.values = rows, .width = width}, settings, {});
  EXPECT_TRUE(model) << model.error().context;
  auto made = kind.make(settings, {.model = *model});
  EXPECT_TRUE(made);
  return std::move(*made);
}

std::vector<float> score(Detector& detector, const std::vector<double>& rows, std::size_t width) {
  std::vector<float> raw(rows.size() / width);
  EXPECT_TRUE(detector.score({.values = rows, .width = width}, {.raw = raw}));
  return raw;
}

TEST(Knn, IsTheMeanDistanceInDeviations) {
  const std::vector<double> rows = {0, 1, 2, 3, 14};  // mean 4, deviation sqrt(26)
  const auto detector = trained(kKnn, rows, 1, {{"neighbours", 2}});
  const double deviation = std::sqrt(26.0);
  const auto raw = score(*detector, {0, 14, 20, 1.5}, 1);
  EXPECT_NEAR(raw[0], 1.5 / deviation, 1e-6) << "a training row is not its own neighbour";
  EXPECT_NEAR(raw[1], 11.5 / deviation, 1e-6);
  EXPECT_NEAR(raw[2], 11.5 / deviation, 1e-6);
  EXPECT_NEAR(raw[3], 0.5 / deviation, 1e-6);
}

TEST(Knn, KeepsProportionsOfColumnsThatAreNotStandardized) {
  std::vector<double> rows;
  Random random(3);
  for (int i = 0; i < 500; ++i) rows.insert(rows.end(), {random.normal(), 100 * random.normal()});
  const auto plain = trained(kKnn, rows, 2, {{"standardize", 0}});
  const auto raw = score(*plain, {0, 0, 8, 0, 0, 800}, 2);
  EXPECT_GT(raw[2], 20 * raw[1]) << "eight deviations of the narrow column are nothing";
  const auto standardized = trained(kKnn, rows, 2, {});
  EXPECT_GT(score(*standardized, {8, 0}, 2)[0], 20 * score(*standardized, {0, 0}, 2)[0]);
}

TEST(Knn, KeepsNoMoreRowsThanAskedFor) {
  std::vector<double> rows;
  Random random(4);
  for (int i = 0; i < 5000; ++i) rows.push_back(random.normal());
  const auto few = trained(kKnn, rows, 1, {{"rows_max", 200}});
  const auto all = trained(kKnn, rows, 1, {});
  EXPECT_LT(few->state_bytes() * 4, all->state_bytes());
}

/// Breunig et al. 2000, definitions 3 to 7, word for word.
std::vector<double> local_outlier_factors(const std::vector<double>& rows, std::size_t width,
                                          std::size_t k) {
  const std::size_t n = rows.size() / width;
  std::vector<std::vector<std::pair<double, std::size_t>>> near(n);
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < n; ++b) {
      if (a == b) continue;
      double squared = 0;
      for (std::size_t c = 0; c < width; ++c) {
        squared += std::pow(rows[a * width + c] - rows[b * width + c], 2);
      }
      near[a].emplace_back(std::sqrt(squared), b);
    }
    std::ranges::sort(near[a]);
    near[a].resize(k);
  }
  std::vector<double> density(n);
  for (std::size_t a = 0; a < n; ++a) {
    double reach = 0;
    for (const auto& [distance, b] : near[a]) reach += std::max(distance, near[b].back().first);
    density[a] = 1 / (reach / static_cast<double>(k) + 1e-10);
  }
  std::vector<double> factors(n);
  for (std::size_t a = 0; a < n; ++a) {
    for (const auto& [distance, b] : near[a]) factors[a] += density[b] / density[a];
    factors[a] /= static_cast<double>(k);
  }
  return factors;
}

TEST(LocalOutlierFactor, IsWhatItsDefinitionSays) {
  Random random(5);
  std::vector<double> rows;
  for (int i = 0; i < 400; ++i) {
    const double spread = i % 2 == 0 ? 0.1 : 2;  // two regions of unlike density
    rows.insert(rows.end(), {(i % 2) * 20 + spread * random.normal(), spread * random.normal()});
  }
  rows.insert(rows.end(), {0, 1.5});  // near the dense region, yet far for it
  const auto expected = local_outlier_factors(rows, 2, 20);
  const auto detector = trained(kLocalOutlierFactor, rows, 2, {{"standardize", 0}});
  const auto raw = score(*detector, rows, 2);
  for (std::size_t i = 0; i < raw.size(); ++i) {
    ASSERT_NEAR(raw[i], expected[i], 1e-3 * expected[i]) << i;
  }
  EXPECT_EQ(std::ranges::max_element(raw) - raw.begin(), 400);
}

/// What a CUDA worker does for a row, done here: the same task, another search than the CPU's.
void expect_task_scores_alike(const Kind& kind) {
  constexpr std::size_t kWidth = 5;
  constexpr std::size_t kFrameHeader = 20;
  Random random(6);
  std::vector<double> rows(700 * kWidth);
  for (double& v : rows) v = random.uniform() < 0.05 ? std::nan("") : random.normal();
  const Settings settings{.width = kWidth, .parameters = {{"rows_max", 500}}};
  const auto bytes = kind.train({.values = rows, .width = kWidth}, settings, {});
  ASSERT_TRUE(bytes);
  const auto detector = kind.make(settings, {.model = *bytes});
  ASSERT_TRUE(detector);
  const auto content = std::span<const std::byte>(*bytes).subspan(kFrameHeader);
  StateReader reader(content);
  LocalOutlierFactor::Model model;
  const bool local = kind.name == kLocalOutlierFactor.name;
  ASSERT_TRUE(local ? model.read(reader, kWidth) : model.reference.read(reader, kWidth));
  const auto& reference = model.reference;
  const neighbours::Model task{.rows = reference.rows.data(),
                               .kth_distances = local ? model.kth_distances.data() : nullptr,
                               .densities = local ? model.densities.data() : nullptr,
                               .count = reference.count,
                               .width = kWidth,
                               .neighbours = reference.neighbours};
  const auto raw = score(**detector, rows, kWidth);
  std::vector<float> scaled(kWidth);
  std::vector<float> squared(reference.neighbours + 1);
  std::vector<std::uint32_t> nearest(reference.neighbours + 1);
  for (std::size_t i = 0; i < raw.size(); ++i) {
    reference.columns.scale(std::span(rows).subspan(i * kWidth, kWidth), scaled);
    const float one = neighbours::score_row(task, scaled.data(), squared.data(), nearest.data());
    ASSERT_NEAR(one, raw[i], 1e-5F * std::max(1.0F, raw[i])) << i;
  }
}

TEST(Knn, ScoresAsTheTaskOfADeviceDoes) { expect_task_scores_alike(kKnn); }
TEST(LocalOutlierFactor, ScoresAsTheTaskOfADeviceDoes) {
  expect_task_scores_alike(kLocalOutlierFactor);
}

TEST(LocalOutlierFactor, StaysFiniteAmongDuplicates) {
  std::vector<double> rows(300, 1.0);
  for (int i = 0; i < 30; ++i) rows.push_back(2 + i);
  const auto detector = trained(kLocalOutlierFactor, rows, 1, {});
  const auto raw = score(*detector, {1, 1.001, 2, 40}, 1);
  EXPECT_NEAR(raw[0], 1, 1e-3) << "one of many equal rows";
  EXPECT_GT(raw[1], 1000) << "beside them, where nothing ever was";
  for (const float one : raw) EXPECT_TRUE(std::isfinite(one));
}

}  // namespace
}  // namespace lapwing::detect::neighbours_test
