// SPDX-License-Identifier: Apache-2.0
/// How rare a number is among the numbers of training, in nats: what makes unlike scores alike.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace lapwing::detect::rows {

/// -log of the share of training values that are at least as large, between values in a straight
/// line. Beyond the largest it goes on like an exponential tail, so that far rows keep their order.
/// Threads: immutable once made.
class Surprise {
 public:
  static constexpr std::size_t kKnots = 128;

  Surprise() = default;
  /// `values` of the training rows, at least one; finite.
  explicit Surprise(std::vector<double> values);

  /// In [0, 1e6], never falling in `value`.
  [[nodiscard]] double of(double value) const noexcept;

  template <class A>
  void fields(A& archive) {
    archive(step_, tail_, knots_);
  }
  /// Whether what was read from a model can be.
  [[nodiscard]] bool sound() const noexcept;

 private:
  double step_ = 1;  ///< nats between knots
  double tail_ = 1;  ///< units of the value for one more nat beyond the last knot
  std::array<double, kKnots> knots_{};  ///< values, not falling
};

}  // namespace lapwing::detect::rows
