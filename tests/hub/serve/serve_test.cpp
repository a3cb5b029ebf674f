// SPDX-License-Identifier: Apache-2.0
/// The program `lapwing-hub`: starts, refuses what it must, ends cleanly.
#include "hub/fleet/init.hpp"
#include "shared/base/files.hpp"
#include "shared/http/client.hpp"
#include "tests/support/broker.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace lapwing::hub {
namespace {

using lapwing::testing::eventually;
using lapwing::testing::free_port;
using lapwing::testing::Process;
using lapwing::testing::TempDir;
using ::testing::HasSubstr;

class HubProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    options_ = {.directory = folder_.path() / "hub",
                .tenant = "acme",
                .hosts = {"localhost"},
                .mqtt_port = free_port(),
                .http_port = free_port(),
                .run_as_root = ::geteuid() == 0};
    ASSERT_TRUE(init(options_, now()));
  }
  std::string toml() const { return (options_.directory / "hub.toml").string(); }
  static Process serve(const std::string& config) {
    return Process({LAPWING_HUB_PROGRAM, "serve", "--config", config});
  }

  http::Response get(const std::string& path) const {
    const http::Client client(
        {.origin =
             http::parse_origin("https://127.0.0.1:" + std::to_string(options_.http_port)).value(),
         .ca_file = options_.directory / "ca.pem"});
    auto response = client.get(path);
    return response ? *std::move(response) : http::Response{.status = 0};
  }

  TempDir folder_;
  InitOptions options_;
};

TEST_F(HubProgram, ServesWithoutABrokerAndEndsCleanlyOnSigterm) {
  auto hub = serve(toml());
  ASSERT_TRUE(hub.wait_for("hub serves")) << hub.err();
  EXPECT_EQ(hub.stop(), 0) << hub.err();
  EXPECT_THAT(hub.err(), HasSubstr("hub stops"));
}

TEST_F(HubProgram, ServesAFolderOnlyOnce) {
  auto hub = serve(toml());
  ASSERT_TRUE(hub.wait_for("hub serves")) << hub.err();
  auto second = serve(toml());
  EXPECT_EQ(second.wait(), 1);
  EXPECT_THAT(second.err(), HasSubstr("another lapwing-hub serves this folder"));
  EXPECT_TRUE(hub.running());
}

TEST_F(HubProgram, ServesAgainAfterItWasKilled) {
  auto hub = serve(toml());
  ASSERT_TRUE(hub.wait_for("hub serves")) << hub.err();
  hub.kill();
  auto next = serve(toml());
  EXPECT_TRUE(next.wait_for("hub serves")) << next.err();
}

TEST_F(HubProgram, RunsWithTheNewConfigurationAfterSighup) {
  auto hub = serve(toml());
  ASSERT_TRUE(hub.wait_for("hub serves")) << hub.err();
  const auto good = *read_file(toml(), 65'536);
  folder_.put("hub/hub.toml", good + "\n[stoer]\n");
  hub.signal(SIGHUP);
  ASSERT_TRUE(hub.wait_for("the last good one stays")) << hub.err();
  EXPECT_THAT(hub.err(), HasSubstr("stoer"));

  const auto port = free_port();
  auto edited = good;
  const auto old_port = ":" + std::to_string(options_.http_port);
  const auto at = edited.find(old_port);
  ASSERT_NE(at, std::string::npos) << good;
  edited.replace(at, old_port.size(), ":" + std::to_string(port));
  folder_.put("hub/hub.toml", edited);
  hub.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return lapwing::testing::accepts(port); })) << hub.err();
  EXPECT_FALSE(lapwing::testing::accepts(options_.http_port));

  // What cannot be started is given up for what could.
  std::filesystem::rename(options_.directory / "server.pem", options_.directory / "gone.pem");
  hub.signal(SIGHUP);
  ASSERT_TRUE(hub.wait_for("back to the last good one")) << hub.err();
  EXPECT_EQ(hub.wait(), 78) << "the last good one needs that certificate too";
  EXPECT_THAT(hub.err(), HasSubstr("server.pem"));
}

TEST_F(HubProgram, RefusesAWrongConfigurationWithEveryProblem) {
  const auto bad = folder_.put("bad.toml", "[store]\nreaders = 0\n[ingest]\nsilense = \"1m\"\n");
  auto hub = serve(bad.string());
  EXPECT_EQ(hub.wait(), 78);
  EXPECT_THAT(hub.err(), HasSubstr("bad.toml:2: store.readers"));
  EXPECT_THAT(hub.err(), HasSubstr("did you mean \"silence\""));
  auto missing = serve((folder_.path() / "none.toml").string());
  EXPECT_EQ(missing.wait(), 78);
  EXPECT_THAT(missing.err(), HasSubstr("none.toml"));
}

TEST_F(HubProgram, NamesACertificateThatIsMissing) {
  std::filesystem::remove(options_.directory / "hub.pem");
  auto hub = serve(toml());
  EXPECT_EQ(hub.wait(), 78);
  EXPECT_THAT(hub.err(), HasSubstr("hub.pem"));
}

TEST_F(HubProgram, NamesThePortThatIsInUse) {
  auto hub = serve(toml());
  ASSERT_TRUE(hub.wait_for("hub serves")) << hub.err();
  auto other = options_;
  other.directory = folder_.path() / "other";
  ASSERT_TRUE(init(other, now()));
  auto second = serve((other.directory / "hub.toml").string());
  EXPECT_EQ(second.wait(), 1);
  EXPECT_THAT(second.err(), HasSubstr(std::to_string(options_.http_port)));
}

TEST_F(HubProgram, NamesADatabaseItCannotUse) {
  folder_.put("hub/hub.db", std::string(9000, 'x'));
  auto hub = serve(toml());
  EXPECT_EQ(hub.wait(), 1);
  EXPECT_THAT(hub.err(), HasSubstr("hub.db"));
}

TEST_F(HubProgram, WithoutTheRoleApiServesHealthAndMetricsOnly) {
  std::filesystem::remove(options_.directory / "ca.key");  // who signs nothing needs no key
  std::filesystem::remove(options_.directory / "hub.pem");
  Process hub({LAPWING_HUB_PROGRAM, "serve", "--config", toml(), "--roles", "worker"});
  ASSERT_TRUE(hub.wait_for("hub serves")) << hub.err();
  EXPECT_THAT(hub.err(), HasSubstr("roles=worker"));
  EXPECT_EQ(get("/health/ready").status, 200U) << "no broker is asked for";
  EXPECT_EQ(get("/metrics").status, 200U);
  const auto refused = get("/api/v1/devices");
  EXPECT_EQ(refused.status, 404U);
  EXPECT_THAT(refused.body, HasSubstr("without the role"));
  EXPECT_EQ(hub.stop(), 0) << hub.err();
}

TEST_F(HubProgram, DrainsBeforeItEndsAndAtOnceWhenToldTwice) {
  Process hub({LAPWING_HUB_PROGRAM, "serve", "--config", toml(), "--roles", "api"},
              {{"LAPWING__HUB__DRAIN", "10m"}});
  ASSERT_TRUE(hub.wait_for("hub serves")) << hub.err();
  EXPECT_EQ(get("/health/ready").status, 200U);
  hub.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return get("/health/ready").status == 503U; })) << hub.err();
  EXPECT_THAT(get("/health/ready").body, HasSubstr("draining"));
  EXPECT_EQ(get("/health/live").status, 200U);
  hub.signal(SIGHUP);
  EXPECT_EQ(get("/api/v1/devices").status, 401U) << "it goes on";
  hub.signal(SIGTERM);
  EXPECT_EQ(hub.wait(), 0) << hub.err();
  EXPECT_THAT(hub.err(), HasSubstr("hub stops at once"));
}

TEST(HubCommandLine, NamesTheRolesThereAre) {
  Process hub({LAPWING_HUB_PROGRAM, "serve", "--roles", "sync,sink"});
  EXPECT_EQ(hub.wait(), 2);
  EXPECT_THAT(hub.err(), HasSubstr("sync, api and worker are known"));
}

TEST(HubCommandLine, ExitsWith2OnWrongUsage) {
  EXPECT_EQ(Process({LAPWING_HUB_PROGRAM}).wait(), 2);
  EXPECT_EQ(Process({LAPWING_HUB_PROGRAM, "srve"}).wait(), 2);
  EXPECT_EQ(Process({LAPWING_HUB_PROGRAM, "serve", "--confg", "x"}).wait(), 2);
  EXPECT_EQ(Process({LAPWING_HUB_PROGRAM, "--help"}).wait(), 0);
  EXPECT_EQ(Process({LAPWING_HUB_PROGRAM, "version"}).wait(), 0);
}

}  // namespace
}  // namespace lapwing::hub
