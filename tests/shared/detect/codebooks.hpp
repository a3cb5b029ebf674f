// SPDX-License-Identifier: Apache-2.0
/// Random codebooks of many streams, and windows to search for in them.
#pragma once

#include "shared/detect/auto/batch.hpp"
#include "tests/shared/detect/synthetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::testing {

/// Centroids repeat, so that the nearest is not the only one; stream 0 has none.
class RandomCodebooks {
 public:
  static constexpr std::size_t kCount = 96;
  static constexpr std::size_t kDimensions = 48;
  static constexpr std::size_t kStreams = 50;

  RandomCodebooks() : random_(5) {
    for (std::size_t i = 0; i < kStreams * kCodes; ++i) {
      codes_.push_back(static_cast<std::int8_t>(std::floor(255 * random_.uniform()) - 127));
    }
    for (std::size_t i = 0; i < kStreams * kCount; ++i) {
      scales_.push_back(0.01F + static_cast<float>(random_.uniform()) / 100);
    }
    for (std::size_t s = 0; s < kStreams; ++s) {
      for (std::size_t c = 60; c < kCount; ++c) {
        scales_[s * kCount + c] = scales_[s * kCount + c - 50];
        for (std::size_t i = 0; i < kDimensions; ++i) {
          std::int8_t* book = &codes_[s * kCodes];
          book[codebooks::place_of(i, c, kCount)] = book[codebooks::place_of(i, c - 50, kCount)];
        }
      }
      used_.push_back(static_cast<std::uint32_t>(s == 0 ? 0 : (s * 31) % kCount + 1));
    }
  }
  /// Near one of the stream's centroids, or anywhere.
  CodedWindow window(std::size_t stream) {
    CodedWindow window{};
    const auto like = static_cast<std::size_t>(random_.uniform() * kCount);
    const double noise = random_.uniform() < 0.5 ? 20 : 2000;
    for (std::size_t i = 0; i < kDimensions; ++i) {
      const double code = codes(stream)[codebooks::place_of(i, like, kCount)];
      window.query[i] = static_cast<std::int16_t>(
          std::clamp(std::floor(8 * code + noise * (random_.uniform() - 0.5)), -1023.0, 1023.0));
    }
    window.query_scale = scales(stream)[like] / 8;
    return window;
  }
  [[nodiscard]] std::span<const std::int8_t> codes(std::size_t stream) const {
    return std::span(codes_).subspan(stream * kCodes, kCodes);
  }
  [[nodiscard]] std::span<const float> scales(std::size_t stream) const {
    return std::span(scales_).subspan(stream * kCount, kCount);
  }
  [[nodiscard]] std::size_t used(std::size_t stream) const { return used_[stream]; }
  [[nodiscard]] codebooks::Books books() const {
    return {codes_.data(), scales_.data(), used_.data(), kCount, kDimensions};
  }
  void put_into(CodebookBatch& batch) const {
    for (std::size_t s = 0; s < kStreams; ++s) {
      EXPECT_TRUE(batch.put(s, codes(s), scales(s), used(s)));
    }
  }
  /// Asks for a window of each stream in turn, and finds the nearest of all.
  static std::vector<Nearest> find(CodebookBatch& batch, std::span<const CodedWindow> windows) {
    for (std::size_t i = 0; i < windows.size(); ++i) {
      EXPECT_TRUE(batch.ask(i % kStreams, windows[i]));
    }
    std::vector<Nearest> found(windows.size());
    EXPECT_TRUE(batch.find(found));
    return found;
  }
  std::vector<CodedWindow> windows(std::size_t count) {
    std::vector<CodedWindow> windows;
    for (std::size_t i = 0; i < count; ++i) windows.push_back(window(i % kStreams));
    return windows;
  }

 private:
  static constexpr std::size_t kCodes = kCount * kDimensions;

  Random random_;
  std::vector<std::int8_t> codes_;
  std::vector<float> scales_;
  std::vector<std::uint32_t> used_;
};

inline bool same_bits(const std::vector<Nearest>& a, const std::vector<Nearest>& b) {
  return std::ranges::equal(a, b, [](Nearest one, Nearest other) {
    return one.centroid == other.centroid && one.square == other.square;
  });
}

}  // namespace lapwing::detect::testing
