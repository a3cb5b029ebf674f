// SPDX-License-Identifier: Apache-2.0
/// From evidence with a natural scale to alarms at the asked rate.
#pragma once

#include <cstdint>

namespace lapwing::detect {

/// Raises an alarm where novelty passes a threshold that starts from what is known of streams in
/// general (novelty of 1 about once in 2016 rows, twice as high half as often) and follows the
/// alarms that were raised: each lifts it by kLift (in logarithms), and as much is taken back by
/// the time one alarm was asked for. So over n alarms asked, raised - asked is bounded by how far
/// the threshold moves: online conformal control (Gibbs & Candes 2021, "Adaptive conformal
/// inference under distribution shift") of onsets instead of rows.
///
/// After an alarm the next must be five times as strong, a demand that fades within a tenth of the
/// warm-up for each factor e: echoes of one fault are one alarm, a stronger one is never delayed.
///
/// Units: rows. Threads: distinct objects are safe. Cost: 20 ns a row, no allocation.
class AlarmBudget {
 public:
  /// Alarms asked per row, (0, .01]; may change as the stream's rate is learnt.
  void set_rate(double alarms_per_row) noexcept;
  [[nodiscard]] bool has_rate() const noexcept { return rate_ > 0; }
  /// The strength of the alarm this row raises, above 1; 0 when it raises none.
  /// `memory`: rows of the warm-up.
  float push(float novelty, double memory) noexcept;
  /// The novelty that would have the strength 1 now.
  [[nodiscard]] float threshold() const noexcept;
  /// A person says the last alarm was true: it is not taken from the budget.
  void spare() noexcept;

  template <class A>
  void fields(A& archive) {
    archive(rate_, prior_, moved_, refractory_);
  }
  [[nodiscard]] bool plausible() const noexcept;

 private:
  double rate_ = 0;           ///< alarms asked per row; 0: not known yet
  double prior_ = 0;          ///< log threshold by what is known of streams in general
  double moved_ = 0;          ///< by this stream's own alarms
  double refractory_ = -100;  ///< log strength an alarm must pass
};

}  // namespace lapwing::detect
