// SPDX-License-Identifier: Apache-2.0
/// The pump is believable, and what the demonstration ships finds its faults.
#include "packaging/demo/plant/plant.hpp"

#include "shared/detect/pipeline.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace lapwing::demo {
namespace {

using detect::Event;
using detect::Pipeline;
using detect::WatchConfig;

constexpr double kRate = 20;
const Time kStart = from_micros(1'700'000'000'000'000);

Time at(double seconds) { return kStart + Micros(std::llround(seconds * 1e6)); }

TEST(Pump, RunsAsARealOneDoes) {
  Pump pump(3);
  Readings sum{};
  for (int i = 0; i < 2000; ++i) {
    const Readings readings = pump.step(1 / kRate, {});
    for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += readings[k] / 2000;
  }
  EXPECT_NEAR(sum[0], 1480, 5);
  EXPECT_NEAR(sum[1], 60, 3);
  EXPECT_NEAR(sum[2], 3.1, 0.2);
  EXPECT_NEAR(sum[3], 54, 2);
  EXPECT_NEAR(sum[4], 1.75, 0.2);
  EXPECT_GT(sum[5], 8);
  EXPECT_LT(sum[5], 20);
}

TEST(Pump, WearHeatsAndShakes) {
  Pump well(3);
  Pump worn(3);
  Readings a{};
  Readings b{};
  for (int i = 0; i < 1000; ++i) {
    a = well.step(1 / kRate, {});
    b = worn.step(1 / kRate, {.bearing_wear = 1});
  }
  EXPECT_GT(b[3], a[3] + 20);
  EXPECT_GT(b[4], 2 * a[4]);
  EXPECT_GT(b[5], a[5]);
}

TEST(Plant, SaysTheSameForTheSameSeed) {
  Plant one(7, kRate, make_schedule(82));
  Plant two(7, kRate, make_schedule(82));
  for (int i = 0; i < 1640; ++i) EXPECT_EQ(one.scan(), two.scan());
}

TEST(Schedule, LeavesTimeToLearnAndOrdersItsFaults) {
  for (const double seconds : {52.0, 82.0, 600.0}) {
    const auto schedule = make_schedule(seconds);
    ASSERT_EQ(schedule.size(), 4U);
    double before = 16;
    for (const Fault& fault : schedule) {
      EXPECT_GT(fault.onset_s, before + 0.9);
      EXPECT_GT(fault.end_s, fault.onset_s + 2.5);
      before = fault.end_s;
    }
    EXPECT_LE(before, seconds);
  }
}

struct Outcome {
  int found = 0;
  int faults = 0;
  int outside = 0;  ///< anomalies that belong to no fault
};

/// The shipped pipeline over the plant's scans, live: ticks come each second.
Outcome watch_plant(std::uint64_t seed, double seconds) {
  WatchConfig watch;
  watch.alarms_per_week = 20;
  const auto schedule = make_schedule(seconds);
  Plant plant(seed, kRate, schedule);
  std::vector<std::unique_ptr<Pipeline>> pipelines;
  for (std::size_t i = 0; i < kSensors.size(); ++i) {
    pipelines.push_back(std::move(*Pipeline::make(watch, i + 1)));
  }
  std::vector<std::vector<Event>> events(kSensors.size());
  for (int scan_at = 1; scan_at <= static_cast<int>(seconds * kRate); ++scan_at) {
    const Scan scan = plant.scan();
    const Time now = at(plant.time_s());
    for (std::size_t i = 0; i < kSensors.size(); ++i) {
      if (scan[i]) {
        const detect::Sample sample{now, *scan[i]};
        pipelines[i]->push({&sample, 1}, now, events[i]);
      }
      if (scan_at % static_cast<int>(kRate) == 0) pipelines[i]->tick(now, events[i]);
    }
  }
  Outcome outcome;
  const auto within = [](const Fault& fault, const Event& event) {
    return event.onset >= at(fault.onset_s - 1) && event.onset <= at(fault.end_s + 6);
  };
  for (const Fault& fault : schedule) {
    ++outcome.faults;
    bool found = false;
    for (const std::size_t sensor : fault.sensors) {
      for (const Event& event : events[sensor]) {
        const bool right = fault.kind == FaultKind::stuck     ? event.reason == wire::Reason::stuck
                           : fault.kind == FaultKind::dropout ? event.reason == wire::Reason::gap
                                                              : true;
        found = found || (right && within(fault, event));
      }
    }
    outcome.found += found ? 1 : 0;
  }
  for (const auto& stream : events) {
    for (const Event& event : stream) {
      if (event.phase != wire::Phase::opened) continue;
      const bool known =
          std::ranges::any_of(schedule, [&](const Fault& f) { return within(f, event); });
      outcome.outside += known ? 0 : 1;
    }
  }
  return outcome;
}

TEST(Demonstration, FindsEveryFaultAndRaisesFewFalseAlarms) {
  for (const double seconds : {52.0, 82.0}) {
    int outside = 0;
    constexpr int kRuns = 20;
    for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
      const Outcome outcome = watch_plant(seed, seconds);
      EXPECT_EQ(outcome.found, outcome.faults) << "seed " << seed << ", " << seconds << " s";
      outside += outcome.outside;
    }
    RecordProperty(seconds < 60 ? "outside_52" : "outside_82", outside);
    EXPECT_LE(outside, 2 * kRuns) << seconds << " s";
  }
}

}  // namespace
}  // namespace lapwing::demo
