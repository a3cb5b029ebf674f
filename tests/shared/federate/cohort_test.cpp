// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/cohort.hpp"

#include "tests/shared/federate/fleet.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace lapwing::federate::cohort_test {
namespace {

constexpr std::size_t kWidth = 3;

/// Machines of one kind, each set up a little differently.
Rows machine(std::uint64_t seed, std::size_t rows = 400) {
  detect::Random random(seed);
  const double shift = 0.3 * random.normal();
  Rows made{kWidth};
  for (std::size_t i = 0; i < rows; ++i) {
    const double load = random.normal();
    made.values.push_back(50 + shift + load);
    made.values.push_back(3 + 0.1 * load + 0.02 * random.normal());
    made.values.push_back(random.normal());
  }
  return made;
}

std::vector<Contribution> contributions(const std::vector<Rows>& devices, Kind kind) {
  std::vector<Contribution> told;
  for (std::size_t d = 0; d < devices.size(); ++d) {
    auto one = contribute({.kind = kind, .seed = d + 1}, devices[d].table());
    EXPECT_TRUE(one) << one.error().context;
    told.push_back(*std::move(one));
  }
  return told;
}

std::vector<Member> members_of(const std::vector<Contribution>& told) {
  std::vector<Member> members;
  for (std::size_t i = 0; i < told.size(); ++i) {
    members.push_back({"m" + std::to_string(i), &told[i]});
  }
  return members;
}

std::vector<Rows> machines(std::size_t count) {
  std::vector<Rows> made;
  for (std::size_t i = 0; i < count; ++i) made.push_back(machine(100 + i));
  return made;
}

TEST(Cohort, DevicesOfOneKindAllCount) {
  for (const std::size_t count : {5U, 8U, 20U, 50U}) {
    const auto told = contributions(machines(count), Kind::pca);
    const auto cohort = judge(members_of(told), {});
    ASSERT_TRUE(cohort) << cohort.error().context;
    EXPECT_TRUE(cohort->left.empty()) << cohort->left[0].device << cohort->left[0].why;
    EXPECT_EQ(cohort->factors, std::vector<double>(count, 1.0));
  }
}

TEST(Cohort, ADeviceThatIsFarOffIsLeftOutAndToldWhy) {
  auto devices = machines(12);
  for (std::size_t i = 0; i < devices[3].values.size(); i += kWidth) devices[3].values[i] += 40;
  for (std::size_t i = 1; i < devices[5].values.size(); i += kWidth) devices[5].values[i] = 3;
  for (std::size_t i = 1; i < devices[7].values.size(); i += kWidth) {
    devices[7].values[i] = 6 - devices[7].values[i];  // the relation turned round
  }
  const auto told = contributions(devices, Kind::pca);
  const auto cohort = judge(members_of(told), {});
  ASSERT_TRUE(cohort) << cohort.error().context;
  ASSERT_EQ(cohort->left.size(), 3U);
  EXPECT_EQ(cohort->left[0].device, "m3");
  EXPECT_NE(cohort->left[0].why.find("the mean of sensor 1"), std::string::npos);
  EXPECT_EQ(cohort->left[1].device, "m5");
  EXPECT_NE(cohort->left[1].why.find("the deviation of sensor 2"), std::string::npos);
  EXPECT_EQ(cohort->left[2].device, "m7");
  EXPECT_NE(cohort->left[2].why.find("go together"), std::string::npos);
}

/// Whatever one device says, within what the codec lets through, the model stays what the others'
/// would be.
TEST(Cohort, OneHostileDeviceDoesNotMoveTheModel) {
  auto devices = machines(9);
  for (double& value : devices[4].values) value *= 1e9;
  const Plan plan{.kind = Kind::pca, .sensors = sensors_of(kWidth)};
  const auto merged = run_pass(plan, {}, devices);
  ASSERT_TRUE(merged) << merged.error().context;
  ASSERT_EQ(merged->left.size(), 1U);
  devices.erase(devices.begin() + 4);
  const auto without = run_pass(plan, {}, devices);
  ASSERT_TRUE(without);
  EXPECT_EQ(merged->file, without->file);
}

TEST(Cohort, TooFewOrTooUnlikeIsRefused) {
  const auto four = contributions(machines(4), Kind::pca);
  EXPECT_FALSE(judge(members_of(four), {}));
  EXPECT_TRUE(judge(members_of(four), {.devices_min = 4}));
  const auto two = contributions(machines(2), Kind::pca);
  EXPECT_FALSE(judge(members_of(two), {.devices_min = 1})) << "never fewer than three";
  auto halves = machines(12);
  for (std::size_t d = 0; d < 5; ++d) {
    for (double& value : halves[d].values) value += 500 + 100 * static_cast<double>(d);
  }
  const auto told = contributions(halves, Kind::pca);
  const auto judged = judge(members_of(told), {});
  ASSERT_FALSE(judged);
  EXPECT_NE(judged.error().context.find("not of one kind"), std::string::npos);
}

TEST(Cohort, TrimmedBelowTheMinimumIsRefused) {
  auto devices = machines(5);
  for (double& value : devices[0].values) value += 500;
  const auto told = contributions(devices, Kind::pca);
  EXPECT_FALSE(judge(members_of(told), {}));
}

TEST(Cohort, NoDeviceHasMoreThanItsShare) {
  const auto check = [](std::vector<double> weights, double share) {
    const auto cut = capped(weights, share);
    const double sum = std::accumulate(cut.begin(), cut.end(), 0.0);
    const double most = std::max(share, 1 / static_cast<double>(cut.size()));
    for (std::size_t i = 0; i < cut.size(); ++i) {
      EXPECT_LE(cut[i], most * sum * (1 + 1e-12));
      EXPECT_LE(cut[i], weights[i]);
    }
    return cut;
  };
  EXPECT_EQ(check({1, 2, 3, 4, 5}, 0.5), (std::vector<double>{1, 2, 3, 4, 5}));
  EXPECT_EQ(check({1, 1, 1, 1, 100}, 0.25)[0], 1);
  check({1000, 900, 10, 9, 8}, 0.25);
  check({5, 5, 5}, 0.1);
  detect::Random random(3);
  for (int i = 0; i < 200; ++i) {
    std::vector<double> weights;
    for (std::size_t d = 0; d < 3 + random.below(40); ++d) {
      weights.push_back(std::exp(3 * random.normal()));
    }
    check(weights, 0.05 + random.uniform() * 0.9);
  }
  std::vector<Rows> devices = machines(6);
  devices[2] = machine(500, 20'000);
  const auto told = contributions(devices, Kind::pca);
  const auto cohort = judge(members_of(told), {});
  ASSERT_TRUE(cohort);
  EXPECT_NEAR(cohort->factors[2] * 20'000, 5 * 400 / 3.0, 1e-6);
}

TEST(Cohort, TreesAreGivenInProportion) {
  const std::vector<double> weights{100, 300, 600};
  const std::vector<std::uint32_t> many{100, 100, 100};
  EXPECT_EQ(apportion(weights, many, 10), (std::vector<std::uint32_t>{1, 3, 6}));
  EXPECT_EQ(apportion(weights, many, 7), (std::vector<std::uint32_t>{1, 2, 4}));
  const std::vector<std::uint32_t> few{2, 2, 2};
  EXPECT_EQ(apportion(weights, few, 10), (std::vector<std::uint32_t>{2, 2, 2}));
  EXPECT_EQ(apportion(weights, std::vector<std::uint32_t>{9, 9, 2}, 10),
            (std::vector<std::uint32_t>{3, 5, 2}));
}

TEST(Cohort, ADeviceWhoseOwnForestScoresOtherwiseIsLeftOut) {
  auto devices = machines(10);
  // One value again and again, a few others: hardly isolated by any split.
  detect::Random random(1);
  for (std::size_t i = 0; i < devices[6].values.size(); ++i) {
    if (i / kWidth % 10 != 0) devices[6].values[i] = i % kWidth == 0 ? 50 : i % kWidth == 1 ? 3 : 0;
  }
  const auto told = contributions(devices, Kind::isolation_forest);
  const auto cohort = judge(members_of(told), {});
  ASSERT_TRUE(cohort) << cohort.error().context;
  ASSERT_EQ(cohort->left.size(), 1U);
  EXPECT_EQ(cohort->left[0].device, "m6");
}

}  // namespace
}  // namespace lapwing::federate::cohort_test
