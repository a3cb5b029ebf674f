// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/watch.hpp"

#include "shared/base/config.hpp"
#include "shared/detect/group.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lapwing::detect::watch_test {
namespace {

/// Reads the last table of that name into `config`; the problems.
template <class Config>
std::string read_last(std::string_view text, std::string_view table, Config& config) {
  auto document = config::Document::parse(text, "agent.toml");
  auto root = document.root();
  for (auto& section : root.tables({table, "what is watched"})) config = Config::read(section);
  std::string problems;
  for (const auto& problem : document.finish()) problems += problem.text() + "\n";
  return problems;
}

struct Loaded {
  WatchConfig watch;
  std::string problems;
};

Loaded load(std::string_view text) {
  Loaded loaded;
  loaded.problems = read_last(text, "watch", loaded.watch);
  return loaded;
}

TEST(Filters, MatchAsMqttDoes) {
  struct Case {
    std::string_view filter;
    std::string_view stream;
    bool matches;
  };
  for (const Case& one : std::vector<Case>{{"#", "a/b/c", true},
                                           {"a/#", "a/b/c", true},
                                           {"a/#", "a", true},
                                           {"a/#", "ab", false},
                                           {"a/+/c", "a/b/c", true},
                                           {"a/+/c", "a/b/d", false},
                                           {"a/+", "a/b/c", false},
                                           {"a/+", "a", false},
                                           {"+/+", "/x", true},
                                           {"+", "", true},
                                           {"a/b", "a/b", true},
                                           {"a/b", "a/b/", false},
                                           {"a/b/", "a/b", false}}) {
    EXPECT_EQ(filter_matches(one.filter, one.stream), one.matches)
        << one.filter << " " << one.stream;
  }
}

TEST(Filters, SayWhatIsWrongWithThem) {
  for (const std::string_view good : {"#", "+", "a/+/#", "/", "a//b"})
    EXPECT_EQ(filter_problem(good), "") << good;
  for (const std::string_view bad : {"", "a/#/b", "a#", "a/b+", "#/a"})
    EXPECT_NE(filter_problem(bad), "") << bad;
}

TEST(Watches, AreTakenInOrder) {
  const std::vector<WatchConfig> watches = {{.name = "one", .streams = {"a/+", "b/#"}},
                                            {.name = "rest", .streams = {"a/#"}}};
  EXPECT_EQ(watch_for(watches, "b/x/y")->name, "one");
  EXPECT_EQ(watch_for(watches, "a/x/y")->name, "rest");
  EXPECT_EQ(watch_for(watches, "c"), nullptr);
}

TEST(WatchConfig, ReadsEveryKey) {
  const auto [watch, problems] = load(R"(
[[watch]]
name = "pumps"
streams = ["plant/+/pump/#"]
detector = "ewma"
alarms_per_week = 0.5
warmup = 500
season = "1h"
min = -5
max = 120.5
rate_max = 10
stuck_check = false
stuck_after = "5m"
gap_check = true
gap_after = "30s"
hold = "10s"
accept_after = "1d"
)");
  EXPECT_EQ(problems, "");
  EXPECT_EQ(watch.name, "pumps");
  EXPECT_EQ(watch.detector, "ewma");
  EXPECT_EQ(watch.alarms_per_week, 0.5);
  EXPECT_EQ(watch.warmup, 500U);
  EXPECT_EQ(watch.season, std::chrono::hours(1));
  EXPECT_EQ(watch.min, -5);
  EXPECT_EQ(watch.max, 120.5);
  EXPECT_FALSE(watch.stuck_check);
  EXPECT_EQ(watch.stuck_after, std::chrono::minutes(5));
  EXPECT_EQ(watch.gap_after, std::chrono::seconds(30));
  EXPECT_EQ(watch.accept_after, std::chrono::hours(24));
}

TEST(WatchConfig, HasUsableDefaults) {
  const auto [watch, problems] = load("[[watch]]\n");
  EXPECT_EQ(problems, "");
  EXPECT_EQ(watch.detector, "auto");
  EXPECT_EQ(watch.alarms_per_week, 1);
  EXPECT_EQ(watch.streams, std::vector<std::string>{"#"});
  EXPECT_FALSE(watch.min || watch.max || watch.rate_max || watch.gap_after || watch.season);
}

TEST(WatchConfig, NamesEveryProblem) {
  const auto [watch, problems] = load(R"([[watch]]
name = "Pump one"
streams = ["a/#/b"]
detector = "atuo"
min = 5
max = 5
warmup = 3
colour = "red"
)");
  for (const std::string_view part :
       {"agent.toml:2", "a/#/b", "auto", "min must be below max", "warmup", "colour"}) {
    EXPECT_NE(problems.find(part), std::string::npos) << part << " in\n" << problems;
  }
}

struct LoadedGroup {
  GroupConfig group;
  std::string problems;
};

LoadedGroup load_group(std::string_view text) {
  LoadedGroup loaded;
  loaded.problems = read_last(text, "group", loaded.group);
  return loaded;
}

TEST(Groups, ReadWhatIsGiven) {
  const auto loaded = load_group(R"([[group]]
name = "pump"
streams = ["plant/+/flow", "plant/+/pressure"]
detector = "halfspace_trees"
alarms_per_week = 3
interval = "2s"
wait = "1s"
gap_after = "1m")");
  EXPECT_EQ(loaded.problems, "");
  EXPECT_EQ(loaded.group.watch.name, "pump");
  EXPECT_EQ(loaded.group.watch.streams.size(), 2U);
  EXPECT_EQ(loaded.group.watch.detector, "halfspace_trees");
  EXPECT_EQ(loaded.group.watch.alarms_per_week, 3);
  EXPECT_EQ(loaded.group.interval, Micros(2'000'000));
  EXPECT_EQ(loaded.group.wait, Micros(1'000'000));
  EXPECT_EQ(loaded.group.watch.gap_after, Micros(60'000'000));
}

TEST(Groups, NameTheirSensorsAsAModelDoes) {
  const auto loaded = load_group(R"([[group]]
name = "pump"
streams = ["plant/+/flow", "plant/+/pressure"]
model = "pumps"
units = ["m³/h", "bar"])");
  EXPECT_EQ(loaded.problems, "");
  EXPECT_EQ(loaded.group.model, "pumps");
  EXPECT_EQ(loaded.group.sensor_name(1), "pressure") << "the stream's last level";
  EXPECT_EQ(loaded.group.unit(0), "m³/h");
  const auto named = load_group(R"([[group]]
name = "pump"
streams = ["x/+", "y/+"]
model = "pumps"
sensor_names = ["flow", "pressure"])");
  EXPECT_EQ(named.problems, "");
  EXPECT_EQ(named.group.sensor_name(1), "pressure");
  EXPECT_EQ(named.group.unit(1), "");
}

TEST(Groups, SayWhatIsWrongWithThem) {
  struct Case {
    std::string_view text;
    std::string_view said;
  };
  for (const Case& one :
       std::vector<Case>{{"streams = [\"a\"]", "group has 2 to 256 sensors"},
                         {"streams = [\"a/+\", \"b/+/c/+\"]", "not as many levels +"},
                         {"streams = [\"a/b\", \"a/#\"]", "stands for many streams"},
                         {"streams = [\"a/b\", \"a/b\"]", "is there twice"},
                         {"streams = [\"a\", \"b\"]\ndetector = \"ewma\"", "detector"},
                         {"streams = [\"a\", \"b\"]\nmin = 3", "min"},
                         {"streams = [\"a\", \"b\"]\nunits = [\"bar\"]", "1 given for 2 sensors"},
                         {"streams = [\"a\", \"b\"]\nmodel = \"My pumps\"", "allowed: 1 to 64"},
                         {"streams = [\"x/a\", \"y/a\"]\nmodel = \"m\"", "give each its own"},
                         {"streams = [\"x/+\", \"y/+\"]\nmodel = \"m\"", "give each its own"}}) {
    const auto loaded = load_group("[[group]]\nname = \"g\"\n" + std::string(one.text));
    EXPECT_NE(loaded.problems.find(one.said), std::string::npos) << one.text << loaded.problems;
  }
}

TEST(Groups, SeatStreamsByMachine) {
  std::vector<GroupConfig> groups(2);
  groups[0].watch.name = "pump";
  groups[0].watch.streams = {"plant/+/pump/+/flow", "plant/+/pump/+/pressure"};
  groups[1].watch.name = "oven";
  groups[1].watch.streams = {"plant/oven/top", "plant/oven/bottom"};
  const auto seat = seat_for(groups, "plant/north/pump/7/pressure");
  ASSERT_TRUE(seat);
  EXPECT_EQ(seat->group, &groups[0]);
  EXPECT_EQ(seat->name, "pump/north/7");
  EXPECT_EQ(seat->sensor, 1U);
  EXPECT_EQ(sensors_of(groups[0], seat->name),
            (std::vector<std::string>{"plant/north/pump/7/flow", "plant/north/pump/7/pressure"}));
  const auto oven = seat_for(groups, "plant/oven/top");
  ASSERT_TRUE(oven);
  EXPECT_EQ(oven->name, "oven");
  EXPECT_EQ(sensors_of(groups[1], "oven"), groups[1].watch.streams);
  EXPECT_FALSE(seat_for(groups, "plant/oven"));
  for (const auto* other : {"oven", "pump", "pump/north", "pump/north/7/x", "pumps/a/b"}) {
    EXPECT_TRUE(sensors_of(groups[0], other).empty()) << other;
  }
}

}  // namespace
}  // namespace lapwing::detect::watch_test
