// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/isolation_forest/kind.hpp"
#include "shared/detect/isolation_forest/unite.hpp"
#include "shared/model/model.hpp"
#include "tests/quality/auroc.hpp"
#include "tests/shared/federate/fleet.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace lapwing::federate::forest_test {
namespace {

using detect::isolation_forest::Forest;
using detect::isolation_forest::Share;

Rows rows_of(std::uint64_t seed, std::size_t rows, double shift = 0, std::size_t width = 3) {
  detect::Random random(seed);
  Rows made{width};
  for (std::size_t i = 0; i < rows * width; ++i) made.values.push_back(shift + random.normal());
  return made;
}

std::vector<std::byte> grown(const Rows& rows, std::uint64_t seed, double trees = 100) {
  auto bytes = detect::train_isolation_forest(
      rows.table(), {.width = rows.width, .seed = seed, .parameters = {{"trees", trees}}}, {});
  EXPECT_TRUE(bytes);
  return *std::move(bytes);
}

std::vector<float> scores(std::span<const std::byte> payload, const Rows& rows) {
  const auto detector = detect::make_isolation_forest({.width = rows.width}, {.model = payload});
  EXPECT_TRUE(detector) << detector.error().context;
  std::vector<float> raw(rows.count());
  EXPECT_TRUE((*detector)->score({.values = rows.values, .width = rows.width, .learn = false},
                                 {.raw = raw}));
  return raw;
}

/// Mean over the trees of path / c(sample), which is what a score is a power of.
double relative_path(float score) { return -std::log2(static_cast<double>(score)); }

TEST(FederatedForest, ScoresAsTheMeanOfItsTreesWhateverTheirSamplesAndScales) {
  const auto many = rows_of(1, 2000);
  const auto few = rows_of(2, 70, 0.5);
  const auto a = grown(many, 1, 30);
  const auto b = grown(few, 2, 30);  // trees of 70 rows, scaled by another median and reach
  const auto first = Forest::read(a);
  const auto second = Forest::read(b);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->sample(), 70U);
  const auto united = detect::isolation_forest::unite(
      std::vector<Share>{{&*first, 30}, {&*second, 30}}, first->sample());
  ASSERT_TRUE(united) << united.error().context;
  const auto bytes = united->write();
  EXPECT_TRUE(Forest::read(bytes)) << "sound";
  const auto fresh = rows_of(3, 400);
  const auto both = scores(bytes, fresh);
  const auto one = scores(a, fresh);
  const auto two = scores(b, fresh);
  std::size_t off = 0;
  for (std::size_t i = 0; i < both.size(); ++i) {
    const double mean = (relative_path(one[i]) + relative_path(two[i])) / 2;
    off += std::abs(relative_path(both[i]) - mean) > 1e-4 ? 1 : 0;
  }
  EXPECT_LE(off, 2U) << "a split moves by no more than single precision";
}

TEST(FederatedForest, WhatDoesNotFitTogetherIsRefused) {
  const auto three = *Forest::read(grown(rows_of(1, 100), 1, 5));
  const auto two = *Forest::read(grown(rows_of(1, 100, 0, 2), 1, 5));
  const auto unite = [](std::vector<Share> shares, std::uint32_t sample) {
    return detect::isolation_forest::unite(shares, sample);
  };
  EXPECT_EQ(unite({{&three, 5}, {&two, 5}}, 256).error().code, Errc::bad_shape);
  EXPECT_EQ(unite({}, 256).error().code, Errc::bad_input);
  EXPECT_EQ(unite({{&three, 6}}, 256).error().code, Errc::bad_input);
  EXPECT_EQ(unite({{&three, 5}}, 64).error().code, Errc::bad_input);
}

/// Trees whose leaves hold the counts of the very rows they grew on are as they were.
TEST(FederatedForest, CountsOfLeavesAddUpAndGiveThePathsOfTheUnion) {
  const auto all = rows_of(5, 256);  // every tree's sample is all of them
  const auto bytes = grown(all, 1, 20);
  const auto forest = *Forest::read(bytes);
  const auto counts = detect::isolation_forest::leaf_counts(forest, all.table());
  const auto again = detect::isolation_forest::with_counts(forest, counts, 256);
  EXPECT_EQ(again.write(), bytes);
  const auto parts = split_evenly(all, 6, 1);
  std::vector<double> sum(counts.size());
  for (const auto& part : parts) {
    const auto some = detect::isolation_forest::leaf_counts(forest, part.table());
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += some[i];
  }
  EXPECT_EQ(sum, counts);
}

/// To the trees of one device every place where only others run is strange, until their rows are
/// counted there; a place where nobody runs stays so.
TEST(FederatedForest, APlaceThatOthersKnowIsNotStrange) {
  const auto own = rows_of(10, 300, 0, 2);
  const auto others = rows_of(11, 2700, 30, 2);
  Rows nobody{2};
  for (int i = 0; i < 20; ++i) nobody.values.insert(nobody.values.end(), {30.0, -30.0 - i});
  const auto before = grown(own, 1);
  const auto forest = *Forest::read(before);
  auto counts = detect::isolation_forest::leaf_counts(forest, own.table());
  const auto more = detect::isolation_forest::leaf_counts(forest, others.table());
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += more[i];
  const auto after = detect::isolation_forest::with_counts(forest, counts, 3000).write();
  const auto mean = [](const std::vector<float>& all) {
    double sum = 0;
    for (const float one : all) sum += static_cast<double>(one) / static_cast<double>(all.size());
    return sum;
  };
  EXPECT_GT(mean(scores(before, others)), 0.6);
  EXPECT_LT(mean(scores(after, others)), 0.5);
  EXPECT_GT(mean(scores(after, nobody)), mean(scores(after, others)) + 0.1);
}

TEST(FederatedForest, IsCalibratedByTheScoresOfAllDevices) {
  const auto all = rows_of(7, 5000);
  const Plan plan{.kind = Kind::isolation_forest, .sensors = sensors_of(3), .tool = "test 1"};
  const auto file = run_round(plan, split_evenly(all, 12, 1));
  ASSERT_TRUE(file) << file.error().context;
  const auto model = model::Model::read(*file);
  ASSERT_TRUE(model);
  auto own = scores(model->payload(), all);
  std::ranges::sort(own);
  const auto& c = model->header().calibration;
  EXPECT_EQ(c.rows, 5000U);
  for (std::size_t i = 0; i < c.shares.size(); ++i) {
    const auto rank = static_cast<std::size_t>(std::ceil(c.shares[i] * 5000 - 1e-9));
    EXPECT_NEAR(c.scores[i], own[rank - 1], 0.0101 * own[rank - 1]);
  }
  EXPECT_EQ(model->header().lineage.rows, 5000U);
}

struct Labelled {
  Rows rows;
  std::vector<std::uint8_t> labels;
};

Labelled read_set(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  Labelled made;
  std::getline(in, line);  // names
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::vector<double> row;
    for (std::string field; std::getline(fields, field, ',');) row.push_back(std::stod(field));
    made.labels.push_back(row.back() > 0.5 ? 1 : 0);
    row.pop_back();
    made.rows.width = row.size();
    made.rows.values.insert(made.rows.values.end(), row.begin(), row.end());
  }
  return made;
}

/// All sets: `tests/quality/run.sh --only federated`.
TEST(FederatedForest, FindsWhatACentralOneFinds) {
  const auto folder = std::filesystem::path(LAPWING_SOURCE) / "../shared/data/adbench";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no benchmark data in ../shared/data";
  constexpr std::uint64_t kSeeds = 4;
  for (const auto* name : {"thyroid", "Wilt"}) {
    const auto set = read_set(folder / (std::string(name) + ".csv"));
    ASSERT_GT(set.rows.count(), 1000U);
    double central = 0;
    double even = 0;
    double skewed = 0;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      const Plan plan{.kind = Kind::isolation_forest,
                      .sensors = sensors_of(set.rows.width),
                      .seed = seed,
                      .rules = {.devices_min = 3, .share_max = 1, .far = 1e30}};
      const auto of = [&](const std::vector<Rows>& devices) {
        const auto file = run_round(plan, devices, 2);
        EXPECT_TRUE(file) << file.error().context;
        const auto model = model::Model::read(*file);
        EXPECT_TRUE(model);
        return quality::auroc(set.labels, scores(model->payload(), set.rows)) / kSeeds;
      };
      central += quality::auroc(set.labels, scores(grown(set.rows, seed), set.rows)) / kSeeds;
      auto devices = split_evenly(set.rows, 10, seed);
      std::erase_if(devices, [](const auto& one) { return one.count() < kRowsMin; });
      even += of(devices);
      skewed += of(split_by_cluster(set.rows, 10, kRowsMin, seed));
    }
    std::printf("%-18s central %.4f  even %+.4f  skewed %+.4f\n", name, central, even - central,
                skewed - central);
    EXPECT_GT(even, central - 0.01) << name;
  }
}

}  // namespace
}  // namespace lapwing::federate::forest_test
