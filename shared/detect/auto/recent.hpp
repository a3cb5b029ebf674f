// SPDX-License-Identifier: Apache-2.0
/// The newest readings of a stream and what windows of them look like.
#pragma once

#include <array>
#include <cstddef>

namespace lapwing::detect {

/// What the newest readings of a window show, in the readings' unit.
struct WindowStatistics {
  double mean = 0;
  double low = 0;
  double high = 0;
  double spread = 0;  ///< standard deviation
  double change = 0;  ///< of the mean, since the window before
};

/// The newest 32 readings. Threads: distinct objects are safe.
class Recent {
 public:
  static constexpr std::size_t kReadings = 32;
  static constexpr std::size_t kShort = 4;  ///< readings of a window
  static constexpr std::size_t kLong = 16;

  void push(double value) noexcept {
    next_ = (next_ + 1) % kReadings;
    readings_[next_] = value;
    readings_[next_ + kReadings] = value;
  }
  /// `age` 0: the newest.
  [[nodiscard]] double at(std::size_t age) const noexcept {
    return readings_[next_ + kReadings - age];
  }
  struct Windows {
    WindowStatistics short_one;
    WindowStatistics long_one;
  };
  /// Of the newest kShort and kLong readings. The same bits on every processor.
  [[nodiscard]] Windows windows() const noexcept;

  template <class A>
  void fields(A& archive) {
    archive(readings_, next_);
  }
  [[nodiscard]] bool plausible() const noexcept { return next_ < kReadings; }

 private:
  std::array<double, 2 * kReadings> readings_{};  ///< twice, so that the newest lie in a row
  std::size_t next_ = 0;                          ///< where the newest is
};

}  // namespace lapwing::detect
