// SPDX-License-Identifier: Apache-2.0
/// What users of such tools complain of, each a test of the product: one stream.
#include "shared/base/config.hpp"
#include "tests/quality/synthetic/random.hpp"
#include "tests/quality/synthetic/stream.hpp"
#include "tests/shared/detect/replayed.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::detect::complaints_test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using synthetic::Fault;
using synthetic::kDay;
using synthetic::kWeek;
using synthetic::make_stream;
using synthetic::Normal;
using synthetic::Random;
using testing::make_pipeline;
using testing::replay;
using testing::Replayed;
using wire::Phase;
using wire::Reason;

constexpr Time kStart = from_micros(1'700'000'000'000'000);
constexpr auto kInterval = minutes(5);

class StreamComplaints : public ::testing::TestWithParam<Kind> {
 protected:
  [[nodiscard]] static WatchConfig watch(double alarms_per_week = 1) {
    WatchConfig watch;
    watch.detector = GetParam().name;
    watch.alarms_per_week = alarms_per_week;
    return watch;
  }
};

INSTANTIATE_TEST_SUITE_P(Streams, StreamComplaints,
                         ::testing::ValuesIn(testing::kinds_of(Input::stream)), testing::kind_name);

/// "One has to guess how many of the readings are anomalies."
TEST(Complaints, NothingAsksForAContaminationRate) {
  auto document = config::Document::parse("[[watch]]\nstreams = [\"a/#\"]\n", "agent.toml");
  auto root = document.root();
  for (auto& section : root.tables({"watch", "what is watched"})) WatchConfig::read(section);
  EXPECT_TRUE(document.finish().empty()) << "a filter is all that is needed";
  for (const Kind& kind : kKinds) {
    for (const Parameter& one : kind.parameters) {
      EXPECT_EQ(one.name.find("contamination"), std::string_view::npos) << kind.name;
      EXPECT_TRUE(one.value >= one.min && one.value <= one.max)
          << kind.name << " " << one.name << " has no default that may stay";
    }
  }
}

TEST_P(StreamComplaints, NoContaminationRateIsGuessed) {
  for (const double share : {0.0, 0.01, 0.05}) {
    double alarms = 0;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      WatchConfig one = watch();
      one.warmup = 750;
      auto samples = make_stream(
          {.normal = Normal::autoregressive, .seed = seed, .readings = 750 + 12 * kWeek});
      Random random(seed);
      for (std::size_t i = 0; i < 750; ++i) {
        if (random.chance(share)) samples[i].value += random.sign() * random.uniform(6, 14);
      }
      alarms += static_cast<double>(replay(one, samples).alarms(750, samples.size()));
    }
    EXPECT_GE(alarms, 0.5 * 48) << share;
    EXPECT_LE(alarms, 1.5 * 48) << share;
  }
}

/// "Once trained, the threshold cannot be changed."
TEST_P(StreamComplaints, TheBudgetMayBeChangedLater) {
  // Readings of a minute: alarms less than 256 readings apart become one.
  constexpr std::size_t kKnown = 2 * 5 * kWeek;
  constexpr std::size_t kAfter = 4 * 5 * kWeek;
  const auto samples = make_stream({.normal = Normal::autoregressive,
                                    .seed = 3,
                                    .readings = kKnown + kAfter,
                                    .interval = minutes(1)});
  const WatchConfig first = watch();
  const auto one = make_pipeline(first);
  replay(*one, std::span(samples).first(kKnown));
  std::vector<std::byte> bytes;
  one->snapshot(bytes);
  const auto alarms_at = [&](double alarms_per_week) {
    const WatchConfig later = watch(alarms_per_week);
    const auto two = make_pipeline(later);
    EXPECT_TRUE(two->restore(bytes));
    const Replayed out = replay(*two, std::span(samples).subspan(kKnown));
    EXPECT_TRUE(out.verdicts.front().scored) << "no new warm-up";
    return out.alarms();
  };
  EXPECT_LE(alarms_at(0.05), 3U);
  EXPECT_GE(alarms_at(10), 20U);
  EXPECT_LE(alarms_at(10), 60U);
}

/// "A static threshold on a stream that moves: an alarm storm."
TEST_P(StreamComplaints, ThresholdsFollowTheStream) {
  for (const Normal normal : {Normal::level_drift, Normal::variance_drift, Normal::season_drift}) {
    std::size_t alarms = 0;
    std::size_t worst = 0;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const auto samples = make_stream({.normal = normal, .seed = seed, .readings = 12 * kWeek});
      const WatchConfig one = watch();
      const Replayed out = replay(one, samples);
      for (std::size_t week = 2; week < 12; ++week) {
        const std::size_t here = out.alarms(week * kWeek, (week + 1) * kWeek);
        alarms += here;
        worst = std::max(worst, here);
      }
    }
    EXPECT_LE(alarms, 60U) << name(normal);
    EXPECT_LE(worst, 8U) << name(normal);
  }
}

/// "The first scores are not defined, or the wrong way round."
TEST_P(StreamComplaints, ScoresAreDefinedFromTheStart) {
  for (const Normal normal : {Normal::white, Normal::autoregressive, Normal::season}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      SCOPED_TRACE(std::string(name(normal)) + " " + std::to_string(seed));
      const WatchConfig one = watch();
      const std::size_t fault = one.warmup + 30;
      auto samples = make_stream({.normal = normal, .seed = seed, .readings = fault + 1});
      samples[fault].value += 25;
      const Replayed out = replay(one, samples);
      float strongest = 0;
      for (std::size_t i = 0; i < fault; ++i) {
        const Verdict& verdict = out.verdicts[i];
        ASSERT_TRUE(std::isfinite(verdict.score)) << i;
        ASSERT_GE(verdict.score, 0) << i;
        ASSERT_EQ(verdict.scored, i >= one.warmup) << i;
        if (i < one.warmup) {
          ASSERT_EQ(verdict.score, 0) << i;
        }
        strongest = std::max(strongest, verdict.alarm);
      }
      EXPECT_GE(out.verdicts[fault].score, out.highest(0, fault));
      EXPECT_TRUE(out.verdicts[fault].anomalous);
      if (!out.verdicts[fault - 1].anomalous) {
        EXPECT_GE(out.verdicts[fault].alarm, strongest);
      }
    }
  }
}

/// "The score is at 100 % for ever on a metric that does not change."
TEST_P(StreamComplaints, AnUnchangedMetricIsNotStuckAtTheTop) {
  const WatchConfig one = watch();  // accepts after two days
  std::vector<Sample> samples;
  for (int i = 0; i < 4000; ++i) {
    samples.push_back({kStart + i * kInterval, i < 1500 ? 45.0 : 60.0});
  }
  const Replayed out = replay(one, samples);
  EXPECT_EQ(out.alarms(0, 1500), 0U);
  EXPECT_LT(out.highest(0, 1500), 0.5F);
  EXPECT_TRUE(out.verdicts[1500].anomalous);
  EXPECT_LE(out.alarms(1500, 4000), 2U) << "the change, once more where a day was half learnt";
  EXPECT_LT(out.highest(3000, 4000), 0.5F) << "the new value is normal";
  EXPECT_FALSE(out.verdicts.back().anomalous);
}

/// "The nightly job is an anomaly every night."
TEST_P(StreamComplaints, ADailyJobIsNotFlaggedDaily) {
  std::size_t alarms = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    auto samples = make_stream({.normal = Normal::white, .seed = seed, .readings = 5 * kWeek});
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (i % kDay >= 24 && i % kDay < 30) samples[i].value += 12;
    }
    const WatchConfig one = watch();
    const Replayed out = replay(one, samples);
    alarms += out.alarms(kWeek, 5 * kWeek);
  }

  EXPECT_LE(alarms, 24U) << "112 nights; 16 alarms were asked for";
}

/// "Missing data hides the outage."
TEST_P(StreamComplaints, MissingDataIsAnOutage) {
  const WatchConfig one = watch();
  for (const std::size_t at : {60UL, 200UL, 1000UL}) {
    const auto samples = make_stream(
        {.fault = Fault::missing, .seed = 5, .readings = 1500, .fault_at = at, .fault_rows = 40});
    const Replayed out = replay(one, samples);
    ASSERT_EQ(out.count(Phase::opened, Reason::gap), 1U) << at;
    EXPECT_EQ(out.count(Phase::closed, Reason::gap), 1U) << at;
    const auto& outage = *std::ranges::find(out.events, Reason::gap, &Event::reason);
    EXPECT_EQ(outage.onset, samples[at - 1].time);
    EXPECT_GE(outage.severity, wire::Severity::major);
  }
  auto samples = make_stream({.seed = 6, .readings = 1500});
  for (std::size_t i = 1000; i < 1040; ++i) {
    samples[i].value = std::numeric_limits<double>::quiet_NaN();
  }
  const Replayed out = replay(one, samples);
  EXPECT_EQ(out.count(Phase::opened, Reason::not_a_number), 1U);
  for (std::size_t i = 1000; i < 1040; ++i) EXPECT_TRUE(out.verdicts[i].anomalous) << i;
}

TEST_P(StreamComplaints, AStreamThatDoesNotComeBackAfterARestartIsAnOutage) {
  const WatchConfig one = watch();
  const auto samples = make_stream({.seed = 5, .readings = 500});
  const auto before = make_pipeline(one);
  replay(*before, samples);
  std::vector<std::byte> bytes;
  before->snapshot(bytes);
  const auto after = make_pipeline(one);
  ASSERT_TRUE(after->restore(bytes));
  std::vector<Event> events;
  const Time start = samples.back().time + hours(5);
  for (int minute = 0; minute < 120; ++minute) after->tick(start + minutes(minute), events);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.front().reason, Reason::gap);
}

/// "Plainly anomalous data, and no anomaly."
TEST_P(StreamComplaints, PlainFaultsAreFound) {
  const WatchConfig one = watch();
  const auto constant_with = [&](std::size_t from, std::size_t to) {
    std::vector<Sample> samples;
    for (std::size_t i = 0; i < 1500; ++i) {
      samples.push_back(
          {kStart + static_cast<std::int64_t>(i) * kInterval, i >= from && i < to ? 46.0 : 45.0});
    }
    return samples;
  };
  EXPECT_EQ(replay(one, constant_with(1000, 1001)).alarms(1000, 1002), 1U) << "one reading";
  EXPECT_EQ(replay(one, constant_with(1000, 1500)).alarms(1000, 1002), 1U) << "to stay";
  EXPECT_EQ(replay(one, constant_with(1500, 1500)).alarms(), 0U) << "no fault";
  for (const Normal normal : {Normal::white, Normal::autoregressive, Normal::season}) {
    for (const Fault fault : {Fault::level, Fault::spike}) {
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        const auto samples =
            make_stream({.normal = normal, .fault = fault, .seed = seed, .strength = 12});
        const Replayed out = replay(one, samples);
        EXPECT_TRUE(out.verdicts[2500].anomalous) << name(normal) << " " << name(fault);
      }
    }
  }
}

/// "The alert flaps."
TEST_P(StreamComplaints, AFaultThatChattersIsOneAnomaly) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const WatchConfig one = watch();
    const auto pipeline = make_pipeline(one);
    auto samples = make_stream({.seed = seed, .readings = 2600});
    replay(*pipeline, std::span(samples).first(2000));
    const Band band = pipeline->state().band;
    const double reach = band.upper - band.expected;
    for (std::size_t i = 2000; i < 2400; ++i) {  // over the threshold, and under it
      samples[i].value = band.upper + (i / 3 % 2 == 0 ? 0.4 : -0.3) * reach;
    }
    const Replayed out = replay(*pipeline, std::span(samples).subspan(2000, 432));
    EXPECT_EQ(out.alarms(0, 400), 1U) << seed;
    EXPECT_LE(out.alarms(), 2U) << seed << ": that it is over may be news, too";
  }
}

}  // namespace
}  // namespace lapwing::detect::complaints_test
