// SPDX-License-Identifier: Apache-2.0
/// What happened in one summary interval.
#pragma once

#include "shared/wire/messages.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace lapwing::detect {

/// Counts readings, values and scores until they are taken. Plain data; no allocation.
class Summary {
 public:
  void reading() noexcept { ++readings_; }
  void value(double value) noexcept {
    ++values_;
    sum_ += value;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
  }
  void score(float score) noexcept {
    ++scores_;
    score_sum_ += static_cast<double>(score);
    score_max_ = std::max(score_max_, score);
  }

  /// The record of [begin, end), and a new interval begins; names, tags and band are left empty.
  /// `readings` is 0 when nothing came.
  [[nodiscard]] wire::SummaryRecord take(Time begin, Time end) noexcept {
    wire::SummaryRecord record;
    record.begin = begin;
    record.end = end;
    record.readings = readings_;
    if (values_ > 0) {
      record.value_min = min_;
      record.value_mean = sum_ / static_cast<double>(values_);
      record.value_max = max_;
    }
    if (scores_ > 0) {
      record.score_mean = score_sum_ / static_cast<double>(scores_);
      record.score_max = static_cast<double>(score_max_);
    }
    *this = Summary{};
    return record;
  }

  template <class A>
  void fields(A& archive) {
    archive(readings_, values_, scores_, sum_, min_, max_, score_sum_, score_max_);
  }

 private:
  std::uint64_t readings_ = 0;
  std::uint64_t values_ = 0;
  std::uint64_t scores_ = 0;
  double sum_ = 0;
  double min_ = std::numeric_limits<double>::infinity();
  double max_ = -std::numeric_limits<double>::infinity();
  double score_sum_ = 0;
  float score_max_ = 0;
};

}  // namespace lapwing::detect
