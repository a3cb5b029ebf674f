// SPDX-License-Identifier: Apache-2.0
#include "hub/config.hpp"

#include "shared/base/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapwing::hub {
namespace {

using ::testing::HasSubstr;

struct Loaded {
  HubConfig config;
  std::vector<config::Problem> problems;
};

Loaded load(const std::string& text) {
  auto document = config::Document::parse(text, "hub.toml");
  auto root = document.root();
  Loaded loaded{HubConfig::read(root), {}};
  loaded.problems = document.finish();
  return loaded;
}

TEST(HubConfig, NeedsNothingButAFolder) {
  const auto loaded = load("[hub]\ndata_dir = \"/srv/hub\"\n");
  EXPECT_TRUE(loaded.problems.empty());
  EXPECT_EQ(loaded.config.data_dir, "/srv/hub");
  EXPECT_EQ(loaded.config.store.url, "");
  EXPECT_EQ(loaded.config.mqtt.ca_file, "/srv/hub/ca.pem");
  EXPECT_EQ(loaded.config.mqtt.key_file, "/srv/hub/hub.key");
  EXPECT_EQ(loaded.config.http.key_file, "/srv/hub/server.key");
  EXPECT_EQ(loaded.config.http.address, "127.0.0.1");
  EXPECT_EQ(loaded.config.http.port, 8443);
  EXPECT_TRUE(loaded.config.http.tls);
}

TEST(HubConfig, HasARegionAndAName) {
  EXPECT_EQ(load("").config.ingest.region.number, 0U);
  EXPECT_EQ(load("").config.ingest.region.name, "");
  EXPECT_EQ(load("[hub]\nregion = 7\n").config.ingest.region.number, 7U);
  EXPECT_EQ(load("[hub]\nregion = 7\n").config.ingest.region.name, "region-7");
  EXPECT_EQ(load("[hub]\nregion = 7\nregion_name = \"north\"\n").config.ingest.region.name,
            "north");
  EXPECT_EQ(load("[hub]\nregion = 256\n").problems.size(), 1U);
  EXPECT_EQ(load("[hub]\nregion_name = \"" + std::string(65, 'x') + "\"\n").problems.size(), 1U);
}

TEST(HubConfig, HasEveryRoleUnlessToldOtherwise) {
  auto loaded = load("[hub]\ndata_dir = \"/srv/hub\"\n");
  EXPECT_EQ(loaded.config.roles, Roles{});
  EXPECT_EQ(loaded.config.drain, Micros(0)) << "with SQLite there is nobody else";
  EXPECT_FALSE(loaded.config.replica.empty());
  EXPECT_EQ(load("[hub]\ndata_dir = \"/srv/hub\"\n").config.replica, loaded.config.replica);
  EXPECT_NE(load("[hub]\ndata_dir = \"/srv/hub2\"\n").config.replica, loaded.config.replica);
  loaded = load(
      "[hub]\nroles = [\"worker\", \"api\"]\nreplica = \"r-1\"\n"
      "[store]\nurl = \"postgresql://db/lapwing\"\n");
  EXPECT_TRUE(loaded.problems.empty());
  EXPECT_EQ(loaded.config.roles.text(), "api,worker");
  EXPECT_EQ(loaded.config.replica, "r-1");
  EXPECT_EQ(loaded.config.drain, std::chrono::seconds(5));
  EXPECT_EQ(loaded.config.handoff, std::chrono::seconds(5));
  EXPECT_EQ(load("[hub]\ndrain = \"0\"\n").problems.size(), 0U);
  for (const auto* bad : {"roles = []", "roles = [\"sink\"]", "replica = \"a b\"",
                          "drain = \"11m\"", "handoff = \"-1s\""}) {
    EXPECT_EQ(load(std::string("[hub]\n") + bad + "\n").problems.size(), 1U) << bad;
  }
  EXPECT_THAT(load("[hub]\nroles = [\"sink\"]\n").problems[0].text(),
              HasSubstr("sync, api and worker are known"));
}

TEST(HubConfig, ReadsAddressesOfBothFamilies) {
  auto loaded = load("[http]\nlisten = \"0.0.0.0:80\"\n");
  EXPECT_EQ(loaded.config.http.address, "0.0.0.0");
  EXPECT_EQ(loaded.config.http.port, 80);
  loaded = load("[http]\nlisten = \"[::1]:0\"\n");
  EXPECT_TRUE(loaded.problems.empty());
  EXPECT_EQ(loaded.config.http.address, "::1");
  EXPECT_EQ(loaded.config.http.port, 0);
  for (const auto* bad : {"8443", ":8443", "127.0.0.1:", "127.0.0.1:70000", "::1:80", "x:-1", ""}) {
    SCOPED_TRACE(bad);
    EXPECT_EQ(load(std::string("[http]\nlisten = \"") + bad + "\"\n").problems.size(), 1U);
  }
}

TEST(HubConfig, KeepsThePasswordOfTheStoreOutOfSight) {
  const auto loaded =
      load("[store]\nurl = \"postgresql://hub@db/lapwing\"\npassword = \"hidden\"\n");
  EXPECT_TRUE(loaded.problems.empty());
  EXPECT_EQ(loaded.config.store.url, "postgresql://hub@db/lapwing");
  EXPECT_EQ(loaded.config.store.password->reveal(), "hidden");
  const auto alone = load("[store]\npassword = \"hidden\"\n");
  ASSERT_EQ(alone.problems.size(), 1U);
  EXPECT_THAT(alone.problems[0].text(), HasSubstr("store.password"));
  EXPECT_THAT(alone.problems[0].text(), Not(HasSubstr("hidden")));
}

TEST(HubConfig, RefusesPlainHttpBeyondLoopback) {
  EXPECT_TRUE(load("[http]\ntls = false\n").problems.empty());
  const auto loaded = load("[http]\ntls = false\nlisten = \"0.0.0.0:80\"\n");
  ASSERT_EQ(loaded.problems.size(), 1U);
  EXPECT_THAT(loaded.problems[0].text(), HasSubstr("hub.toml:2: http.tls"));
}

TEST(HubConfig, ReportsEveryProblemAtOnce) {
  const auto loaded = load(
      "[store]\nreaders = 0\nhistry = \"7d\"\n[ingest]\nsilence = \"1s\"\nbatch_bytes = "
      "\"1GiB\"\n"
      "[log]\nlevel = \"loud\"\n[mqtt]\nport = \"x\"\n[nonsense]\n");
  EXPECT_EQ(loaded.problems.size(), 7U);
  std::string all;
  for (const auto& problem : loaded.problems) all += problem.text() + "\n";
  EXPECT_THAT(all,
              HasSubstr("store.histry: is not a key of this section; did you mean \"history\""));
  EXPECT_THAT(all, HasSubstr("hub.toml:2: store.readers"));
}

}  // namespace
}  // namespace lapwing::hub
