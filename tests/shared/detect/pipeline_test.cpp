// SPDX-License-Identifier: Apache-2.0
/// What the pipeline promises: faults found, budget held, nothing flaps, nothing allocates.
#include "shared/detect/pipeline.hpp"

#include "tests/shared/detect/synthetic.hpp"
#include "tests/support/count_allocations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <set>
#include <vector>

namespace lapwing::detect::pipeline_test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::Fault;
using testing::kNormals;
using testing::make_stream;
using testing::Normal;
using testing::Random;
using testing::StreamSpec;
using wire::Phase;
using wire::Reason;

const Time kStart = from_micros(1'700'000'000'000'000);

std::unique_ptr<Pipeline> make(const WatchConfig& watch) {
  auto made = Pipeline::make(watch, 42);
  EXPECT_TRUE(made) << made.error().context;
  return std::move(*made);
}

/// Replays samples as if each arrived at its own time.
std::vector<Event> replay(Pipeline& pipeline, std::span<const Sample> samples) {
  std::vector<Event> events;
  for (const Sample& sample : samples) pipeline.push({&sample, 1}, sample.time, events);
  return events;
}

std::vector<Event> opened(std::span<const Event> events) {
  std::vector<Event> out;
  std::ranges::copy_if(events, std::back_inserter(out),
                       [](const Event& e) { return e.phase == Phase::opened; });
  return out;
}

bool any_opened(std::span<const Event> events, Reason reason) {
  return std::ranges::any_of(
      events, [&](const Event& e) { return e.phase == Phase::opened && e.reason == reason; });
}

/// Readings every 100 ms of unit noise around 20.
std::vector<Sample> fast_noise(std::size_t readings, std::uint64_t seed = 5) {
  return make_stream({.seed = seed, .readings = readings, .interval = milliseconds(100)});
}

// ---- faults -------------------------------------------------------------------------------------

class Faults : public ::testing::TestWithParam<Fault> {};

TEST_P(Faults, AreFoundInEveryKindOfNormalAtOneAlarmAWeek) {
  const Fault fault = GetParam();
  const WatchConfig watch;
  int found = 0;
  int streams = 0;
  for (const Normal normal : kNormals) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      const StreamSpec spec{.normal = normal, .fault = fault, .seed = 9000 + seed};
      const auto events = opened(replay(*make(watch), make_stream(spec)));
      const Time from = kStart + 2500 * spec.interval;
      const Time to = from + 230 * spec.interval;
      // A dropout shows at the first reading after it: its onset is the last reading before it.
      found += std::ranges::any_of(events,
                                   [&](const Event& e) {
                                     const Time at = e.reason == Reason::gap
                                                         ? e.onset + spec.interval
                                                         : e.peak_time;
                                     return at >= from && at <= to;
                                   })
                   ? 1
                   : 0;
      ++streams;
    }
  }
  const double wanted = fault == Fault::drift || fault == Fault::noise ? 0.85 : 0.95;
  EXPECT_GE(static_cast<double>(found) / streams, wanted);
}

INSTANTIATE_TEST_SUITE_P(All, Faults,
                         ::testing::Values(Fault::level, Fault::spike, Fault::noise, Fault::drift,
                                           Fault::dropout, Fault::stuck),
                         [](const auto& one) { return std::string(testing::name(one.param)); });

TEST(Pipeline, GivesQualityFaultsTheirOwnReason) {
  const WatchConfig watch;
  const auto stuck = replay(*make(watch), make_stream({.fault = Fault::stuck}));
  EXPECT_TRUE(any_opened(stuck, Reason::stuck));
  const auto gone = replay(*make(watch), make_stream({.fault = Fault::dropout}));
  EXPECT_TRUE(any_opened(gone, Reason::gap));
}

// ---- the alarm budget ---------------------------------------------------------------------------

class Budget : public ::testing::TestWithParam<Normal> {};

TEST_P(Budget, IsHeldOnCleanStreams) {
  WatchConfig watch;
  watch.warmup = 750;  // shorter ones cost some alarms more in the first weeks
  double alarms = 0;
  double weeks = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const std::size_t readings = 750 + 10 * 2016;
    const auto samples =
        make_stream({.normal = GetParam(), .seed = 500 + seed, .readings = readings});
    alarms += static_cast<double>(opened(replay(*make(watch), samples)).size());
    weeks += 10;
  }
  EXPECT_GE(alarms / weeks, 0.5);
  EXPECT_LE(alarms / weeks, 1.5);
}

INSTANTIATE_TEST_SUITE_P(All, Budget, ::testing::ValuesIn(kNormals),
                         [](const auto& one) { return std::string(testing::name(one.param)); });

TEST(Pipeline, RaisesFewAlarmsInTheFirstDaysWhateverTheBudget) {
  for (const double asked : {0.01, 1.0}) {
    WatchConfig watch;
    watch.alarms_per_week = asked;
    std::size_t alarms = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      alarms +=
          opened(replay(*make(watch), make_stream({.seed = seed, .readings = 240 + 2016}))).size();
    }
    // A warm-up of 240 readings has not seen much: the first week has several times what was asked.
    EXPECT_LE(static_cast<double>(alarms), 20 * (asked < 1 ? 0.3 : 8.0)) << "asked " << asked;
  }
}

// ---- streams that are no fault ------------------------------------------------------------------

TEST(Pipeline, LeavesNaturallyStillStreamsAlone) {
  const WatchConfig watch;
  Random random(3);
  std::vector<Sample> constant;
  std::vector<Sample> flag;
  std::vector<Sample> square;
  for (int i = 0; i < 6000; ++i) {
    const Time time = kStart + i * seconds(1);
    constant.push_back({time, 45.0});
    flag.push_back({time, (i / 700) % 2 == 0 ? 0.0 : 1.0});
    square.push_back({time, (i / 60) % 2 == 0 ? 20.0 : 80.0});
  }
  EXPECT_TRUE(replay(*make(watch), constant).empty());
  EXPECT_FALSE(any_opened(replay(*make(watch), flag), Reason::stuck));
  EXPECT_LE(opened(replay(*make(watch), square)).size(), 2U);
  EXPECT_FALSE(
      any_opened(replay(*make(watch), make_stream({.normal = Normal::steps})), Reason::stuck));
}

TEST(Pipeline, ReportsAConstantStreamThatChanges) {
  const WatchConfig watch;
  std::vector<Sample> samples;
  for (int i = 0; i < 1000; ++i)
    samples.push_back({kStart + i * seconds(1), i < 900 ? 45.0 : 60.0});
  EXPECT_EQ(opened(replay(*make(watch), samples)).size(), 1U);
}

TEST(Pipeline, NeverScoresWhatIsUndefined) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Random random(8);
  for (const double scale : {1e-30, 1.0, 1e30}) {
    const WatchConfig watch;
    const auto pipeline = make(watch);
    std::vector<Event> events;
    for (int i = 0; i < 4000; ++i) {
      const double value = random.uniform() < 0.2 ? nan : scale * random.normal();
      const Sample sample{kStart + i * seconds(1), value};
      Verdict verdict;
      pipeline->push({&sample, 1}, sample.time, events, {&verdict, 1});
      ASSERT_TRUE(std::isfinite(verdict.score));
      ASSERT_GE(verdict.score, 0);
    }
    EXPECT_LE(opened(events).size(), 3U) << "one anomaly for all the holes, not one each";
    for (const Event& event : events) ASSERT_TRUE(std::isfinite(event.peak_score));
  }
}

// ---- life of an anomaly -------------------------------------------------------------------------

TEST(Pipeline, TellsOnsetPeakAndEnd) {
  const WatchConfig watch;
  auto samples = fast_noise(2000);
  for (std::size_t i = 1500; i < 1540; ++i) samples[i].value += 30;
  samples[1520].value += 60;
  const auto events = replay(*make(watch), samples);
  ASSERT_GE(events.size(), 2U);
  const Event& first = events.front();
  const Event& last = events.back();
  EXPECT_EQ(first.phase, Phase::opened);
  EXPECT_EQ(first.onset, samples[1500].time);
  EXPECT_EQ(last.phase, Phase::closed);
  EXPECT_EQ(last.id, first.id);
  EXPECT_EQ(last.peak_time, samples[1520].time);
  EXPECT_EQ(last.peak_value, samples[1520].value);
  EXPECT_GE(last.end, samples[1535].time);
  EXPECT_LE(last.end, samples[1600].time);
  EXPECT_GT(last.peak_value, last.band.upper);
  EXPECT_NEAR(last.band.expected, 20, 8);
  EXPECT_EQ(last.severity, wire::Severity::critical);
  for (const Event& event : events) EXPECT_EQ(event.id, first.id) << "one fault, one anomaly";
  EXPECT_NE(describe(last).find("above the expected"), std::string::npos) << describe(last);
}

TEST(Pipeline, DoesNotFlap) {
  WatchConfig watch;
  watch.max = 23;
  auto samples = fast_noise(8000);
  // At the limit, in and out again all the time.
  for (std::size_t i = 1000; i < samples.size(); i += 40) samples[i].value = 24;
  const auto events = replay(*make(watch), samples);
  const auto starts = opened(events);
  const auto limits = std::ranges::count(starts, Reason::out_of_range, &Event::reason);
  EXPECT_LE(limits, 4);
  EXPECT_LE(events.size(), 40U);
}

TEST(Pipeline, DoesNotLetOneReasonDelayAnother) {
  WatchConfig watch;
  watch.max = 100;
  auto samples = fast_noise(1200);
  for (std::size_t i = 1000; i < 1100; ++i) samples[i].value += 15;
  samples[1010].value = 150;
  samples[1020].value = std::numeric_limits<double>::quiet_NaN();
  const auto starts = opened(replay(*make(watch), samples));
  ASSERT_EQ(starts.size(), 3U);
  EXPECT_EQ(starts[0].reason, Reason::unusual);
  EXPECT_EQ(starts[1].reason, Reason::out_of_range);
  EXPECT_EQ(starts[1].onset, samples[1010].time);
  EXPECT_EQ(starts[2].reason, Reason::not_a_number);
  EXPECT_EQ(starts[2].onset, samples[1020].time);
}

TEST(Pipeline, DoesNotLearnALongFaultAndFindsTheNextOne) {
  const WatchConfig watch;  // accepts after two days
  auto samples = fast_noise(30000);
  for (std::size_t i = 3000; i < 23000; ++i) samples[i].value += 15;  // 33 minutes
  for (std::size_t i = 26000; i < 26100; ++i) samples[i].value += 15;
  const auto events = replay(*make(watch), samples);
  const auto starts = opened(events);
  // After 33 minutes, many memories, the return is news as well.
  ASSERT_GE(starts.size(), 2U);
  ASSERT_LE(starts.size(), 3U);
  EXPECT_EQ(starts[0].onset, samples[3000].time);
  if (starts.size() == 3) {
    EXPECT_EQ(starts[1].onset, samples[23000].time);
  }
  EXPECT_EQ(starts.back().onset, samples[26000].time);
  const auto ended = std::ranges::find(events, Phase::closed, &Event::phase);
  EXPECT_GE(ended->end, samples[22900].time) << "it was a fault until it went away";
}

TEST(Pipeline, AcceptsANewNormalAfterTheStatedTime) {
  WatchConfig watch;
  watch.accept_after = minutes(5);
  auto samples = fast_noise(30000);
  for (std::size_t i = 3000; i < samples.size(); ++i) samples[i].value += 15;
  for (std::size_t i = 25000; i < 25050; ++i) samples[i].value += 20;
  const auto events = replay(*make(watch), samples);
  const auto starts = opened(events);
  ASSERT_GE(starts.size(), 2U);
  EXPECT_LE(starts.size(), 3U);
  const auto ended = std::ranges::find(events, Phase::closed, &Event::phase);
  EXPECT_LE(ended->end - starts[0].onset, minutes(6));
  EXPECT_EQ(starts.back().onset, samples[25000].time) << "and watches from there";
}

TEST(Pipeline, TakesAnOperatorsWordAtOnce) {
  const WatchConfig watch;
  auto samples = fast_noise(12000);
  for (std::size_t i = 3000; i < samples.size(); ++i) samples[i].value += 15;
  const auto pipeline = make(watch);
  replay(*pipeline, std::span(samples).first(3200));
  EXPECT_EQ(pipeline->state().anomalies_open, 1U);
  std::vector<Event> accepted;
  pipeline->take(Feedback::new_normal, accepted);
  ASSERT_EQ(accepted.size(), 1U);
  EXPECT_EQ(accepted[0].phase, Phase::closed);
  EXPECT_EQ(pipeline->state().anomalies_open, 0U);
  const auto events = replay(*pipeline, std::span(samples).subspan(3200));
  EXPECT_LE(opened(events).size(), 1U);
  EXPECT_EQ(pipeline->state().anomalies_open, 0U);
}

TEST(Pipeline, GivesEveryAnomalyItsOwnId) {
  const WatchConfig watch;
  std::set<std::uint64_t> ids;
  std::size_t anomalies = 0;
  for (std::uint64_t device = 0; device < 5; ++device) {
    auto pipeline = std::move(*Pipeline::make(watch, device));
    const auto starts = opened(replay(*pipeline, make_stream({.readings = 20000})));
    for (const Event& event : starts) ids.insert(event.id);
    anomalies += starts.size();
  }
  EXPECT_GT(anomalies, 10U);
  EXPECT_EQ(ids.size(), anomalies);
}

// ---- outages ------------------------------------------------------------------------------------

TEST(Pipeline, FindsAnOutageWhileItLasts) {
  const WatchConfig watch;
  const auto pipeline = make(watch);
  const auto samples = fast_noise(600);
  replay(*pipeline, std::span(samples).first(500));
  const Time last = samples[499].time;
  std::vector<Event> events;
  pipeline->tick(last + seconds(1), events);
  EXPECT_TRUE(events.empty());
  for (int second = 2; second <= 60; ++second)
    pipeline->tick(last + seconds(second) + milliseconds(5), events);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.front().reason, Reason::gap);
  EXPECT_EQ(events.front().onset, last);
  EXPECT_LE(events.front().peak_time - last, seconds(4));
  EXPECT_GE(events.front().severity, wire::Severity::major);
  EXPECT_LE(events.size(), 8U) << "told again as it worsens, not each second";
  const std::size_t before = events.size();
  const Sample back{last + seconds(61), 20};
  pipeline->push({&back, 1}, back.time, events);
  ASSERT_EQ(events.size(), before + (events[before].phase == Phase::updated ? 2 : 1));
  EXPECT_EQ(events.back().phase, Phase::closed);
  EXPECT_EQ(events.back().reason, Reason::gap);
  EXPECT_EQ(events.back().end, back.time);
}

TEST(Pipeline, WaitsForSeveralUsualIntervalsBeforeItCallsAnOutage) {
  WatchConfig watch;
  watch.gap_after = seconds(2);
  const auto pipeline = make(watch);
  const auto samples = make_stream({.readings = 100, .interval = minutes(1)});
  replay(*pipeline, samples);
  std::vector<Event> events;
  pipeline->tick(samples.back().time + minutes(3), events);
  EXPECT_TRUE(events.empty());
  pipeline->tick(samples.back().time + minutes(9), events);
  EXPECT_EQ(events.size(), 1U);
}

TEST(Pipeline, DoesNotTakeItsOwnPauseForAnOutage) {
  const WatchConfig watch;
  const auto samples = fast_noise(1000);
  const auto one = make(watch);
  replay(*one, std::span(samples).first(500));
  std::vector<std::byte> bytes;
  one->snapshot(bytes);
  const auto two = make(watch);
  ASSERT_TRUE(two->restore(bytes));
  std::vector<Event> events;
  const Time later = samples[499].time + hours(5);
  two->tick(later, events);
  two->tick(later + seconds(1), events);
  const Sample first{later + seconds(2), 20};
  two->push({&first, 1}, first.time, events);
  EXPECT_TRUE(events.empty());
}

TEST(Pipeline, LearnsThatAStreamComesInBursts) {
  const WatchConfig watch;
  const auto pipeline = make(watch);
  std::vector<Event> events;
  const auto samples = fast_noise(3000);
  for (std::size_t i = 0; i < samples.size(); i += 100) {  // ten seconds' worth at a time
    const Time now = samples[i + 99].time;
    for (int second = 1; i > 300 && second < 10; ++second) {
      pipeline->tick(samples[i - 1].time + seconds(second), events);
    }
    pipeline->push(std::span(samples).subspan(i, 100), now, events);
  }
  EXPECT_FALSE(any_opened(events, Reason::gap));
}

// ---- times --------------------------------------------------------------------------------------

TEST(Pipeline, GoesOnWithAClockOf1970Or2100) {
  for (const Time wrong : {from_micros(60'000'000), from_micros(4'102'444'800'000'000)}) {
    const WatchConfig watch;
    const auto pipeline = make(watch);
    auto samples = fast_noise(1500);
    std::vector<Event> events;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const Time now = samples[i].time;
      if (i >= 700) samples[i].time = wrong + static_cast<std::int64_t>(i) * milliseconds(100);
      if (i == 1200) samples[i].value += 40;
      pipeline->push({&samples[i], 1}, now, events);
    }
    EXPECT_TRUE(any_opened(events, Reason::clock));
    EXPECT_TRUE(any_opened(events, Reason::unusual)) << "readings are still watched";
    EXPECT_FALSE(any_opened(events, Reason::gap));
    for (const Event& event : events) EXPECT_LE(std::chrono::abs(event.onset - kStart), hours(1));
  }
}

TEST(Pipeline, DropsRepeatedAndLateReadingsQuietly) {
  const WatchConfig watch;
  const auto samples = fast_noise(1000);
  const auto plain = make(watch);
  replay(*plain, samples);
  const auto other = make(watch);
  std::vector<Event> events;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    other->push({&samples[i], 1}, samples[i].time, events);
    if (i % 100 == 50) other->push({&samples[i], 1}, samples[i].time, events);      // twice
    if (i % 100 == 90) other->push({&samples[i - 5], 1}, samples[i].time, events);  // late
  }
  EXPECT_FALSE(any_opened(events, Reason::clock));
  EXPECT_EQ(other->state().dropped_total, 20U);
  EXPECT_EQ(other->state().band.expected, plain->state().band.expected) << "as if never seen";
}

TEST(Pipeline, FollowsAClockThatIsSetBack) {
  const WatchConfig watch;
  const auto pipeline = make(watch);
  std::vector<Event> events;
  auto samples = fast_noise(2000);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Time now = samples[i].time;
    if (i >= 1000) samples[i].time -= hours(1);
    pipeline->push({&samples[i], 1}, now, events);
  }
  EXPECT_TRUE(any_opened(events, Reason::clock));
  EXPECT_LE(pipeline->state().dropped_total, 8U);
  EXPECT_EQ(pipeline->state().anomalies_open, 0U);
}

TEST(Pipeline, TakesSeveralReadingsOfOneInstant) {
  const WatchConfig watch;
  const auto pipeline = make(watch);
  auto samples = fast_noise(1000);
  for (Sample& sample : samples) sample.time = std::chrono::floor<seconds>(sample.time);
  const auto events = replay(*pipeline, samples);
  EXPECT_EQ(pipeline->state().dropped_total, 0U);
  EXPECT_FALSE(any_opened(events, Reason::clock));
}

// ---- limits -------------------------------------------------------------------------------------

TEST(Pipeline, ChecksTheRateOfChange) {
  WatchConfig watch;
  watch.rate_max = 100;
  auto samples = fast_noise(600);
  samples[500].value += 30;  // 300 a second
  const auto starts = opened(replay(*make(watch), samples));
  ASSERT_EQ(starts.size(), 1U);
  EXPECT_EQ(starts[0].reason, Reason::rate);
  EXPECT_EQ(starts[0].onset, samples[500].time);
}

TEST(Pipeline, ReportsAStillStreamAfterTheTimeItWasGiven) {
  WatchConfig watch;
  watch.stuck_after = seconds(30);
  std::vector<Sample> samples;
  for (int i = 0; i < 600; ++i) samples.push_back({kStart + i * milliseconds(100), 45.0});
  const auto starts = opened(replay(*make(watch), samples));
  ASSERT_EQ(starts.size(), 1U);
  EXPECT_EQ(starts[0].reason, Reason::stuck);
  EXPECT_EQ(starts[0].onset, kStart);
}

// ---- state --------------------------------------------------------------------------------------

TEST(Pipeline, GoesOnWithTheSameBitsAfterASnapshot) {
  const WatchConfig watch;
  auto samples = make_stream({.normal = Normal::daily, .fault = Fault::level, .fault_rows = 600});
  for (const std::size_t at : {0UL, 60UL, 200UL, 1000UL, 2600UL}) {  // the last inside an anomaly
    const auto one = make(watch);
    replay(*one, std::span(samples).first(at));
    std::vector<std::byte> bytes;
    one->snapshot(bytes);
    EXPECT_LE(bytes.size(), one->state_bytes() + 256);
    const auto two = make(watch);
    ASSERT_TRUE(two->restore(bytes));
    std::vector<Event> a;
    std::vector<Event> b;
    for (std::size_t i = at; i < samples.size(); ++i) {
      Verdict x;
      Verdict y;
      one->push({&samples[i], 1}, samples[i].time, a, {&x, 1});
      two->push({&samples[i], 1}, samples[i].time, b, {&y, 1});
      ASSERT_EQ(x.score, y.score) << "reading " << i;
    }
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].id, b[i].id);
  }
}

TEST(Pipeline, RefusesDamagedSnapshotsAndWarmsUpAnew) {
  const WatchConfig watch;
  const auto samples = fast_noise(800);
  const auto one = make(watch);
  replay(*one, samples);
  std::vector<std::byte> bytes;
  one->snapshot(bytes);
  for (std::size_t at = 0; at < bytes.size(); at += 101) {
    auto damaged = bytes;
    damaged[at] ^= std::byte{1};
    const auto two = make(watch);
    const auto done = two->restore(damaged);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::corrupt);
    EXPECT_FALSE(two->state().warm);
    EXPECT_TRUE(replay(*two, samples).size() < 5);
    EXPECT_TRUE(two->state().warm);
  }
  WatchConfig other = watch;
  other.detector = "ewma";
  const auto refused = make(other)->restore(bytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(make(watch)->restore(bytes));
}

TEST(Pipeline, KeepsToTwentyKibibytesAndAllocatesNothingPerReading) {
  const WatchConfig watch;
  const auto pipeline = make(watch);
  EXPECT_LE(pipeline->state_bytes(), 20U * 1024);
  const auto samples = make_stream({.normal = Normal::autoregressive, .readings = 5000});
  std::vector<Event> events;
  events.reserve(1000);
  std::vector<Verdict> verdicts(samples.size());
  const lapwing::testing::AllocationCount count;
  pipeline->push(samples, samples.back().time, events, verdicts);
  pipeline->tick(samples.back().time + hours(1), events);
  EXPECT_EQ(count.since_start(), 0U);
}

TEST(Pipeline, SumsUpWhatHappened) {
  const WatchConfig watch;
  const auto pipeline = make(watch);
  auto samples = fast_noise(1000);
  replay(*pipeline, std::span(samples).first(900));
  const auto first = pipeline->summary(samples[0].time, samples[900].time);
  EXPECT_EQ(first.readings, 900U);
  EXPECT_NEAR(first.value_mean, 20, 0.2);
  EXPECT_LT(first.value_min, 18.5);
  EXPECT_GT(first.value_max, 21.5);
  EXPECT_GT(first.score_max, first.score_mean);
  EXPECT_LT(first.band.lower, first.band.upper);
  const auto none = pipeline->summary(samples[900].time, samples[900].time);
  EXPECT_EQ(none.readings, 0U);
  EXPECT_TRUE(std::isnan(none.value_mean));
  EXPECT_TRUE(std::isnan(none.score_max));
}

TEST(Pipeline, MakesARecordOfAnEvent) {
  WatchConfig watch;
  watch.name = "pumps";
  const Event event{.id = 7,
                    .phase = Phase::closed,
                    .reason = Reason::stuck,
                    .onset = kStart,
                    .end = kStart + seconds(9),
                    .peak_value = 4,
                    .detail = 9};
  const std::vector<wire::Tag> tags = {{"site", "north"}};
  const auto record = to_record(event, watch, "plant/pump", tags);
  EXPECT_EQ(record.id, 7U);
  EXPECT_EQ(record.watch, "pumps");
  EXPECT_EQ(record.detector, "auto");
  EXPECT_EQ(record.stream, "plant/pump");
  EXPECT_EQ(record.end, kStart + seconds(9));
  EXPECT_EQ(record.tags, tags);
  EXPECT_EQ(record.text, "the same value, 4, for 9 s");
}

TEST(Pipeline, RefusesADetectorThatDoesNotExist) {
  WatchConfig watch;
  watch.detector = "crystal_ball";
  const auto made = Pipeline::make(watch, 1);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::bad_config);
}

TEST(Pipeline, AStreamThatRepeatsExactlyIsNormal) {
  const std::vector<std::pair<const char*, double (*)(int)>> streams{
      {"sawtooth of 5", [](int i) { return static_cast<double>(i % 5); }},
      {"sawtooth of 7", [](int i) { return .1 * (i % 7); }},
      {"square", [](int i) { return i / 10 % 2 == 0 ? 3.0 : 7.0; }},
      {"on and off", [](int i) { return static_cast<double>(i % 2); }},
      {"wave", [](int i) { return 10 + std::sin(.1 * i); }},
  };
  for (const auto& [name, value] : streams) {
    for (const std::uint32_t warmup : {60U, 120U, 240U}) {
      WatchConfig watch;
      watch.warmup = warmup;
      const auto pipeline = make(watch);
      std::vector<Sample> samples;
      for (int i = 0; i < 3000; ++i) samples.push_back({kStart + minutes(i), value(i)});
      EXPECT_TRUE(opened(replay(*pipeline, samples)).empty()) << name << ", warm-up " << warmup;
    }
  }
}

}  // namespace
}  // namespace lapwing::detect::pipeline_test
