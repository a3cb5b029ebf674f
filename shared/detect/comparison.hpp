// SPDX-License-Identifier: Apache-2.0
/// What a model does with rows, beside what scores them now: the numbers that decide whether it may
/// take over.
#pragma once

#include "shared/base/time.hpp"
#include "shared/detect/log_histogram.hpp"
#include "shared/detect/normal_scores.hpp"
#include "shared/wire/messages.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace lapwing::detect {

/// What a detector made of one row.
struct RowOutcome {
  float raw = 0;
  bool scored = false;
  bool anomalous = false;
  bool opened = false;  ///< an anomaly began
  double seconds = 0;   ///< it took
};

/// Of one model and one group; those of several groups, and of several shards, add up.
///
/// The population stability index is the sum over ranges of scores of (share here - share in the
/// calibration) * ln of their ratio, the ranges about the deciles of the calibration (Siddiqi,
/// Credit Risk Scorecards, Wiley 2006; its law: Yurdakul and Naranjo, Journal of Risk Model
/// Validation 14(4), 2020): .1 and less are like the calibration, .25 and more are not.
///
/// Threads: one at a time. Cost: no allocation a row, some 10 ns; about 12 KiB.
class Comparison {
 public:
  static constexpr std::uint64_t kPsiRowsMin = 100;  ///< fewer: the index is not told

  /// Shares `normal`, the model's own.
  explicit Comparison(std::shared_ptr<const NormalScores> normal) : normal_(std::move(normal)) {}

  /// `rival`: what scored the same row in earnest; null when the model itself does.
  void row(const RowOutcome& own, const RowOutcome* rival) noexcept;
  /// Of the same model.
  void merge(const Comparison& other) noexcept;
  /// Rows, alarms, agreement, index, quantiles, costs; times and memory are for the caller to fill.
  void fill(wire::ModelStatistics& out) const;

  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::uint64_t not_a_number() const noexcept { return not_a_number_; }

 private:
  [[nodiscard]] double stability_index() const noexcept;

  static constexpr int kScoreLowest = -16;  // 2^-16 to 2^16
  static constexpr int kCostLowest = -30;   // a nanosecond to four seconds

  std::shared_ptr<const NormalScores> normal_;
  std::uint64_t rows_ = 0;
  std::uint64_t alarms_ = 0;
  std::uint64_t anomalous_rows_ = 0;
  std::uint64_t rival_alarms_ = 0;
  std::uint64_t rival_anomalous_rows_ = 0;
  std::uint64_t compared_rows_ = 0;
  std::uint64_t agreeing_rows_ = 0;
  std::uint64_t not_a_number_ = 0;
  std::array<std::uint64_t, ScoreBins::kBinsMax> bins_{};
  LogHistogram scores_{kScoreLowest};
  LogHistogram cost_{kCostLowest};
  LogHistogram rival_cost_{kCostLowest};
};

}  // namespace lapwing::detect
