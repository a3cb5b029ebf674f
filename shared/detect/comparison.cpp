// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/comparison.hpp"

#include <cmath>

namespace lapwing::detect {

void Comparison::row(const RowOutcome& own, const RowOutcome* rival) noexcept {
  if (!std::isfinite(own.raw)) ++not_a_number_;
  if (rival != nullptr && rival->scored) {
    rival_alarms_ += rival->opened ? 1 : 0;
    rival_anomalous_rows_ += rival->anomalous ? 1 : 0;
    rival_cost_.add(rival->seconds);
  }
  if (!own.scored) return;
  ++rows_;
  alarms_ += own.opened ? 1 : 0;
  anomalous_rows_ += own.anomalous ? 1 : 0;
  ++bins_[normal_->bins.bin_of(own.raw)];
  scores_.add(static_cast<double>(own.raw));
  cost_.add(own.seconds);
  if (rival == nullptr || !rival->scored) return;
  ++compared_rows_;
  agreeing_rows_ += own.anomalous == rival->anomalous ? 1 : 0;
}

void Comparison::merge(const Comparison& other) noexcept {
  rows_ += other.rows_;
  alarms_ += other.alarms_;
  anomalous_rows_ += other.anomalous_rows_;
  rival_alarms_ += other.rival_alarms_;
  rival_anomalous_rows_ += other.rival_anomalous_rows_;
  compared_rows_ += other.compared_rows_;
  agreeing_rows_ += other.agreeing_rows_;
  not_a_number_ += other.not_a_number_;
  for (std::size_t i = 0; i < bins_.size(); ++i) bins_[i] += other.bins_[i];
  scores_.merge(other.scores_);
  cost_.merge(other.cost_);
  rival_cost_.merge(other.rival_cost_);
}

/// Ranges nobody was in count as half a row: the index stays finite.
double Comparison::stability_index() const noexcept {
  const auto& shares = normal_->bins.shares;
  if (rows_ < kPsiRowsMin || shares.size() < 2) return wire::kUnknown;
  const double all = static_cast<double>(rows_) + 0.5 * static_cast<double>(shares.size());
  double index = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double here = (static_cast<double>(bins_[i]) + 0.5) / all;
    index += (here - shares[i]) * std::log(here / shares[i]);
  }
  return index;
}

void Comparison::fill(wire::ModelStatistics& out) const {
  out.rows = rows_;
  out.alarms = alarms_;
  out.anomalous_rows = anomalous_rows_;
  out.rival_alarms = rival_alarms_;
  out.rival_anomalous_rows = rival_anomalous_rows_;
  out.agreement = compared_rows_ == 0
                      ? wire::kUnknown
                      : static_cast<double>(agreeing_rows_) / static_cast<double>(compared_rows_);
  out.psi = stability_index();
  out.cost_p99 = cost_.quantile(0.99);
  out.rival_cost_p99 = rival_cost_.quantile(0.99);
  out.not_a_number = not_a_number_;
  out.quantiles.clear();
  if (rows_ == 0) return;
  for (const double share : wire::kModelQuantiles) out.quantiles.push_back(scores_.quantile(share));
}

}  // namespace lapwing::detect
