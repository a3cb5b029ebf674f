// SPDX-License-Identifier: Apache-2.0
/// New streams that begin with what settled ones of their watch have taught.
#include "shared/detect/alarm_prior.hpp"
#include "shared/detect/pipeline.hpp"
#include "tests/shared/detect/synthetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::detect::taught_streams_test {
namespace {

constexpr int kWeek = 2016;  // rows

/// Of streams that pass each level twelve times as often as streams in general.
AlarmPrior noisy_prior() {
  AlarmExperience seen{.rows = 10 * kWeek};
  for (std::size_t i = 0; i < AlarmLevels::kCount; ++i) {
    seen.alarms[i] = 12 * 10 * std::exp(-AlarmPrior::general_rarity(AlarmLevels::at(i)));
  }
  AlarmPriorLearner learner;
  for (int peer = 0; peer < 20; ++peer) learner.add(seen);
  return learner.learn();
}

std::unique_ptr<Pipeline> make(const WatchConfig& watch) {
  auto made = Pipeline::make(watch, 1);
  EXPECT_TRUE(made) << made.error().context;
  return std::move(*made);
}

/// Verdicts of a stream's readings.
std::vector<Verdict> replay(Pipeline& pipeline, std::span<const Sample> samples) {
  std::vector<Verdict> verdicts(samples.size());
  std::vector<Event> events;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    pipeline.push({&samples[i], 1}, samples[i].time, events, {&verdicts[i], 1});
  }
  return verdicts;
}

std::vector<float> alarms(const std::vector<Verdict>& verdicts) {
  std::vector<float> out;
  for (const Verdict& verdict : verdicts) out.push_back(verdict.alarm);
  return out;
}

std::vector<Sample> stream_of(testing::Normal normal, std::uint64_t seed, int weeks) {
  return testing::make_stream(
      {.normal = normal, .seed = seed, .readings = static_cast<std::size_t>(weeks) * kWeek});
}

TEST(TaughtStreams, KeepTheirPriorInASnapshot) {
  const WatchConfig watch;
  const AlarmPrior prior = noisy_prior();
  const auto samples = stream_of(testing::Normal::heavy, 5, 4);
  const auto one = make(watch);
  one->begin_with(prior);
  const auto first = replay(*one, std::span(samples).first(2 * kWeek));
  std::vector<std::byte> bytes;
  one->snapshot(bytes);
  const auto two = make(watch);
  ASSERT_TRUE(two->restore(bytes));
  std::vector<std::byte> again;
  two->snapshot(again);
  EXPECT_EQ(bytes, again);
  const auto rest = std::span(samples).subspan(2 * kWeek);
  EXPECT_EQ(alarms(replay(*one, rest)), alarms(replay(*two, rest)));

  const auto untaught = make(watch);
  EXPECT_NE(alarms(replay(*untaught, std::span(samples).first(2 * kWeek))), alarms(first));
  std::vector<std::byte> shorter;
  untaught->snapshot(shorter);
  EXPECT_LT(shorter.size(), bytes.size()) << "its state is what it was before there were priors";
}

TEST(TaughtStreams, WithReadingsTakeNoOther) {
  const WatchConfig watch;
  const auto samples = stream_of(testing::Normal::heavy, 5, 4);
  const auto one = make(watch);
  const auto two = make(watch);
  replay(*one, std::span(samples).first(1));
  replay(*two, std::span(samples).first(1));
  one->begin_with(noisy_prior());
  const auto rest = std::span(samples).subspan(1);
  EXPECT_EQ(alarms(replay(*one, rest)), alarms(replay(*two, rest)));
}

TEST(TaughtStreams, AreNotThoseOfKindsThatCalibrateThemselves) {
  WatchConfig watch;
  watch.detector = "ewma";
  const auto samples = stream_of(testing::Normal::noise, 5, 7);
  const auto one = make(watch);
  const auto two = make(watch);
  one->begin_with(noisy_prior());
  EXPECT_EQ(alarms(replay(*one, samples)), alarms(replay(*two, samples)));
  AlarmPriorLearner learner;
  EXPECT_FALSE(one->teach(learner));
  EXPECT_EQ(learner.streams(), 0U);
}

/// Alarms in the first four weeks of six new streams, of one kind, in all.
int first_alarms(testing::Normal normal, const AlarmPrior& prior) {
  const WatchConfig watch;
  int count = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const auto one = make(watch);
    one->begin_with(prior);
    const auto found = alarms(replay(*one, stream_of(normal, seed, 4)));
    count += static_cast<int>(std::ranges::count_if(found, [](float a) { return a > 0; }));
  }
  return count;
}

TEST(TaughtStreams, RaiseHalfTheAlarmsBeyondTheirBudget) {
  const WatchConfig watch;
  int with = 0;
  int without = 0;
  for (const auto normal : testing::kNormals) {
    AlarmPriorLearner learner;
    for (std::uint64_t seed = 501; seed <= 506; ++seed) {
      const auto peer = make(watch);
      replay(*peer, stream_of(normal, seed, 7));
      EXPECT_TRUE(peer->teach(learner));
    }
    with += first_alarms(normal, learner.learn());
    without += first_alarms(normal, {});
  }
  const int asked = 6 * 6 * 4;
  RecordProperty("with", with);
  RecordProperty("without", without);
  EXPECT_GT(without, asked * 3 / 2);
  EXPECT_LT(std::abs(with - asked), (without - asked) / 2) << with << ", was " << without;
}

}  // namespace
}  // namespace lapwing::detect::taught_streams_test
