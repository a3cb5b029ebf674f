// SPDX-License-Identifier: Apache-2.0
/// The last rows of a group, from which its model is learnt.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace lapwing::detect::group {

/// A ring of rows. Missing cells are NaN, huge values cut to where squares do not overflow.
class History {
 public:
  static constexpr std::size_t kCellsMax = std::size_t{1} << 20;  ///< 8 MiB
  static constexpr std::size_t kRowsMin = 256;
  static constexpr double kValueMax = 1e150;

  /// Rows kept of a warm-up: all of them while they fit in kCellsMax.
  [[nodiscard]] static std::size_t rows_for(std::size_t warmup, std::size_t width) {
    return std::min(warmup, std::max(kRowsMin, kCellsMax / width));
  }

  History(std::size_t rows, std::size_t width) : width_(width), cells_(rows * width) {}

  void push(std::span<const double> row) noexcept {
    double* to = &cells_[next_ * width_];
    for (std::size_t c = 0; c < width_; ++c) {
      to[c] = std::isfinite(row[c]) ? std::clamp(row[c], -kValueMax, kValueMax)
                                    : std::numeric_limits<double>::quiet_NaN();
    }
    next_ = next_ + 1 == capacity() ? 0 : next_ + 1;
    count_ = std::min<std::uint64_t>(count_ + 1, capacity());
  }

  /// `row` counts from the oldest.
  [[nodiscard]] std::span<const double> row(std::size_t row) const noexcept {
    std::size_t at = next_ + capacity() - count_ + row;
    if (at >= capacity()) at -= capacity();
    return {&cells_[at * width_], width_};
  }
  [[nodiscard]] std::size_t rows() const noexcept { return count_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return cells_.size() / width_; }
  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return cells_.size() * sizeof(double); }

  template <class A>
  void fields(A& archive) {
    archive(count_, next_, cells_);
  }
  [[nodiscard]] bool plausible() const noexcept {
    const auto possible = [](double v) { return std::isnan(v) || std::abs(v) <= kValueMax; };
    return count_ <= capacity() && next_ < capacity() && std::ranges::all_of(cells_, possible);
  }

 private:
  std::size_t width_;
  std::vector<double> cells_;
  std::uint64_t count_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace lapwing::detect::group
