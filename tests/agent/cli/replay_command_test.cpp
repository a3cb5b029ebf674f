// SPDX-License-Identifier: Apache-2.0
// `replay` and `tune` as users run them: the real program, as a process.
#include "shared/base/files.hpp"
#include "tests/agent/cli/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <string>

namespace lapwing::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kRows = 2000;
constexpr int kFaultAt = 1900;

/// A quiet sine with one jump of 50 rows; a second a row.
std::string readings() {
  std::string text = "timestamp,value,label\n";
  for (int i = 0; i < kRows; ++i) {
    const bool fault = i >= kFaultAt && i < kFaultAt + 50;
    text += std::to_string(1'700'000'000 + i) + "," +
            std::to_string(10 + std::sin(i * 0.7) + 0.1 * std::cos(i * 17.3) + (fault ? 20 : 0)) +
            "," + (fault ? "1" : "0") + "\n";
  }
  return text;
}

std::string text_of(const std::filesystem::path& path) {
  const auto text = read_file(path, kTextMax);
  EXPECT_TRUE(text) << text.error().context;
  return text ? *text : "";
}

TEST(AgentReplay, ScoresFoldersIntoFilesOfTheSameNames) {
  const TempDir folder;
  std::filesystem::create_directories(folder.path() / "data" / "north");
  folder.put("data/south.csv", readings());
  folder.put("data/north/pump.csv", readings());
  const auto data = (folder.path() / "data").string();
  const auto out = folder.path() / "out";
  const auto said = agent({"replay", data, "--out", out.string(), "--plot",
                           (folder.path() / "plots").string(), "--label-column", "label"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.err, IsEmpty()) << "progress is for terminals and for what takes long";
  EXPECT_THAT(said.out,
              AllOf(HasSubstr("== 2 files: 4000 rows"), HasSubstr("recall 1"), HasSubstr("delay")));
  const auto scores = text_of(out / "north" / "pump.csv");
  EXPECT_THAT(scores, ::testing::StartsWith("timestamp,value,score,anomaly_score\n1700000000,"));
  EXPECT_EQ(std::count(scores.begin(), scores.end(), '\n'), kRows + 1);
  EXPECT_EQ(text_of(out / "south.csv"), scores);
  EXPECT_THAT(text_of(folder.path() / "plots" / "north" / "pump.svg"), HasSubstr("<svg"));
  const auto again = folder.path() / "again";
  ASSERT_EQ(agent({"replay", data, "--out", again.string()}).code, 0);
  EXPECT_EQ(text_of(again / "south.csv"), scores) << "the same bytes";
}

TEST(AgentReplay, JudgesByLabelsInAFile) {
  const TempDir folder;
  const auto csv = folder.put("pump.csv", readings());
  const auto windows =
      folder.put("windows.csv", "start,end\n" + std::to_string(1'700'000'000 + kFaultAt) + "," +
                                    std::to_string(1'700'000'000 + kFaultAt + 60) + "\n");
  const auto said = agent({"replay", csv.string(), "--labels", windows.string(), "--json"});
  ASSERT_EQ(said.code, 0) << said.err;
  const auto judged = nlohmann::json::parse(said.out)["judged"];
  EXPECT_EQ(judged["events"], 1);
  EXPECT_EQ(judged["events_found"], 1);
  EXPECT_EQ(judged["delay_seconds_median"], 0);
  EXPECT_EQ(agent({"replay", csv.string(), "--labels", "nowhere.csv"}).code, kFailed);
  EXPECT_EQ(
      agent({"replay", csv.string(), "--labels", windows.string(), "--label-column", "label"}).code,
      kUsage);
}

TEST(AgentReplay, TakesSeveralColumnsAsAGroup) {
  const TempDir folder;
  std::string text = "timestamp,flow,b\xE4ring,label\n";  // Latin-1, as such files are
  for (int i = 0; i < kRows; ++i) {
    const bool fault = i >= kFaultAt && i < kFaultAt + 50;
    const double load = std::sin(i * 0.7) + 0.3 * std::cos(i * 17.3);
    text += std::to_string(1'700'000'000 + i) + "," + std::to_string(20 + load) + "," +
            std::to_string(40 + (fault ? -2 : 2) * load) + (fault ? ",1\n" : ",0\n");
  }
  const auto csv = folder.put("machine.csv", text).string();
  const auto out = folder.path() / "out";
  const auto svg = folder.path() / "machine.svg";
  const auto replay = [&](const std::string& columns, std::vector<std::string> more) {
    std::vector<std::string> words = {"replay",       csv,   "--value",        columns,
                                      "--train-rows", "500", "--label-column", "label"};
    words.insert(words.end(), more.begin(), more.end());
    return agent(words);
  };
  const auto said = replay("*", {"--out", out.string(), "--plot", svg.string(), "--json"});
  ASSERT_EQ(said.code, 0) << said.err;
  const auto json = nlohmann::json::parse(said.out);
  EXPECT_EQ(json["sensors"], nlohmann::json::array({"flow", "b\uFFFDring"}));
  EXPECT_EQ(json["judged"]["events_found"], 1);
  ASSERT_FALSE(json["anomalies"].empty());
  const auto& fault = json["anomalies"].back();
  EXPECT_TRUE(fault["sensor"].is_null()) << "of both together";
  ASSERT_EQ(fault["contributions"].size(), 2U);
  EXPECT_GE(fault["contributions"][0]["share"], fault["contributions"][1]["share"]);
  EXPECT_THAT(text_of(svg), HasSubstr("<svg"));
  EXPECT_THAT(text_of(out / "machine.csv"),
              ::testing::StartsWith("timestamp,flow,b\xE4ring,score,anomaly_score,"
                                    "contribution:flow,contribution:b\xE4ring\n"));

  const auto named = replay(
      "flow,3", {"--detector", "halfspace_trees", "--set", "trees=60", "--alarms-per-week", "5"});
  EXPECT_EQ(named.code, 0) << named.err;
  EXPECT_THAT(named.out, HasSubstr("2 sensors: flow, b"));
  EXPECT_THAT(replay("*", {"--set", "trees=60"}).err, HasSubstr("no parameter trees"));
}

TEST(AgentReplay, TakesTheDetectorsParameters) {
  const TempDir folder;
  const auto csv = folder.put("pump.csv", readings());
  const auto replay = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"replay",   csv.string(),   "--detector",
                                      "seasonal", "--train-rows", "300"};
    words.insert(words.end(), more.begin(), more.end());
    return agent(words);
  };
  EXPECT_EQ(replay({"--set", "memory=500"}).code, 0);
  const auto unknown = replay({"--set", "memori=500"});
  EXPECT_EQ(unknown.code, kConfig);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("memori"), HasSubstr("there are: memory")));
  EXPECT_THAT(replay({"--set", "memory=1"}).err, HasSubstr("from 50 to 100000"));
  EXPECT_THAT(replay({"--set", "memory"}).err, HasSubstr("NAME=NUMBER"));
  EXPECT_EQ(replay({"--train-rows", "5"}).code, kUsage);
}

TEST(AgentReplay, ReadsParametersFromTheWatch) {
  const TempDir folder;
  const auto csv = folder.put("pump.csv", readings());
  const auto config = [&](const std::string& parameters) {
    return folder
        .put("agent.toml",
             "[[source]]\nkind = \"host\"\n[[watch]]\ndetector = \"matrix_profile\"\n" + parameters)
        .string();
  };
  const auto good = config("[watch.parameters]\nwindow = 40\nhistory = 512\n");
  EXPECT_EQ(agent({"check-config", "--config", good}).code, 0);
  EXPECT_EQ(agent({"replay", csv.string(), "--config", good}).code, 0);
  for (const auto* wrong : {"window = 40\nhistory = 100\n", "window = 200\nhistory = 512\n",
                            "window = 40.5\n", "widow = 40\n"}) {
    const auto said =
        agent({"check-config", "--config", config("[watch.parameters]\n" + std::string(wrong))});
    EXPECT_EQ(said.code, kConfig) << wrong;
    EXPECT_THAT(said.err, HasSubstr("watch[0].parameters")) << wrong;
  }
}

TEST(AgentReplay, RefusesWhatItCannotDoSayingWhy) {
  const TempDir folder;
  const auto csv = folder.put("pump.csv", readings()).string();
  const auto overwrite = agent({"replay", csv, "--out", folder.path().string()});
  EXPECT_EQ(overwrite.code, kConfig);
  EXPECT_THAT(overwrite.err, AllOf(HasSubstr("overwrite"), HasSubstr(csv)));
  EXPECT_EQ(text_of(csv), readings()) << "the input is as it was";
  EXPECT_THAT(agent({"replay", csv, csv}).err, HasSubstr("two files are called pump.csv"));
  const auto group = agent({"replay", csv, "--value", "value,label", "--detector", "seasonal"});
  EXPECT_EQ(group.code, kConfig);
  EXPECT_THAT(group.err, HasSubstr("there are: auto, halfspace_trees"));
  EXPECT_THAT(agent({"tune", csv, "--value", "value,label"}).err, HasSubstr("one value column"));
  EXPECT_EQ(agent({"replay", csv, "--interval", "soon"}).code, kUsage);
  EXPECT_EQ(agent({"replay", csv, "--interval", "0"}).code, kUsage);
  const auto unknown = agent({"replay", csv, "--detector", "nonsense"});
  EXPECT_EQ(unknown.code, kConfig);
  EXPECT_THAT(unknown.err, HasSubstr("nonsense"));
}

TEST(AgentTune, ProposesAWatchThatIsAccepted) {
  const TempDir folder;
  const auto csv = folder.put("Pump 3.csv", readings());
  const auto svg = folder.path() / "pump.svg";
  const auto said = agent({"tune", csv.string(), "--plot", svg.string()});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, AllOf(HasSubstr("2000 readings, one every 1 s"), HasSubstr("missing: 0 %"),
                              HasSubstr("at 0.1 false alarms a week"), HasSubstr(svg.string())));
  EXPECT_THAT(text_of(svg), HasSubstr("<svg"));
  const auto from = said.out.find("[[watch]]");
  ASSERT_NE(from, std::string::npos);
  const auto table = said.out.substr(from, said.out.find("\npicture:") - from);
  EXPECT_THAT(table, HasSubstr("name = \"pump-3\""));
  const auto file = folder.put("agent.toml", "[[source]]\nkind = \"host\"\n" + table);
  const auto checked = agent({"check-config", "--config", file.string()});
  EXPECT_EQ(checked.code, 0) << checked.err << table;
  EXPECT_EQ(agent({"tune", "nowhere.csv"}).code, kFailed);
}

}  // namespace
}  // namespace lapwing::testing
