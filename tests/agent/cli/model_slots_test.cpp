// SPDX-License-Identifier: Apache-2.0
// `model list|verify|rollback` on an agent's folder, and an agent that is killed while a version is
// on trial.
#include "agent/models/slots.hpp"
#include "shared/base/files.hpp"
#include "shared/http/client.hpp"
#include "tests/agent/cli/support.hpp"
#include "tests/support/broker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace lapwing::testing {
namespace {

using agent::ActivationState;
using agent::HeldModel;
using agent::ModelSlots;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr Time kSince = from_micros(1'790'000'000'000'000);

class AgentModelSlots : public ::testing::Test {
 protected:
  AgentModelSlots() {
    folder_.put("pump.csv", readings(100));
    std::string table = "timestamp,flow,pressure\n";
    for (int i = 0; i < 500; ++i) {
      table += std::to_string(1'700'000'000 + i) + "," + std::to_string(std::sin(i * 0.7)) + "," +
               std::to_string(std::cos(i * 17.3)) + "\n";
    }
    folder_.put("table.csv", table);
    config_ = folder_
                  .put("agent.toml",
                       "[[source]]\nkind = \"csv\"\nname = \"pump\"\nfile = \"pump.csv\"\n"
                       "time_path = \"timestamp\"\n"
                       "[[group]]\nname = \"pump\"\nmodel = \"pumps\"\n"
                       "streams = [\"plant/+/flow\", \"plant/+/pressure\"]\n"
                       "[status]\nlisten = \"127.0.0.1:" +
                           std::to_string(port_) + "\"\n")
                  .string();
  }
  /// Trains a version and lays its file where the slots have it.
  HeldModel held(std::uint64_t number) {
    const auto file = (folder_.path() / "made.lw").string();
    const auto made = agent({"train", (folder_.path() / "table.csv").string(), "--detector", "pca",
                             "--seed", std::to_string(number), "--out", file});
    EXPECT_EQ(made.code, 0) << made.err;
    const auto bytes = read_file(file, kTextMax).value();
    const auto sha256 = model::Model::read(bytes)->sha256();
    std::filesystem::create_directories(slots_.folder());
    EXPECT_TRUE(write_file_atomic(slots_.file(sha256), bytes));
    return {{.number = number, .sha256 = sha256, .length = bytes.size()}, kSince};
  }
  /// Version 2 on trial, 1 before it.
  void begin_trial() {
    ActivationState state{.offer = 4, .rollout = 0, .active = held(2), .previous = held(1)};
    state.told = "active";
    state.told_version = 2;
    ASSERT_TRUE(slots_.keep(state));
  }
  Said model(const std::string& command, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"model", command, "--config", config_};
    words.insert(words.end(), more.begin(), more.end());
    return agent(std::move(words));
  }
  nlohmann::json status() const {
    const http::Client client(
        {.origin = *http::parse_origin("http://127.0.0.1:" + std::to_string(port_))});
    const auto answer = client.get("/api/v1/status");
    if (!answer) return nullptr;
    const auto body = nlohmann::json::parse(answer->body, nullptr, false);
    return body.is_object() ? body["models"]["items"][0] : nlohmann::json();
  }
  /// Runs it until version `wanted` is in use.
  bool uses(std::uint64_t wanted) const {
    return eventually([&] {
      const auto seen = status();
      return seen.is_object() && seen["active"].is_object() && seen["active"]["version"] == wanted;
    });
  }

  TempDir folder_;
  ModelSlots slots_{folder_.path() / "data" / "models" / "pumps"};
  std::string config_;
  std::uint16_t port_ = free_port();
};

TEST_F(AgentModelSlots, AreListedAndVerified) {
  EXPECT_EQ(model("list").out, "") << "none yet";
  begin_trial();
  const auto list = model("list");
  EXPECT_EQ(list.code, 0);
  EXPECT_THAT(list.out, AllOf(HasSubstr("pumps: active version 2"),
                              HasSubstr("active, on trial: version 2 since 2026-09-21"),
                              HasSubstr("previous: version 1")));
  const auto json = nlohmann::json::parse(model("list", {"--json"}).out);
  EXPECT_EQ(json["models"][0]["slots"][1]["version"], 1);
  EXPECT_EQ(model("verify").code, 0);
  std::string ignored;
  const auto state = slots_.read(ignored);
  auto bytes = read_file(slots_.file(state.previous->version.sha256), kTextMax).value();
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(write_file_atomic(slots_.file(state.previous->version.sha256), bytes));
  const auto damaged = model("verify", {"pumps"});
  EXPECT_EQ(damaged.code, 1);
  EXPECT_THAT(damaged.out,
              AllOf(HasSubstr("pumps 2 (active, on trial): sound"), HasSubstr("pumps 1")));
  const auto unknown = model("verify", {"ovens"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("ovens"));
}

TEST_F(AgentModelSlots, AModelHasOneSetOfSensors) {
  std::filesystem::create_directories(folder_.path() / "conf.d");
  folder_.put("conf.d/more.toml",
              "[[group]]\nname = \"other\"\nmodel = \"pumps\"\n"
              "streams = [\"x/+/pressure\", \"x/+/flow\"]\n");
  const auto checked = agent({"check-config", "--config", config_});
  EXPECT_EQ(checked.code, kConfig);
  EXPECT_THAT(checked.err,
              HasSubstr("\"pumps\" is group pump's model too, which has other sensors"));
}

TEST_F(AgentModelSlots, GoBackWhileTheAgentRunsAndWhenItStarts) {
  EXPECT_EQ(model("rollback", {"pumps"}).code, 1) << "nothing is active";
  begin_trial();
  {
    Process process(agent_argv({"run", "--config", config_}));
    ASSERT_TRUE(uses(2)) << process.err();
    const auto back = model("rollback", {"pumps"});
    EXPECT_EQ(back.code, 0) << back.err;
    EXPECT_THAT(back.out, AllOf(HasSubstr("from version 2 back to version 1"), HasSubstr("done")));
    EXPECT_TRUE(uses(1));
    EXPECT_EQ(status()["state"], "reverted");
    EXPECT_EQ(process.stop(), 0) << process.err();
  }
  const auto later = model("rollback", {"pumps"});
  EXPECT_THAT(later.out,
              AllOf(HasSubstr("back to the group's own detector"), HasSubstr("when it starts")));
  Process process(agent_argv({"run", "--config", config_}));
  ASSERT_TRUE(eventually([&] {
    const auto seen = status();
    return seen.is_object() && seen["active"].is_null();
  })) << process.err();
  EXPECT_EQ(process.stop(), 0);
}

TEST_F(AgentModelSlots, AnAgentThatIsKilledThreeTimesInATrialComesBackWithTheOneBefore) {
  begin_trial();
  for (int i = 0; i < 3; ++i) {
    Process process(agent_argv({"run", "--config", config_}));
    ASSERT_TRUE(uses(2)) << process.err();
    process.kill();
  }
  Process process(agent_argv({"run", "--config", config_}));
  ASSERT_TRUE(uses(1)) << process.err();
  EXPECT_EQ(status()["state"], "reverted");
  EXPECT_THAT(status()["detail"].get<std::string>(), HasSubstr("3 times without a clean stop"));
  EXPECT_EQ(process.stop(), 0) << process.err();
}

}  // namespace
}  // namespace lapwing::testing
