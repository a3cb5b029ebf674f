// SPDX-License-Identifier: Apache-2.0
/// Who is given which events of the live feed, and how often the store is read for them.
#include "hub/api/feed_pump.hpp"

#include "shared/sqlite/connection.hpp"
#include "tests/hub/api/hub_fixture.hpp"

#include <nlohmann/json.hpp>

namespace lapwing::hub {
namespace {

using namespace std::chrono_literals;
using lapwing::testing::eventually;

class Pump : public HubFixture {
 protected:
  /// A follower whose connection takes what comes when take() is called.
  struct Reader {
    std::shared_ptr<http::EventStream> stream;
    http::EventParser parser{};
    std::vector<std::uint64_t> seen{};
    std::size_t pieces = 0;

    void take() {
      const auto taken = stream->take();
      const auto bytes = (taken.shared ? *taken.shared : "") + taken.bytes;
      if (bytes.empty()) return;
      ++pieces;
      const auto events = parser.feed(bytes).value();
      for (const auto& event : events) {
        if (event.name == "anomaly") seen.push_back(std::stoull(event.id));
      }
      stream->drained();
    }
  };

  Reader follow(FeedPump& pump, std::uint64_t after, std::optional<std::string> device = {}) {
    return {.stream = pump.subscribe({"acme", std::move(device), after}).value()};
  }
  void put_many(const std::string& device, std::uint64_t first, std::uint64_t last) {
    std::vector<wire::RecordBody> many;
    for (auto id = first; id <= last; ++id) many.emplace_back(anomaly(id));
    put(device, many);
  }
  static std::vector<std::uint64_t> numbers(std::uint64_t first, std::uint64_t last) {
    std::vector<std::uint64_t> all;
    for (auto seq = first; seq <= last; ++seq) all.push_back(seq);
    return all;
  }
  double reads() { return metrics_.counter("feed_reads_total", "").value(); }
};

TEST_F(Pump, FollowersAtPositionsOfTheirOwnShareAReadAndAPiece) {
  enrol("a");
  put_many("a", 1, 300);
  FeedPump pump(*store_, feed_, metrics_);
  std::vector<Reader> readers;
  for (std::uint64_t i = 0; i < 50; ++i) readers.push_back(follow(pump, 3 * i));
  const auto all_at = [&](std::uint64_t seq) {
    return eventually([&] {
      bool all = true;
      for (auto& one : readers) {
        one.take();
        all = all && !one.seen.empty() && one.seen.back() >= seq;
      }
      return all;
    });
  };
  ASSERT_TRUE(all_at(300));
  for (std::uint64_t i = 0; i < 50; ++i) ASSERT_EQ(readers[i].seen, numbers(3 * i + 1, 300)) << i;
  EXPECT_LE(reads(), 3) << "not one for each";
  for (auto& one : readers) one.pieces = 0;
  put_many("a", 301, 350);
  ASSERT_TRUE(all_at(350));
  EXPECT_LE(reads(), 5);
  for (const auto& one : readers) EXPECT_EQ(one.pieces, 1U) << "50 events at once";
}

TEST_F(Pump, WhoStandsBeforeTheTailIsGivenAllOnce) {
  enrol("a");
  enrol("b");
  put_many("a", 1, 1'500);
  put_many("b", 1, 1'500);
  FeedPump pump(*store_, feed_, metrics_, 16 << 10);
  std::vector<Reader> readers;
  for (const std::uint64_t after : {0, 700, 2'990}) {
    readers.push_back(follow(pump, after));
    readers.push_back(follow(pump, after, "b"));
  }
  std::uint64_t next = 1'501;
  // While it grows, and one of them sleeps.
  ASSERT_TRUE(eventually([&] {
    for (std::size_t i = 0; i < readers.size(); ++i) {
      if (i != 4 || next > 1'800) readers[i].take();
    }
    if (next <= 1'800) put_many("b", next, next + 19);
    if (next <= 1'800) next += 20;
    return std::ranges::all_of(
        readers, [](const Reader& one) { return !one.seen.empty() && one.seen.back() == 3'300; });
  }));
  EXPECT_EQ(readers[0].seen, numbers(1, 3'300));
  EXPECT_EQ(readers[1].seen, numbers(1'501, 3'300));
  EXPECT_EQ(readers[2].seen, numbers(701, 3'300));
  EXPECT_EQ(readers[3].seen, numbers(1'501, 3'300));
  EXPECT_EQ(readers[4].seen, numbers(2'991, 3'300));
  EXPECT_EQ(readers[5].seen, numbers(2'991, 3'300));
}

TEST_F(Pump, WhatGrewInShortStepsIsReadInFewLargeOnes) {
  enrol("a");
  put_many("a", 1, 1);
  FeedPump pump(*store_, feed_, metrics_);
  auto reader = follow(pump, 0);
  ASSERT_TRUE(eventually([&] { return reader.take(), reader.seen.size() == 1; }));
  const auto before = reads();
  const auto began = std::chrono::steady_clock::now();
  for (std::uint64_t id = 2; id <= 41; ++id) {
    put_many("a", id, id);
    reader.take();
  }
  ASSERT_TRUE(eventually([&] { return reader.take(), reader.seen.size() == 41; }));
  const auto pauses = (std::chrono::steady_clock::now() - began) / FeedPump::kPause;
  EXPECT_LE(reads() - before, static_cast<double>(pauses) + 2);
}

TEST_F(Pump, GoesOnWhereItWasWhenTheStoreWorksAgain) {
  enrol("a");
  put_many("a", 1, 5);
  Feed feed;  // of the pump alone: it is told when the store is away
  FeedPump pump(*store_, feed, metrics_);
  std::vector<Reader> readers;
  readers.push_back(follow(pump, 0));
  readers.push_back(follow(pump, 0, "a"));
  const auto all_at = [&](std::uint64_t seq) {
    for (auto& one : readers) one.take();
    return std::ranges::all_of(
        readers, [&](const Reader& one) { return !one.seen.empty() && one.seen.back() == seq; });
  };
  ASSERT_TRUE(eventually([&] { return all_at(5); }));
  put_many("a", 6, 9);
  auto raw = sqlite::Connection::open(folder_.path() / "hub.db", {}).value();
  raw->script("ALTER TABLE feed RENAME TO away");
  ASSERT_FALSE(raw->failed());
  const auto before = reads();
  feed.grew(9);
  ASSERT_TRUE(eventually([&] { return reads() > before; }));
  raw->script("ALTER TABLE away RENAME TO feed");
  ASSERT_FALSE(raw->failed());
  ASSERT_TRUE(eventually([&] { return all_at(9); }));
  for (const auto& one : readers) EXPECT_EQ(one.seen, numbers(1, 9));
}

}  // namespace
}  // namespace lapwing::hub
