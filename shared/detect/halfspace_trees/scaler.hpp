// SPDX-License-Identifier: Apache-2.0
/// From features in their own units to (-1, 1), where the trees halve space.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::halfspace_trees {

/// u = z / (|z| + 6) with z the distance from the median in robust deviations: ordinary rows lie
/// within a third, the rest is room for what was not seen yet, and nothing falls outside.
/// Threads: distinct objects are safe.
class Scaler {
 public:
  explicit Scaler(std::size_t width) : axes_(width) {}

  /// Median and deviation of each feature in `rows` (row-major, NaN = missing). A feature that did
  /// not vary gets the smallest deviation that is more than rounding: any change is far.
  /// `scratch` has room for one feature of all rows.
  void learn(std::span<const double> rows, std::span<double> scratch) noexcept;

  /// Missing features become 0, the median.
  void scale(std::span<const double> features, float* out) const noexcept;
  /// The feature's value at `u`, in (-1, 1).
  [[nodiscard]] double value_at(std::size_t feature, double u) const noexcept;

  [[nodiscard]] bool sound() const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept { return axes_.capacity() * sizeof(Axis); }
  template <class A>
  void fields(A& archive) {
    archive(axes_);
  }

 private:
  struct Axis {
    double centre = 0;
    double spread = 1;

    template <class A>
    void fields(A& archive) {
      archive(centre, spread);
    }
  };
  std::vector<Axis> axes_;
};

}  // namespace lapwing::detect::halfspace_trees
