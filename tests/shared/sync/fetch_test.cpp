// SPDX-License-Identifier: Apache-2.0
// A transfer under every fault of a network, on a virtual clock: always the file's bytes, in order,
// within bounds of memory and of requests; and what it lets pass beside it.
#include "shared/sync/fetch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace lapwing::sync {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string file_of(std::size_t length, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(length, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

const std::string kDigest(64, 'a');

/// Carries actions out over a network of its own: events in the order of a virtual clock.
struct World {
  World(std::size_t length, std::uint64_t seed, FetchLimits with = {})
      : limits(with), random(seed), file(file_of(length, seed)) {
    begin();
  }

  FetchLimits limits;
  std::mt19937_64 random;
  std::string file;
  std::string disk;
  std::optional<Fetcher> fetcher;
  Ticks now{};
  std::multimap<Ticks, std::function<void()>> events;
  std::optional<Ticks> armed;
  bool done = false;
  std::uint64_t requests = 0;
  std::uint64_t rests = 0;
  std::size_t most_in_memory = 0;
  std::size_t asked_now = 0;
  std::uint64_t generation = 0;
  /// What becomes of a question: answers, each with its delay.
  std::function<void(const SendFetch&)> ask;

  /// A start of the agent: what is on disk stays.
  void begin() {
    fetcher.emplace(kDigest, file.size(), disk.size(), limits, random());
    armed.reset();
    ++generation;
  }
  void at(Micros after, std::function<void()> event) {
    events.emplace(now + after, std::move(event));
  }
  bool chance(double share) { return std::uniform_real_distribution<>()(random) < share; }
  Micros up_to(Micros top) {
    return Micros(std::uniform_int_distribution<std::int64_t>(0, top.count())(random));
  }

  wire::Chunk answer(const SendFetch& fetch) const {
    return {kDigest, fetch.offset, file.size(), file.substr(fetch.offset, fetch.length), ""};
  }
  void deliver(const wire::Chunk& chunk) { carry_out(fetcher->chunk(chunk, now)); }

  void carry_out(const FetchActions& actions) {
    for (const auto& action : actions) {
      if (const auto* send = std::get_if<SendFetch>(&action)) {
        ++requests;
        ASSERT_GT(send->length, 0U);
        ASSERT_LE(send->offset % wire::kModelBlockBytes + send->length, wire::kModelBlockBytes);
        ASSERT_LE(send->offset + send->length, file.size());
        if (ask) ask(*send);
      } else if (const auto* kept = std::get_if<KeepBytes>(&action)) {
        ASSERT_EQ(kept->offset, disk.size()) << "in order, each byte once";
        ASSERT_LE(kept->bytes.size(), wire::kModelBlockBytes);
        disk += kept->bytes;
        ASSERT_EQ(file.compare(kept->offset, kept->bytes.size(), kept->bytes), 0);
      } else if (const auto* timer = std::get_if<ArmFetch>(&action)) {
        armed = timer->at;
      } else if (std::holds_alternative<FetchRests>(action)) {
        ++rests;
      } else {
        done = true;
      }
    }
  }

  /// Until done, or for so long. Timers and events in the order of time.
  void run(Micros most) {
    const Ticks end = now + most;
    while (!done && now < end) {
      const Ticks next_event = events.empty() ? Ticks::max() : events.begin()->first;
      const Ticks next = std::min(next_event, armed.value_or(Ticks::max()));
      if (next >= end || next == Ticks::max()) {
        now = end;
        break;
      }
      now = std::max(now, next);
      if (next == next_event) {
        const auto event = events.extract(events.begin()).mapped();
        event();
      } else {
        armed.reset();
        carry_out(fetcher->timer(now));
      }
    }
  }
};

void expect_whole(const World& world) {
  EXPECT_TRUE(world.done);
  EXPECT_TRUE(world.disk == world.file);
}

TEST(Fetch, ADirectLinkTakesEachByteOnce) {
  World world(1'000'000, 1);
  std::uint64_t bytes = 0;
  world.ask = [&](const SendFetch& fetch) {
    bytes += fetch.length;
    world.at(milliseconds(20), [&world, fetch] { world.deliver(world.answer(fetch)); });
  };
  world.carry_out(world.fetcher->connected(world.now));
  world.run(hours(1));
  expect_whole(world);
  EXPECT_EQ(bytes, world.file.size());
  EXPECT_LT(world.now - Ticks{}, seconds(1)) << "pieces have grown to whole blocks";
  EXPECT_EQ(world.fetcher->piece_bytes(), wire::kModelBlockBytes);
  EXPECT_LT(world.requests, 80U);
}

TEST(Fetch, AnEmptyRestIsDoneAtOnce) {
  World world(5'000, 2);
  world.disk = world.file;
  world.begin();
  world.carry_out(world.fetcher->connected(world.now));
  expect_whole(world);
  EXPECT_EQ(world.requests, 0U);
}

/// Everything a network, several hubs and power cuts do, at the rates of one seed.
TEST(Fetch, GivesTheExactBytesWhateverTheNetworkDoes) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    World world(std::size_t{1} + seed * 1'777, seed);
    const double loss = static_cast<double>(seed % 10) / 10;
    const double twice = world.chance(.5) ? .2 : 0;
    const double wrong = world.chance(.5) ? .1 : 0;
    const double cut = .002 * static_cast<double>(world.random() % 4);
    const Micros late = milliseconds(10) * (1 + static_cast<int>(world.random() % 400));
    std::uint64_t longest = 0;
    const auto reconnect = [&world] {
      const auto generation = world.generation;
      world.at(world.up_to(seconds(5)), [&world, generation] {
        if (world.generation == generation) {
          world.carry_out(world.fetcher->connected(world.now));
        }
      });
    };
    world.ask = [&](const SendFetch& fetch) {
      longest = std::max<std::uint64_t>(longest, fetch.length);
      if (world.chance(loss)) return;
      for (int copies = world.chance(twice) ? 3 : 1; copies > 0; --copies) {
        if (world.chance(loss)) continue;
        world.at(world.up_to(late), [&world, fetch] { world.deliver(world.answer(fetch)); });
      }
      if (world.chance(wrong)) {
        wire::Chunk other = world.answer(fetch);
        switch (world.random() % 6) {
          case 0:
            other.total += 1;
            break;
          case 1:
            other.offset += world.file.size();
            break;
          case 2:
            other.sha256 = std::string(64, 'b');
            break;
          case 3:
            other.bytes.resize(wire::kModelBlockBytes + 1);
            break;
          case 4:
            other.bytes.resize(other.bytes.size() / 2 +
                               1);  // a shorter answer is true all the same
            break;
          default:
            other.bytes.clear();
            other.problem = "this replica has not got it yet";
        }
        world.at(world.up_to(late), [&world, other] { world.deliver(other); });
      }
      if (world.chance(cut)) {
        world.at(world.up_to(late), [&] {
          world.carry_out(world.fetcher->disconnected());
          if (world.chance(.3)) world.begin();  // the agent was killed
          reconnect();
        });
      }
    };
    world.carry_out(world.fetcher->connected(world.now));
    world.run(hours(24 * 30));
    expect_whole(world);
    // Each answered question brings at least a smallest piece, or the file's or a block's end.
    const double pieces = static_cast<double>(world.file.size()) / 1024 + 64;
    const double got = (1 - loss) * (1 - loss);
    EXPECT_LT(static_cast<double>(world.requests), 20 * pieces / got + 500) << seed;
    if (testing::Test::HasFailure()) {
      FAIL() << "seed " << seed << ", loss " << loss << ", requests " << world.requests;
    }
  }
}

TEST(Fetch, KeepsFourPiecesInMemoryAtMost) {
  World world(2'000'000, 3);
  std::vector<SendFetch> asked;
  world.ask = [&](const SendFetch& fetch) {
    asked.push_back(fetch);
    ASSERT_LE(asked.size(), 4U);
  };
  world.carry_out(world.fetcher->connected(world.now));
  std::uint64_t rounds = 0;
  while (!world.done && rounds++ < 10'000) {
    // The first one comes last.
    world.now += milliseconds(1);
    ASSERT_FALSE(asked.empty());
    const SendFetch last = asked.size() > 1 && rounds % 4 != 0 ? asked.back() : asked.front();
    std::erase_if(asked, [&](const SendFetch& one) { return one.offset == last.offset; });
    world.deliver(world.answer(last));
    ASSERT_LE(world.fetcher->in_memory() + asked.size(), 4U);
  }
  expect_whole(world);
}

TEST(Fetch, RestsLongerAndLongerAndGoesOnWithTheNextConnection) {
  World world(100'000, 4);
  std::vector<Ticks> asked;
  world.ask = [&](const SendFetch&) { asked.push_back(world.now); };
  world.carry_out(world.fetcher->connected(world.now));
  world.run(hours(24));
  EXPECT_GT(world.rests, 100U);
  EXPECT_LT(asked.size(), 24U * 60U * 5U) << "silence costs a few questions a minute";
  // Five timeouts, then a rest of five minutes at most.
  for (std::size_t i = 1; i < asked.size(); ++i) {
    ASSERT_LE(asked[i] - asked[i - 1], seconds(305) + seconds(75));
  }
  world.run(hours(1));
  while (!world.fetcher->resting()) world.run(seconds(1));
  world.carry_out(world.fetcher->disconnected());
  world.ask = [&](const SendFetch& fetch) {
    world.at(milliseconds(5), [&world, fetch] { world.deliver(world.answer(fetch)); });
  };
  const Ticks then = world.now;
  world.carry_out(world.fetcher->connected(world.now));
  world.run(seconds(10));
  expect_whole(world);
  EXPECT_LT(world.now - then, seconds(1));
}

TEST(Fetch, AProblemOfTheHubIsTold) {
  World world(100'000, 5);
  std::string reason;
  world.ask = nullptr;
  const auto actions = world.fetcher->connected(world.now);
  world.carry_out(actions);
  const auto rested = world.fetcher->chunk({kDigest, 0, 0, "", "there is no such file"}, world.now);
  ASSERT_FALSE(rested.empty());
  ASSERT_TRUE(std::holds_alternative<FetchRests>(rested.front()));
  EXPECT_EQ(std::get<FetchRests>(rested.front()).reason, "there is no such file");
  EXPECT_TRUE(world.fetcher->resting());
  EXPECT_TRUE(world.fetcher->chunk({kDigest, 0, 0, "", "again"}, world.now).empty());
}

TEST(Fetch, WhatDoesNotFitTheFileIsIgnored) {
  World world(100'000, 8);
  world.carry_out(world.fetcher->connected(world.now));
  const std::string block(1'024, 'x');
  const wire::Chunk wrong[] = {{kDigest, 0, world.file.size() + 1, block, ""},
                               {kDigest, 99'000, world.file.size(), block, ""},
                               {kDigest, 100'000, world.file.size(), block, ""},
                               {kDigest, ~std::uint64_t{0}, world.file.size(), block, ""},
                               {kDigest, 0, world.file.size(), std::string(70'000, 'x'), ""},
                               {std::string(64, 'b'), 0, world.file.size(), block, ""}};
  for (const auto& chunk : wrong) {
    EXPECT_TRUE(world.fetcher->chunk(chunk, world.now).empty()) << chunk.offset;
  }
  EXPECT_EQ(world.fetcher->ignored(), std::size(wrong));
  EXPECT_EQ(world.fetcher->have(), 0U);
}

/// A link of so many bytes a second downwards, in which acknowledgements stand in the same line as
/// chunks. Says how long they waited.
struct Line {
  World& world;
  double bytes_per_second;
  Micros one_way;
  Ticks free{};

  Micros send(std::size_t bytes, std::function<void()> arrived) {
    const auto takes =
        Micros(static_cast<std::int64_t>(static_cast<double>(bytes) / bytes_per_second * 1e6));
    const Ticks begins = std::max(free, world.now);
    free = begins + takes;
    world.events.emplace(free + one_way, std::move(arrived));
    return std::chrono::duration_cast<Micros>(begins - world.now);
  }
};

struct Waits {
  Micros worst{};
  double share = 0;  ///< of what the link could have carried
  std::uint64_t requests = 0;
};

Waits beside(double bytes_per_second, Micros one_way, std::size_t length) {
  constexpr std::size_t kAround = 240;  // bytes of topic, digest and frames around a chunk
  World world(length, 6);
  Line down{world, bytes_per_second, one_way};
  Waits waits;
  world.ask = [&](const SendFetch& fetch) {
    world.at(one_way, [&world, &down, fetch] {
      down.send(fetch.length + kAround, [&world, fetch] { world.deliver(world.answer(fetch)); });
    });
  };
  const Micros every = bytes_per_second < 1'000 ? seconds(5) : milliseconds(250);
  std::function<void()> acknowledge = [&] {
    waits.worst = std::max(waits.worst, down.send(60, [] {}));
    world.at(every, acknowledge);
  };
  world.at(every, acknowledge);
  world.carry_out(world.fetcher->connected(world.now));
  world.run(hours(24));
  expect_whole(world);
  waits.share = static_cast<double>(length) /
                std::chrono::duration<double>(world.now - Ticks{}).count() / bytes_per_second;
  waits.requests = world.requests;
  return waits;
}

TEST(Fetch, AnAcknowledgementWaitsAboutASecondAtMostBehindChunks) {
  const auto wait = [](double rate, Micros one_way, std::size_t length) {
    const Waits waits = beside(rate, one_way, length);
    std::printf(
        "%8.0f byte/s, %4ld ms there and back: an acknowledgement waited %5ld ms at most, "
        "%2.0f %% of the link used, %lu questions\n",
        rate, static_cast<long>(2 * one_way.count() / 1000),
        static_cast<long>(waits.worst.count() / 1000), 100 * waits.share, waits.requests);
    return waits;
  };
  const Waits slow = wait(8'000, milliseconds(20), 1'000'000);  // 64 kbit/s
  EXPECT_LE(slow.worst, milliseconds(1'200));
  EXPECT_GT(slow.share, .75);
  const Waits far = wait(8'000, milliseconds(300), 1'000'000);
  EXPECT_LE(far.worst, milliseconds(1'200));
  EXPECT_GT(far.share, .7);
  const Waits fast = wait(1'000'000, milliseconds(50), 5'000'000);
  EXPECT_LE(fast.worst, milliseconds(1'200));
  EXPECT_GT(fast.share, .7);
  // 2.4 kbit/s, 2 s there and back: two of the smallest pieces.
  const Waits modem = wait(300, seconds(1), 60'000);
  EXPECT_LE(modem.worst, seconds(9));
  EXPECT_GT(modem.share, .3);
}

TEST(Fetch, ALinkThatBecomesSlowIsFollowed) {
  World world(3'000'000, 7);
  Line down{world, 2'000'000, milliseconds(10)};
  Micros worst_late{};
  world.ask = [&](const SendFetch& fetch) {
    world.at(milliseconds(10), [&world, &down, fetch] {
      down.send(fetch.length + 240, [&world, fetch] { world.deliver(world.answer(fetch)); });
    });
  };
  std::function<void()> acknowledge = [&] {
    const Micros waited = down.send(60, [] {});
    if (world.now > Ticks{} + seconds(120)) worst_late = std::max(worst_late, waited);
    world.at(milliseconds(250), acknowledge);
  };
  world.at(milliseconds(250), acknowledge);
  world.at(milliseconds(500), [&down] { down.bytes_per_second = 8'000; });
  world.carry_out(world.fetcher->connected(world.now));
  world.run(hours(2));
  expect_whole(world);
  EXPECT_LE(worst_late, milliseconds(1'200)) << "once the budget has followed";
}

}  // namespace
}  // namespace lapwing::sync
