// SPDX-License-Identifier: Apache-2.0
#include "shared/wire/topics.hpp"

#include <gtest/gtest.h>

#include <string>

namespace lapwing::wire {
namespace {

constexpr Channel kAll[] = {Channel::hello,
                            Channel::records,
                            Channel::report,
                            Channel::fetch,
                            Channel::status,
                            Channel::result,
                            Channel::welcome,
                            Channel::ack,
                            Channel::desired,
                            Channel::chunk,
                            Channel::command,
                            Channel::certificate,
                            Channel::certificate_answer,
                            Channel::offer,
                            Channel::contribution};

TEST(WireTopics, AreThoseOfTheProtocol) {
  const Identity who{"plant1", "edge-1"};
  EXPECT_EQ(topic(who, Channel::hello), "lapwing/v1/plant1/edge-1/up/hello");
  EXPECT_EQ(topic(who, Channel::records), "lapwing/v1/plant1/edge-1/up/records");
  EXPECT_EQ(topic(who, Channel::report), "lapwing/v1/plant1/edge-1/up/report");
  EXPECT_EQ(topic(who, Channel::fetch), "lapwing/v1/plant1/edge-1/up/fetch");
  EXPECT_EQ(topic(who, Channel::status), "lapwing/v1/plant1/edge-1/up/status");
  EXPECT_EQ(topic(who, Channel::result), "lapwing/v1/plant1/edge-1/up/result");
  EXPECT_EQ(topic(who, Channel::welcome), "lapwing/v1/plant1/edge-1/down/welcome");
  EXPECT_EQ(topic(who, Channel::ack), "lapwing/v1/plant1/edge-1/down/ack");
  EXPECT_EQ(topic(who, Channel::desired), "lapwing/v1/plant1/edge-1/down/desired");
  EXPECT_EQ(topic(who, Channel::chunk), "lapwing/v1/plant1/edge-1/down/chunk");
  EXPECT_EQ(topic(who, Channel::command), "lapwing/v1/plant1/edge-1/down/command");
  EXPECT_EQ(topic(who, Channel::certificate), "lapwing/v1/plant1/edge-1/up/certificate");
  EXPECT_EQ(topic(who, Channel::certificate_answer), "lapwing/v1/plant1/edge-1/down/certificate");
  EXPECT_EQ(topic(who, Channel::offer), "lapwing/v1/plant1/edge-1/down/offer");
  EXPECT_FALSE(is_up(Channel::offer));
  EXPECT_EQ(topic(who, Channel::contribution), "lapwing/v1/plant1/edge-1/up/contribution");
  EXPECT_TRUE(is_up(Channel::contribution));
  EXPECT_EQ(down_filter(who), "lapwing/v1/plant1/edge-1/down/#");
}

TEST(WireTopics, AreReadBack) {
  for (const Channel channel : kAll) {
    const Identity who{"t", std::string(64, 'd')};
    const auto parsed = parse_topic(topic(who, channel));
    ASSERT_TRUE(parsed) << to_string(channel);
    EXPECT_EQ(parsed->identity, who);
    EXPECT_EQ(parsed->channel, channel);
  }
}

TEST(WireTopics, OthersAreNotOfTheProtocol) {
  for (const char* text :
       {"", "lapwing", "lapwing/v1/", "lapwing/v1/t/d/up", "lapwing/v1/t/d/up/",
        "lapwing/v2/t/d/up/hello", "lapwing/v1/t/d/down/hello", "lapwing/v1/t/d/up/welcome",
        "lapwing/v1/t/d/up/hello/x", "lapwing/v1/t/d/up/Hello", "lapwing/v1//d/up/hello",
        "lapwing/v1/t//up/hello", "lapwing/v1/../d/up/hello", "lapwing/v1/t/+/up/hello",
        "lapwing/v1/t/d/x/up/hello", "/lapwing/v1/t/d/up/hello", "lapwing/v1/t/d/sideways/hello"}) {
    EXPECT_FALSE(parse_topic(text)) << text;
  }
}

TEST(WireTopics, NamesAreSafeInTopicsFilesAndAddresses) {
  for (const char* good : {"a", "edge-1", "Plant_1.line2", "-", "0"}) EXPECT_TRUE(valid_name(good));
  EXPECT_TRUE(valid_name(std::string(64, 'x')));
  EXPECT_FALSE(valid_name(std::string(65, 'x')));
  for (const char* bad : {"", ".", "..", ".hidden", "a/b", "a b", "a+", "#", "ä", "a\n", "a%2e"}) {
    EXPECT_FALSE(valid_name(bad)) << bad;
  }
  EXPECT_FALSE(valid_name(std::string_view("a\0b", 3)));
}

TEST(WireTopics, AnIdentityIsTwoNames) {
  const auto who = parse_identity("plant1/edge-1");
  ASSERT_TRUE(who);
  EXPECT_EQ(to_string(*who), "plant1/edge-1");
  for (const char* bad : {"", "plant1", "/edge", "plant1/", "a/b/c", "a/../b", "a/.b"}) {
    const auto refused = parse_identity(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, Errc::bad_input);
  }
  EXPECT_LT(parse_identity(std::string(100'000, 'x')).error().context.size(), 300U);
}

}  // namespace
}  // namespace lapwing::wire
