// SPDX-License-Identifier: Apache-2.0
#include "hub/exchange/peer_config.hpp"

#include "shared/base/config.hpp"

#include <gmock/gmock.h>

namespace lapwing::hub {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Read {
  std::vector<PeerConfig> peers;
  std::string problems;
};

Read read(const std::string& text) {
  auto document = config::Document::parse(text, "hub.toml");
  auto root = document.root();
  Read out{read_peers(root), {}};
  for (const auto& problem : document.finish()) out.problems += problem.text() + "\n";
  return out;
}

TEST(PeerConfig, ReadsARegion) {
  const auto got = read(
      "[[peer]]\nname = \"eu\"\ntenant = \"acme\"\nurl = \"https://hub.eu.example:8443\"\n"
      "token = \"lwt_x\"\nevery = \"30s\"\n");
  EXPECT_THAT(got.problems, IsEmpty());
  ASSERT_EQ(got.peers.size(), 1U);
  EXPECT_EQ(got.peers[0].peer, (Peer{"acme", "eu"}));
  EXPECT_EQ(got.peers[0].origin.host, "hub.eu.example");
  EXPECT_EQ(got.peers[0].token.reveal(), "lwt_x");
  EXPECT_EQ(got.peers[0].every, std::chrono::seconds(30));
  EXPECT_TRUE(read("").peers.empty());
}

TEST(PeerConfig, RefusesWhatCannotWork) {
  const std::string good = "[[peer]]\ntenant = \"acme\"\ntoken = \"t\"\n";
  EXPECT_THAT(read(good + "name = \"local\"\nurl = \"https://a\"\n").problems,
              HasSubstr("peer[0].name: 1 to 64"));
  EXPECT_THAT(read(good + "name = \"eu\"\nurl = \"http://hub.eu.example\"\n").problems,
              HasSubstr("https is wanted"));
  EXPECT_THAT(read(good + "name = \"eu\"\nurl = \"http://127.0.0.1:80\"\n").problems, IsEmpty());
  EXPECT_THAT(read(good + "name = \"eu\"\nurl = \"https://a/b\"\n").problems, HasSubstr("url"));
  EXPECT_THAT(read("[[peer]]\nname = \"eu\"\ntenant = \"acme\"\nurl = \"https://a\"\n").problems,
              HasSubstr("token"));
  const std::string one = good + "name = \"eu\"\nurl = \"https://a\"\n";
  EXPECT_THAT(read(one + one).problems, HasSubstr("there already"));
}

}  // namespace
}  // namespace lapwing::hub
