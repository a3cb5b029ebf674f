// SPDX-License-Identifier: Apache-2.0
/// From evidence with a natural scale to alarms at the asked rate.
#pragma once

#include "shared/detect/alarm_prior.hpp"
#include "shared/detect/feedback.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace lapwing::detect {

/// Raises an alarm where novelty passes a threshold. The threshold is the level that, by what is
/// known of streams in general (a prior) and the alarms each of 44 levels would have raised on this
/// one (shadow alarms), is passed at the asked rate; a bounded feedback on the alarms really raised
/// corrects it, gently until ten have been asked for. So a new stream is judged by general
/// knowledge, an old one by its own. The prior may be learnt from a new stream's settled peers
/// (AlarmPriorLearner): it then starts from what its watch's others have taught.
///
/// After an alarm the next must be eight times as strong, a demand that fades by a factor e in each
/// tenth of the memory: echoes of one fault are one alarm, a much stronger one is never delayed.
///
/// What may be promised: over ten alarms asked, .5 to 1.5 times as many on streams without faults;
/// alarms, not rows; a target, not a bound. Faults count as well: a stream full of them gets a
/// higher threshold. Own work; the shadow alarms and the feedback after DETECTORS E, in the spirit
/// of online conformal control (Gibbs & Candes 2021).
///
/// Units: rows. Threads: distinct objects are safe. Cost: 10 ns a row, 150 ns where there is
/// novelty; no allocation.
class AlarmBudget {
 public:
  /// What is known of the stream before its first row; called before it, if at all.
  void begin_with(const AlarmPrior& prior) noexcept { prior_ = prior; }
  [[nodiscard]] const AlarmPrior& prior() const noexcept { return prior_; }
  /// What this stream teaches others; nothing before five alarms were asked of it.
  [[nodiscard]] std::optional<AlarmExperience> experience() const noexcept;
  /// Alarms asked per row, (0, .01]; may change as the stream's rate is learnt.
  void set_rate(double alarms_per_row) noexcept;
  [[nodiscard]] bool has_rate() const noexcept { return rate_ > 0; }
  /// The strength of the alarm this row raises, above 1; 0 when it raises none. Strength is 1 more
  /// than novelty over the threshold that a new stream would have.
  /// `memory`: rows, the time scale of the stream's detector.
  float push(float novelty, double memory) noexcept;
  /// The novelty that raises an alarm now.
  [[nodiscard]] float threshold() const noexcept;
  /// A person's word on the newest alarm.
  void take(Feedback feedback) noexcept;

  /// All but the prior: the owner stores it apart, and only where it is learnt(), so that the state
  /// of other streams is what it was before priors were learnt.
  template <class A>
  void fields(A& archive) {
    archive(shadows_, shadow_refractory_, rate_, rows_, solved_, exposure_, weight_, asked_, debt_);
    archive(threshold_, refractory_, newest_levels_, newest_weight_, newest_counted_);
  }
  [[nodiscard]] bool plausible() const noexcept;

 private:
  static constexpr std::size_t kLevels = AlarmLevels::kCount;

  [[nodiscard]] double expected_rate(double level) const noexcept;
  void solve() noexcept;
  [[nodiscard]] double raised() const noexcept;

  std::array<double, kLevels> shadows_{};  ///< alarms a level would have raised, in weights
  /// Log strength a level's next alarm must pass, plus the time in fades (so that it stands still).
  std::array<double, kLevels> shadow_refractory_{};
  double rate_ = 0;                  ///< alarms asked per row; 0: not known yet
  std::uint64_t rows_ = 0;           ///< pushed
  std::uint64_t solved_ = 0;         ///< rows_ at the last solve(); 0: to be done
  double exposure_ = 0;              ///< rows counted, in weights
  double weight_ = 1;                ///< of a row: grows, so that old ones fade
  double asked_ = 0;                 ///< alarms asked so far
  double debt_ = 0;                  ///< alarms raised less those asked, clipped
  double threshold_ = 0;             ///< log novelty, before the feedback
  double refractory_ = -100;         ///< as shadow_refractory_, of the alarms raised
  std::uint64_t newest_levels_ = 0;  ///< levels at which the newest alarm counts, one bit each
  double newest_weight_ = 0;         ///< 0: there was none
  std::int8_t newest_counted_ = 1;   ///< as so many alarms
  AlarmPrior prior_;
};

}  // namespace lapwing::detect
