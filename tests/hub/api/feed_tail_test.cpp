// SPDX-License-Identifier: Apache-2.0
#include "hub/api/feed_tail.hpp"

#include <gtest/gtest.h>

namespace lapwing::hub {
namespace {

/// Events of 10 bytes, of the devices a and b by turns.
void add(FeedTail& tail, std::uint64_t first, std::uint64_t last) {
  for (auto seq = first; seq <= last; ++seq) {
    tail.append(seq, seq % 2 == 1 ? "a" : "b", "event " + std::to_string(1000 + seq));
  }
}

TEST(FeedTail, GivesWholeEventsAfterAPosition) {
  FeedTail tail(10, 1'000);
  EXPECT_EQ(tail.after(10, {}, 100).events, 0U);
  add(tail, 11, 13);
  const auto piece = tail.after(10, {}, 11);
  EXPECT_EQ(*piece.bytes, "event 1011event 1012") << "the second begins within the bound";
  EXPECT_EQ(piece.events, 2U);
  EXPECT_EQ(piece.position, 12U);
  EXPECT_TRUE(piece.more);
  const auto rest = tail.after(piece.position, {}, 11);
  EXPECT_EQ(*rest.bytes, "event 1013");
  EXPECT_EQ(rest.position, 13U);
  EXPECT_FALSE(rest.more);
  tail.complete(20);
  tail.complete(15);
  EXPECT_EQ(tail.after(13, {}, 11).position, 20U) << "there are none up to there";
  EXPECT_EQ(tail.after(25, {}, 11).position, 25U) << "a follower never goes back";
}

TEST(FeedTail, GivesOneDevicesEvents) {
  FeedTail tail(0, 1'000);
  add(tail, 1, 6);
  const auto piece = tail.after(1, "a", 11);
  EXPECT_EQ(*piece.bytes, "event 1003event 1005");
  EXPECT_EQ(piece.position, 5U);
  EXPECT_TRUE(piece.more);
  EXPECT_EQ(tail.after(5, "a", 11).events, 0U);
  EXPECT_EQ(tail.after(5, "a", 11).position, 6U);
}

TEST(FeedTail, WhatIsOldestMakesRoom) {
  FeedTail tail(0, 100);
  for (std::uint64_t seq = 1; seq <= 200; ++seq) {
    add(tail, seq, seq);
    std::string all;
    for (auto one = tail.begin() + 1; one <= seq; ++one)
      all += "event " + std::to_string(1000 + one);
    ASSERT_EQ(*tail.after(tail.begin(), {}, 1'000).bytes, all);
    ASSERT_LE(all.size(), 100U);
    ASSERT_GE(all.size(), std::min<std::size_t>(seq * 10, 70));
  }
  tail.append(201, "a", std::string(101, 'x'));
  EXPECT_EQ(tail.begin(), 201U) << "larger than all of it: followers read it from the store";
  add(tail, 202, 202);
  EXPECT_EQ(*tail.after(201, {}, 100).bytes, "event 1202");
}

}  // namespace
}  // namespace lapwing::hub
