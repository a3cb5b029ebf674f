// SPDX-License-Identifier: Apache-2.0
/// The program `lapwing` against a real API over TLS.
#include "hub/jobs/worker.hpp"
#include "hub/registry/keys.hpp"
#include "hub/rollout/runner.hpp"
#include "hub/store/models.hpp"
#include "hub/store/uploads.hpp"
#include "shared/base/files.hpp"
#include "tests/hub/api/hub_fixture.hpp"
#include "tests/hub/registry/signing.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace lapwing::hub {
namespace {

using lapwing::testing::Process;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class LapwingProgram : public HubFixture {
 protected:
  struct Outcome {
    int code = -1;
    std::string out;
    std::string err;
  };
  std::vector<std::string> command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), LAPWING_PROGRAM);
    return arguments;
  }
  Process::Environment environment() { return {{"LAPWING_CONFIG", config().string()}}; }
  std::filesystem::path config() { return folder_.path() / "home" / "config.toml"; }

  Outcome run(std::vector<std::string> arguments) {
    Process process(command(std::move(arguments)), environment());
    const auto code = process.wait();
    return {code.value_or(-1), process.out(), process.err()};
  }
  void login() {
    const auto file = folder_.put("token", read_token_ + "\n");
    const auto done = run(
        {"login", "--hub", url(), "--token-file", file.string(), "--ca", pki_.ca_file().string()});
    ASSERT_EQ(done.code, 0) << done.err;
  }
  static std::vector<nlohmann::json> json_lines(const std::string& text) {
    std::vector<nlohmann::json> list;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) list.push_back(nlohmann::json::parse(line));
    return list;
  }
};

TEST_F(LapwingProgram, LoginIsKeptForItsOwnerOnly) {
  login();
  const auto mode = std::filesystem::status(config()).permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(run({"devices"}).code, 0);
}

TEST_F(LapwingProgram, LoginThatDoesNotWorkIsNotKept) {
  const auto ca = pki_.ca_file().string();
  const auto wrong = run({"login", "--hub", url(), "--token", "lwt_x", "--ca", ca});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, AllOf(HasSubstr("refused the token"), Not(HasSubstr("lwt_x"))));
  const auto untrusted = run({"login", "--hub", url(), "--token", read_token_});
  EXPECT_EQ(untrusted.code, 1);
  EXPECT_THAT(untrusted.err, HasSubstr("not trusted"));
  EXPECT_EQ(run({"login", "--hub", "hub", "--token", "x"}).code, 2);
  EXPECT_EQ(run({"login", "--hub", url()}).code, 2);
  EXPECT_EQ(run({"login", "--hub", "https://127.0.0.1:1", "--token", "x", "--ca", ca}).code, 1);
  EXPECT_FALSE(std::filesystem::exists(config()));
  const auto none = run({"devices"});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("not logged in"));
}

TEST_F(LapwingProgram, PermitsADeviceWithATokenAloneOnStdout) {
  login();
  const auto refused = run({"permit", "edge-1"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("scope"));
  const auto admin = folder_.put("admin", token({"admin"}) + "\n");
  ASSERT_EQ(run({"login", "--hub", url(), "--token-file", admin.string(), "--ca",
                 pki_.ca_file().string()})
                .code,
            0);
  const auto made = run({"permit", "edge-1", "--expires", "2h"});
  ASSERT_EQ(made.code, 0) << made.err;
  const auto token = made.out.substr(0, made.out.find('\n'));
  EXPECT_EQ(made.out, token + "\n");
  EXPECT_THAT(made.err,
              AllOf(HasSubstr("edge-1"), HasSubstr("--hub " + url()), Not(HasSubstr(token))));
  const auto csr = trust::make_csr(trust::PrivateKey::generate().value(), "edge-1").value();
  const auto enrolled = enrolment_.enrol(token, csr, now());
  ASSERT_TRUE(enrolled) << enrolled.error().context;
  EXPECT_EQ(enrolled->key.device, "edge-1");
  EXPECT_EQ(json_lines(run({"permit", "edge-2", "--json"}).out).at(0)["device"], "edge-2");
  EXPECT_EQ(run({"permit", "edge-1", "--expires", "soon"}).code, 2);
  EXPECT_EQ(run({"permit", "no/such name"}).code, 2);
}

TEST_F(LapwingProgram, ListsAsTablesAndAsJson) {
  login();
  enrol("edge-1");
  enrol("edge-2");
  put("edge-1", {summary(0), anomaly(1), anomaly(2), anomaly(2, wire::Phase::closed)});
  auto done = run({"devices"});
  EXPECT_THAT(done.out, StartsWith("DEVICE"));
  EXPECT_THAT(done.out, AllOf(HasSubstr("edge-1"), HasSubstr("edge-2")));
  done = run({"devices", "--json"});
  ASSERT_EQ(json_lines(done.out).size(), 2U);
  EXPECT_EQ(json_lines(done.out)[0]["device"], "edge-1");
  done = run({"streams", "edge-1"});
  EXPECT_THAT(done.out, HasSubstr("plant/pump/vibration"));
  EXPECT_EQ(json_lines(run({"streams", "edge-1", "--json"}).out).size(), 1U);
  done = run({"anomalies"});
  EXPECT_THAT(done.out, HasSubstr("2026-11-24 08:00:01"));
  EXPECT_THAT(done.out, HasSubstr("higher than usual"));
  EXPECT_EQ(json_lines(run({"anomalies", "--json", "--state", "open"}).out).size(), 1U);
  EXPECT_EQ(json_lines(run({"anomalies", "--json", "--limit", "1"}).out).size(), 1U);
  EXPECT_TRUE(run({"anomalies", "--json", "--device", "edge-2"}).out.empty());
  EXPECT_EQ(json_lines(run({"anomalies", "--json", "--since", "2026-11-24T08:00:02Z"}).out).size(),
            1U);
  EXPECT_TRUE(run({"anomalies", "--json", "--severity", "critical"}).out.empty());
  EXPECT_EQ(run({"anomalies", "--since", "1h"}).code, 0);
}

TEST_F(LapwingProgram, FollowsWhatArrives) {
  login();
  enrol("edge-1");
  put("edge-1", {anomaly(1)});
  Process follower(command({"anomalies", "--follow", "--json"}), environment());
  ASSERT_TRUE(follower.wait_for("0000000000000001")) << follower.err();
  put("edge-1", {anomaly(2)});
  ASSERT_TRUE(follower.wait_for("0000000000000002")) << follower.err();
  put("edge-1", {anomaly(2, wire::Phase::closed)});
  ASSERT_TRUE(follower.wait_for("\"phase\":\"closed\"")) << follower.err();
  EXPECT_EQ(json_lines(follower.out()).size(), 3U);
}

TEST_F(LapwingProgram, SaysWhatTheHubDoesNotKnow) {
  login();
  const auto done = run({"streams", "nobody"});
  EXPECT_EQ(done.code, 1);
  EXPECT_THAT(done.err, HasSubstr("404"));
  server_->stop();
  const auto gone = run({"devices"});
  EXPECT_EQ(gone.code, 1);
  EXPECT_THAT(gone.err, HasSubstr("connection refused"));
}

TEST_F(LapwingProgram, ExitsWith2OnWrongUsage) {
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({"devces"}).code, 2);
  EXPECT_EQ(run({"streams"}).code, 2);
  EXPECT_EQ(run({"anomalies", "--state", "ajar"}).code, 2);
  EXPECT_EQ(run({"anomalies", "--since", "yesterday"}).code, 2);
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_THAT(run({"version"}).out, StartsWith("lapwing "));
  EXPECT_EQ(json_lines(run({"version", "--json"}).out).size(), 1U);
}

TEST_F(LapwingProgram, BringsAVersionToTheFleetAndShowsIt) {
  const auto admin = folder_.put("admin", token({"admin"}) + "\n");
  ASSERT_EQ(run({"login", "--hub", url(), "--token-file", admin.string(), "--ca",
                 pki_.ca_file().string()})
                .code,
            0);
  for (int i = 0; i < 4; ++i) enrol("edge-" + std::to_string(i));
  for (const std::uint64_t number : {1U, 2U}) {
    const std::string digest(64, number == 1 ? 'a' : 'b');
    ASSERT_TRUE(store_->models().add_file({.tenant = "acme", .sha256 = digest}, "bytes"));
    ASSERT_TRUE(store_->models().add_version(
        {.tenant = "acme", .model = "pumps", .number = number, .sha256 = digest}));
  }
  for (const auto* device : {"edge-1", "edge-2"}) {
    ASSERT_EQ(run({"label", device, "site=lab", "line=2"}).code, 0);
  }
  EXPECT_THAT(run({"devices"}).out, HasSubstr("line=2 site=lab"));
  EXPECT_EQ(run({"rollout", "start", "pumps", "1", "--undo", "2", "--label", "lab"}).code, 2);
  const auto plan = folder_.put("plan.json", R"({"rings":[{"percent":50},{"percent":100}]})");
  const auto made = run({"rollout", "start", "pumps", "1", "--undo", "2", "--label", "site=lab",
                         "--plan", plan.string(), "--soak", "90s"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("rollout 1 of version 1 of pumps"));
  const auto row = store_->rollouts().open(1)->at(0);
  ASSERT_TRUE(rollout::step_once(store_->rollouts(), store_->targets(), row, now()));
  const auto next = store_->rollouts().open(1)->at(0);
  ASSERT_TRUE(rollout::step_once(store_->rollouts(), store_->targets(), next, now()));
  EXPECT_EQ(json_lines(run({"rollout", "show", "1", "--json"}).out).at(0)["plan"]["soak_s"], 90);
  const auto shown = run({"rollout", "show", "1"});
  EXPECT_THAT(shown.out, AllOf(HasSubstr("[........................................]  1 told"),
                               HasSubstr("1 waiting"), HasSubstr("alarm_ratio_max"),
                               HasSubstr("ring 1 begins: 1 device")))
      << shown.err;
  EXPECT_THAT(run({"rollout", "list"}).out, HasSubstr("shadow"));
  EXPECT_THAT(run({"rollout", "pause", "1"}).out, HasSubstr("is paused"));
  EXPECT_THAT(run({"rollout", "resume", "1"}).out, HasSubstr("is shadow"));
  EXPECT_THAT(run({"rollout", "abort", "1", "--stay"}).out, HasSubstr("is aborted"));
  const auto watched = run({"rollout", "watch", "1"});
  EXPECT_EQ(watched.code, 1) << "it is not done";
  EXPECT_THAT(watched.out, HasSubstr("aborted since"));
  EXPECT_EQ(run({"rollout", "show", "7"}).code, 1);
}

TEST_F(LapwingProgram, BringsAModelWithItsVersionsAndFetchesItAgain) {
  using lapwing::testing::small_model;
  read_token_ = token({"admin"});
  login();
  const lapwing::testing::Signers signers;
  ASSERT_TRUE(take_keys(*store_,
                        signers.signed_list(signers.list(1, now() + std::chrono::hours(1))), "acme",
                        "cli", now()));
  const auto keys =
      folder_.put("keys.lwk", signers.signed_list(signers.list(2, now() + std::chrono::hours(1))));
  EXPECT_THAT(run({"keys", "push", keys.string()}).out, StartsWith("key list 2, until "));
  const std::string bytes(small_model().file_bytes());
  const auto manifest =
      lapwing::testing::signed_by(signers.release, lapwing::testing::manifest_of(small_model(), 7));
  const auto file = folder_.put("pump.lw", bytes).string();
  folder_.put("pump.manifest", manifest);
  for (int i = 0; i < 2; ++i) {  // twice is once
    const auto pushed = run({"model", "push", file});
    ASSERT_EQ(pushed.code, 0) << pushed.err;
    EXPECT_THAT(pushed.out, HasSubstr("version 7 of pumps"));
  }
  EXPECT_TRUE(store_->uploads().list("acme", {})->items.empty());
  EXPECT_THAT(run({"model", "list"}).out, AllOf(HasSubstr("NEWEST"), HasSubstr("pumps")));
  EXPECT_THAT(run({"model", "list", "--files"}).out, HasSubstr("isolation_forest"));
  EXPECT_THAT(run({"model", "show", "pumps"}).out, HasSubstr(small_model().sha256()));
  EXPECT_THAT(run({"model", "show", small_model().sha256()}).out,
              AllOf(HasSubstr("pressure"), HasSubstr("bar"), HasSubstr("240 rows")));
  const auto other = (folder_.path() / "back.lw").string();
  const auto pulled = run({"model", "pull", "pumps", "--out", other});
  ASSERT_EQ(pulled.code, 0) << pulled.err;
  EXPECT_EQ(read_file(other, 1 << 24).value(), bytes);
  EXPECT_EQ(read_file(folder_.path() / "back.manifest", 1 << 20).value(), manifest);
  EXPECT_EQ(run({"model", "pull", "pumps", "--number", "8"}).code, 1);
  EXPECT_EQ(run({"model", "show", "fans"}).code, 1);
  // What devices would refuse.
  const auto theirs = folder_.put(
      "theirs.manifest",
      lapwing::testing::signed_by(signers.hub, lapwing::testing::manifest_of(small_model(), 8)));
  const auto refused = run({"model", "push", file, "--manifest", theirs.string()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("wrong_key: "));
}

TEST_F(LapwingProgram, HasTheHubTrain) {
  read_token_ = token({"admin"});
  login();
  Worker worker({.name = "w1", .look_every = std::chrono::milliseconds(20)}, *store_, metrics_);
  worker.start();
  const auto file = folder_.put("pump.csv", lapwing::testing::pump_csv(400)).string();
  const auto done = run({"train", file, "--label-column", "label", "--unit", "flow=m3/h", "--set",
                         "trees=20", "--json"});
  ASSERT_EQ(done.code, 0) << done.err;
  const auto told = json_lines(done.out).at(0);
  const auto row = store_->models().file("acme", told["sha256"].get<std::string>()).value();
  EXPECT_THAT(row.header, AllOf(HasSubstr("\"trees\":20"), HasSubstr("m3/h")));
  EXPECT_TRUE(store_->uploads().list("acme", {})->items.empty()) << "what was brought is gone";
  const auto failed = run({"train", file, "--value", "level"});
  worker.stop();
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.err, HasSubstr("level"));
  EXPECT_EQ(run({"train", file, "--set", "trees=many"}).code, 2);
}

}  // namespace
}  // namespace lapwing::hub
