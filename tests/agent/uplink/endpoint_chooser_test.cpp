// SPDX-License-Identifier: Apache-2.0
// Which hub a device speaks to, on a virtual clock.
#include "agent/uplink/endpoint_chooser.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

namespace lapwing::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Turn = EndpointChooser::Turn;
using Why = EndpointChooser::Why;

/// A device with its connection: hubs that answer or not, in steps of 100 ms.
class Network {
 public:
  Network(std::vector<std::uint32_t> priorities, std::uint64_t seed, ChooserLimits limits = {})
      : chooser_(priorities, limits, seed, now_),
        reachable_(priorities.size(), true),
        serves_(priorities.size(), true),
        refuses_(priorities.size(), false) {}

  void run(Micros time) {
    for (const Ticks end = now_ + time; now_ < end; now_ += milliseconds(100)) step();
  }
  /// Until `holds`, at most ten hours: how long it took.
  Micros until(const std::function<bool()>& holds) {
    const Ticks begin = now_;
    while (!holds() && now_ < begin + std::chrono::hours(10)) {
      step();
      now_ += milliseconds(100);
    }
    return now_ - begin;
  }
  [[nodiscard]] std::function<bool()> at(std::size_t hub) {
    return [this, hub] { return connected_ && chooser_.current() == hub; };
  }
  void down(std::size_t hub) {
    reachable_[hub] = false;
    if (connected_ && chooser_.current() == hub) lose();
  }
  void up(std::size_t hub) { reachable_[hub] = true; }
  void lose() {
    connected_ = trying_ = false;
    chooser_.lost(now_);
    retry_at_ = now_ + seconds(1);
  }

  Ticks now_{seconds(1000)};
  EndpointChooser chooser_;
  std::vector<bool> reachable_;
  std::vector<bool> serves_;  ///< says welcome; else its broker only
  std::vector<bool> refuses_;
  std::vector<std::size_t> tries_;
  std::map<std::size_t, std::uint64_t> probes_;
  std::vector<Ticks> held_at_;
  bool connected_ = false;
  bool quarantine_ = false;

 private:
  void step() {
    if (now_ >= chooser_.wake_at()) turn(chooser_.look(now_));
    if (connected_ || trying_ || now_ < retry_at_) return;
    const std::size_t hub = chooser_.next(now_);
    tries_.push_back(hub);
    if (!reachable_[hub]) return lose();
    trying_ = true;
    if (quarantine_) {
      chooser_.quarantined();
    } else if (refuses_[hub]) {
      chooser_.refused(now_);
    } else if (serves_[hub]) {
      connected_ = true;
      chooser_.welcomed(now_);
      held_at_.push_back(now_);
    }
  }
  void turn(Turn turn) {
    if (turn == Turn::move) {
      lose();
      retry_at_ = now_;
    } else if (turn == Turn::probe) {
      const std::size_t hub = chooser_.to_probe();
      ++probes_[hub];
      chooser_.probed(hub, reachable_[hub], now_);
    }
  }
  bool trying_ = false;
  Ticks retry_at_{};
};

TEST(EndpointChooser, TriesThoseOfTheBestPriorityInRandomOrder) {
  std::set<std::size_t> first;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Network network({5, 5, 5, 9}, seed);
    network.run(seconds(1));
    ASSERT_TRUE(network.connected_);
    first.insert(network.chooser_.current());
  }
  EXPECT_EQ(first, (std::set<std::size_t>{0, 1, 2}));
}

TEST(EndpointChooser, FailsOverWhenNoBetterOneSaidWelcomeForSoLong) {
  Network network({1, 2, 3}, 1);
  network.run(seconds(1));
  ASSERT_TRUE(network.at(0)());
  EXPECT_EQ(network.chooser_.why(), Why::first);
  network.down(0);
  const auto took = network.until(network.at(1));
  EXPECT_GE(took, seconds(30));
  EXPECT_LE(took, seconds(31));
  EXPECT_EQ(network.chooser_.why(), Why::failed_over);
  EXPECT_EQ(network.chooser_.changes(), 1U);
}

TEST(EndpointChooser, JudgesATryByTheWelcomeNotByTheConnection) {
  Network network({1, 2, 3}, 1);
  network.serves_[0] = network.serves_[1] = false;  // their brokers run, their hubs do not
  const auto took = network.until(network.at(2));
  EXPECT_GE(took, seconds(60));
  EXPECT_LE(took, seconds(62));
  EXPECT_EQ(network.tries_, (std::vector<std::size_t>{0, 1, 0, 2}))
      << "each of several open ones has half of failover_after";
}

TEST(EndpointChooser, AHubThatIsLostForAMomentIsTakenUpAgain) {
  Network network({1, 2}, 1);
  network.run(seconds(1));
  network.down(0);
  network.run(seconds(20));
  network.up(0);
  network.run(seconds(2));
  EXPECT_TRUE(network.at(0)());
  EXPECT_EQ(network.chooser_.changes(), 0U);
  // The worse one likewise, once it serves.
  network.down(0);
  network.until(network.at(1));
  network.up(0);
  network.lose();
  network.run(seconds(2));
  EXPECT_TRUE(network.at(1)());
}

TEST(EndpointChooser, GoesBackOnlyToOneThatWasSteadyWithJitter) {
  std::set<Micros> times;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Network network({1, 2}, seed);
    network.run(seconds(1));
    network.down(0);
    network.until(network.at(1));
    for (int i = 0; i < 10; ++i) {  // it comes and goes: not steady
      network.up(0);
      network.run(minutes(2));
      network.down(0);
      network.run(minutes(2));
      ASSERT_TRUE(network.at(1)());
    }
    network.up(0);
    const auto took = network.until(network.at(0));
    EXPECT_GE(took, minutes(5));
    EXPECT_LE(took, minutes(10) + seconds(80));  // a probe may come that late
    EXPECT_EQ(network.chooser_.why(), Why::returned);
    times.insert(took);
  }
  EXPECT_GT(times.size(), 15U) << "a fleet does not come back as one";
}

TEST(EndpointChooser, AReturnThatFindsNoWelcomeGoesBackAtOnceAndWaitsLonger) {
  Network network({1, 2}, 3);
  network.serves_[0] = false;  // its broker answers probes, its hub is dead
  network.until(network.at(1));
  std::vector<Ticks> left;
  for (int i = 0; i < 6; ++i) {
    const std::size_t tries = network.tries_.size();
    network.until([&] { return network.tries_.size() > tries; });
    EXPECT_EQ(network.tries_.back(), 0U);
    left.push_back(network.now_);
    EXPECT_LE(network.until(network.at(1)), seconds(16)) << "half of failover_after";
    if (i == 0) continue;
    const auto between = left[left.size() - 1] - left[left.size() - 2];
    EXPECT_GE(between, minutes(5) * (1 << std::min(i, 4)));
  }
}

TEST(EndpointChooser, NeverChangesPriorityFasterThanItsBound) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Network network({1, 2, 2, 3}, seed);
    std::mt19937_64 random(seed);
    const std::vector<std::size_t> tier = {0, 1, 1, 2};
    std::optional<std::size_t> was;
    Ticks changed = network.now_ - minutes(60);
    for (int i = 0; i < 6000; ++i) {
      network.run(milliseconds(100));
      if (random() % 60 == 0) {
        const std::size_t hub = random() % 4;
        network.reachable_[hub] ? network.down(hub) : network.up(hub);
      }
      if (!network.connected_) continue;
      const std::size_t now = tier[network.chooser_.current()];
      if (was && *was != now) {
        EXPECT_GE(network.now_ - changed, seconds(29)) << "seed " << seed;
        changed = network.now_;
      }
      was = now;
    }
  }
}

TEST(EndpointChooser, ARefusedDeviceTriesOthersAndAsksAgainSeldom) {
  Network network({1, 2}, 1);
  network.refuses_[0] = true;
  const auto took = network.until(network.at(1));
  EXPECT_GE(took, seconds(30));
  EXPECT_LE(took, seconds(31));
  EXPECT_EQ(network.chooser_.why(), Why::refused);
  network.refuses_[0] = false;
  EXPECT_LE(network.until(network.at(0)), minutes(16));
  // All refuse: no more than a hello in five minutes to each.
  network.refuses_[0] = network.refuses_[1] = true;
  network.lose();
  network.tries_.clear();
  network.run(minutes(60));
  EXPECT_LE(network.tries_.size(), 26U);
  EXPECT_GE(network.tries_.size(), 4U);
}

TEST(EndpointChooser, AQuarantinedDeviceDoesNotEscape) {
  Network network({1, 2}, 1);
  network.quarantine_ = true;
  network.run(seconds(5));
  network.down(0);
  network.lose();
  network.run(minutes(30));
  for (const auto hub : network.tries_) EXPECT_EQ(hub, 0U);
  EXPECT_EQ(network.chooser_.why(), Why::quarantined);
  network.quarantine_ = false;  // released
  network.up(0);
  network.run(seconds(5));
  EXPECT_TRUE(network.at(0)());
}

TEST(EndpointChooser, ProbesSeldomAndOnlyBetterOnes) {
  Network network({1, 2, 3}, 1);
  network.down(0);
  network.until(network.at(1));
  network.run(minutes(60));
  EXPECT_LE(network.probes_[0], 80U);
  EXPECT_GE(network.probes_[0], 48U);
  EXPECT_EQ(network.probes_[1], 0U);
  EXPECT_EQ(network.probes_[2], 0U);
}

TEST(EndpointChooser, WithOneHubThereIsNothingToDecide) {
  Network network({7}, 1);
  network.down(0);
  network.run(minutes(10));
  EXPECT_EQ(network.chooser_.wake_at(), Ticks::max());
  EXPECT_EQ(network.chooser_.look(network.now_), Turn::stay);
  EXPECT_EQ(network.chooser_.why(), Why::only);
}

/// The client may need seconds to leave: what it sent is flushed first.
TEST(EndpointChooser, SaysOnceThatItMoves) {
  Ticks now{seconds(1000)};
  EndpointChooser chooser({0, 0}, {}, 1, now);
  chooser.next(now);
  now += ChooserLimits{}.try_for();
  EXPECT_LE(chooser.wake_at(), now);
  EXPECT_EQ(chooser.look(now), Turn::move);
  EXPECT_GT(chooser.wake_at(), now + minutes(1));
  EXPECT_EQ(chooser.look(now + milliseconds(1)), Turn::stay);
  chooser.lost(now + seconds(3));
  EXPECT_EQ(chooser.look(now + seconds(3)), Turn::stay);
  chooser.next(now + seconds(3));
  EXPECT_EQ(chooser.look(now + seconds(3) + ChooserLimits{}.try_for()), Turn::move);
}

}  // namespace
}  // namespace lapwing::agent
