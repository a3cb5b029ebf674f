// SPDX-License-Identifier: Apache-2.0
/// What a group promises whose rows a model scores, alone or as a shadow.
#include "shared/detect/group_pipeline.hpp"
#include "shared/detect/kinds.hpp"
#include "tests/shared/detect/synthetic.hpp"
#include "tests/support/count_allocations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <ranges>
#include <utility>
#include <vector>

namespace lapwing::detect::group_model_test {
namespace {

using testing::Random;
using wire::Phase;
using wire::Reason;

constexpr std::size_t kWidth = 3;
const Time kStart = from_micros(1'700'000'000'000'000);
constexpr std::array kShares{.01, .05, .1,  .2,  .3,   .4,   .5,    .6, .7,
                             .8,  .9,  .95, .99, .995, .999, .9999, 1.};

GroupConfig config() {
  GroupConfig group;
  group.watch.name = "pump";
  group.watch.warmup = 400;
  return group;
}

Time time_of(std::size_t row) {
  return kStart + static_cast<std::int64_t>(row) * std::chrono::seconds(60);
}

/// Three sensors that follow one hidden load.
std::vector<double> machine(std::size_t rows, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> out;
  double load = 0;
  for (std::size_t t = 0; t < rows; ++t) {
    load = 0.9 * load + 0.4 * random.normal();
    out.push_back(load + 0.2 * random.normal());
    out.push_back(50 + 4 * load + random.normal());
    out.push_back(-load + 0.2 * random.normal());
  }
  return out;
}

/// A trained detector and the spread of its scores on rows it was not trained on.
struct Trained {
  const Kind* kind = find_kind("pca", Input::rows);
  std::vector<std::byte> model;
  std::shared_ptr<const NormalScores> normal;

  explicit Trained(std::size_t held_out = 4000) {
    const auto rows = machine(3000, 5);
    model = *kind->train({.values = rows, .width = kWidth}, {.width = kWidth}, {});
    const auto others = machine(held_out, 6);
    std::vector<float> scores(held_out);
    EXPECT_TRUE((*make())->score({.values = others, .width = kWidth}, {.raw = scores}));
    std::ranges::sort(scores);
    std::vector<float> at;
    for (const double share : kShares) {
      at.push_back(scores[static_cast<std::size_t>(share * static_cast<double>(held_out - 1))]);
    }
    normal = std::make_shared<const NormalScores>(NormalScores::of(kShares, at, held_out));
  }
  [[nodiscard]] Result<std::unique_ptr<Detector>> make() const {
    return kind->make({.width = kWidth}, {.model = model});
  }
  [[nodiscard]] TrainedModel use(std::uint64_t print = 1, const char* label = "pumps 1") const {
    return {.label = label, .detector = *make(), .normal = normal, .print = print};
  }
  [[nodiscard]] std::unique_ptr<GroupScorer> scorer(const GroupConfig& group,
                                                    std::uint64_t print = 1) const {
    return std::make_unique<GroupScorer>(group.watch, use(print));
  }
};

/// Says something that is no score now and then, or costs time.
class Broken final : public Detector {
 public:
  explicit Broken(float said) : said_(said) {}
  Result<void> score(const Batch& batch, Scores out) override {
    for (float& raw : out.raw) raw = said_;
    std::ranges::fill(out.contributions, said_);
    (void)batch;
    return {};
  }
  [[nodiscard]] std::size_t warmup_rows() const noexcept override { return 0; }
  [[nodiscard]] bool warm() const noexcept override { return true; }
  [[nodiscard]] std::size_t state_bytes() const noexcept override { return sizeof(*this); }
  void snapshot(std::vector<std::byte>&) const override {}
  Result<void> restore(std::span<const std::byte>) override { return {}; }

 private:
  float said_;
};

struct Outcome {
  std::vector<GroupVerdict> verdicts;
  std::vector<GroupEvent> events;

  [[nodiscard]] std::ptrdiff_t count(Phase phase, Reason reason = Reason::unusual) const {
    return std::ranges::count_if(events, [&](const GroupEvent& e) {
      return e.event.phase == phase && e.event.reason == reason;
    });
  }
};

void run(GroupPipeline& pipeline, const std::vector<double>& values, std::size_t begin,
         std::size_t end, Outcome& out) {
  for (std::size_t t = begin; t < end; ++t) {
    const std::span row(&values[t * kWidth], kWidth);
    out.verdicts.push_back(pipeline.push(time_of(t), row, time_of(t), out.events));
  }
}

/// The sensors do not follow the load together any more.
void break_apart(std::vector<double>& values, std::size_t from, std::size_t to) {
  for (std::size_t t = from; t < to; ++t) values[t * kWidth + 2] += 8;
}

TEST(GroupWithAModel, ScoresItsFirstRowFindsAFaultAndSaysWhose) {
  const auto group = config();
  const Trained trained;
  const auto pipeline = GroupPipeline::make(group, kWidth, 7, trained.use());
  EXPECT_TRUE(pipeline->state().warm) << "before the first row";
  auto values = machine(400, 11);
  break_apart(values, 300, 340);
  Outcome out;
  run(*pipeline, values, 0, 400, out);
  EXPECT_TRUE(out.verdicts[0].scored);
  ASSERT_EQ(out.count(Phase::opened), 1);
  const auto& event = out.events.front();
  EXPECT_EQ(event.event.onset, time_of(300));
  ASSERT_GT(event.parts_count, 0U);
  EXPECT_EQ(event.parts[0].sensor, 2U);
  EXPECT_EQ(out.count(Phase::closed), 1);
}

TEST(GroupWithAModel, ExplainsAnAnomalyTheSameWhereNoOtherRowIsExplained) {
  const auto group = config();
  const Trained trained;
  auto values = machine(400, 11);
  break_apart(values, 300, 340);
  const auto all = GroupPipeline::make(group, kWidth, 7, trained.use());
  const auto some = GroupPipeline::make(group, kWidth, 7, trained.use());
  some->explain_anomalies_only();
  Outcome a;
  Outcome b;
  run(*all, values, 0, 400, a);
  run(*some, values, 0, 400, b);
  ASSERT_EQ(a.events.size(), b.events.size());
  for (std::size_t i = 0; i < a.events.size(); ++i) {
    ASSERT_EQ(a.events[i].parts_count, b.events[i].parts_count);
    for (std::size_t p = 0; p < a.events[i].parts_count; ++p) {
      EXPECT_EQ(a.events[i].parts[p].sensor, b.events[i].parts[p].sensor);
      EXPECT_EQ(a.events[i].parts[p].share, b.events[i].parts[p].share);
    }
  }
}

TEST(GroupWithAModel, KeepsTheAlarmBudgetFromItsCalibrationAlone) {
  auto group = config();
  group.watch.alarms_per_week = 3;
  const Trained trained;
  std::ptrdiff_t alarms = 0;
  constexpr int kWeeks = 4;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const auto pipeline = GroupPipeline::make(group, kWidth, 7, trained.use());
    Outcome out;
    run(*pipeline, machine(kWeeks * 10'080, 100 + seed), 0, kWeeks * 10'080, out);
    alarms += out.count(Phase::opened);
  }
  const double asked = 8 * kWeeks * group.watch.alarms_per_week;
  EXPECT_GT(static_cast<double>(alarms), 0.3 * asked);
  EXPECT_LT(static_cast<double>(alarms), 1.7 * asked);
}

TEST(GroupWithAModel, TakesOverBetweenTwoRowsAndEndsTheOpenAnomaly) {
  const auto group = config();
  const Trained trained;
  auto pipeline = *GroupPipeline::make(group, kWidth, 7);
  auto values = machine(1200, 12);
  break_apart(values, 900, 1200);
  Outcome out;
  run(*pipeline, values, 0, 950, out);
  ASSERT_EQ(out.count(Phase::opened), 1);
  EXPECT_EQ(out.count(Phase::closed), 0);
  const auto id = out.events.front().event.id;
  pipeline->end_anomaly(out.events);
  const auto before = pipeline->exchange(trained.scorer(group));
  EXPECT_FALSE(before->is_model());
  ASSERT_EQ(out.count(Phase::closed), 1);
  EXPECT_EQ(out.events.back().event.id, id);
  EXPECT_EQ(out.events.back().event.end, time_of(949));
  run(*pipeline, values, 950, 1000, out);
  EXPECT_EQ(out.count(Phase::opened), 2) << "the fault lasts, and is the model's anomaly now";
  EXPECT_NE(out.events.back().event.id, id);
  EXPECT_TRUE(std::ranges::all_of(out.verdicts | std::views::drop(500),
                                  [](const auto& verdict) { return verdict.scored; }));
}

TEST(GroupWithAModel, SensorChecksGoOnOverAChange) {
  auto group = config();
  const Trained trained;
  auto pipeline = *GroupPipeline::make(group, kWidth, 7);
  auto values = machine(1000, 13);
  for (std::size_t t = 700; t < 1000; ++t) {
    values[t * kWidth] = std::numeric_limits<double>::quiet_NaN();
  }
  Outcome out;
  run(*pipeline, values, 0, 800, out);
  ASSERT_EQ(out.count(Phase::opened, Reason::gap), 1);
  pipeline->end_anomaly(out.events);
  (void)pipeline->exchange(trained.scorer(group));
  run(*pipeline, values, 800, 900, out);
  EXPECT_EQ(out.count(Phase::opened, Reason::gap), 1) << "the same outage";
  EXPECT_EQ(out.count(Phase::closed, Reason::gap), 0);
  EXPECT_EQ(pipeline->anomalies_open(0), 1U);
}

TEST(GroupWithAModel, AShadowIsComparedAndSaysNothing) {
  const auto group = config();
  const Trained trained;
  const auto pipeline = GroupPipeline::make(group, kWidth, 7, trained.use());
  (void)pipeline->exchange_shadow(trained.scorer(group, 2));
  auto values = machine(4000, 14);
  break_apart(values, 2000, 2040);
  Outcome out;
  run(*pipeline, values, 0, 4000, out);
  const auto without = GroupPipeline::make(group, kWidth, 7, trained.use());
  Outcome alone;
  run(*without, values, 0, 4000, alone);
  ASSERT_EQ(alone.events.size(), out.events.size());
  for (std::size_t i = 0; i < alone.verdicts.size(); ++i) {
    ASSERT_EQ(alone.verdicts[i].score, out.verdicts[i].score);
  }
  wire::ModelStatistics said;
  pipeline->shadow()->comparison()->fill(said);
  EXPECT_EQ(said.rows, 4000U);
  EXPECT_EQ(said.alarms, said.rival_alarms);
  EXPECT_EQ(said.alarms, static_cast<std::uint64_t>(out.count(Phase::opened)));
  EXPECT_EQ(said.anomalous_rows, said.rival_anomalous_rows);
  EXPECT_EQ(said.agreement, 1) << "it is the same model";
  EXPECT_LT(said.psi, .05) << "rows like those of its calibration";
  EXPECT_GT(said.cost_p99, 0);
  EXPECT_GT(said.rival_cost_p99, 0);
  ASSERT_EQ(said.quantiles.size(), std::size(wire::kModelQuantiles));
  EXPECT_TRUE(std::ranges::is_sorted(said.quantiles));
}

TEST(GroupWithAModel, OneThatSaysNoNumbersHarmsNobodyAndIsCounted) {
  const auto group = config();
  const Trained trained;
  for (const float said :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1.0F}) {
    const auto pipeline = GroupPipeline::make(group, kWidth, 7, trained.use());
    (void)pipeline->exchange_shadow(std::make_unique<GroupScorer>(
        group.watch, TrainedModel{.label = "pumps 2",
                                  .detector = std::make_unique<Broken>(said),
                                  .normal = trained.normal,
                                  .print = 2}));
    auto values = machine(500, 15);
    break_apart(values, 400, 440);
    Outcome out;
    run(*pipeline, values, 0, 500, out);
    EXPECT_EQ(out.count(Phase::opened), 1);
    wire::ModelStatistics counts;
    pipeline->shadow()->comparison()->fill(counts);
    EXPECT_EQ(counts.not_a_number, 500U);
    EXPECT_EQ(counts.rows, 0U);
    EXPECT_EQ(counts.rival_alarms, 1U);
    EXPECT_TRUE(counts.quantiles.empty());
    // And as the active one: nothing is scored, and the one after it begins clean.
    (void)pipeline->exchange(pipeline->exchange_shadow(nullptr));
    Outcome blind;
    run(*pipeline, machine(600, 16), 500, 600, blind);
    EXPECT_FALSE(blind.verdicts.back().scored);
    EXPECT_TRUE(blind.events.empty());
    (void)pipeline->exchange(trained.scorer(group));
    run(*pipeline, machine(700, 16), 600, 700, blind);
    EXPECT_TRUE(blind.verdicts.back().scored);
  }
}

TEST(GroupWithAModel, ADriftShowsInTheStabilityIndex) {
  const auto group = config();
  const Trained trained;
  const auto pipeline = GroupPipeline::make(group, kWidth, 7, trained.use());
  auto values = machine(2000, 17);
  for (std::size_t t = 0; t < 2000; ++t) values[t * kWidth] += .6;
  Outcome out;
  run(*pipeline, values, 0, 2000, out);
  wire::ModelStatistics said;
  pipeline->scorer().comparison()->fill(said);
  EXPECT_GT(said.psi, .25);
  EXPECT_EQ(said.rival_alarms, 0U) << "it has no rival";
  EXPECT_TRUE(std::isnan(said.agreement));
}

TEST(GroupWithAModel, GoesOnAfterASnapshotWithTheSameModelOnly) {
  const auto group = config();
  const Trained trained;
  const auto pipeline = GroupPipeline::make(group, kWidth, 7, trained.use(1));
  auto values = machine(1200, 18);
  break_apart(values, 950, 1200);
  Outcome out;
  run(*pipeline, values, 0, 1000, out);
  ASSERT_EQ(out.count(Phase::opened), 1);
  std::vector<std::byte> bytes;
  pipeline->snapshot(bytes);

  const auto same = GroupPipeline::make(group, kWidth, 7, trained.use(1));
  ASSERT_TRUE(same->restore(bytes));
  Outcome first;
  Outcome second;
  run(*pipeline, values, 1000, 1200, first);
  run(*same, values, 1000, 1200, second);
  for (std::size_t i = 0; i < first.verdicts.size(); ++i) {
    ASSERT_EQ(first.verdicts[i].score, second.verdicts[i].score) << i;
  }
  EXPECT_EQ(second.count(Phase::opened), 0) << "the anomaly is still the one that was open";

  const auto ends_it = [&](GroupPipeline& other) {
    const auto refused = other.restore(bytes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unsupported);
    Outcome after;
    run(other, values, 1000, 1001, after);
    EXPECT_EQ(after.count(Phase::closed), 1) << "what the other model found is over";
    EXPECT_EQ(other.state().rows_total, 1001U) << "the sensors' own state was kept";
  };
  ends_it(*GroupPipeline::make(group, kWidth, 7, trained.use(2)));
  ends_it(**GroupPipeline::make(group, kWidth, 7));
}

TEST(GroupWithAModel, TakesOverTheSensorsOfASnapshotWithoutOne) {
  const auto group = config();
  const Trained trained;
  auto pipeline = *GroupPipeline::make(group, kWidth, 7);
  auto values = machine(1000, 19);
  break_apart(values, 900, 1000);
  Outcome out;
  run(*pipeline, values, 0, 950, out);
  ASSERT_EQ(out.count(Phase::opened), 1);
  std::vector<std::byte> bytes;
  pipeline->snapshot(bytes);
  const auto other = GroupPipeline::make(group, kWidth, 7, trained.use());
  const auto refused = other->restore(bytes);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(other->state().warm);
  Outcome after;
  run(*other, values, 950, 951, after);
  EXPECT_EQ(after.count(Phase::closed), 1);
  EXPECT_TRUE(after.verdicts[0].scored);
}

TEST(GroupWithAModel, RefusesDamagedSnapshotsAndScoresOn) {
  const auto group = config();
  const Trained trained;
  const auto pipeline = GroupPipeline::make(group, kWidth, 7, trained.use());
  const auto values = machine(600, 20);
  Outcome out;
  run(*pipeline, values, 0, 500, out);
  std::vector<std::byte> bytes;
  pipeline->snapshot(bytes);
  for (std::size_t at = 0; at < bytes.size(); at += 61) {
    auto damaged = bytes;
    damaged[at] ^= std::byte{0x10};
    const auto other = GroupPipeline::make(group, kWidth, 7, trained.use());
    EXPECT_FALSE(other->restore(damaged)) << at;
    EXPECT_FALSE(other->restore(std::span(bytes).first(at))) << at;
    Outcome after;
    run(*other, values, 500, 600, after);
    EXPECT_TRUE(after.verdicts.back().scored) << at;
  }
}

TEST(GroupWithAModel, AllocatesNothingPerRow) {
  const auto group = config();
  const Trained trained;
  const auto pipeline = GroupPipeline::make(group, kWidth, 7, trained.use());
  (void)pipeline->exchange_shadow(trained.scorer(group, 2));
  auto values = machine(1000, 21);
  Outcome out;
  out.events.reserve(100);
  out.verdicts.reserve(1000);
  run(*pipeline, values, 0, 500, out);
  const lapwing::testing::AllocationCount count;
  run(*pipeline, values, 500, 1000, out);
  EXPECT_EQ(count.since_start(), 0U);
}

TEST(Comparison, AddsUpOverGroups) {
  const auto normal = std::make_shared<const NormalScores>(
      NormalScores::of(std::array{.25, .5, .75, 1.}, std::array{1.F, 2.F, 3.F, 4.F}, 400));
  Comparison all(normal);
  Comparison one(normal);
  Comparison other(normal);
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    const RowOutcome own{.raw = static_cast<float>(4 * random.uniform()),
                         .scored = i % 97 != 0,
                         .anomalous = i % 50 == 0,
                         .opened = i % 100 == 0,
                         .seconds = 1e-6 * (1 + random.uniform())};
    const RowOutcome rival{.raw = 1, .scored = true, .anomalous = i % 25 == 0, .seconds = 2e-6};
    all.row(own, &rival);
    (i % 3 == 0 ? one : other).row(own, &rival);
  }
  wire::ModelStatistics together;
  all.fill(together);
  one.merge(other);
  wire::ModelStatistics merged;
  one.fill(merged);
  EXPECT_EQ(merged.rows, together.rows);
  EXPECT_EQ(merged.rows, 2000U - 21U);
  EXPECT_EQ(merged.alarms, together.alarms);
  EXPECT_EQ(merged.rival_anomalous_rows, 80U);
  EXPECT_EQ(merged.agreement, together.agreement);
  EXPECT_NEAR(merged.agreement, .98, .001);
  EXPECT_EQ(merged.psi, together.psi);
  EXPECT_LT(merged.psi, .02) << "the same spread";
  EXPECT_EQ(merged.quantiles, together.quantiles);
  EXPECT_NEAR(merged.quantiles[3], 2, .1);
  EXPECT_NEAR(merged.cost_p99, 1.99e-6, .04e-6);
  EXPECT_NEAR(merged.rival_cost_p99, 2e-6, .04e-6);
}

TEST(Comparison, TheIndexIsTheSumOverTheBins) {
  const auto normal = std::make_shared<const NormalScores>(
      NormalScores::of(std::array{.5, 1.}, std::array{1.F, 2.F}, 400));
  ASSERT_EQ(normal->bins.shares.size(), 2U);
  Comparison account(normal);
  for (int i = 0; i < 1000; ++i) {
    account.row({.raw = i < 900 ? .5F : 1.5F, .scored = true, .seconds = 1e-6}, nullptr);
  }
  wire::ModelStatistics said;
  account.fill(said);
  EXPECT_NEAR(said.psi, .4 * std::log(.9 / .5) - .4 * std::log(.1 / .5), .01);
}

TEST(NormalScores, GiveBackTheQuantilesTheyCameFrom) {
  std::vector<float> scores;
  for (const double share : kShares) scores.push_back(static_cast<float>(1 + share * share));
  const auto normal = NormalScores::of(kShares, scores, 5000);
  ASSERT_EQ(normal.sample.size(), 5000U);
  auto sorted = normal.sample;
  EXPECT_FALSE(std::ranges::is_sorted(sorted)) << "in no order";
  std::ranges::sort(sorted);
  for (std::size_t i = 0; i + 1 < kShares.size(); ++i) {
    EXPECT_NEAR(sorted[static_cast<std::size_t>(kShares[i] * 5000)], scores[i], .01) << kShares[i];
  }
  ASSERT_EQ(normal.bins.shares.size(), 10U) << "the deciles";
  for (const double share : normal.bins.shares) EXPECT_NEAR(share, .1, 1e-9);
  const auto flat =
      NormalScores::of(std::array{.2, .4, .6, 1.}, std::array{1.F, 1.F, 1.F, 2.F}, 10);
  ASSERT_EQ(flat.bins.shares.size(), 2U) << "scores that are the same are in one bin";
  EXPECT_NEAR(flat.bins.shares[0], .6, 1e-9);
  EXPECT_TRUE(NormalScores::of({}, {}, 0).sample.empty());
}

}  // namespace
}  // namespace lapwing::detect::group_model_test
