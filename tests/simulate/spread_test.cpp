// SPDX-License-Identifier: Apache-2.0
/// A slice of `tests/simulate/run.sh rollout`.
#include "tests/simulate/spread.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <sstream>

namespace lapwing::simulate {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kDevices = 100;  // the same code, many times slower
#else
constexpr std::size_t kDevices = 200;
#endif

SpreadOptions few(std::uint64_t seed, Ailment ailment) {
  return {.seed = seed, .devices = kDevices, .ailment = ailment};
}

TEST(Spread, SoundModelsReachAllAndOthersNobodyBeyondTheFirstRing) {
  std::ostringstream out;
  EXPECT_TRUE(run_spread(out, few(1, Ailment::none), 1, 1, 1)) << out.str();
  std::cout << out.str();
}

TEST(Spread, ASeedRepeatsItsRun) {
  const auto first = spread(few(7, Ailment::not_a_number));
  const auto second = spread(few(7, Ailment::not_a_number));
  EXPECT_EQ(first.messages, second.messages);
  EXPECT_EQ(first.lost, second.lost);
  EXPECT_EQ(first.took, second.took);
  EXPECT_GT(first.lost, 0U);
  EXPECT_NE(spread(few(8, Ailment::not_a_number)).messages, first.messages);
}

TEST(Spread, EachMutantIsCaught) {
  std::ostringstream out;
  auto options = few(1, Ailment::none);
  options.devices = 100;
  EXPECT_TRUE(run_spread_mutants(out, options, 20)) << out.str();
  std::cout << out.str();
}

}  // namespace
}  // namespace lapwing::simulate
