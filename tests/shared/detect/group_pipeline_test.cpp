// SPDX-License-Identifier: Apache-2.0
/// What a group's pipeline promises: faults found and explained, outages told apart, honest budget.
#include "shared/detect/group_pipeline.hpp"

#include "shared/detect/episode.hpp"
#include "tests/shared/detect/synthetic.hpp"
#include "tests/support/count_allocations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

namespace lapwing::detect::group_pipeline_test {
namespace {

using std::chrono::minutes;
using testing::Random;
using wire::Phase;
using wire::Reason;

constexpr std::size_t kWidth = 3;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const Time kStart = from_micros(1'700'000'000'000'000);

GroupConfig config(std::uint32_t warmup = 400) {
  GroupConfig group;
  group.watch.name = "pump";
  group.watch.warmup = warmup;
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

struct Outcome {
  std::vector<GroupVerdict> verdicts;
  std::vector<GroupEvent> events;
};

Outcome run(GroupPipeline& pipeline, const std::vector<double>& values, std::size_t begin,
            std::size_t end) {
  Outcome out;
  for (std::size_t t = begin; t < end; ++t) {
    const std::span row(&values[t * kWidth], kWidth);
    out.verdicts.push_back(pipeline.push(time_of(t), row, time_of(t), out.events));
  }
  return out;
}

Outcome run(const GroupConfig& group, const std::vector<double>& values) {
  const auto pipeline = GroupPipeline::make(group, kWidth, 7);
  EXPECT_TRUE(pipeline) << pipeline.error().context;
  return run(**pipeline, values, 0, values.size() / kWidth);
}

std::vector<GroupEvent> opened(const Outcome& outcome, Reason reason) {
  std::vector<GroupEvent> out;
  std::ranges::copy_if(outcome.events, std::back_inserter(out), [reason](const GroupEvent& e) {
    return e.event.phase == Phase::opened && e.event.reason == reason;
  });
  return out;
}

TEST(GroupPipeline, FindsAFaultSaysWhoseItIsAndWhenItIsOver) {
  auto values = machine(1500, 1);
  for (std::size_t t = 1000; t < 1200; ++t) values[t * kWidth + 2] += 2;
  const GroupConfig group = config();
  const Outcome out = run(group, values);
  const auto alarms = opened(out, Reason::unusual);
  ASSERT_EQ(alarms.size(), 1U);
  EXPECT_EQ(alarms[0].sensor, GroupEvent::kGroup);
  EXPECT_GE(alarms[0].event.onset, time_of(1000));
  EXPECT_LE(alarms[0].event.onset, time_of(1010));
  ASSERT_GT(alarms[0].parts_count, 0U);
  EXPECT_EQ(alarms[0].parts[0].sensor, 2);
  const auto anomalous = [&](std::size_t begin, std::size_t end) {
    return std::count_if(out.verdicts.begin() + static_cast<std::ptrdiff_t>(begin),
                         out.verdicts.begin() + static_cast<std::ptrdiff_t>(end),
                         [](const GroupVerdict& v) { return v.anomalous; });
  };
  EXPECT_EQ(anomalous(0, 1000), 0);
  EXPECT_GT(anomalous(1000, 1200), 180) << "as long as the fault lasts";
  EXPECT_LT(anomalous(1200, 1500), 40) << "and not for long after";

  const std::vector<std::string> sensors{"in", "flow", "out"};
  const auto record = to_record(alarms[0], group, "pump", sensors, {});
  EXPECT_EQ(record.stream, "pump");
  ASSERT_EQ(record.contributions.size(), alarms[0].parts_count);
  EXPECT_EQ(record.contributions[0].stream, "out");
  EXPECT_NE(record.text.find("out "), std::string::npos) << record.text;
}

TEST(GroupPipeline, TellsTheSharesOfEveryRow) {
  const GroupConfig group = config();
  const auto pipeline = GroupPipeline::make(group, kWidth, 7);
  ASSERT_TRUE(pipeline);
  auto values = machine(450, 3);
  for (std::size_t t = 430; t < 450; ++t) values[t * kWidth + 1] += 40;
  const auto total = [&] {
    const auto shares = (*pipeline)->contributions();
    return std::accumulate(shares.begin(), shares.end(), 0.0);
  };
  run(**pipeline, values, 0, 300);
  ASSERT_EQ((*pipeline)->contributions().size(), kWidth);
  EXPECT_EQ(total(), 0) << "warming up";
  run(**pipeline, values, 300, 449);
  const Outcome last = run(**pipeline, values, 449, 450);
  EXPECT_TRUE(last.verdicts[0].scored);
  EXPECT_NEAR(total(), 1, 1e-5);
  EXPECT_GT((*pipeline)->contributions()[1], 0.5F) << "the sensor at fault";
}

TEST(GroupPipeline, NormalRowsRaiseFewAlarms) {
  int alarms = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const GroupConfig group = config();
    alarms += static_cast<int>(opened(run(group, machine(10'400, seed)), Reason::unusual).size());
  }
  // A week has 10,080 rows of a minute: about ten were asked for.
  EXPECT_LE(alarms, 25);
}

TEST(GroupPipeline, AnOutageIsItsSensorsOwnAndTheOthersGoOn) {
  auto values = machine(1500, 2);
  for (std::size_t t = 900; t < 1100; ++t) values[t * kWidth + 1] = kNan;
  for (std::size_t t = 1000; t < 1050; ++t) values[t * kWidth] += 4;
  const GroupConfig group = config();
  const Outcome out = run(group, values);
  const auto outages = opened(out, Reason::gap);
  ASSERT_EQ(outages.size(), 1U);
  EXPECT_EQ(outages[0].sensor, 1);
  EXPECT_EQ(outages[0].event.onset, time_of(899));
  const std::vector<std::string> sensors{"in", "flow", "out"};
  EXPECT_EQ(to_record(outages[0], group, "pump", sensors, {}).stream, "flow");
  const auto alarms = opened(out, Reason::unusual);
  ASSERT_EQ(alarms.size(), 1U) << "the fault of the other sensor, and not the outage";
  EXPECT_NE(alarms[0].parts[0].sensor, 1);
  EXPECT_TRUE(std::ranges::any_of(out.events, [](const GroupEvent& e) {
    return e.event.phase == Phase::closed && e.event.reason == Reason::gap && e.sensor == 1;
  })) << "it ends when the sensor is back";
}

TEST(GroupPipeline, TellsAnOutageWhenNoRowsCome) {
  const GroupConfig group = config();
  const auto pipeline = GroupPipeline::make(group, kWidth, 7);
  ASSERT_TRUE(pipeline);
  const auto values = machine(500, 2);
  run(**pipeline, values, 0, 500);
  std::vector<GroupEvent> events;
  (*pipeline)->tick(time_of(502), events);
  EXPECT_TRUE(events.empty());
  (*pipeline)->tick(time_of(560), events);
  ASSERT_EQ(events.size(), 1U) << "one of the group, not one a sensor";
  EXPECT_EQ(events[0].sensor, GroupEvent::kGroup);
  EXPECT_EQ(events[0].event.reason, Reason::gap);
  EXPECT_EQ(events[0].event.onset, time_of(499));
  run(**pipeline, machine(600, 2), 590, 600);
  EXPECT_EQ((*pipeline)->anomalies_open(0), 0U);
}

TEST(GroupPipeline, AHoleInRecordedRowsIsOneOutageOfTheGroup) {
  const GroupConfig group = config();
  const auto values = machine(1000, 2);
  const auto pipeline = GroupPipeline::make(group, kWidth, 7);
  ASSERT_TRUE(pipeline);
  run(**pipeline, values, 0, 500);
  const auto gaps = opened(run(**pipeline, values, 700, 1000), Reason::gap);
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_EQ(gaps[0].sensor, GroupEvent::kGroup);
  EXPECT_EQ(gaps[0].event.onset, time_of(499));
}

TEST(GroupPipeline, ASensorThatStaysAwayAfterAHoleIsItsOwnOutage) {
  const GroupConfig group = config();
  auto values = machine(1000, 2);
  for (std::size_t t = 700; t < 1000; ++t) values[t * kWidth + 1] = kNan;
  const auto pipeline = GroupPipeline::make(group, kWidth, 7);
  ASSERT_TRUE(pipeline);
  run(**pipeline, values, 0, 500);
  const auto gaps = opened(run(**pipeline, values, 700, 1000), Reason::gap);
  ASSERT_EQ(gaps.size(), 2U);
  EXPECT_TRUE(std::ranges::any_of(gaps, [](const GroupEvent& e) { return e.sensor == 1; }));
}

TEST(GroupPipeline, HardLimitsAreChecksOfEverySensor) {
  auto values = machine(1000, 3);
  values[700 * kWidth + 1] = 500;
  GroupConfig group = config();
  group.watch.max = 100;
  const auto limits = opened(run(group, values), Reason::out_of_range);
  ASSERT_EQ(limits.size(), 1U);
  EXPECT_EQ(limits[0].sensor, 1);
}

TEST(GroupPipeline, RefusesWhatItCannotRun) {
  GroupConfig group = config();
  group.watch.detector = "ewma";  // there is one, for streams
  const auto made = GroupPipeline::make(group, kWidth, 1);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::bad_config);
  EXPECT_NE(made.error().context.find("pump"), std::string::npos);
}

TEST(GroupPipeline, DropsRowsThatComeTwiceOrOutOfOrder) {
  const GroupConfig group = config();
  const auto pipeline = GroupPipeline::make(group, kWidth, 7);
  ASSERT_TRUE(pipeline);
  const auto values = machine(600, 2);
  run(**pipeline, values, 0, 600);
  std::vector<GroupEvent> events;
  const std::vector<double> far(kWidth, 1e6);
  for (const std::size_t row : {599UL, 400UL}) {
    EXPECT_FALSE((*pipeline)->push(time_of(row), far, time_of(599), events).scored);
  }
  EXPECT_EQ((*pipeline)->state().dropped_total, 2U);
  EXPECT_TRUE(events.empty());
}

bool same(const GroupVerdict& a, const GroupVerdict& b) {
  return a.score == b.score && a.raw == b.raw && a.scored == b.scored && a.anomalous == b.anomalous;
}

TEST(GroupPipeline, GoesOnWithTheSameBitsAfterASnapshot) {
  auto values = machine(1500, 4);
  for (std::size_t t = 1000; t < 1100; ++t) values[t * kWidth] += 3;
  const GroupConfig group = config();
  for (const std::size_t at : {0UL, 150UL, 700UL, 1050UL}) {
    const auto one = GroupPipeline::make(group, kWidth, 7);
    const auto two = GroupPipeline::make(group, kWidth, 7);
    run(**one, values, 0, at);
    run(**two, values, 0, 33);  // whatever it knew is replaced
    std::vector<std::byte> bytes;
    (*one)->snapshot(bytes);
    ASSERT_TRUE((*two)->restore(bytes)) << at;
    const Outcome a = run(**one, values, at, 1500);
    const Outcome b = run(**two, values, at, 1500);
    EXPECT_TRUE(std::ranges::equal(a.verdicts, b.verdicts, same)) << at;
    EXPECT_EQ(a.events.size(), b.events.size()) << at;
  }
}

TEST(GroupPipeline, RefusesDamagedSnapshotsAndWarmsUpAnew) {
  const auto values = machine(700, 5);
  const GroupConfig group = config();
  const auto one = GroupPipeline::make(group, kWidth, 7);
  run(**one, values, 0, 700);
  std::vector<std::byte> bytes;
  (*one)->snapshot(bytes);
  for (std::size_t at = 0; at < bytes.size(); at += 997) {
    auto damaged = bytes;
    damaged[at] ^= std::byte{0x20};
    const auto two = GroupPipeline::make(group, kWidth, 7);
    run(**two, values, 0, 500);
    const auto done = (*two)->restore(damaged);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::corrupt);
    EXPECT_FALSE((*two)->state().warm);
  }
  const GroupConfig other = config(401);
  const auto three = GroupPipeline::make(other, kWidth, 7);
  const auto done = (*three)->restore(bytes);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::unsupported);
}

TEST(GroupPipeline, TakesTheNewNormalAfterItsTime) {
  auto values = machine(3000, 6);
  for (std::size_t t = 800; t < 3000; ++t) values[t * kWidth] += 5;
  GroupConfig group = config();
  group.watch.accept_after = minutes(600);
  const Outcome out = run(group, values);
  const auto anomalous = [](const GroupVerdict& v) { return v.anomalous; };
  EXPECT_GT(std::count_if(out.verdicts.begin() + 800, out.verdicts.begin() + 1400, anomalous), 500);
  EXPECT_LT(std::count_if(out.verdicts.begin() + 1500, out.verdicts.end(), anomalous), 30);
}

TEST(GroupPipeline, AllocatesNothingPerRow) {
  const GroupConfig group = config();
  const auto pipeline = GroupPipeline::make(group, kWidth, 7);
  const auto values = machine(1000, 7);
  std::vector<GroupEvent> events;
  events.reserve(64);
  const lapwing::testing::AllocationCount count;
  for (std::size_t t = 0; t < 1000; ++t) {
    (*pipeline)->push(time_of(t), std::span(&values[t * kWidth], kWidth), time_of(t), events);
  }
  EXPECT_EQ(count.since_start(), 0U);
}

TEST(Episode, LastsWhileTheScoreIsAboveOne) {
  Episode episode;
  EXPECT_FALSE(episode.push(0.9F));
  EXPECT_TRUE(episode.push(1.2F));
  EXPECT_TRUE(episode.push(3.0F));
  EXPECT_FALSE(episode.push(1.0F));
}

TEST(Episode, WhatALargeFaultLeavesBehindIsNoNewFault) {
  Episode episode;
  for (int i = 0; i < 300; ++i) episode.push(500);
  int after = 0;
  for (int i = 0; i < 100; ++i) after += episode.push(4) ? 1 : 0;
  EXPECT_EQ(after, 0);
  EXPECT_TRUE(episode.push(100)) << "a higher one is a new fault at once";
}

TEST(Episode, TheBarFallsBackToOne) {
  Episode episode;
  for (int i = 0; i < 100; ++i) episode.push(200);
  for (int i = 0; i < 1000; ++i) episode.push(0.5F);
  EXPECT_TRUE(episode.push(1.1F));
}

}  // namespace
}  // namespace lapwing::detect::group_pipeline_test
