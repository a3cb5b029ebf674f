// SPDX-License-Identifier: Apache-2.0
/// Where a stream's values have been.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lapwing::detect {

/// Values a stream has visited, to notice one between them where it has never been.
class Levels {
 public:
  /// Distance to the nearest level over the range visited where that is a gap, else 0; remembers
  /// the value.
  float push(float value, bool measure) noexcept;

  template <class A>
  void fields(A& archive) {
    archive(levels_, count_, low_, high_);
  }
  [[nodiscard]] bool plausible() const noexcept { return count_ <= kLevels; }

 private:
  static constexpr std::size_t kLevels = 128;

  void remember(float value, float range) noexcept;

  std::array<float, kLevels> levels_{};  ///< the first count_, rising
  std::uint32_t count_ = 0;
  float low_ = 0;
  float high_ = 0;
};

}  // namespace lapwing::detect
