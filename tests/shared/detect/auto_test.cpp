// SPDX-License-Identifier: Apache-2.0
/// The pieces of `auto` for streams.
#include "shared/detect/auto/codebook.hpp"
#include "shared/detect/auto/nearest.hpp"
#include "shared/detect/auto/ranges.hpp"
#include "tests/shared/detect/synthetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <hwy/highway.h>
#include <hwy/targets.h>
#include <limits>
#include <numbers>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace lapwing::detect::auto_test {
namespace {

using testing::Random;

TEST(NearestCentroid, IsTheOneOfAPlainSearch) {
  Random random(5);
  for (const std::size_t used : {1UL, 31UL, 32UL, 65UL, 96UL}) {
    constexpr std::size_t kCount = 96;
    constexpr std::size_t kDimensions = 48;
    std::vector<std::int8_t> codes(kCount * kDimensions);
    for (auto& code : codes) code = static_cast<std::int8_t>(255 * random.uniform() - 127);
    std::vector<float> scales(kCount);
    for (float& scale : scales) scale = 0.01F + static_cast<float>(random.uniform()) / 100;
    std::vector<std::int16_t> query(kDimensions);
    for (auto& q : query) q = static_cast<std::int16_t>(std::floor(2047 * random.uniform()) - 1023);
    const float query_scale = 0.001F;
    std::size_t nearest = 0;
    double smallest = std::numeric_limits<double>::max();
    for (std::size_t c = 0; c < used; ++c) {
      double square = 0;
      for (std::size_t i = 0; i < kDimensions; ++i) {
        const double apart =
            static_cast<double>(scales[c]) * codes[codebooks::place_of(i, c, kCount)] -
            static_cast<double>(query_scale * query[i]);
        square += apart * apart;
      }
      if (square < smallest) {
        smallest = square;
        nearest = c;
      }
    }
    const Nearest found = nearest_centroid(codes.data(), scales, used, query, query_scale);
    EXPECT_EQ(found.centroid, nearest) << used;
  }
}

/// Calls do_it() once on each kind of vectors that this processor has.
template <class Do>
void on_every_instruction_set(Do do_it) {
  for (auto left = static_cast<std::uint64_t>(hwy::SupportedTargets()); left != 0;
       left &= left - 1) {
    hwy::SetSupportedTargetsForTest(static_cast<std::int64_t>(left & (~left + 1)));
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    do_it();
    hwy::SetSupportedTargetsForTest(0);
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(Codebook, EveryInstructionSetGivesTheSameBits) {
  constexpr std::size_t kCount = 64;
  constexpr std::size_t kStreams = 40;
  Random random(6);
  const auto weights = [&] {
    std::vector<float> values(kDimensionsMax);
    fill_block_weights(values);
    return values;
  }();
  for (std::size_t stream = 0; stream < kStreams; ++stream) {
    const std::size_t dimensions = stream % 2 == 0 ? 48 : 16;
    const View view = stream % 3 == 0 ? View::level : View::shape;
    std::vector<float> blocks(dimensions);
    for (float& block : blocks) block = static_cast<float>(random.normal());
    std::vector<std::int8_t> codes(kCount * dimensions);
    for (auto& code : codes) code = static_cast<std::int8_t>(255 * random.uniform() - 127);
    const std::vector<float> scales(kCount, 0.01F);
    const auto used = static_cast<std::uint32_t>(kCount * random.uniform()) + 1;
    std::optional<CodedWindow> first;
    on_every_instruction_set([&] {
      CodedWindow window{};
      describe_window(blocks, std::span(weights).first(dimensions), view, window);
      if (!first) first = window;
      EXPECT_EQ(window.values, first->values);
      EXPECT_EQ(window.query, first->query);
      EXPECT_EQ(window.query_scale, first->query_scale);
      EXPECT_EQ(window.square, first->square);

      const std::uint32_t zero = 0;
      const Nearest expected = codebooks::nearest_of(
          {codes.data(), scales.data(), &used, kCount, static_cast<std::uint32_t>(dimensions)},
          {window.query.data(), &window.query_scale, &zero}, 0, 0, 1);
      const Nearest found =
          nearest_centroid(codes.data(), scales, used, std::span(window.query).first(dimensions),
                           window.query_scale);
      EXPECT_EQ(found.centroid, expected.centroid);
      EXPECT_EQ(found.square, expected.square);
    });
  }
}

TEST(Recent, MeasuresWindowsAsAPlainLoopDoes) {
  Random random(8);
  Recent recent;
  std::vector<double> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(1000 + random.normal());
    recent.push(all.back());
    EXPECT_EQ(recent.at(0), all.back());
  }
  const auto windows = recent.windows();
  for (const auto& [window, size] : {std::pair{windows.short_one, std::size_t{Recent::kShort}},
                                     std::pair{windows.long_one, std::size_t{Recent::kLong}}}) {
    const auto newest = std::span(all).last(size);
    const auto before = std::span(all).last(2 * size).first(size);
    const auto n = static_cast<double>(size);
    const double mean = std::accumulate(newest.begin(), newest.end(), 0.0) / n;
    double square = 0;
    for (const double v : newest) square += (v - mean) * (v - mean) / n;
    EXPECT_NEAR(window.mean, mean, 1e-9);
    EXPECT_EQ(window.low, *std::ranges::min_element(newest));
    EXPECT_EQ(window.high, *std::ranges::max_element(newest));
    EXPECT_NEAR(window.spread, std::sqrt(square), 1e-9);
    EXPECT_NEAR(window.change, mean - std::accumulate(before.begin(), before.end(), 0.0) / n, 1e-9);
  }
}

using Book = Codebook<32, 16, View::shape>;

/// Pushes a wave of `period` readings, `height` high; the largest score of the last period.
float push_wave(Book& book, std::vector<std::int8_t>& codes, int readings, double period,
                double height, Growth growth) {
  float largest = 0;
  for (int i = 0; i < readings; ++i) {
    const double value = height * std::sin(2 * std::numbers::pi * i / period);
    book.push(codes, static_cast<float>(value), growth, growth == Growth::grow);
    if (i >= readings - static_cast<int>(period)) largest = std::max(largest, book.score());
  }
  return largest;
}

TEST(Codebook, KnowsAPatternAndTellsAnother) {
  Book book;
  book.start(32);
  EXPECT_EQ(book.step(), 2U);
  std::vector<std::int8_t> codes(Book::kCodes);
  push_wave(book, codes, 3200, 32, 2, Growth::grow);
  EXPECT_TRUE(book.repeats());
  const float usual = push_wave(book, codes, 320, 32, 2, Growth::none);
  const float other = push_wave(book, codes, 320, 21, 2, Growth::none);
  EXPECT_GT(other, 3 * usual);
}

TEST(Codebook, LearnsAnotherPatternOnlyWhenToldTo) {
  for (const Growth growth : {Growth::settle, Growth::renew}) {
    Book book;
    book.start(32);
    std::vector<std::int8_t> codes(Book::kCodes);
    push_wave(book, codes, 3200, 32, 2, Growth::grow);
    const float before = push_wave(book, codes, 320, 9, 2, Growth::none);
    push_wave(book, codes, 3200, 9, 2, growth);
    const float after = push_wave(book, codes, 320, 9, 2, Growth::none);
    EXPECT_EQ(after < before / 2, growth == Growth::renew) << before << " " << after;
  }
}

const TwoRanges::Paces kPaces(200);

/// Noise of 1 about `level`; the largest novelty.
float push_noise(Ranges& ranges, Random& random, int rows, double level, Stage stage) {
  float largest = 0;
  for (int i = 0; i < rows; ++i) {
    const auto step = ranges.push(level + random.normal(), 0, stage, kPaces);
    largest = std::max(largest, step.evidence.novelty);
  }
  return largest;
}

TEST(Ranges, AFaultIsNewsOnceAndAgainWhenItsEchoHasFaded) {
  Random random(3);
  Ranges ranges;
  push_noise(ranges, random, 200, 0, Stage::rehearse);
  push_noise(ranges, random, 2000, 0, Stage::live);
  const float first = push_noise(ranges, random, 50, 30, Stage::live);
  EXPECT_GT(first, 50);
  push_noise(ranges, random, 100, 0, Stage::live);
  EXPECT_LT(push_noise(ranges, random, 50, 30, Stage::live), first / 10) << "known by now";
  push_noise(ranges, random, 5000, 0, Stage::live);
  EXPECT_GT(push_noise(ranges, random, 50, 30, Stage::live), first / 2) << "news once more";
}

TEST(Ranges, EveryInstructionSetGivesTheSameBits) {
  std::optional<std::vector<double>> first;
  on_every_instruction_set([&first] {
    Random random(9);
    Ranges ranges;
    std::vector<double> seen;
    for (int i = 0; i < 3000; ++i) {
      const Stage stage = i < 100 ? Stage::learn : i < 200 ? Stage::rehearse : Stage::live;
      const double level = i % 500 > 450 ? 5 : 0;
      if (i % 700 == 300) ranges.miss();
      const auto pattern = static_cast<float>(i > 800 ? std::abs(random.normal()) : 0);
      const auto step = ranges.push(level + random.normal(), pattern, stage, kPaces);
      const Band reach = ranges.reach(level, level, 1);
      for (const double number : {double{step.evidence.novelty}, double{step.evidence.departure},
                                  static_cast<double>(step.cause), reach.lower, reach.upper})
        seen.push_back(number);
    }
    if (!first) first = seen;
    EXPECT_EQ(seen, *first);
  });
}

TEST(Ranges, DepartureLastsAsLongAsTheFaultUnlessAccepted) {
  Random random(4);
  for (const bool accepted : {false, true}) {
    Ranges ranges;
    push_noise(ranges, random, 200, 0, Stage::rehearse);
    push_noise(ranges, random, 2000, 0, Stage::live);
    push_noise(ranges, random, 3000, 30, Stage::live);
    if (accepted) ranges.accept();
    const auto step = ranges.push(30, 0, Stage::live, kPaces);
    EXPECT_EQ(step.evidence.departure > 1, !accepted);
    if (!accepted) {
      EXPECT_EQ(step.cause, Cause::high);
    }
  }
}

TEST(Ranges, ValuesBetweenKnownLevelsAreNews) {
  Ranges ranges;
  for (int i = 0; i < 400; ++i) {
    ranges.push(i % 2, 0, i < 200 ? Stage::rehearse : Stage::live, kPaces);
  }
  EXPECT_GT(ranges.push(0.5, 0, Stage::live, kPaces).evidence.novelty, 1);
}

TEST(Ranges, AHoleIsNoStep) {
  for (const bool hole : {false, true}) {
    Ranges ranges;
    for (int i = 0; i < 2000; ++i) {
      const double ramp = 100 - std::abs(100 - i % 200);  // 0 to 100 and back, in steps of 1
      ranges.push(ramp, 0, i < 400 ? Stage::rehearse : Stage::live, kPaces);
    }
    for (int i = 0; hole && i < 3; ++i) ranges.miss();
    const auto step = ranges.push(40, 0, Stage::live, kPaces);
    EXPECT_EQ(step.evidence.novelty > 1, !hole);
  }
}

}  // namespace
}  // namespace lapwing::detect::auto_test
