// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/sketch.hpp"

#include <algorithm>
#include <cmath>

namespace lapwing::federate {
namespace {

const double kLogBase = std::log((1 + Sketch::kError) / (1 - Sketch::kError));

std::int32_t bin_of(double distance) {
  const double far = std::min(distance, Sketch::kFarthest);
  const auto bin = static_cast<std::int32_t>(std::ceil(std::log(far) / kLogBase));
  return std::clamp(bin, -Sketch::kBinLast, Sketch::kBinLast);
}

/// Within kError of all that lies in the bin.
double distance_of(std::int32_t bin) { return std::exp(bin * kLogBase) * (1 - Sketch::kError); }

}  // namespace

void Sketch::add(double value) {
  if (std::isnan(value)) return;
  count_ += 1;
  const double off = value - origin_;
  if (std::abs(off) < kNearest) {
    at_origin_ += 1;
  } else {
    (off < 0 ? below_ : above_)[bin_of(std::abs(off))] += 1;
  }
}

Result<void> Sketch::merge(const Sketch& other) {
  if (other.origin_ != origin_) {
    return Error{Errc::bad_shape, "sketches around different origins cannot be added"};
  }
  count_ += other.count_;
  at_origin_ += other.at_origin_;
  for (const auto& [bin, count] : other.below_) below_[bin] += count;
  for (const auto& [bin, count] : other.above_) above_[bin] += count;
  return {};
}

Sketch Sketch::weighed(double factor) const {
  Sketch made = *this;
  made.count_ *= factor;
  made.at_origin_ *= factor;
  for (auto& [bin, count] : made.below_) count *= factor;
  for (auto& [bin, count] : made.above_) count *= factor;
  return made;
}

double Sketch::quantile(double share) const {
  if (count_ <= 0) return 0;
  // A hair less than asked: sums of weighed counts are not exact.
  const double wanted = share * count_ * (1 - 1e-12);
  double passed = 0;
  double last = origin_;
  for (auto bin = below_.rbegin(); bin != below_.rend(); ++bin) {
    passed += bin->second;
    last = origin_ - distance_of(bin->first);
    if (passed >= wanted) return last;
  }
  if (at_origin_ > 0) {
    passed += at_origin_;
    last = origin_;
    if (passed >= wanted) return last;
  }
  for (const auto& [bin, count] : above_) {
    passed += count;
    last = origin_ + distance_of(bin);
    if (passed >= wanted) return last;
  }
  return last;
}

Histogram Histogram::of(double least, double greatest, std::size_t bins) {
  Histogram made{.least = least, .greatest = greatest, .counts = {}};
  made.counts.resize(bins + 3);
  return made;
}

void Histogram::add(double value) {
  const std::size_t bins = counts.size() - 3;
  if (std::isnan(value)) {
    counts.back() += 1;
  } else if (value < least) {
    counts.front() += 1;
  } else if (value >= greatest) {
    counts[bins + 1] += 1;
  } else {
    const double place = (value - least) / (greatest - least) * static_cast<double>(bins);
    counts[1 + std::min(static_cast<std::size_t>(place), bins - 1)] += 1;
  }
}

Result<void> Histogram::merge(const Histogram& other) {
  if (other.least != least || other.greatest != greatest || other.counts.size() != counts.size()) {
    return Error{Errc::bad_shape, "histograms of other bins cannot be added"};
  }
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  return {};
}

}  // namespace lapwing::federate
