// SPDX-License-Identifier: Apache-2.0
/// A slice of tests/simulate/run.sh, and what it is made of.
#include "tests/simulate/report.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <sstream>

namespace lapwing::simulate {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSlow = true;  // the same code, many times slower
#else
constexpr bool kSlow = false;
#endif
constexpr std::uint64_t kSeeds = kSlow ? 5 : 60;

std::string text(const Totals& totals) {
  std::ostringstream out;
  print(out, totals);
  for (const auto& failure : totals.failures) {
    WorldOptions options;
    options.devices = 20;
    print_failure(out, options, failure);
  }
  return out.str();
}

TEST(Simulation, HoldsEveryInvariantUnderEveryFault) {
  WorldOptions options;
  options.devices = 20;
  const Totals totals = run_seeds(options, 1, kSeeds, 1, 1);
  EXPECT_TRUE(totals.failures.empty()) << text(totals);
  EXPECT_GT(totals.sum.records, 1000 * kSeeds);
  std::cout << text(totals);
  for (std::size_t i = 0; i < kFaults && !kSlow; ++i) {
    EXPECT_GT(totals.sum.faults[i], 0U) << kFaultKinds[i].name << " was never injected";
  }
}

TEST(Simulation, ASeedRepeatsItsRun) {
  WorldOptions options;
  options.seed = 7;
  options.devices = 10;
  options.trace = 1'000'000;
  const Outcome first = World(options).run();
  const Outcome second = World(options).run();
  EXPECT_GT(first.trace.size(), 100U);
  EXPECT_EQ(first.trace, second.trace);
  EXPECT_EQ(first.faults, second.faults);
  options.seed = 8;
  EXPECT_NE(World(options).run().trace, first.trace);
}

TEST(Simulation, IsQuietWithoutFaults) {
  WorldOptions options;
  options.devices = 10;
  options.faults.reset();
  const Outcome outcome = World(options).run();
  EXPECT_TRUE(outcome.problems.empty()) << outcome.problems.front();
  EXPECT_EQ(outcome.lost, 0U);
  EXPECT_EQ(outcome.resends, 0U);
  EXPECT_EQ(outcome.epochs, 0U);
}

class BrokenProtocol : public testing::TestWithParam<std::size_t> {};

TEST_P(BrokenProtocol, IsCaught) {
  WorldOptions options;
  options.mutant = static_cast<Mutant>(GetParam());
  if (kSlow) options.devices = 10;
  const Totals totals = run_seeds(options, 1, 200, 1, 1);
  ASSERT_EQ(totals.failures.size(), 1U) << kMutants[GetParam()].what;
  if (kSlow) return;
  WorldOptions smallest = options;
  smallest.seed = totals.failures.front().seed;
  smallest = shrink(smallest);
  EXPECT_FALSE(World(smallest).run().problems.empty()) << command(smallest);
  std::cout << totals.failures.front().problems.front() << '\n' << command(smallest) << '\n';
}

INSTANTIATE_TEST_SUITE_P(All, BrokenProtocol, testing::Range<std::size_t>(1, kMutants.size()),
                         [](const auto& which) { return std::string(kMutants[which.param].name); });

TEST(FaultNames, AreReadAndWritten) {
  const auto two = parse_faults("drop,late_will");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->count(), 2U);
  EXPECT_EQ(to_string(*two), "drop,late_will");
  EXPECT_TRUE(parse_faults("all")->all());
  const auto unknown = parse_faults("drop,rain");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().context.find("'rain'"), std::string::npos);
  EXPECT_NE(unknown.error().context.find("torn_write"), std::string::npos);
}

TEST(ModelDisk, RemembersByItsMarkWhatTheLogForgot) {
  Disk disk(1);
  disk.apply({.records = {11, 12}});
  disk.write_mark();
  disk.apply({.records = {13}});
  disk.write_mark();
  EXPECT_EQ(disk.undo(1), std::vector<Content>{13});
  disk.open(/*mind_mark=*/true);
  EXPECT_EQ(disk.position().next_seq, 4U);
  const auto entries = disk.read(1, 4, 100);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[2].record_class, wire::RecordClass::loss);
  EXPECT_EQ(entries[2].seq, 3U);
}

TEST(ModelDisk, UndoBringsBackWhatWasForgotten) {
  Disk disk(1);
  disk.apply({.records = {11, 12, 13}});
  disk.apply({.forget = 2});
  EXPECT_FALSE(disk.hash_at(2));
  EXPECT_TRUE(disk.undo(1).empty());
  EXPECT_EQ(disk.hash_at(2), hash_of(12));
  EXPECT_EQ(disk.position().acked_seq, 0U);
}

}  // namespace
}  // namespace lapwing::simulate
