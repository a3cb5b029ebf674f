// SPDX-License-Identifier: Apache-2.0
/// The alarm side of `auto`: is this beyond everything the stream has shown?
///
/// A few statistics of the newest readings (value, step, and over 4 and 16 readings the mean,
/// minimum, maximum, spread and change of mean) are each held against two ranges. The *normal*
/// range learns from readings outside of faults and forgets slowly. The *known* range takes in what
/// faults show as well, at once, and lets go of it within about five warm-ups: a fault raises one
/// alarm, its echo none, and the next fault of its kind is news again. An excess is measured in
/// widths of the range, which makes it comparable between streams without any labels. Own work,
/// after the record head of DETECTORS B (theory of records: Chandler 1952).
#pragma once

#include "shared/detect/auto/levels.hpp"
#include "shared/detect/auto/recent.hpp"
#include "shared/detect/auto/two_ranges.hpp"
#include "shared/detect/detector.hpp"

#include <algorithm>
#include <cstdint>

namespace lapwing::detect {

/// All statistics of one stream. Threads: distinct objects are safe. Cost: about 100 ns a reading,
/// no allocation.
class Ranges {
 public:
  struct Step {
    Evidence evidence;
    Cause cause = Cause::none;  ///< of the statistic furthest out
  };
  /// `pattern`: how far the newest windows are from all known ones, 0 when that says nothing.
  Step push(double value, float pattern, Stage stage, const TwoRanges::Paces& paces) noexcept;
  /// A reading is missing: the next one is no step from the last, and after three nothing is.
  void miss() noexcept {
    missing_ = std::min(missing_ + 1, kHole);
    if (missing_ == kHole) run_ = 0;
  }
  /// Ends the fault that is on: what it shows is normal.
  void accept() noexcept;
  /// The values a next reading may take before it departs by more than `departure` by its value, or
  /// by its step from `last`, alone. Expected is `prediction`; while a fault is on, which it would
  /// follow, the mean of what is normal.
  [[nodiscard]] Band reach(double last, double prediction, float departure) const noexcept;

  template <class A>
  void fields(A& archive) {
    archive(ranges_, levels_, recent_, run_, missing_, quiet_, fault_);
  }
  [[nodiscard]] bool plausible() const noexcept;

 private:
  static constexpr std::uint32_t kHole = 3;

  void follow_fault(float departure) noexcept;

  TwoRanges ranges_;
  Levels levels_;
  Recent recent_;
  std::uint32_t run_ = 0;      ///< rows since the last hole, up to Recent::kReadings
  std::uint32_t missing_ = 0;  ///< readings missing before the next, up to kHole
  std::uint32_t quiet_ = 0;    ///< rows since the last departure
  bool fault_ = false;
};

}  // namespace lapwing::detect
