// SPDX-License-Identifier: Apache-2.0
#include "agent/models/desk_events.hpp"

#include <gtest/gtest.h>

namespace lapwing::agent::desk_events_test {
namespace {

using std::chrono::hours;

wire::Offer offer(const char* model, std::uint64_t number) {
  return {.offer = number, .model = model};
}

TEST(DeskEvents, OfOffersOfOneModelTheNewestCountsInThePlaceOfTheOldest) {
  DeskEvents events(4);
  EXPECT_TRUE(events.offer(offer("pumps", 1)));
  EXPECT_TRUE(events.offer(offer("ovens", 2)));
  EXPECT_TRUE(events.offer(offer("pumps", 3)));
  const auto came = events.wait(hours(1));
  ASSERT_TRUE(came);
  ASSERT_EQ(came->size(), 2U);
  EXPECT_EQ(std::get<wire::Offer>((*came)[0]).offer, 3U);
  EXPECT_EQ(std::get<wire::Offer>((*came)[1]).offer, 2U);
}

TEST(DeskEvents, BeyondItsBoundAnOfferIsRefusedAndAnEndOfATransferIsNot) {
  DeskEvents events(2);
  EXPECT_TRUE(events.offer(offer("a", 1)));
  EXPECT_TRUE(events.offer(offer("b", 2)));
  EXPECT_FALSE(events.offer(offer("c", 3)));
  EXPECT_TRUE(events.offer(offer("b", 4))) << "in the place of an older one";
  events.fetched({"a", "digest", {}});
  EXPECT_EQ(events.wait(hours(1))->size(), 3U);
  EXPECT_TRUE(events.offer(offer("c", 3)));
}

TEST(DeskEvents, WaitsNoLongerThanItIsToldAndNotOnceStopped) {
  DeskEvents events(2);
  const auto none = events.wait(Micros(1));
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
  EXPECT_TRUE(events.offer(offer("a", 1)));
  events.stop();
  EXPECT_FALSE(events.wait(hours(1)));
}

}  // namespace
}  // namespace lapwing::agent::desk_events_test
