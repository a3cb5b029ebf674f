// SPDX-License-Identifier: Apache-2.0
/// How numbers are spread, in bins that add up over devices.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace lapwing::federate {

/// Quantiles with a bounded error relative to the distance from an origin: DDSketch (Masson, Rim
/// and Lee, *DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees*,
/// VLDB 2019).
///
/// Bin i holds distances in (g^(i-1), g^i], g = (1 + a) / (1 - a), a = kError. The distances that
/// count are bounded on both sides, so bins are never thrown together: merging adds whole counts,
/// and in whatever order it is done the same comes out, which is the union's sketch. A quantile is
/// within kError of the union's, relative to its distance from the origin; below kNearest of it 0.
/// No number that was added can be read off it, but for how far it is, to 2 %.
/// Threads: distinct objects are safe.
class Sketch {
 public:
  static constexpr double kError = 0.01;
  static constexpr double kNearest = 1e-9;  ///< nearer ones lie in the origin
  static constexpr double kFarthest = 1e12;
  static constexpr std::int32_t kBinLast = 1400;  ///< bins of a side are -kBinLast to kBinLast

  explicit Sketch(double origin = 0) : origin_(origin) {}

  [[nodiscard]] double origin() const noexcept { return origin_; }
  [[nodiscard]] double count() const noexcept { return count_; }
  [[nodiscard]] std::size_t bins() const noexcept { return below_.size() + above_.size(); }
  void add(double value);  ///< NaN is passed over
  /// Errors: bad_shape (another origin; nothing changed).
  Result<void> merge(const Sketch& other);
  [[nodiscard]] Sketch weighed(double factor) const;
  /// The least value that `share` of all are at most; `share` in (0, 1]. 0 when there are none.
  [[nodiscard]] double quantile(double share) const;

  friend bool operator==(const Sketch&, const Sketch&) = default;

 private:
  friend struct SketchFields;                   // the codec
  using Bins = std::map<std::int32_t, double>;  ///< by index; bounded, see kBinLast

  double origin_ = 0;
  double count_ = 0;
  double at_origin_ = 0;
  Bins below_;
  Bins above_;
};

/// Counts in equal bins that the round tells, so that all devices have the same: sums are exact.
struct Histogram {
  double least = 0;
  double greatest = 1;  ///< above least
  std::vector<double>
      counts;  ///< below, bins.., at or above `greatest`, missing: 4 to kBinsMax + 3

  static constexpr std::size_t kBinsMax = 1024;
  static Histogram of(double least, double greatest, std::size_t bins);
  void add(double value);
  /// Errors: bad_shape (other bins; nothing changed).
  Result<void> merge(const Histogram& other);
  friend bool operator==(const Histogram&, const Histogram&) = default;
};

}  // namespace lapwing::federate
