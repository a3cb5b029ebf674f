// SPDX-License-Identifier: Apache-2.0
#include "agent/engine/engine.hpp"

#include "agent/engine/snapshot_file.hpp"
#include "shared/base/metrics.hpp"
#include "shared/wire/codec.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <thread>

namespace lapwing::agent {
namespace {

using std::chrono::seconds;

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override { open_outbox(); }

  void open_outbox(const OutboxConfig& config = {}) {
    auto opened = Outbox::open(config, folder_.path(), metrics_);
    ASSERT_TRUE(opened) << opened.error().context;
    outbox_ = std::move(*opened);
  }

  std::unique_ptr<Engine> make(EngineConfig config = {}, std::optional<Micros> gap_after = {}) {
    detect::WatchConfig watch;
    watch.name = "all";
    watch.streams = {"plant/#"};
    watch.warmup = 60;
    watch.gap_check = gap_after.has_value();
    watch.gap_after = gap_after;
    auto engine = std::make_unique<Engine>(config, Watched{{watch}, groups_}, folder_.path(),
                                           *outbox_, metrics_);
    EXPECT_TRUE(engine->start());
    return engine;
  }

  StreamId id(Engine& engine, std::string_view name) {
    auto given = engine.stream_for(name, {});
    EXPECT_TRUE(given) << given.error().context;
    return *given;
  }

  /// A sine with a little deterministic noise, one reading a second, ending about now.
  std::vector<Reading> normal(StreamId stream, int count) {
    std::vector<Reading> readings;
    const Time first = now() - seconds(count);
    for (int i = 0; i < count; ++i) {
      const double noise = .05 * std::sin(i * 12.9898) * std::cos(i * 78.233);
      readings.push_back({stream, first + seconds(i), 10 + std::sin(i * .2) + noise});
    }
    return readings;
  }

  /// Everything in the outbox, decoded.
  std::vector<wire::RecordBody> records() {
    outbox_->flush();
    std::vector<wire::RecordBody> bodies;
    for (std::uint64_t from = 1;;) {
      auto entries = outbox_->read(from, 1000, 1 << 20);
      EXPECT_TRUE(entries);
      if (!entries || entries->empty()) return bodies;
      for (const auto& entry : *entries) {
        auto body = wire::decode_record(entry.payload);
        EXPECT_TRUE(body);
        bodies.push_back(std::move(*body));
      }
      from = entries->back().seq_last + 1;
    }
  }

  std::vector<detect::GroupConfig> groups_;
  lapwing::testing::TempDir folder_;
  Metrics metrics_;
  std::unique_ptr<Outbox> outbox_;
};

TEST_F(EngineTest, AReadingBecomesASummaryRecordWithItsStreamAndWatch) {
  auto engine = make();
  const auto stream = id(*engine, "plant/pump/flow");
  ASSERT_TRUE(engine->submit(normal(stream, 100)));
  engine->stop();
  const auto bodies = records();
  ASSERT_EQ(bodies.size(), 1U);
  const auto& summary = std::get<wire::SummaryRecord>(bodies[0]);
  EXPECT_EQ(summary.stream, "plant/pump/flow");
  EXPECT_EQ(summary.watch, "all");
  EXPECT_EQ(summary.readings, 100U);
  EXPECT_NEAR(summary.value_mean, 10, .2);
}

TEST_F(EngineTest, AFaultBecomesAnAnomalyRecord) {
  auto engine = make();
  const auto stream = id(*engine, "plant/pump/flow");
  auto readings = normal(stream, 600);
  for (int i = 560; i < 600; ++i) readings[static_cast<std::size_t>(i)].value += 40;
  ASSERT_TRUE(engine->submit(readings));
  engine->flush();
  EXPECT_EQ(engine->figures().anomalies_open, 1U);
  const auto bodies = records();
  ASSERT_FALSE(bodies.empty());
  const auto& anomaly = std::get<wire::AnomalyRecord>(bodies[0]);
  EXPECT_EQ(anomaly.phase, wire::Phase::opened);
  EXPECT_EQ(anomaly.stream, "plant/pump/flow");
  EXPECT_FALSE(anomaly.text.empty());
}

TEST_F(EngineTest, OneNameHasOneIdAndNamesBeyondTheMaximumAreRefused) {
  EngineConfig config;
  config.streams_max = 2;
  auto engine = make(config);
  const auto a = id(*engine, "plant/a");
  EXPECT_EQ(a, id(*engine, "plant/a"));
  EXPECT_NE(a, id(*engine, "plant/b"));
  const auto refused = engine->stream_for("plant/c", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::limit);
  EXPECT_NE(refused.error().context.find("engine.streams_max"), std::string::npos);
  EXPECT_EQ(engine->figures().refused_streams_total, 1U);
  EXPECT_TRUE(engine->submit(normal(a, 10))) << "the others go on";
}

TEST_F(EngineTest, KeepsTheOrderOfEveryStreamOverShards) {
  EngineConfig config;
  config.shards = 3;
  auto engine = make(config);
  std::vector<Reading> readings;
  const Time first = now() - seconds(1000);
  std::vector<StreamId> streams;
  for (int s = 0; s < 10; ++s) streams.push_back(id(*engine, "plant/s" + std::to_string(s)));
  for (int i = 0; i < 1000; ++i) {
    for (const auto stream : streams) readings.push_back({stream, first + seconds(i), double(i)});
  }
  ASSERT_TRUE(engine->submit(readings));
  engine->flush();
  for (const auto& view : engine->streams("", 100)) {
    EXPECT_EQ(view.state.readings_total, 1000U);
    EXPECT_EQ(view.state.dropped_total, 0U) << "a reading out of order would be dropped";
    EXPECT_EQ(view.state.last_value, 999);
  }
}

TEST_F(EngineTest, ALateStreamStartsFromWhatItsWatchsOthersHaveTaught) {
  EngineConfig config;
  config.shards = 1;
  auto engine = make(config);
  // Five minutes apart, so that two months hold alarms enough to learn from. `spiky` streams have
  // something unusual a few times a day.
  const auto months = [&](StreamId stream, int count, int seed, bool spiky) {
    auto readings = normal(stream, count);
    const Time first = now() - count * std::chrono::minutes(5);
    for (int i = 0; i < count; ++i) {
      Reading& reading = readings[static_cast<std::size_t>(i)];
      reading.time = first + i * std::chrono::minutes(5);
      reading.value += .2 * std::sin(i * 1.7 * seed) * std::sin(i * i * .37 + seed);
      const double where = std::fmod((i + seed) * .6180339887, 1);
      if (spiky && i > 100 && (i * 7 + seed * 13) % 61 == 0) reading.value += 1 / (where + .02);
    }
    return readings;
  };
  const auto early = id(*engine, "plant/early");  // no other has settled when it comes
  for (int peer = 1; peer <= 8; ++peer) {
    const auto stream = id(*engine, "plant/peer" + std::to_string(peer));
    ASSERT_TRUE(engine->submit(months(stream, 14'000, peer, true)));
  }
  engine->flush();
  const auto late = id(*engine, "plant/late");
  ASSERT_TRUE(engine->submit(months(early, 300, 20, false)));
  ASSERT_TRUE(engine->submit(months(late, 300, 20, false)));
  engine->flush();
  std::map<std::string, double> widths;
  for (const auto& view : engine->streams("", 100)) {
    widths[view.name] = view.state.band.upper - view.state.band.lower;
  }
  EXPECT_GT(widths["plant/late"], 1.2 * widths["plant/early"]) << "the same readings";
}

TEST_F(EngineTest, AStreamNobodyWatchesIsCountedNotScored) {
  auto engine = make();
  const auto stream = id(*engine, "office/lamp");
  ASSERT_TRUE(engine->submit(normal(stream, 50)));
  engine->flush();
  EXPECT_TRUE(engine->streams("", 10).empty());
  EXPECT_EQ(metrics_.counter("unwatched_readings_total", "").value(), 50);
}

TEST_F(EngineTest, WhatNobodyWatchesTakesNoRoomFromTheOthers) {
  EngineConfig config;
  config.streams_max = 1;
  auto engine = make(config);
  std::vector<Reading> readings;
  for (int i = 0; i < 1000; ++i) {
    readings.push_back({id(*engine, "office/lamp" + std::to_string(i)), now(), 1});
  }
  ASSERT_TRUE(engine->submit(readings));
  ASSERT_TRUE(engine->submit(normal(id(*engine, "plant/a"), 10)));
  engine->flush();
  EXPECT_EQ(engine->figures().streams, 1U);
  EXPECT_EQ(engine->figures().refused_streams_total, 0U);
  EXPECT_EQ(metrics_.counter("unwatched_readings_total", "").value(), 1000);
  EXPECT_EQ(metrics_.counter("predictions_total", "").value(), 10);
}

TEST_F(EngineTest, TheQueueGaugeReturnsToZero) {
  EngineConfig config;
  config.shards = 2;
  auto engine = make(config);
  const auto a = id(*engine, "plant/a");
  const auto b = id(*engine, "plant/b");
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(engine->submit(normal(a, 100)));
    ASSERT_TRUE(engine->submit(normal(b, 100)));
  }
  engine->flush();
  EXPECT_EQ(metrics_.gauge("anomaly_processing_queue_size", "").value(), 0);
}

TEST_F(EngineTest, ASilentStreamIsAnAnomalyThatEndsWhenItSpeaksAgain) {
  auto engine = make({}, std::chrono::seconds(1));
  const auto stream = id(*engine, "plant/pump/flow");
  std::vector<Reading> readings;
  const Time first = now() - seconds(2);
  for (int i = 0; i < 100; ++i)
    readings.push_back({stream, first + i * Micros(20'000), 10. + i % 3});
  ASSERT_TRUE(engine->submit(readings));
  engine->flush();
  ASSERT_TRUE(lapwing::testing::eventually([&] { return engine->figures().anomalies_open == 1; }));
  ASSERT_TRUE(engine->submit(std::vector<Reading>{{stream, now(), 10}}));
  ASSERT_TRUE(lapwing::testing::eventually([&] {
    outbox_->flush();
    int phases = 0;
    for (const auto& body : records()) {
      const auto* anomaly = std::get_if<wire::AnomalyRecord>(&body);
      if (anomaly != nullptr && anomaly->reason == wire::Reason::gap) ++phases;
    }
    return phases >= 2;
  }));
}

TEST_F(EngineTest, StreamsOfAGroupAreJudgedTogetherEachMachineByItself) {
  detect::GroupConfig group;
  group.watch.name = "pump";
  group.watch.streams = {"plant/+/in", "plant/+/out"};
  group.watch.warmup = 60;
  group.watch.gap_check = false;
  groups_ = {group};
  EngineConfig config;
  config.shards = 3;
  auto engine = make(config);
  std::vector<Reading> readings;
  const Time first = now() - seconds(400);
  for (int i = 0; i < 400; ++i) {
    const double load = std::sin(.05 * i) + .02 * std::sin(i * 12.9898);
    const double fault = i >= 350 ? 2 : 0;
    for (const std::string pump : {"plant/p1", "plant/p2"}) {
      readings.push_back({id(*engine, pump + "/in"), first + seconds(i), 10 + load});
      readings.push_back({id(*engine, pump + "/out"), first + seconds(i),
                          5 - load + (pump == "plant/p2" ? fault : 0) + .01 * (i % 7)});
    }
    readings.push_back({id(*engine, "plant/door"), first + seconds(i), double(i % 5)});
  }
  ASSERT_TRUE(engine->submit(readings));
  engine->flush();
  EXPECT_EQ(engine->figures().streams, 5U);
  EXPECT_EQ(engine->figures().groups, 2U);
  std::map<std::string, std::string> watches;
  for (const auto& view : engine->streams("", 100)) watches[view.name] = view.watch;
  const std::map<std::string, std::string> expected{
      {"plant/door", "all"},   {"plant/p1/in", "pump"},  {"plant/p1/out", "pump"},
      {"plant/p2/in", "pump"}, {"plant/p2/out", "pump"}, {"pump/p1", "pump"},
      {"pump/p2", "pump"}};
  EXPECT_EQ(watches, expected);
  engine->stop();
  std::map<std::string, std::uint64_t> counted;
  for (const auto& body : records()) {
    if (const auto* summary = std::get_if<wire::SummaryRecord>(&body)) {
      counted[summary->stream] += summary->readings;
    } else if (const auto* anomaly = std::get_if<wire::AnomalyRecord>(&body)) {
      EXPECT_EQ(anomaly->stream, "pump/p2") << anomaly->text;
      ASSERT_FALSE(anomaly->contributions.empty());
      EXPECT_EQ(anomaly->contributions[0].stream, "plant/p2/out");
    }
  }
  EXPECT_EQ(counted["plant/p1/in"], 400U);
  EXPECT_EQ(counted["plant/door"], 400U);
  EXPECT_GT(counted["pump/p2"], 350U);

  engine = make(config);
  engine->flush();
  std::size_t warm = 0;
  for (const auto& view : engine->streams("", 100)) warm += view.state.warm ? 1 : 0;
  EXPECT_EQ(warm, 3U) << "two groups and the door need no warm-up after a restart";
}

TEST_F(EngineTest, ANewNormalEndsTheAnomalyAndIsNotReportedAgain) {
  auto engine = make();
  const auto stream = id(*engine, "plant/pump/flow");
  auto readings = normal(stream, 900);
  for (std::size_t i = 560; i < readings.size(); ++i) readings[i].value += 40;
  ASSERT_TRUE(engine->submit(std::span(readings).first(660)));
  ASSERT_TRUE(engine->take("plant/pump/flow", detect::Feedback::new_normal));
  engine->flush();
  EXPECT_EQ(engine->figures().anomalies_open, 0U);
  ASSERT_TRUE(engine->submit(std::span(readings).subspan(660)));
  engine->flush();
  EXPECT_EQ(engine->figures().anomalies_open, 0U);
  EXPECT_EQ(metrics_.counter("feedback_total", "", {{"says", "normal"}}).value(), 1);
}

TEST_F(EngineTest, FeedbackOnWhatIsNotThereSaysSo) {
  detect::GroupConfig group;
  group.watch.name = "pump";
  group.watch.streams = {"plant/+/in", "plant/+/out"};
  groups_ = {group};
  auto engine = make();
  const auto unknown = engine->take("plant/x", detect::Feedback::real_fault);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Errc::not_found);
  id(*engine, "plant/p1/in");
  const auto sensor = engine->take("plant/p1/in", detect::Feedback::real_fault);
  ASSERT_FALSE(sensor);
  EXPECT_EQ(sensor.error().code, Errc::bad_input);
  EXPECT_NE(sensor.error().context.find("pump/p1"), std::string::npos);
  EXPECT_TRUE(engine->take("pump/p1", detect::Feedback::real_fault));
}

TEST_F(EngineTest, AGroupTakesTheRoomOfAllItsSensors) {
  detect::GroupConfig group;
  group.watch.name = "pump";
  group.watch.streams = {"plant/+/in", "plant/+/out"};
  groups_ = {group};
  EngineConfig config;
  config.streams_max = 3;
  auto engine = make(config);
  id(*engine, "plant/p1/in");
  const auto refused = engine->stream_for("plant/p2/in", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::limit);
  id(*engine, "plant/p1/out");
  id(*engine, "plant/door");
}

// Printed, not asserted.
TEST_F(EngineTest, Figures) {
  constexpr int kStreams = 2000;
  constexpr int kRounds = 500;
  auto engine = make();
  std::vector<StreamId> streams;
  for (int i = 0; i < kStreams; ++i) {
    streams.push_back(
        id(*engine, "plant/line" + std::to_string(i % 20) + "/s" + std::to_string(i)));
  }
  std::vector<Reading> round;
  const Time first = now() - seconds(kRounds);
  const auto began = std::chrono::steady_clock::now();
  for (int r = 0; r < kRounds; ++r) {
    round.clear();
    for (const auto stream : streams) {
      round.push_back({stream, first + seconds(r), std::sin(.1 * r + stream.value) + r % 7});
    }
    ASSERT_TRUE(engine->submit(round));
  }
  engine->flush();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const auto stopping = std::chrono::steady_clock::now();
  engine->stop();
  const std::chrono::duration<double> stop = std::chrono::steady_clock::now() - stopping;
  const auto starting = std::chrono::steady_clock::now();
  engine = make();
  const std::chrono::duration<double> start = std::chrono::steady_clock::now() - starting;
  std::printf(
      "%d streams, one shard, readings in turn: %.0f readings/s; saved state %.0f bytes a stream; "
      "stop %.0f ms, start %.0f ms\n",
      kStreams, kStreams * kRounds / took.count(),
      static_cast<double>(std::filesystem::file_size(folder_.path() / "streams-0.snapshot")) /
          kStreams,
      1e3 * stop.count(), 1e3 * start.count());
  EXPECT_EQ(engine->figures().streams, static_cast<std::uint64_t>(kStreams));
}

TEST_F(EngineTest, ARestartNeedsNoWarmUp) {
  auto engine = make();
  ASSERT_TRUE(engine->submit(normal(id(*engine, "plant/pump/flow"), 300)));
  engine->stop();
  engine = make();
  const auto views = engine->streams("", 10);
  engine->flush();
  const auto restored = engine->streams("", 10);
  ASSERT_EQ(restored.size(), 1U);
  EXPECT_EQ(restored[0].name, "plant/pump/flow");
  EXPECT_TRUE(restored[0].state.warm);
}

TEST_F(EngineTest, ADamagedSnapshotIsRefusedAndTheStreamsWarmUpAnew) {
  auto engine = make();
  ASSERT_TRUE(engine->submit(normal(id(*engine, "plant/pump/flow"), 300)));
  engine->stop();
  const auto file = folder_.path() / "streams-0.snapshot";
  ASSERT_TRUE(std::filesystem::exists(file));
  {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(200);
    bytes.put('\x55');
  }
  engine = make();
  const auto stream = id(*engine, "plant/pump/flow");
  ASSERT_TRUE(engine->submit(normal(stream, 10)));
  engine->flush();
  ASSERT_EQ(engine->streams("", 10).size(), 1U);
  EXPECT_FALSE(engine->streams("", 10)[0].state.warm);
}

TEST_F(EngineTest, AFullQueueHoldsTheSourceBackAndLosesNothing) {
  EngineConfig config;
  config.queue_readings_max = 1000;
  auto engine = make(config);
  const auto stream = id(*engine, "plant/fast");
  const auto readings = normal(stream, 200'000);
  for (std::size_t i = 0; i < readings.size(); i += 500) {
    ASSERT_TRUE(engine->submit(std::span(readings).subspan(i, 500)));
    ASSERT_LT(engine->figures().queued, config.queue_readings_max + 500);
  }
  engine->flush();
  EXPECT_EQ(engine->figures().readings_total, readings.size());
}

TEST_F(EngineTest, TellsWhenScoringWaitsForTheOutboxAndBoundsWhatPeopleSayMeanwhile) {
  outbox_.reset();
  open_outbox({.bytes_max = 4000, .summaries_at_bound = AtBound::block, .ballast_bytes = 0});
  EngineConfig config;
  config.shards = 1;
  config.summary_interval = std::chrono::milliseconds(100);
  auto engine = make(config);
  const auto stream = id(*engine, "plant/slow");
  EXPECT_FALSE(engine->held_up());
  const auto readings = normal(stream, 5000);
  std::size_t next = 0;
  ASSERT_TRUE(lapwing::testing::eventually([&] {
    EXPECT_TRUE(engine->submit(std::span(readings).subspan(next++, 1)));
    return engine->held_up();
  }));
  std::size_t taken = 0;
  while (engine->take("plant/slow", detect::Feedback::real_fault) && taken < 3000) ++taken;
  EXPECT_EQ(taken, 1000U);
  const auto refused = engine->take("plant/slow", detect::Feedback::real_fault);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::limit);
  EXPECT_EQ(metrics_.counter("feedback_refused_total", "").value(), 2);
  outbox_->stop_waiting();
  engine->flush();
  EXPECT_FALSE(engine->held_up());
  EXPECT_TRUE(engine->take("plant/slow", detect::Feedback::real_fault));
}

TEST_F(EngineTest, AStopLetsAWaitingSourceGo) {
  EngineConfig config;
  config.queue_readings_max = 1000;
  auto engine = make(config);
  const auto stream = id(*engine, "plant/fast");
  const auto readings = normal(stream, 5000);
  std::thread source([&] {
    while (engine->submit(readings)) {
    }
  });
  while (engine->figures().readings_total < 10'000) std::this_thread::yield();
  engine->stop();
  source.join();
}

TEST(SnapshotFile, ReadsBackWhatWasWrittenAndStopsAtDamage) {
  const lapwing::testing::TempDir folder;
  const auto path = folder.path() / "s.snapshot";
  auto writer = SnapshotWriter::begin(path);
  ASSERT_TRUE(writer);
  const std::vector<std::byte> state(100, std::byte{7});
  const std::vector<wire::Tag> tags{{"site", "plant1"}};
  for (int i = 0; i < 5; ++i)
    writer->add(SnapshotOf::stream, "stream" + std::to_string(i), tags, state);
  ASSERT_TRUE(writer->finish());
  ASSERT_TRUE(SnapshotWriter::publish(path));
  int count = 0;
  ASSERT_TRUE(read_snapshot(path, [&](SnapshotEntry& entry) {
    EXPECT_EQ(entry.name, "stream" + std::to_string(count++));
    EXPECT_EQ(entry.tags, tags);
    EXPECT_EQ(entry.state, state);
  }));
  EXPECT_EQ(count, 5);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  count = 0;
  const auto cut = read_snapshot(path, [&](SnapshotEntry&) { ++count; });
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Errc::corrupt);
  EXPECT_EQ(count, 4);
}

}  // namespace
}  // namespace lapwing::agent
