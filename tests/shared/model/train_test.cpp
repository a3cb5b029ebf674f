// SPDX-License-Identifier: Apache-2.0
// From a table to a model file.
#include "shared/model/train.hpp"

#include "shared/model/model.hpp"
#include "tests/shared/model/made_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace lapwing::model {
namespace {

using ::testing::ElementsAre;

TEST(Train, EveryTrainedKindGivesAModelThatOpens) {
  const Made made;
  int kinds = 0;
  for (const auto& kind : detect::kKinds) {
    if (kind.learning != detect::Learning::trained) continue;
    const auto trained = train(made.request(kind.name));
    ASSERT_TRUE(trained) << kind.name << ": " << trained.error().context;
    const auto model = Model::read(trained->file);
    ASSERT_TRUE(model) << kind.name << ": " << model.error().context;
    EXPECT_TRUE(model->make_detector()) << kind.name;
    ++kinds;
  }
  EXPECT_GE(kinds, 5);
}

TEST(Train, TheSameRequestGivesTheSameBytes) {
  const Made made;
  const auto first = train(made.request()).value();
  EXPECT_EQ(first.file, train(made.request()).value().file);
  auto other = made.request();
  other.seed = 2;
  EXPECT_NE(first.file, train(other).value().file);
}

TEST(Train, HoldsTheNewestRowsOutAndSaysHowTheyScore) {
  Made made;
  const auto fine = train(made.request()).value();
  EXPECT_EQ(fine.evaluation.trained_rows, 480U);
  EXPECT_EQ(fine.evaluation.held_out_rows, 120U);
  EXPECT_LT(fine.evaluation.held_out_above, 0.1);
  // What comes later is something else: the evaluation shows it, the model does not learn it.
  for (std::size_t i = 480 * 2; i < made.values.size(); ++i) made.values[i] += 10;
  const auto drifted = train(made.request()).value();
  EXPECT_GT(drifted.evaluation.held_out_above, 0.9);
  EXPECT_EQ(drifted.header.sensors[0].mean, fine.header.sensors[0].mean);
}

TEST(Train, CalibratesOnItsOwnRowsWhereFewAreLeft) {
  const Made made;
  auto request = made.request();
  request.table.values = request.table.values.first(2 * 200);
  request.times = request.times.first(200);
  const auto trained = train(request).value();
  EXPECT_EQ(trained.evaluation.held_out_rows, 0U);
  EXPECT_EQ(trained.header.lineage.rows, 200U);
  EXPECT_FALSE(trained.header.calibration.held_out);
}

TEST(Train, MeasuresEachSensorWithoutItsHoles) {
  Made made;
  for (std::size_t row = 0; row < 240; ++row) {
    made.values[2 * row] = std::numeric_limits<double>::quiet_NaN();
  }
  const auto sensors = train(made.request()).value().header.sensors;
  EXPECT_DOUBLE_EQ(sensors[0].missing_share, 0.5);
  EXPECT_DOUBLE_EQ(sensors[1].missing_share, 0);
  EXPECT_NEAR(sensors[0].mean, 20, 0.1);
  EXPECT_NEAR(sensors[0].deviation, 0.71, 0.02);
  EXPECT_LT(sensors[0].least, 19.1);
}

TEST(Train, EndsWhenItIsAskedTo) {
  const Made made;
  auto request = made.request();
  request.progress = [](double) { return false; };
  EXPECT_EQ(train(request).error().code, Errc::shutting_down);
}

TEST(Train, TellsASpreadAsFarAsSoManyRowsKnowIt) {
  std::vector<float> scores;
  for (int i = 1; i <= 100; ++i) scores.push_back(static_cast<float>(101 - i));
  const auto spread = spread_of(scores, false);
  EXPECT_THAT(spread.shares, ElementsAre(0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75,
                                         0.8, 0.9, 0.95, 0.98, 0.99, 1));
  EXPECT_THAT(spread.scores,
              ElementsAre(1, 5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 95, 98, 99, 100));
}

}  // namespace
}  // namespace lapwing::model
