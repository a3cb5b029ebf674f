// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/moments.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace lapwing::federate {
namespace {

constexpr double kValueMax = 1e150;  // as detect::Columns: beyond it squares overflow

void add_to(Pair& pair, double first, double second) {
  pair.count += 1;
  const double off = first - pair.first;
  pair.first += off / pair.count;
  pair.second += (second - pair.second) / pair.count;
  pair.product += off * (second - pair.second);
}

void merge_into(Pair& pair, const Pair& other) {
  if (other.count == 0) return;
  const double count = pair.count + other.count;
  const double share = other.count / count;
  const double first = other.first - pair.first;
  const double second = other.second - pair.second;
  pair.product += other.product + first * second * pair.count * share;
  pair.first += first * share;
  pair.second += second * share;
  pair.count = count;
}

}  // namespace

Moments::Moments(std::size_t width)
    : width_(width), least_(width), greatest_(width), pairs_(width * (width + 1) / 2) {}

Moments Moments::of(const detect::Table& table) {
  Moments made(table.width);
  for (std::size_t row = 0; row < table.rows(); ++row) {
    made.add(table.values.subspan(row * table.width, table.width));
  }
  return made;
}

void Moments::add(std::span<const double> row) {
  bool any = false;
  for (std::size_t second = 0; second < width_; ++second) {
    if (std::isnan(row[second])) continue;
    any = true;
    const double value = std::clamp(row[second], -kValueMax, kValueMax);
    const bool begun = count(second) > 0;
    least_[second] = begun ? std::min(least_[second], value) : value;
    greatest_[second] = begun ? std::max(greatest_[second], value) : value;
    for (std::size_t first = 0; first <= second; ++first) {
      if (std::isnan(row[first])) continue;
      add_to(pairs_[at(first, second)], std::clamp(row[first], -kValueMax, kValueMax), value);
    }
  }
  (any ? rows_ : empty_rows_) += 1;
}

Result<void> Moments::merge(const Moments& other) {
  if (other.width_ != width_) {
    return Error{Errc::bad_shape, "moments of " + std::to_string(other.width_) +
                                      " sensors cannot be added to those of " +
                                      std::to_string(width_)};
  }
  for (std::size_t c = 0; c < width_; ++c) {
    if (other.count(c) == 0) continue;
    const bool begun = count(c) > 0;
    least_[c] = begun ? std::min(least_[c], other.least_[c]) : other.least_[c];
    greatest_[c] = begun ? std::max(greatest_[c], other.greatest_[c]) : other.greatest_[c];
  }
  for (std::size_t i = 0; i < pairs_.size(); ++i) merge_into(pairs_[i], other.pairs_[i]);
  rows_ += other.rows_;
  empty_rows_ += other.empty_rows_;
  return {};
}

void Moments::blur_extremes() {
  for (std::size_t c = 0; c < width_; ++c) {
    const double step = deviation(c) / 8;
    if (!(step > 0)) continue;
    least_[c] = mean(c) - std::ceil((mean(c) - least_[c]) / step) * step;
    greatest_[c] = mean(c) + std::ceil((greatest_[c] - mean(c)) / step) * step;
  }
}

Moments Moments::weighed(double factor) const {
  Moments made = *this;
  made.rows_ *= factor;
  made.empty_rows_ *= factor;
  for (Pair& pair : made.pairs_) {
    pair.count *= factor;
    pair.product *= factor;
  }
  return made;
}

double Moments::deviation(std::size_t c) const {
  const Pair& own = pair(c, c);
  return own.count > 0 ? std::sqrt(std::max(own.product, 0.0) / own.count) : 0;
}

double Moments::covariance(std::size_t first, std::size_t second) const {
  if (rows_ == 0) return 0;
  if (first > second) std::swap(first, second);
  const Pair& both = pair(first, second);
  return (both.product + both.count * (both.first - mean(first)) * (both.second - mean(second))) /
         rows_;
}

}  // namespace lapwing::federate
