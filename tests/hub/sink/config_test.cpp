// SPDX-License-Identifier: Apache-2.0
#include "hub/sink/config.hpp"

#include "hub/sink/producer.hpp"
#include "shared/base/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapwing::hub {
namespace {

using ::testing::HasSubstr;

constexpr const char* kLeast = "[[sink]]\nkind = \"kafka\"\nbrokers = \"k:9092\"\ntopic = \"t\"\n";

struct Read {
  std::vector<SinkConfig> sinks;
  std::string problems;
};

Read read(const std::string& text) {
  auto document = config::Document::parse(text, "hub.toml");
  auto root = document.root();
  Read result{read_sinks(root), {}};
  for (const auto& problem : document.finish()) result.problems += problem.text() + "\n";
  return result;
}

TEST(SinkConfig, LeastIsBrokersAndTopic) {
  const auto got = read(kLeast);
  EXPECT_EQ(got.problems, "");
  ASSERT_EQ(got.sinks.size(), 1U);
  EXPECT_EQ(got.sinks[0].classes, std::set{wire::RecordClass::anomaly});
  EXPECT_EQ(got.sinks[0].delivery, SinkConfig::Delivery::after_commit);
  EXPECT_TRUE(read("").sinks.empty());
}

TEST(SinkConfig, EveryMistakeIsNamed) {
  const auto with = [](const std::string& more) { return read(kLeast + more).problems; };
  EXPECT_THAT(read("[[sink]]\n").problems, HasSubstr("brokers"));
  EXPECT_THAT(with("classes = [\"alarm\"]\n"), HasSubstr("anomaly, summary, loss"));
  EXPECT_THAT(with("classes = []\n"), HasSubstr("is empty"));
  EXPECT_THAT(with("delivery = \"never\"\n"), HasSubstr("after_commit, before_ack"));
  EXPECT_THAT(with("ca_file = \"ca.pem\"\n"), HasSubstr("tls = true"));
  EXPECT_THAT(with("tls = true\nkey_file = \"k.pem\"\n"), HasSubstr("belong together"));
  EXPECT_THAT(with("sasl = \"scram-sha-512\"\nusername = \"u\"\n"), HasSubstr("password_file"));
  EXPECT_THAT(with("username = \"u\"\npassword = \"p\"\n"), HasSubstr("belong together"));
  EXPECT_THAT(with("sasl = \"plain\"\nusername = \"u\"\npassword = \"p\"\n"),
              HasSubstr("in the open"));
  EXPECT_THAT(with("name = \"a/b\"\n"), HasSubstr("A-Z a-z"));
  EXPECT_THAT(with(kLeast), HasSubstr("another sink's already"));
  EXPECT_THAT(with("acks = 1\n"), HasSubstr("acks"));
}

/// Whether librdkafka as it is installed takes all that may be configured.
TEST(SinkConfig, EverySettingIsTaken) {
  for (const std::string compression : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    for (const std::string sasl : {"none", "plain", "scram-sha-256", "scram-sha-512"}) {
      if (compression != "none" && sasl != "none") continue;
      SinkConfig c;
      c.brokers = "127.0.0.1:1";
      c.topic = "t";
      c.compression = compression;
      c.sasl = sasl;
      c.tls = true;
      if (sasl != "none") {
        c.username = "u";
        c.password = Secret<std::string>("p");
      }
      const auto made = Producer::make(c, Micros(0));
      EXPECT_TRUE(made) << compression << ' ' << sasl << ' ' << made.error().context;
    }
  }
  SinkConfig c;
  c.brokers = "127.0.0.1:1";
  c.topic = "t";
  c.tls = true;
  c.ca_file = "/nowhere/ca.pem";
  const auto refused = Producer::make(c, Micros(0));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::bad_config);
  EXPECT_THAT(refused.error().context, HasSubstr("sink kafka"));
}

}  // namespace
}  // namespace lapwing::hub
