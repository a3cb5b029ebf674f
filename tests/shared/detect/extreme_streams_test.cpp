// SPDX-License-Identifier: Apache-2.0
/// Streams at the edge of what is one, through the whole pipeline, with every kind: always defined,
/// few alarms where there is no fault, and a plain fault found all the same.
#include "tests/quality/synthetic/random.hpp"
#include "tests/quality/synthetic/stream.hpp"
#include "tests/shared/detect/replayed.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::detect::extreme_streams_test {
namespace {

using synthetic::Random;
using testing::Replayed;
using wire::Phase;
using wire::Reason;

constexpr Time kStart = from_micros(1'700'000'000'000'000);
constexpr std::size_t kReadings = 6000;  // three weeks
constexpr std::size_t kFault = 5000;

Time time_of(std::size_t row) {
  return kStart + static_cast<std::int64_t>(row) * std::chrono::minutes(5);
}

struct Extreme {
  const char* name;
  std::vector<double> (*make)();
  double jump;  ///< a level shift nobody would miss
};

std::vector<double> noise(double scale) {
  std::vector<double> out(kReadings);
  Random random(5);
  for (double& value : out) value = scale * (20 + random.normal());
  return out;
}

const Extreme kExtremes[] = {
    {"constant", [] { return std::vector<double>(kReadings, 45.0); }, 1},
    {"zero", [] { return std::vector<double>(kReadings, 0.0); }, 1},
    {"tiny", [] { return noise(1e-30); }, 15e-30},
    {"huge", [] { return noise(1e30); }, 15e30},
    {"constant_tiny", [] { return std::vector<double>(kReadings, 1e-30); }, 1e-30},
    {"constant_huge", [] { return std::vector<double>(kReadings, 1e30); }, 1e29},
    {"steps",
     [] {
       std::vector<double> out(kReadings);
       synthetic::fill(synthetic::Normal::steps, 7, out);
       return out;
     },
     1000},
    {"ten_values",
     [] {
       std::vector<double> out(kReadings);
       Random random(6);
       for (double& value : out) value = static_cast<double>(random.whole(0, 9));
       return out;
     },
     30},
    {"nan_laden",
     [] {
       auto out = noise(1);
       Random random(7);
       for (double& value : out) {
         if (random.chance(0.3)) value = std::numeric_limits<double>::quiet_NaN();
       }
       return out;
     },
     15},
};

struct Case {
  Kind kind;
  Extreme extreme;
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << one.kind.name << " " << one.extreme.name;
}
std::string case_name(const ::testing::TestParamInfo<Case>& one) {
  return std::string(one.param.kind.name) + "_" + one.param.extreme.name;
}

class ExtremeStreams : public ::testing::TestWithParam<Case> {
 protected:
  static Replayed replay(double jump) {
    const auto& [kind, extreme] = GetParam();
    WatchConfig watch;
    watch.detector = kind.name;
    auto values = extreme.make();
    for (std::size_t i = kFault; i < kFault + 100; ++i) values[i] += jump;
    std::vector<Sample> samples;
    for (std::size_t i = 0; i < kReadings; ++i) samples.push_back({time_of(i), values[i]});
    return testing::replay(watch, samples);
  }
};
class ExtremeFaults : public ExtremeStreams {};

std::size_t unusual(const Replayed& out) { return out.count(Phase::opened, Reason::unusual); }

TEST_P(ExtremeStreams, AreDefinedAndQuiet) {
  const Replayed out = replay(0);
  for (std::size_t i = 0; i < kReadings; ++i) {
    const Verdict& verdict = out.verdicts[i];
    ASSERT_TRUE(std::isfinite(verdict.score) && verdict.score >= 0) << i;
    ASSERT_FALSE(std::isinf(verdict.band.lower) || std::isinf(verdict.band.upper)) << i;
  }
  for (const Event& event : out.events) ASSERT_TRUE(std::isfinite(event.peak_score));
  EXPECT_LE(unusual(out), 12U) << "three asked for, and some more in the first week";
  EXPECT_EQ(out.count(Phase::opened, Reason::stuck), 0U);
}

TEST_P(ExtremeFaults, AreFound) {
  const Replayed out = replay(GetParam().extreme.jump);
  EXPECT_GT(out.highest(kFault, kFault + 10), 1);
  EXPECT_TRUE(std::ranges::any_of(out.events, [](const Event& e) {
    return e.reason == Reason::unusual && e.peak_time >= time_of(kFault) &&
           e.peak_time < time_of(kFault + 100);
  }));
}

/// Every kind with every stream. To a kind that knows one level only, each step of many is as
/// strange as a fault.
std::vector<Case> cases(bool with_fault) {
  std::vector<Case> all;
  for (const Kind& kind : testing::kinds_of(Input::stream)) {
    const bool one_level = kind.name == "ewma" || kind.name == "seasonal";
    for (const Extreme& extreme : kExtremes) {
      if (with_fault && one_level && extreme.name == std::string_view("steps")) continue;
      all.push_back({kind, extreme});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, ExtremeStreams, ::testing::ValuesIn(cases(false)), case_name);
INSTANTIATE_TEST_SUITE_P(All, ExtremeFaults, ::testing::ValuesIn(cases(true)), case_name);

}  // namespace
}  // namespace lapwing::detect::extreme_streams_test
