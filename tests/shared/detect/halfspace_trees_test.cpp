// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/halfspace_trees/halfspace_trees.hpp"

#include "shared/detect/halfspace_trees/lengths.hpp"
#include "shared/detect/random.hpp"
#include "shared/detect/snapshot.hpp"
#include "tests/shared/detect/synthetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <hwy/highway.h>
#include <hwy/targets.h>
#include <limits>
#include <memory>
#include <vector>

namespace lapwing::detect::halfspace_trees_test {
namespace {

using namespace halfspace_trees;

std::unique_ptr<Detector> make_group(std::size_t width, std::uint32_t warmup = 300) {
  auto made = make_halfspace_trees_group({.width = width, .warmup = warmup}, {});
  EXPECT_TRUE(made) << made.error().context;
  return std::move(*made);
}

std::unique_ptr<Detector> make_stream(std::uint32_t warmup = 300) {
  auto made = make_halfspace_trees_stream({.warmup = warmup}, {});
  EXPECT_TRUE(made) << made.error().context;
  return std::move(*made);
}

struct Results {
  std::vector<float> raw;
  std::vector<Band> bands;
  std::vector<Cause> causes;
};

Results score(Detector& detector, std::span<const double> values, std::size_t width = 1,
              float band_score = 6) {
  const std::size_t rows = values.size() / width;
  Results results{std::vector<float>(rows), std::vector<Band>(rows), std::vector<Cause>(rows)};
  EXPECT_TRUE(
      detector.score({.values = values, .width = width, .band_score = band_score},
                     {.raw = results.raw, .bands = results.bands, .causes = results.causes}));
  return results;
}

std::vector<double> noise(std::size_t count, std::uint64_t seed = 4) {
  Random random(seed);
  std::vector<double> values(count);
  for (double& value : values) value = 20 + random.normal();
  return values;
}

TEST(HalfspaceTrees, LengthsAreTheLogarithmOfTheDensityOnEveryInstructionSet) {
  constexpr std::uint32_t kDepth = 5;
  constexpr std::size_t kLeaves = 1U << kDepth;
  constexpr float kFew = 3;
  constexpr float kScale = 0.7F;
  Random random(8);
  std::vector<float> leaves(kLeaves * trees::kLanes);
  for (float& rows : leaves) rows = static_cast<float>(random.below(3) * random.below(3));
  // From the definition, one leaf at a time.
  const auto rows_below = [&](std::size_t node, std::size_t lane) {
    float sum = 0;
    std::size_t first = node;
    std::size_t count = 1;
    for (; first < kLeaves; first *= 2) count *= 2;
    for (std::size_t i = 0; i < count; ++i)
      sum += leaves[(first + i - kLeaves) * trees::kLanes + lane];
    return sum;
  };
  std::vector<double> expected(leaves.size());
  for (std::size_t leaf = 0; leaf < kLeaves; ++leaf) {
    for (std::size_t lane = 0; lane < trees::kLanes; ++lane) {
      std::uint32_t depth = 0;
      while (depth < kDepth && rows_below((kLeaves + leaf) >> (kDepth - depth), lane) > kFew)
        ++depth;
      const float rows = rows_below((kLeaves + leaf) >> (kDepth - depth), lane);
      expected[leaf * trees::kLanes + lane] =
          depth + std::log2(1 + static_cast<double>(kScale) * static_cast<double>(rows));
    }
  }
  std::vector<std::uint32_t> first_bits;
  for (auto left = static_cast<std::uint64_t>(hwy::SupportedTargets()); left != 0;
       left &= left - 1) {
    hwy::SetSupportedTargetsForTest(static_cast<std::int64_t>(left & (~left + 1)));
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    std::vector<float> inner(leaves.size());
    std::vector<std::uint32_t> lengths(leaves.size());
    path_lengths(leaves.data(), inner.data(), kDepth, kFew, kScale, lengths.data());
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(lengths[i]) / trees::kUnit, expected[i], 1e-4) << i;
    }
    if (first_bits.empty()) first_bits = lengths;
    EXPECT_EQ(lengths, first_bits);
    hwy::SetSupportedTargetsForTest(0);
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(HalfspaceTrees, ScalerKeepsOrderAndInvertsAndLeavesRoom) {
  const auto values = noise(255);
  std::vector<double> scratch(255);
  Scaler scaler(1);
  scaler.learn(values, scratch);
  float before = -1.1F;
  for (const double value : {-1e300, -50.0, 0.0, 17.0, 20.0, 23.0, 50.0, 1e9}) {
    float u = 0;
    scaler.scale(std::span(&value, 1), &u);
    EXPECT_GT(u, before);
    EXPECT_LE(u, 1);
    if (std::abs(value) < 100) {
      EXPECT_NEAR(scaler.value_at(0, static_cast<double>(u)), value, 1e-3);
    }
    if (value == 17 || value == 23) {
      EXPECT_LT(std::abs(u), 0.4F);
    }
    before = u;
  }
}

TEST(HalfspaceTrees, CombinationThatNeverOccursIsStrange) {
  // Two operating states; each value of the fault is ordinary, the two together are not.
  Random random(5);
  std::vector<double> values;
  for (int i = 0; i < 3000; ++i) {
    const double state = (i / 40) % 2 == 0 ? 0 : 10;
    values.push_back(state + random.normal());
    values.push_back(state + random.normal());
  }
  values[2 * 2900] = 0;
  values[2 * 2900 + 1] = 10;
  const auto raw = score(*make_group(2), values, 2).raw;
  const auto stranger = std::count_if(raw.begin() + 1000, raw.begin() + 2900,
                                      [&](float one) { return one >= raw[2900]; });
  EXPECT_LE(stranger, 5) << "of 1900 rows";
}

TEST(HalfspaceTrees, SaysWhatStandsOut) {
  const auto last_cause = [](auto change) {
    auto values = noise(1200);
    for (std::size_t i = 1100; i < 1200; ++i) change(values[i], i);
    const auto detector = make_stream();
    const auto results = score(*detector, values);
    for (std::size_t i = 500; i < 1100; ++i) EXPECT_LT(results.raw[i], 1 + results.raw[1199]);
    return results.causes[1199];
  };
  EXPECT_EQ(last_cause([](double& v, std::size_t) { v += 40; }), Cause::high);
  EXPECT_EQ(last_cause([](double& v, std::size_t) { v -= 40; }), Cause::low);
  EXPECT_EQ(last_cause([](double& v, std::size_t i) { v += i % 2 == 0 ? 9 : -9; }), Cause::noisier);
}

TEST(HalfspaceTrees, AFaultOfADayIsNotNormalTheNextButAVerdictMakesItSo) {
  auto values = noise(4000);
  for (std::size_t i = 2000; i < 4000; ++i) values[i] += 12;
  const auto detector = make_stream();
  const auto before = score(*detector, std::span(values).first(2000 + 288)).raw;
  const float usual = *std::max_element(before.begin() + 500, before.begin() + 2000);
  EXPECT_GT(before[2030], 2 * usual);
  EXPECT_GT(before[2287], 0.5F * before[2030]) << "a day of five-minute readings later";
  detector->accept_new_normal();
  const auto after = score(*detector, std::span(values).subspan(2288)).raw;
  EXPECT_LT(*std::max_element(after.begin() + 20, after.end()), before[2030]);
  EXPECT_LT(after[300], usual);
}

TEST(HalfspaceTrees, BandIsWiderForAHigherScoreAndHoldsBothStates) {
  Random random(6);
  std::vector<double> values;
  for (int i = 0; i < 2000; ++i) values.push_back(((i / 50) % 2 == 0 ? 0 : 30) + random.normal());
  const auto low = score(*make_stream(), values, 1, 1).bands[1999];
  const auto high = score(*make_stream(), values, 1, 6).bands[1999];
  EXPECT_LE(high.lower, low.lower);
  EXPECT_GE(high.upper, low.upper);
  EXPECT_LT(high.lower, 0);
  EXPECT_GT(high.upper, 30);
  EXPECT_GT(high.lower, -100);
  EXPECT_LT(high.upper, 130);
}

TEST(HalfspaceTrees, MissingSensorsSetNothingApart) {
  auto values = noise(3 * 1000);
  const auto detector = make_group(3);
  score(*detector, values, 3);
  const double none = std::nan("");
  const std::vector<double> asked = {20, 20, 20, 20, none, 20, none, none, none, none, 60, none};
  std::vector<float> raw(4);
  std::vector<float> shares(12);
  ASSERT_TRUE(detector->score({.values = asked, .width = 3, .learn = false},
                              {.raw = raw, .contributions = shares}));
  EXPECT_LT(raw[1], 4 * raw[0] + 0.1F);
  EXPECT_EQ(raw[2], 0);
  EXPECT_GT(raw[3], 10 * raw[0]);
  EXPECT_EQ(shares[9], 0);
  EXPECT_NEAR(shares[10], 1, 1e-3);
  EXPECT_EQ(shares[11], 0);
}

TEST(HalfspaceTrees, SnapshotsOfOtherSettingsAreRefused) {
  const auto make = [](const char* name, double value, std::uint64_t seed = 1) {
    auto made = make_halfspace_trees_stream({.seed = seed, .parameters = {{name, value}}}, {});
    EXPECT_TRUE(made);
    return std::move(*made);
  };
  std::vector<std::byte> bytes;
  make("trees", 32)->snapshot(bytes);
  EXPECT_TRUE(make("window", 256)->restore(bytes)) << "those are the defaults";
  for (const auto& other :
       {make("trees", 31), make("depth", 7), make("window", 255), make("trees", 32, 2)}) {
    const auto done = other->restore(bytes);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::unsupported);
  }
}

TEST(HalfspaceTrees, RefusesImpossibleStates) {
  const auto detector = make_stream();
  score(*detector, noise(1000));
  std::vector<std::byte> bytes;
  detector->snapshot(bytes);
  // The frame's content again with one field changed, and a good checksum.
  const auto with = [&](std::size_t at, std::uint8_t value) {
    std::vector<std::byte> changed(bytes.begin() + 20, bytes.end());
    changed[at] = std::byte{value};
    std::uint64_t tag = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      tag |= static_cast<std::uint64_t>(bytes[4 + i]) << (8 * i);
    }
    std::vector<std::byte> out;
    const std::size_t begun = begin_frame(out, tag);
    out.insert(out.end(), changed.begin(), changed.end());
    end_frame(out, begun);
    return out;
  };
  EXPECT_TRUE(make_stream()->restore(with(0, std::to_integer<std::uint8_t>(bytes[20]))));
  const std::size_t spread_sign = 15;             // of the first axis
  const std::size_t reference_sign = 80 + 8 + 3;  // of the first leaf, after five axes, two counts
  for (const std::size_t at : {spread_sign, reference_sign}) {
    const auto done = make_stream()->restore(with(at, 0xFF));
    ASSERT_FALSE(done) << at;
    EXPECT_EQ(done.error().code, Errc::corrupt);
  }
}

}  // namespace
}  // namespace lapwing::detect::halfspace_trees_test
