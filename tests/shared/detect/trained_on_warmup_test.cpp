// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/trained_on_warmup.hpp"

#include "shared/detect/group_pipeline.hpp"
#include "shared/detect/kinds.hpp"
#include "tests/shared/detect/synthetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace lapwing::detect::trained_on_warmup_test {
namespace {

constexpr std::size_t kWidth = 3;
const Time kStart = from_micros(1'700'000'000'000'000);

/// Rows of sensors that share a load; from `fault` on the last leaves it.
std::vector<double> rows(std::size_t count, std::size_t fault, std::uint64_t seed) {
  testing::Random random(seed);
  std::vector<double> values;
  for (std::size_t t = 0; t < count; ++t) {
    const double load = std::sin(.07 * static_cast<double>(t)) + .3 * random.normal();
    values.push_back(10 + 2 * load + .1 * random.normal());
    values.push_back(4 + load + .1 * random.normal());
    values.push_back(20 - 3 * load + .1 * random.normal() + (t >= fault ? 30 : 0));
  }
  return values;
}

std::vector<float> scores(Detector& detector, std::span<const double> values) {
  std::vector<float> raw(values.size() / kWidth);
  EXPECT_TRUE(detector.score({.values = values, .width = kWidth}, {.raw = raw}));
  return raw;
}

class TrainedKinds : public ::testing::TestWithParam<const Kind*> {
 protected:
  std::unique_ptr<Detector> make() {
    auto made = make_live(*GetParam(), {.width = kWidth, .warmup = 240});
    EXPECT_TRUE(made) << made.error().context;
    return *std::move(made);
  }
};

TEST_P(TrainedKinds, ScoreTheSameHoweverRowsAreCut) {
  const auto values = rows(600, 600, 1);
  const auto one = make();
  const auto other = make();
  const auto whole = scores(*one, values);
  std::vector<float> parts;
  for (std::size_t at = 0; at < values.size();) {
    const std::size_t count = std::min(values.size() - at, kWidth * (1 + at % 7));
    const auto part = scores(*other, std::span(values).subspan(at, count));
    parts.insert(parts.end(), part.begin(), part.end());
    at += count;
  }
  EXPECT_EQ(whole, parts);
  EXPECT_TRUE(one->warm());
  EXPECT_TRUE(std::all_of(whole.begin(), whole.begin() + 240, [](float v) { return v == 0; }));
  EXPECT_TRUE(std::any_of(whole.begin() + 240, whole.end(), [](float v) { return v > 0; }));
}

TEST_P(TrainedKinds, GoOnFromASnapshotBeforeAndAfterTheTraining) {
  for (const std::size_t at : {100UL, 400UL}) {
    const auto values = rows(600, 600, 2);
    const auto one = make();
    scores(*one, std::span(values).first(at * kWidth));
    std::vector<std::byte> state;
    one->snapshot(state);
    const auto other = make();
    ASSERT_TRUE(other->restore(state));
    EXPECT_EQ(other->warm(), one->warm());
    const auto rest = std::span(values).subspan(at * kWidth);
    EXPECT_EQ(scores(*one, rest), scores(*other, rest));
    state[state.size() / 2] ^= std::byte{1};
    EXPECT_FALSE(other->restore(state));
    EXPECT_FALSE(other->warm());
  }
}

TEST_P(TrainedKinds, FindAFaultInAGroupAndNameItsSensor) {
  // Its score is bounded: one column far out is isolated no sooner than the rarest normal row.
  if (GetParam()->name == kIsolationForest.name) return;
  GroupConfig group;
  group.watch.name = "pump";
  group.watch.streams = {"in", "flow", "out"};
  group.watch.detector = GetParam()->name;
  group.watch.warmup = 600;
  auto pipeline = GroupPipeline::make(group, kWidth, 1);
  ASSERT_TRUE(pipeline) << pipeline.error().context;
  const auto values = rows(2000, 1900, 3);
  std::vector<GroupEvent> events;
  int before = 0;
  for (std::size_t t = 0; t < values.size() / kWidth; ++t) {
    const Time time = kStart + std::chrono::minutes(t);
    (*pipeline)->push(time, std::span(values).subspan(t * kWidth, kWidth), time, events);
    if (t == 1899) before = static_cast<int>(events.size());
  }
  EXPECT_LE(before, 6) << "opened, updated or closed";
  const auto found = std::find_if(events.begin() + before, events.end(), [](const GroupEvent& e) {
    return e.event.phase == wire::Phase::opened && e.sensor == GroupEvent::kGroup;
  });
  ASSERT_NE(found, events.end());
  EXPECT_LE(found->event.onset, kStart + std::chrono::minutes(1902));
  ASSERT_GT(found->parts_count, 0U);
  EXPECT_EQ(found->parts[0].sensor, 2);
}

TEST_P(TrainedKinds, ANewNormalIsLearnt) {
  const auto detector = make();
  const auto values = rows(900, 500, 4);
  const auto before = scores(*detector, values);
  detector->accept_new_normal();
  const auto after = scores(*detector, std::span(values).subspan(800 * kWidth));
  const auto mean = [](std::span<const float> some) {
    double sum = 0;
    for (const float v : some) sum += static_cast<double>(v);
    return sum / static_cast<double>(some.size());
  };
  EXPECT_LT(mean(after), mean(std::span(before).subspan(800)));
}

TEST_P(TrainedKinds, RowsThatNeverVaryAreNoModel) {
  const auto detector = make();
  const std::vector<double> still(1000 * kWidth, 5.0);
  const auto raw = scores(*detector, still);
  EXPECT_TRUE(std::ranges::all_of(raw, [](float v) { return std::isfinite(v); }));
  scores(*detector, rows(700, 700, 5));
  EXPECT_TRUE(detector->warm()) << "the next warm-up does";
}

std::vector<const Kind*> trained_kinds() {
  std::vector<const Kind*> kinds;
  for (const Kind& kind : kKinds) {
    if (kind.learning == Learning::trained && find_live_kind(kind.name, Input::group) == &kind) {
      kinds.push_back(&kind);
    }
  }
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(Rows, TrainedKinds, ::testing::ValuesIn(trained_kinds()),
                         [](const auto& one) { return std::string(one.param->name); });

}  // namespace
}  // namespace lapwing::detect::trained_on_warmup_test
