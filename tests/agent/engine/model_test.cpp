// SPDX-License-Identifier: Apache-2.0
/// Models come and go while an engine scores.
#include "agent/engine/engine.hpp"
#include "shared/base/metrics.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/model/train.hpp"
#include "shared/wire/codec.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

namespace lapwing::agent::model_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Time kBegin = from_micros(1'764'000'000'000'000);
constexpr std::size_t kWidth = 3;

double value_of(std::size_t row, std::size_t sensor) {
  const auto x = static_cast<double>(row);
  const double load = std::sin(.05 * x) + .3 * std::sin(.011 * x);
  const double noise =
      .1 * std::sin(x * (12.9898 + static_cast<double>(sensor))) * std::cos(x * 78.233);
  return (sensor == 1 ? -1.0 : 1.0) * load + noise + 3 * static_cast<double>(sensor);
}

/// A model of the rows above; `seed` tells versions apart.
std::shared_ptr<const model::LiveModel> make_model(std::uint64_t seed, const char* kind = "pca",
                                                   const char* unit = "bar") {
  std::vector<double> values;
  for (std::size_t row = 0; row < 2000; ++row) {
    for (std::size_t sensor = 0; sensor < kWidth; ++sensor) {
      values.push_back(value_of(row, sensor));
    }
  }
  model::TrainRequest request{
      .kind = detect::find_kind(kind, detect::Input::rows),
      .table = {.values = values, .width = kWidth},
      .sensors = {{.name = "in"}, {.name = "flow"}, {.name = "out", .unit = unit}},
      .seed = seed};
  auto trained = model::train(request);
  EXPECT_TRUE(trained) << trained.error().context;
  auto file = model::Model::read(trained->file);
  EXPECT_TRUE(file);
  auto live = model::LiveModel::of(std::make_shared<const model::Model>(*std::move(file)),
                                   "pumps " + std::to_string(seed));
  EXPECT_TRUE(live);
  return std::make_shared<const model::LiveModel>(*std::move(live));
}

class EngineModels : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Outbox::open({}, folder_.path(), metrics_);
    ASSERT_TRUE(opened) << opened.error().context;
    outbox_ = std::move(*opened);
    group_.watch.name = "pump";
    group_.watch.streams = {"plant/+/in", "plant/+/flow", "plant/+/out"};
    group_.watch.warmup = 60;
    group_.watch.gap_check = false;
    group_.model = "pumps";
    group_.units = {"", "", "bar"};
    group_.interval = seconds(1);
  }
  std::unique_ptr<Engine> make() {
    return std::make_unique<Engine>(EngineConfig{.shards = 2}, Watched{{}, {group_}},
                                    folder_.path(), *outbox_, metrics_);
  }
  /// Hands in rows of one machine; `lift` is added to the last sensor.
  static void feed(Engine& engine, const std::string& machine, std::size_t from, std::size_t to,
                   double lift = 0) {
    const StreamId ids[] = {*engine.stream_for("plant/" + machine + "/in", {}),
                            *engine.stream_for("plant/" + machine + "/flow", {}),
                            *engine.stream_for("plant/" + machine + "/out", {})};
    std::vector<Reading> readings;
    for (std::size_t row = from; row < to; ++row) {
      for (std::size_t s = 0; s < kWidth; ++s) {
        const double more = s == 2 ? lift : 0;
        readings.push_back({ids[s], kBegin + row * seconds(1), value_of(row, s) + more});
      }
    }
    ASSERT_TRUE(engine.submit(readings));
  }
  static StreamView view(Engine& engine, const std::string& name) {
    for (auto& one : engine.streams("", 100)) {
      if (one.name == name) return one;
    }
    ADD_FAILURE() << "no " << name;
    return {};
  }
  std::vector<wire::AnomalyRecord> anomalies() {
    outbox_->flush();
    std::vector<wire::AnomalyRecord> out;
    const auto entries = outbox_->read(1, 10'000, 1 << 24);
    for (const auto& entry : *entries) {
      auto body = wire::decode_record(entry.payload);
      if (auto* one = std::get_if<wire::AnomalyRecord>(&*body)) out.push_back(std::move(*one));
    }
    return out;
  }
  [[nodiscard]] double unscored() {
    return metrics_.counter("model_rows_unscored_total", "").value();
  }

  detect::GroupConfig group_;
  lapwing::testing::TempDir folder_;
  Metrics metrics_;
  std::unique_ptr<Outbox> outbox_;
};

TEST_F(EngineModels, AGroupThatAppearsHasTheModelFromItsFirstRow) {
  auto engine = make();
  ASSERT_TRUE(engine->install("pumps", ModelSlot::active, make_model(1)));
  ASSERT_TRUE(engine->start());
  feed(*engine, "p1", 0, 300);
  feed(*engine, "p1", 300, 330, 9);
  engine->flush();
  EXPECT_EQ(view(*engine, "pump/p1").detector, "pumps 1");
  const auto said = engine->statistics("pumps", ModelSlot::active);
  ASSERT_TRUE(said);
  EXPECT_GE(said->rows, 329U);
  EXPECT_EQ(said->alarms, 1U);
  EXPECT_GT(said->memory_bytes, 0U);
  EXPECT_FALSE(engine->statistics("pumps", ModelSlot::shadow));
  engine->stop();
  const auto found = anomalies();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].detector, "pumps 1");
  EXPECT_EQ(found[0].stream, "pump/p1");
  EXPECT_EQ(unscored(), 0);
}

TEST_F(EngineModels, NoRowIsLeftOutWhileModelsChange) {
  auto engine = make();
  const std::shared_ptr<const model::LiveModel> versions[] = {make_model(1), make_model(2)};
  ASSERT_TRUE(engine->install("pumps", ModelSlot::active, versions[0]));
  ASSERT_TRUE(engine->start());
  constexpr std::size_t kRows = 20'000;
  constexpr std::size_t kAtOnce = 50;
  std::atomic<bool> fed{false};
  std::atomic<std::size_t> changes{0};
  std::thread source([&] {
    for (std::size_t row = 0; row < kRows; row += kAtOnce) {
      feed(*engine, "p1", row, row + kAtOnce);
      feed(*engine, "p2", row, row + kAtOnce);
      while (changes < row / kAtOnce / 8) std::this_thread::yield();  // both get their turn
    }
    fed = true;
  });
  std::uint64_t scored = 0;
  while (!fed) {
    const auto& next = versions[++changes % 2];
    ASSERT_TRUE(engine->install("pumps", ModelSlot::shadow, next));
    ASSERT_TRUE(engine->install("pumps", ModelSlot::active, next));
    if (changes % 3 == 0) {
      ASSERT_TRUE(engine->install("pumps", ModelSlot::shadow, nullptr));
    }
  }
  source.join();
  engine->flush();
  for (const char* group : {"pump/p1", "pump/p2"}) {
    const auto state = view(*engine, group).state;
    EXPECT_GE(state.readings_total, kRows - 1) << group << ": the newest row may wait";
    EXPECT_EQ(state.dropped_total, 0U);
    scored += state.readings_total;
  }
  for (const char* machine : {"p1", "p2"}) {
    for (const char* sensor : {"in", "flow", "out"}) {
      const std::string name = std::string("plant/") + machine + "/" + sensor;
      EXPECT_EQ(view(*engine, name).state.readings_total, kRows) << name;
    }
  }
  engine->stop();
  EXPECT_EQ(unscored(), 0);
  EXPECT_GE(changes, (kRows - kAtOnce) / kAtOnce / 8);
  std::printf("%llu rows scored while models changed %zu times; unscored %g\n",
              static_cast<unsigned long long>(scored), changes.load(), unscored());
}

TEST_F(EngineModels, TheAnomalyThatIsOpenEndsWithTheModelThatFoundIt) {
  auto engine = make();
  ASSERT_TRUE(engine->install("pumps", ModelSlot::active, make_model(1)));
  ASSERT_TRUE(engine->start());
  feed(*engine, "p1", 0, 300);
  feed(*engine, "p1", 300, 320, 9);
  engine->flush();
  ASSERT_EQ(engine->figures().anomalies_open, 1U);
  ASSERT_TRUE(engine->install("pumps", ModelSlot::active, make_model(2)));
  EXPECT_EQ(engine->figures().anomalies_open, 0U);
  feed(*engine, "p1", 320, 340, 9);
  engine->flush();
  EXPECT_EQ(engine->figures().anomalies_open, 1U) << "it lasts, and is the other's now";
  engine->stop();
  const auto found = anomalies();
  std::vector<std::string> steps;
  for (const auto& one : found) {
    if (one.phase == wire::Phase::updated) continue;
    steps.push_back(one.detector + (one.phase == wire::Phase::opened ? " opened" : " closed"));
  }
  EXPECT_EQ(steps,
            (std::vector<std::string>{"pumps 1 opened", "pumps 1 closed", "pumps 2 opened"}));
}

TEST_F(EngineModels, AShadowRaisesNoAlarmAndGoesOnWhenItTakesOver) {
  auto engine = make();
  ASSERT_TRUE(engine->start());
  feed(*engine, "p1", 0, 200);  // the group's own detector is warm
  ASSERT_TRUE(engine->install("pumps", ModelSlot::shadow, make_model(1)));
  feed(*engine, "p1", 200, 400);
  feed(*engine, "p1", 400, 430, 9);
  engine->flush();
  const auto said = engine->statistics("pumps", ModelSlot::shadow);
  ASSERT_TRUE(said);
  EXPECT_GE(said->rows, 225U);
  EXPECT_EQ(said->alarms, 1U);
  EXPECT_GT(said->rival_cost_p99, 0);
  EXPECT_FALSE(engine->statistics("pumps", ModelSlot::active));
  for (const auto& one : anomalies()) EXPECT_EQ(one.detector, "auto");
  ASSERT_TRUE(engine->install("pumps", ModelSlot::active, make_model(1)));
  EXPECT_EQ(view(*engine, "pump/p1").detector, "pumps 1");
  EXPECT_EQ(engine->statistics("pumps", ModelSlot::active)->rows, 0U) << "a new account";
  ASSERT_TRUE(engine->install("pumps", ModelSlot::shadow, nullptr));
  EXPECT_FALSE(engine->statistics("pumps", ModelSlot::shadow));
  engine->stop();
}

TEST_F(EngineModels, OnesThatDoNotFitAreRefusedAndScoringGoesOn) {
  auto engine = make();
  ASSERT_TRUE(engine->install("pumps", ModelSlot::active, make_model(1)));
  ASSERT_TRUE(engine->start());
  const auto unknown = engine->install("ovens", ModelSlot::active, make_model(1));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Errc::not_found);
  const auto other =
      engine->install("pumps", ModelSlot::active, make_model(2, "isolation_forest", "psi"));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::denied);
  EXPECT_NE(other.error().context.find("out [psi]; the group pump has in, flow, out [bar]"),
            std::string::npos)
      << other.error().context;
  feed(*engine, "p1", 0, 100);
  engine->flush();
  EXPECT_EQ(view(*engine, "pump/p1").detector, "pumps 1");
  engine->stop();
}

TEST_F(EngineModels, WhatWasLearntGoesOnAfterARestartWithTheSameModelOnly) {
  const auto model = make_model(1);
  {
    auto engine = make();
    ASSERT_TRUE(engine->install("pumps", ModelSlot::active, model));
    ASSERT_TRUE(engine->start());
    feed(*engine, "p1", 0, 300);
    feed(*engine, "p1", 300, 320, 9);
    engine->flush();
    engine->stop();
  }
  const auto before = anomalies().size();
  {
    auto engine = make();
    ASSERT_TRUE(engine->install("pumps", ModelSlot::active, model));
    ASSERT_TRUE(engine->start());
    feed(*engine, "p1", 320, 330, 9);
    engine->flush();
    EXPECT_EQ(engine->figures().anomalies_open, 1U) << "the same one";
    engine->stop();
  }
  const auto after = anomalies();
  for (std::size_t i = before; i < after.size(); ++i) {
    EXPECT_EQ(after[i].phase, wire::Phase::updated);
  }
  auto engine = make();
  ASSERT_TRUE(engine->install("pumps", ModelSlot::active, make_model(2)));
  ASSERT_TRUE(engine->start());
  feed(*engine, "p1", 330, 340);
  engine->flush();
  EXPECT_EQ(engine->figures().anomalies_open, 0U);
  engine->stop();
  EXPECT_EQ(anomalies().back().phase, wire::Phase::closed);
  EXPECT_EQ(unscored(), 0);
}

}  // namespace
}  // namespace lapwing::agent::model_test
