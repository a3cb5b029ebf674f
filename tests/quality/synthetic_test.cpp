// SPDX-License-Identifier: Apache-2.0
/// Synthetic streams are the same for a seed, healthy outside the fault, and faulty inside.
#include "tests/quality/synthetic/random.hpp"
#include "tests/quality/synthetic/stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace lapwing::synthetic {
namespace {

struct Moments {
  double mean = 0;
  double sd = 0;
};

Moments moments(std::span<const double> values) {
  Moments m;
  for (const double value : values) m.mean += value / static_cast<double>(values.size());
  for (const double value : values) {
    m.sd += (value - m.mean) * (value - m.mean) / static_cast<double>(values.size());
  }
  m.sd = std::sqrt(m.sd);
  return m;
}

std::string family_name(const ::testing::TestParamInfo<Normal>& one) {
  return std::string(name(one.param));
}

TEST(SyntheticRandom, GivesTheSameNumbersForASeedEverywhere) {
  Random random(1);
  EXPECT_EQ(random.next(), 6654953048204110715ULL);
}

TEST(SyntheticRandom, NeighbouringSeedsShareNoNumbers) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    for (int i = 0; i < 200; ++i) EXPECT_TRUE(seen.insert(random.next()).second) << seed;
  }
}

TEST(SyntheticRandom, HasTheMomentsItsNamesSay) {
  Random random(2);
  std::vector<double> normal(200'000);
  std::vector<double> student(200'000);
  std::vector<double> few(200'000);
  std::vector<double> many(200'000);
  for (std::size_t i = 0; i < normal.size(); ++i) {
    normal[i] = random.normal();
    student[i] = random.student3();
    few[i] = random.poisson(3);
    many[i] = random.poisson(100) * random.gamma8();
  }
  EXPECT_NEAR(moments(normal).mean, 0, 0.01);
  EXPECT_NEAR(moments(normal).sd, 1, 0.01);
  EXPECT_NEAR(moments(student).sd, 1, 0.1);
  const auto beyond = [](std::span<const double> values) {
    return std::ranges::count_if(values, [](double v) { return std::abs(v) > 5; });
  };
  EXPECT_LE(beyond(normal), 2);
  EXPECT_GT(beyond(student), 200) << "tails are heavy";
  EXPECT_NEAR(moments(few).mean, 3, 0.03);
  EXPECT_NEAR(moments(few).sd, std::sqrt(3), 0.03);
  EXPECT_NEAR(moments(many).mean, 100, 1);
  EXPECT_NEAR(moments(many).sd, std::sqrt(100 * (1 + 1.0 / 8) + 1e4 / 8), 1);
}

class Families : public ::testing::TestWithParam<Normal> {};

TEST_P(Families, AreRepeatableFiniteAndVary) {
  std::vector<double> long_stream(3 * kWeek);
  std::vector<double> short_stream(kWeek);
  std::vector<double> other(kWeek);
  fill(GetParam(), 7, long_stream);
  fill(GetParam(), 7, short_stream);
  fill(GetParam(), 8, other);
  EXPECT_TRUE(std::ranges::equal(short_stream, std::span(long_stream).first(kWeek)));
  EXPECT_NE(short_stream, other);
  EXPECT_TRUE(std::ranges::all_of(long_stream, [](double v) { return std::isfinite(v); }));
  EXPECT_GT(moments(long_stream).sd, 0.1);
}

INSTANTIATE_TEST_SUITE_P(All, Families, ::testing::ValuesIn(kNormals), family_name);

StreamSpec spec_of(Normal normal, Fault fault) {
  StreamSpec spec{.normal = normal, .fault = fault, .seed = 5, .fault_at = 2500};
  choose_strength(spec);
  return spec;
}

class Faults : public ::testing::TestWithParam<Fault> {
 protected:
  void SetUp() override {
    faulty_ = make_values(spec_);
    auto healthy = spec_;
    healthy.fault = Fault::none;
    healthy_ = make_values(healthy);
  }
  [[nodiscard]] std::span<const double> fault_rows(std::span<const double> values) const {
    return values.subspan(spec_.fault_at, spec_.fault_rows);
  }
  [[nodiscard]] Moments past() const {
    return moments(std::span(healthy_).subspan(spec_.fault_at - kWeek, kWeek));
  }

  StreamSpec spec_ = spec_of(Normal::season, GetParam());
  std::vector<double> faulty_;
  std::vector<double> healthy_;
};

TEST_P(Faults, AreWhereTheySay) {
  ASSERT_EQ(faulty_.size(), healthy_.size());
  std::size_t changed = 0;
  for (std::size_t i = 0; i < faulty_.size(); ++i) {
    const bool inside = i >= spec_.fault_at && i < spec_.fault_at + spec_.fault_rows;
    const bool same = faulty_[i] == healthy_[i];
    ASSERT_TRUE(inside || same) << "row " << i;
    changed += inside && !same ? 1 : 0;
  }
  EXPECT_GE(changed + 2, spec_.fault_rows) << "nearly every row of the fault differs";
  EXPECT_EQ(std::isnan(faulty_[spec_.fault_at]), GetParam() == Fault::missing);
}

TEST_P(Faults, AreWhatTheySay) {
  const auto rows = fault_rows(faulty_);
  const auto before = fault_rows(healthy_);
  const double shift = std::abs(moments(rows).mean - moments(before).mean) / past().sd;
  switch (GetParam()) {
    case Fault::level:
    case Fault::spike:
      EXPECT_NEAR(shift, spec_.strength, 1e-9);
      break;
    case Fault::drift:
      EXPECT_NEAR(shift, spec_.strength / 2, 0.05);
      EXPECT_NEAR(std::abs(rows.back() - before.back()) / past().sd, spec_.strength, 1e-9);
      break;
    case Fault::dropout:
      EXPECT_EQ(std::ranges::min(rows), std::ranges::max(rows));
      EXPECT_LT(rows[0], std::ranges::min(healthy_) - past().sd);
      break;
    case Fault::stuck:
      EXPECT_TRUE(
          std::ranges::all_of(rows, [&](double v) { return v == healthy_[spec_.fault_at - 1]; }));
      break;
    case Fault::noise:
    case Fault::amplitude:
      EXPECT_GT(moments(rows).sd, 1.5 * moments(before).sd);
      break;
    case Fault::frequency:
      EXPECT_EQ(rows[100],
                healthy_[spec_.fault_at + static_cast<std::size_t>(100 * spec_.strength)]);
      break;
    case Fault::phase:
      EXPECT_EQ(rows[100],
                healthy_[spec_.fault_at + 100 + static_cast<std::size_t>(spec_.strength * kDay)]);
      break;
    case Fault::missing:
      EXPECT_EQ(make_stream(spec_).size(), spec_.readings - spec_.fault_rows);
      break;
    case Fault::none:
      FAIL();
  }
}

INSTANTIATE_TEST_SUITE_P(All, Faults, ::testing::ValuesIn(kFaults),
                         [](const auto& one) { return std::string(name(one.param)); });

TEST(SyntheticStream, HasTimesAnIntervalApart) {
  const StreamSpec spec{.fault = Fault::missing, .readings = 3000, .fault_rows = 10};
  const auto samples = make_stream(spec);
  for (std::size_t i = 1; i < samples.size(); ++i) {
    const auto step = samples[i].time - samples[i - 1].time;
    ASSERT_EQ(step, spec.interval * (i == spec.fault_at ? 11 : 1)) << i;
  }
}

TEST(SyntheticStream, MayEndWithinItsFault) {
  for (const Fault fault : kFaults) {
    StreamSpec spec{.normal = Normal::season, .fault = fault, .readings = 700, .fault_at = 690};
    spec.strength = 2;
    EXPECT_EQ(make_values(spec).size(), 700U);
    spec.fault_at = 0;
    EXPECT_EQ(make_values(spec).size(), 700U) << "and begin with it";
  }
}

}  // namespace
}  // namespace lapwing::synthetic
