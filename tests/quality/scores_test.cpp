// SPDX-License-Identifier: Apache-2.0
/// The scorers against cases worked by hand, and against figures of the collections' own rules
/// implemented a second time, in Python.
#include "tests/quality/auroc.hpp"
#include "tests/quality/nab_score.hpp"
#include "tests/quality/skab_score.hpp"
#include "tests/quality/vus_pr.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>
#include <vector>

namespace lapwing::quality {
namespace {

constexpr std::size_t kRows = 60;

/// Scores without order, higher at three of the labelled rows.
std::vector<float> some_scores() {
  std::vector<float> scores(kRows);
  for (std::size_t i = 0; i < kRows; ++i) {
    const double high = i == 21 || i == 22 || i == 41 ? 0.9 : 0.0;
    scores[i] = static_cast<float>(static_cast<double>(i * 37 % 101) / 100 + high);
  }
  return scores;
}

std::vector<std::uint8_t> some_labels() {
  std::vector<std::uint8_t> labels(kRows);
  for (std::size_t i = 20; i <= 25; ++i) labels[i] = 1;
  for (std::size_t i = 40; i <= 44; ++i) labels[i] = 1;
  return labels;
}

/// Many ties.
std::vector<float> rounded(std::vector<float> scores) {
  for (float& score : scores) score = std::floor(score * 5 + 0.02F);
  return scores;
}

TEST(VusPr, IsOneWhenLabelledRowsScoreHighest) {
  const auto labels = some_labels();
  const std::vector<float> scores(labels.begin(), labels.end());
  EXPECT_DOUBLE_EQ(vus_pr(labels, scores, 0), 1);
}

TEST(VusPr, OfConstantScoresIsTheShareOfLabelledRows) {
  const std::vector<float> constant(kRows, 3.0F);
  EXPECT_DOUBLE_EQ(vus_pr(some_labels(), constant, 0), 11.0 / 60);
}

TEST(VusPr, AgreesWithASecondImplementation) {
  EXPECT_NEAR(vus_pr(some_labels(), some_scores(), 0), 0.2964981878025356, 1e-9);
  EXPECT_NEAR(vus_pr(some_labels(), some_scores(), 4), 0.36510044928115126, 1e-9);
  EXPECT_NEAR(vus_pr(some_labels(), some_scores(), 10), 0.4747717350109268, 1e-9);
  EXPECT_NEAR(vus_pr(some_labels(), rounded(some_scores()), 6), 0.3539931788376629, 1e-9);
  auto at_the_ends = some_labels();
  at_the_ends.front() = at_the_ends.back() = 1;
  EXPECT_NEAR(vus_pr(at_the_ends, some_scores(), 6), 0.3977005011401549, 1e-9);
}

TEST(VusPr, WithoutLabelsIsNoNumber) {
  EXPECT_TRUE(std::isnan(vus_pr(std::vector<std::uint8_t>(kRows), some_scores(), 4)));
}

TEST(Auroc, CountsPairsInOrderAndTiesByHalf) {
  // Pairs of (labelled, other): 3 > 1, 3 > 2, 2 > 1, 2 = 2.
  EXPECT_DOUBLE_EQ(auroc(std::vector<std::uint8_t>{1, 0, 1, 0}, std::vector<float>{3, 1, 2, 2}),
                   3.5 / 4);
  EXPECT_DOUBLE_EQ(auroc(some_labels(), std::vector<float>(kRows, 1.0F)), 0.5);
  EXPECT_NEAR(auroc(some_labels(), rounded(some_scores())), 0.5612244897959183, 1e-12);
  EXPECT_TRUE(std::isnan(auroc(std::vector<std::uint8_t>(kRows), some_scores())));
}

/// 200 rows, alarms at some of them.
NabFile nab_file(std::initializer_list<std::pair<std::size_t, float>> alarms,
                 std::vector<std::pair<std::size_t, std::size_t>> windows) {
  NabFile file{std::vector<float>(200), std::move(windows)};
  for (const auto& [row, score] : alarms) file.scores[row] = score;
  return file;
}

double nab(const NabFile& file, const NabProfile& profile = kNabStandard) {
  return nab_score({&file, 1}, profile, 0.5).score;
}

TEST(Nab, GoesFromSilenceToAHitAtTheWindowsFirstRow) {
  EXPECT_DOUBLE_EQ(nab(nab_file({}, {{100, 119}})), 0);
  EXPECT_DOUBLE_EQ(nab(nab_file({{100, 1.0F}}, {{100, 119}})), 100);
  // Alone, far from any window: the whole weight of one false alarm, of a sum of 2.
  EXPECT_NEAR(nab(nab_file({{60, 1.0F}}, {{100, 119}})), -100 * 0.11 / 2, 1e-9);
  EXPECT_DOUBLE_EQ(nab(nab_file({{10, 1.0F}}, {{100, 119}})), 0)
      << "rows of the probation count not";
}

TEST(Nab, AgreesWithASecondImplementation) {
  const auto file =
      nab_file({{110, 1.0F}, {115, 1.0F}, {60, 1.0F}, {125, 1.0F}, {10, 1.0F}}, {{100, 119}});
  EXPECT_NEAR(nab(file), 83.87001907734764, 1e-9);
  EXPECT_NEAR(nab(file, kNabLowFp), 74.75040980920609, 1e-9);
  EXPECT_NEAR(nab(file, kNabLowFn), 89.24667938489843, 1e-9);
}

TEST(Nab, FindsTheBestThreshold) {
  const auto file =
      nab_file({{110, 0.9F}, {60, 0.5F}, {125, 0.4F}, {10, 1.0F}, {160, 0.8F}, {165, 0.7F}},
               {{100, 119}, {150, 169}});
  const auto best = nab_score({&file, 1}, kNabStandard);
  EXPECT_NEAR(best.score, 92.98962834548918, 1e-6);
  EXPECT_FLOAT_EQ(static_cast<float>(best.threshold), 0.8F);
  EXPECT_EQ(best.windows_hit, 2U);
  EXPECT_EQ(best.false_rows, 0U);
}

TEST(Skab, CountsEveryRowByItself) {
  SkabScore score;
  score.add(std::vector<std::uint8_t>{0, 0, 1, 1, 1, 0},
            std::vector<std::uint8_t>{0, 1, 0, 1, 0, 0});
  EXPECT_DOUBLE_EQ(score.f1(), 2.0 / 5) << "1 hit, 2 misses, 1 false alarm";
  EXPECT_DOUBLE_EQ(score.far(), 100.0 / 3);
  SkabScore both;
  both.add(score);
  both.add(std::vector<std::uint8_t>{1}, std::vector<std::uint8_t>{1});
  EXPECT_DOUBLE_EQ(both.f1(), 4.0 / 7) << "pooled over runs";
  EXPECT_DOUBLE_EQ(SkabScore{}.f1(), 0);
}

// ---- no point adjustment: one row met of a long anomaly is one row, not the whole ---------------

/// One anomaly of 100 rows in 1000.
constexpr std::size_t kLong = 100;
std::vector<std::uint8_t> long_anomaly() {
  std::vector<std::uint8_t> labels(1000);
  std::fill_n(labels.begin() + 500, kLong, std::uint8_t{1});
  return labels;
}
std::vector<float> met(std::size_t rows) {
  std::vector<float> scores(1000);
  std::fill_n(scores.begin() + 540, rows, 1.0F);
  return scores;
}

TEST(PointAdjustment, IsNotInTheShareOfRowsFound) {
  const auto labels = long_anomaly();
  const auto scores = met(1);
  const std::vector<std::uint8_t> alarms(scores.begin(), scores.end());
  SkabScore score;
  score.add(labels, alarms);
  EXPECT_EQ(score.hits, 1U);
  EXPECT_EQ(score.misses, kLong - 1);
  EXPECT_DOUBLE_EQ(score.f1(), 2.0 / (kLong + 1));
}

TEST(PointAdjustment, IsNotInTheCurves) {
  const auto labels = long_anomaly();
  // As if the row were all that is known: the other 99 are no better than chance.
  EXPECT_DOUBLE_EQ(auroc(labels, met(1)), 0.01 + 0.99 * 0.5);
  EXPECT_LT(vus_pr(labels, met(1), 0), 0.12);
  EXPECT_LT(vus_pr(labels, met(1), 10), 0.25);
  EXPECT_GT(vus_pr(labels, met(50), 0), 0.5);
}

TEST(PointAdjustment, IsNotInTheWindows) {
  // A window is met once by its rules, for less the later; a second alarm in it adds nothing, and
  // the alarms beside it are not forgiven.
  NabFile once{std::vector<float>(1000), {{500, 599}}};
  once.scores[540] = 1;
  NabFile first = once;
  first.scores[500] = 1;
  NabFile wild = once;
  wild.scores[300] = 1;
  EXPECT_LT(nab(once), nab(first));
  EXPECT_LT(nab(wild), nab(once));
}

}  // namespace
}  // namespace lapwing::quality
