// SPDX-License-Identifier: Apache-2.0
#include "agent/engine/group.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace lapwing::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Time kBegin = from_micros(1'764'000'000'000'000);

detect::GroupConfig config() {
  detect::GroupConfig group;
  group.watch.name = "pump";
  group.watch.streams = {"plant/+/in", "plant/+/flow", "plant/+/out"};
  group.watch.warmup = 200;
  return group;
}

/// Three sensors that move together, one reading a second each, the wall clock `behind` after them.
class Machine {
 public:
  explicit Machine(const detect::GroupConfig& config, Micros behind = Micros(0))
      : behind_(behind), group_(std::move(*Group::make(config, "pump/p1", 7))) {}

  /// The next second; sensors in `silent` say nothing, and `lift` is added to the last.
  void second(std::uint32_t silent = 0, double lift = 0) {
    const double load = std::sin(.05 * count_) + .3 * std::sin(.011 * count_);
    const std::vector<double> values{10 + 2 * load + noise(), 4 + load + noise(),
                                     20 - 3 * load + noise() + lift};
    for (std::size_t i = 0; i < values.size(); ++i) {
      if ((silent >> i & 1) != 0) continue;
      const Time at = time() + milliseconds(20 * i);
      group_->push(i, at, values[i], at + behind_, events_);
    }
    group_->tick(time() + milliseconds(500) + behind_, events_);
    ++count_;
  }
  void seconds_pass(int count, std::uint32_t silent = 0, double lift = 0) {
    for (int i = 0; i < count; ++i) second(silent, lift);
  }
  [[nodiscard]] Time time() const { return kBegin + seconds(count_); }
  [[nodiscard]] int opened(wire::Reason reason) const {
    int count = 0;
    for (const auto& event : events_) {
      if (event.event.phase == wire::Phase::opened && event.event.reason == reason) ++count;
    }
    return count;
  }

  Micros behind_;
  std::unique_ptr<Group> group_;
  std::vector<detect::GroupEvent> events_;
  int count_ = 0;

 private:
  double noise() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return .05 * (static_cast<double>(state_ >> 40) / (1 << 24) - .5);
  }
  std::uint64_t state_ = 1;
};

TEST(AgentGroup, AFaultNamesTheSensorThatIsUnlikeTheOthers) {
  const auto group = config();
  Machine machine(group);
  machine.seconds_pass(1000);
  EXPECT_TRUE(machine.events_.empty());
  machine.seconds_pass(60, 0, 1.5);
  ASSERT_FALSE(machine.events_.empty());
  const auto record = machine.group_->record(machine.events_.back());
  EXPECT_EQ(record.stream, "pump/p1");
  EXPECT_EQ(record.watch, "pump");
  ASSERT_FALSE(record.contributions.empty());
  EXPECT_EQ(record.contributions[0].stream, "plant/p1/out");
  EXPECT_NE(record.text.find("plant/p1/out"), std::string::npos) << record.text;
}

TEST(AgentGroup, ASilentSensorIsItsOwnOutageAndTheOthersAreNotBlamed) {
  const auto group = config();
  Machine machine(group);
  machine.seconds_pass(600);
  machine.seconds_pass(60, 0b010);
  ASSERT_EQ(machine.opened(wire::Reason::gap), 1);
  const auto record = machine.group_->record(machine.events_.front());
  EXPECT_EQ(record.stream, "plant/p1/flow");
  EXPECT_EQ(record.reason, wire::Reason::gap);
  EXPECT_GE(machine.group_->state().readings_total, 635U) << "rows go on without it";
}

TEST(AgentGroup, WhenAllAreSilentItIsOneOutageOfTheGroup) {
  const auto group = config();
  Machine machine(group);
  machine.seconds_pass(600);
  machine.seconds_pass(60, 0b111);
  ASSERT_EQ(machine.opened(wire::Reason::gap), 1);
  const auto record = machine.group_->record(machine.events_.front());
  EXPECT_EQ(record.stream, "pump/p1");
  EXPECT_TRUE(record.contributions.empty());
  EXPECT_NE(record.text.find("no reading"), std::string::npos) << record.text;
  machine.seconds_pass(10);
  EXPECT_EQ(machine.opened(wire::Reason::gap), 1) << "nor is each sensor's return news";
  EXPECT_TRUE(std::ranges::any_of(machine.events_, [](const detect::GroupEvent& e) {
    return e.event.reason == wire::Reason::gap && e.event.phase == wire::Phase::closed;
  }));
}

TEST(AgentGroup, SensorsWhoseClockIsBehindAreNotSilent) {
  const auto group = config();
  Machine machine(group, seconds(50));
  machine.seconds_pass(1000);
  EXPECT_EQ(machine.opened(wire::Reason::gap), 0);
}

TEST(AgentGroup, ALostReadingIsNoOutage) {
  const auto group = config();
  Machine machine(group);
  machine.seconds_pass(600);
  for (int i = 0; i < 20; ++i) {
    machine.second(0b001);
    machine.seconds_pass(10);
  }
  EXPECT_EQ(machine.opened(wire::Reason::gap), 0);
}

TEST(AgentGroup, SummariesAddUpToTheReadingsAndTheRows) {
  const auto group = config();
  Machine machine(group);
  machine.group_->join(0, std::vector<wire::Tag>{{"site", "a"}, {"unit", "bar"}});
  machine.group_->join(1, std::vector<wire::Tag>{{"site", "a"}, {"unit", "l"}});
  machine.seconds_pass(500, 0b100);
  machine.group_->finish(machine.time(), machine.events_);
  std::vector<wire::SummaryRecord> summaries;
  machine.group_->take_summaries(kBegin, machine.time(), summaries);
  ASSERT_EQ(summaries.size(), 3U) << "the group, and the two sensors that spoke";
  EXPECT_EQ(summaries[0].stream, "pump/p1");
  EXPECT_EQ(summaries[0].watch, "pump");
  EXPECT_EQ(summaries[0].tags, (std::vector<wire::Tag>{{"site", "a"}})) << "what all share";
  EXPECT_EQ(summaries[0].readings, machine.group_->state().readings_total);
  EXPECT_TRUE(std::isnan(summaries[0].value_mean));
  EXPECT_EQ(summaries[1].stream, "plant/p1/in");
  EXPECT_EQ(summaries[1].readings, 500U);
  EXPECT_NEAR(summaries[1].value_mean, 10, 1);
  std::vector<wire::SummaryRecord> again;
  machine.group_->take_summaries(machine.time(), machine.time(), again);
  EXPECT_TRUE(again.empty());
}

TEST(AgentGroup, LateReadingsAreCountedOnce) {
  const auto group = config();
  Machine machine(group);
  machine.seconds_pass(100);
  EXPECT_EQ(machine.group_->take_late(), 0U);
  machine.group_->push(0, machine.time() - seconds(20), 10, machine.time(), machine.events_);
  EXPECT_EQ(machine.group_->take_late(), 1U);
  EXPECT_EQ(machine.group_->take_late(), 0U);
}

TEST(AgentGroup, GoesOnWhereItsSnapshotWasTaken) {
  const auto group = config();
  Machine machine(group);
  machine.seconds_pass(600);
  std::vector<std::byte> state;
  machine.group_->snapshot(state);
  const auto rows = machine.group_->state().readings_total;
  auto other = Group::make(group, "pump/p1", 7);
  ASSERT_TRUE((*other)->restore(state));
  EXPECT_TRUE((*other)->state().warm);
  machine.group_ = *std::move(other);
  machine.seconds_pass(10);
  EXPECT_GE(machine.group_->state().readings_total, rows + 9) << "the interval is not learnt anew";
  machine.seconds_pass(60, 0, 1.5);
  EXPECT_EQ(machine.opened(wire::Reason::unusual), 1);
  EXPECT_EQ(machine.opened(wire::Reason::gap), 0);
}

TEST(AgentGroup, RefusesTheStateOfOtherSensors) {
  const auto group = config();
  Machine machine(group);
  machine.seconds_pass(300);
  std::vector<std::byte> state;
  machine.group_->snapshot(state);
  auto changed = group;
  changed.watch.streams[1] = "plant/+/temperature";
  auto other = Group::make(changed, "pump/p1", 7);
  const auto refused = (*other)->restore(state);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  const auto cut = (*other)->restore(std::span(state).first(5));
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Errc::corrupt);
  EXPECT_FALSE((*other)->state().warm);
}

}  // namespace
}  // namespace lapwing::agent
