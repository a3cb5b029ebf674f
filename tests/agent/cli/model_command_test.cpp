// SPDX-License-Identifier: Apache-2.0
// `train` and `model inspect` as users run them.
#include "shared/base/files.hpp"
#include "tests/agent/cli/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <string>

namespace lapwing::testing {
namespace {

using ::testing::HasSubstr;

class AgentModel : public ::testing::Test {
 protected:
  AgentModel() {
    std::string text = "timestamp,flow,pressure,label\n";
    for (int i = 0; i < 1000; ++i) {
      text += std::to_string(1'700'000'000 + i) + "," + std::to_string(10 + std::sin(i * 0.7)) +
              "," + std::to_string(3 + std::cos(i * 17.3)) + ",0\n";
    }
    folder_.put("pump.csv", text);
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_.path() / name).string();
  }
  Said train(std::vector<std::string> more = {}) {
    std::vector<std::string> words{"train", path("pump.csv"), "--label-column",
                                   "label", "--out",          path("pump.lw")};
    words.insert(words.end(), more.begin(), more.end());
    return agent(std::move(words));
  }
  TempDir folder_;
};

TEST_F(AgentModel, IsTrainedAndInspected) {
  const auto trained =
      train({"--unit", "pressure=bar", "--set", "trees=50", "--plot", path("spread.svg")});
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto picture = read_file(path("spread.svg"), kTextMax).value();
  EXPECT_THAT(picture, HasSubstr("isolation_forest, trained on pump.csv"));
  EXPECT_THAT(picture, ::testing::EndsWith("</svg>\n"));
  EXPECT_THAT(trained.out, HasSubstr("isolation_forest of 2 sensors, trained on 800 rows"));
  EXPECT_THAT(trained.out, HasSubstr("of the 200 newest rows"));
  const auto seen = agent({"model", "inspect", path("pump.lw"), "--json"});
  ASSERT_EQ(seen.code, 0) << seen.err;
  const auto json = nlohmann::json::parse(seen.out);
  EXPECT_EQ(json["kind"], "isolation_forest");
  EXPECT_EQ(json["parameters"]["trees"], 50);
  EXPECT_EQ(json["sensors"][0]["name"], "flow");
  EXPECT_EQ(json["sensors"][1]["unit"], "bar");
  EXPECT_EQ(json["lineage"]["from"], "2023-11-14T22:13:20.000000Z");
  EXPECT_EQ(json["lineage"]["data_sha256"].get<std::string>().size(), 64U);
  EXPECT_TRUE(json["calibration"]["held_out"]);
  EXPECT_THAT(agent({"model", "inspect", path("pump.lw")}).out, HasSubstr("pressure"));
  const auto first = read_file(path("pump.lw"), kTextMax).value();
  ASSERT_EQ(train({"--unit", "pressure=bar", "--set", "trees=50"}).code, 0);
  EXPECT_EQ(read_file(path("pump.lw"), kTextMax).value(), first) << "the same bytes";
}

TEST_F(AgentModel, RefusesWithTheReason) {
  const auto unknown = train({"--detector", "ewma"});
  EXPECT_EQ(unknown.code, kConfig);
  EXPECT_THAT(unknown.err, HasSubstr("isolation_forest"));
  EXPECT_EQ(train({"--set", "trees=0"}).code, kConfig);
  EXPECT_THAT(train({"--set", "trees"}).err, HasSubstr("NAME=NUMBER"));
  EXPECT_THAT(train({"--unit", "level=m"}).err, HasSubstr("no value column"));
  EXPECT_EQ(train({"--hold-out", "2"}).code, kUsage);
  ASSERT_EQ(train().code, 0);
  auto file = read_file(path("pump.lw"), kTextMax).value();
  file[file.size() / 2] ^= 1;
  folder_.put("damaged.lw", file);
  const auto damaged = agent({"model", "inspect", path("damaged.lw")});
  EXPECT_EQ(damaged.code, kFailed);
  EXPECT_THAT(damaged.err, HasSubstr("fetch it again"));
  EXPECT_THAT(agent({"model", "inspect", path("pump.csv")}).err, HasSubstr("no model file"));
  EXPECT_THAT(agent({"model", "inspect", path("none.lw")}).err, HasSubstr("none.lw"));
}

TEST_F(AgentModel, ScoresAFileFromItsFirstRow) {
  ASSERT_EQ(train({"--unit", "pressure=bar"}).code, 0);
  const auto replayed = agent(
      {"replay", path("pump.csv"), "--model", path("pump.lw"), "--json", "--out", path("scores")});
  ASSERT_EQ(replayed.code, 0) << replayed.err;
  const auto json = nlohmann::json::parse(replayed.out);
  EXPECT_EQ(json["sensors"], (nlohmann::json{"flow", "pressure"})) << "the model's";
  EXPECT_TRUE(json["warm"]);
  EXPECT_EQ(json["rows"], 1000);
  const auto mapped = agent({"replay", path("pump.csv"), "--model", path("pump.lw"), "--value",
                             "flow,pressure", "--out", path("mapped")});
  ASSERT_EQ(mapped.code, 0) << mapped.err;
  EXPECT_EQ(read_file(path("mapped") + "/pump.csv", kTextMax).value(),
            read_file(path("scores") + "/pump.csv", kTextMax).value());
}

TEST_F(AgentModel, ScoresNoRowsOfOtherSensors) {
  ASSERT_EQ(train().code, 0);
  const auto narrow =
      agent({"replay", path("pump.csv"), "--model", path("pump.lw"), "--value", "flow"});
  EXPECT_EQ(narrow.code, kConfig);
  EXPECT_THAT(narrow.err, HasSubstr("the model takes 2 value columns (flow,pressure)"));
  folder_.put("other.csv", "timestamp,flow,speed\n1700000000,1,2\n");
  const auto other = agent({"replay", path("other.csv"), "--model", path("pump.lw")});
  EXPECT_NE(other.code, 0);
  EXPECT_THAT(other.err, HasSubstr("pressure"));
}

}  // namespace
}  // namespace lapwing::testing
