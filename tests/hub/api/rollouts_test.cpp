// SPDX-License-Identifier: Apache-2.0
/// Rollouts as people start, watch and end them.
#include "hub/store/rollouts.hpp"

#include "hub/rollout/runner.hpp"
#include "hub/store/models.hpp"
#include "tests/hub/api/hub_fixture.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace lapwing::hub {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class HubRollouts : public HubFixture {
 protected:
  void SetUp() override {
    HubFixture::SetUp();
    admin_ = token({"admin"});
    for (int i = 0; i < 20; ++i) enrol("edge-" + std::to_string(i));
    version(3, 'a');
    version(4, 'b');
    version(5, 'a');
    version(6, 'b');
  }
  void version(std::uint64_t number, char content, const std::string& model = "pumps") {
    const std::string digest(64, content);
    ASSERT_TRUE(store_->models().add_file({.tenant = "acme", .sha256 = digest}, "bytes"));
    ASSERT_TRUE(store_->models().add_version(
        {.tenant = "acme", .model = model, .number = number, .sha256 = digest}));
  }
  http::Response start(json body, const std::string& token) {
    return post("/api/v1/rollouts", token, body.dump());
  }
  static json wanted() {
    return {{"model", "pumps"},
            {"number", 4},
            {"undo", 5},
            {"plan", {{"devices", {"edge-1", "edge-2", "edge-3"}}}}};
  }
  void step(std::uint64_t id) {
    for (int i = 0; i < 10; ++i) {
      const auto row = store_->rollouts().get("acme", id).value();
      if (!rollout::step_once(store_->rollouts(), store_->targets(), row, now())->more) return;
    }
  }
  std::string admin_;
};

TEST_F(HubRollouts, OneIsStartedWatchedHeldUpAndTakenBack) {
  EXPECT_EQ(start(wanted(), read_token_).status, 403U);
  const auto made = start(wanted(), admin_);
  ASSERT_EQ(made.status, 201U) << made.body;
  const auto id = json::parse(made.body)["id"].get<std::uint64_t>();
  const std::string at = "/api/v1/rollouts/" + std::to_string(id);
  EXPECT_EQ(json::parse(made.body)["phase"], "waiting");
  EXPECT_EQ(json::parse(made.body)["plan"]["rings"].size(), 4U) << "as it will be carried out";
  step(id);
  const auto seen = json::parse(get(at).body);
  EXPECT_EQ(seen["phase"], "shadow");
  EXPECT_EQ(seen["figures"]["rings"][0]["stages"], (json{{"told", 1}}));
  EXPECT_EQ(seen["figures"]["rings"][1]["stages"], (json{{"waiting", 1}}));
  EXPECT_FALSE(seen["figures"]["gates"].empty());
  const auto told = json::parse(get(at + "/devices?stage=told").body);
  ASSERT_EQ(told["items"].size(), 1U);
  EXPECT_EQ(told["items"][0]["wanted"], 4);
  const auto first = json::parse(get(at + "/devices?limit=2").body);
  EXPECT_EQ(first["items"].size(), 2U);
  const auto cursor = first["next_cursor"].get<std::string>();
  EXPECT_EQ(json::parse(get(at + "/devices?cursor=" + cursor).body)["items"].size(), 1U);
  EXPECT_EQ(get(at + "/devices?stage=ill").status, 400U);
  EXPECT_EQ(json::parse(get(at + "/decisions").body)["items"][0]["action"], "begin");

  EXPECT_EQ(post(at + "/pause", read_token_, "").status, 403U);
  EXPECT_EQ(json::parse(post(at + "/pause", admin_, "").body)["paused_in"], "shadow");
  EXPECT_EQ(post(at + "/pause", admin_, "").status, 409U);
  EXPECT_EQ(json::parse(post(at + "/resume", admin_, "").body)["phase"], "shadow");
  EXPECT_EQ(post(at + "/abort", admin_, "{}").status, 400U);
  EXPECT_EQ(json::parse(post(at + "/abort", admin_, R"({"roll_back":true})").body)["phase"],
            "rolling_back");
  step(id);
  const auto back = json::parse(get(at + "/devices?stage=told").body);
  ASSERT_EQ(back["items"].size(), 1U);
  EXPECT_EQ(back["items"][0]["wanted"], 5);
  const auto audit = get("/api/v1/audit", admin_).body;
  for (const auto* action :
       {"rollout.create", "rollout.pause", "rollout.resume", "rollout.abort"}) {
    EXPECT_THAT(audit, HasSubstr(action));
  }
  EXPECT_EQ(get("/api/v1/rollouts/99").status, 404U);
  EXPECT_EQ(get("/api/v1/rollouts/x").status, 404U);
}

TEST_F(HubRollouts, RefusesWhatDevicesWouldRefuse) {
  struct Case {
    const char* patch;
    unsigned status;
    const char* told;
  };
  version(1, 'c', "valves");
  version(2, 'c', "valves");
  for (const auto& [patch, status, told] : {
           Case{R"({"number":9})", 404, "version"},
           {R"({"undo":9})", 404, "version"},
           {R"({"undo":3})", 400, "above 4"},
           {R"({"undo":6})", 400, "has the content of version 4"},
           {R"({"model":"valves","number":1,"undo":2})", 400, "has the content"},
           {R"({"number":-1})", 400, "whole number"},
           {R"({"plan":{"devices":["nobody"]}})", 404, "nobody"},
           {R"({"plan":{"devices":null}})", 400, "no device has told of model pumps"},
           {R"({"plan":{"devices":null,"labels":{"site":"lab"}}})", 400, "chooses no device"},
           {R"({"plan":{"soak":1}})", 400, "soak: unknown key"},
       }) {
    auto body = wanted();
    body.merge_patch(json::parse(patch));
    const auto answer = start(body, admin_);
    EXPECT_EQ(answer.status, status) << patch << answer.body;
    EXPECT_THAT(answer.body, HasSubstr(told)) << patch;
  }
  EXPECT_TRUE(store_->rollouts().open(1)->empty());
}

TEST_F(HubRollouts, NeverGoesBelowWhatDevicesHaveTaken) {
  const auto made = start(wanted(), admin_);
  const auto at = "/api/v1/rollouts/" + std::to_string(json::parse(made.body)["id"].get<int>());
  EXPECT_EQ(start(wanted(), admin_).status, 409U) << "one is open";
  step(1);
  ASSERT_EQ(post(at + "/abort", admin_, R"({"roll_back":true})").status, 200U);
  step(1);
  ASSERT_EQ(post(at + "/abort", admin_, R"({"roll_back":false})").status, 200U);
  EXPECT_EQ(start(wanted(), admin_).status, 201U) << "it was aborted, not rolled back";
  auto row = store_->rollouts().open(1)->at(0);
  ASSERT_TRUE(rollout::step_once(store_->rollouts(), store_->targets(), row, now()));
  row = store_->rollouts().get("acme", row.id).value();
  RolloutStep back{.tenant = "acme",
                   .id = row.id,
                   .revision = row.revision,
                   .state = row.state,
                   .decision = std::nullopt,
                   .left_out = {},
                   .targets = {},
                   .at = now()};
  back.state.phase = RolloutPhase::rolled_back;
  ASSERT_TRUE(store_->rollouts().step(back).value());
  const auto again = start(wanted(), admin_);
  EXPECT_EQ(again.status, 409U);
  EXPECT_THAT(again.body, HasSubstr("brought version 5 of pumps, back from 4"));
}

TEST_F(HubRollouts, TakesThoseThatKnowOfTheModelOrHaveTheLabels) {
  auto body = wanted();
  body["plan"] = {{"labels", {{"site", "lab"}}}};
  ASSERT_TRUE(store_->label_device({"acme", "edge-7"}, {{"site", "lab"}}));
  ASSERT_TRUE(store_->label_device({"acme", "edge-8"}, {{"site", "lab"}, {"line", "1"}}));
  ASSERT_TRUE(store_->revoke_device({"acme", "edge-8"}, now()));
  ASSERT_EQ(start(body, admin_).status, 201U);
  const auto chosen = json::parse(get("/api/v1/rollouts/1/devices").body);
  ASSERT_EQ(chosen["items"].size(), 1U);
  EXPECT_EQ(chosen["items"][0]["device"], "edge-7");
  ASSERT_EQ(post("/api/v1/rollouts/1/abort", admin_, R"({"roll_back":true})").status, 200U);
  const std::vector<Target> known{{.key = {"acme", "edge-9"}, .model = "pumps", .number = 3}};
  ASSERT_TRUE(store_->targets().want(known, now()));
  body.erase("plan");
  ASSERT_EQ(start(body, admin_).status, 201U);
  EXPECT_THAT(get("/api/v1/rollouts/2/devices").body, HasSubstr("edge-9"));
  ASSERT_EQ(post("/api/v1/rollouts/2/abort", admin_, R"({"roll_back":true})").status, 200U);
  body["plan"] = {{"all", true}};
  ASSERT_EQ(start(body, admin_).status, 201U);
  EXPECT_EQ(json::parse(get("/api/v1/rollouts/3/devices").body)["items"].size(), 19U)
      << "without the revoked";
}

}  // namespace
}  // namespace lapwing::hub
