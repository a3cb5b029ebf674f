// SPDX-License-Identifier: Apache-2.0
/// How often streams pass each level of novelty: what is known of a stream before its first row.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace lapwing::detect {

/// The levels of novelty at which alarms are counted: their logarithms, evenly spaced.
struct AlarmLevels {
  static constexpr std::size_t kCount = 44;
  static constexpr double kLowest = -4;
  static constexpr double kStep = 0.25;
  static constexpr double kHighest = kLowest + kStep * (kCount - 1);

  [[nodiscard]] static double at(std::size_t i) { return kLowest + kStep * static_cast<double>(i); }
  /// The value of `table`, one a level, at the log novelty `level`: linear between levels.
  template <class T>
  [[nodiscard]] static double look_up(const std::array<T, kCount>& table, double level) noexcept {
    const double at = std::clamp((level - kLowest) / kStep, 0.0, kCount - 1.001);
    const auto below = static_cast<std::size_t>(at);
    const double part = at - static_cast<double>(below);
    return table[below] * (1 - part) + table[below + 1] * part;
  }
};

/// The prior of an AlarmBudget. As made it is that of streams in general.
/// Units: levels in log novelty, rates in alarms per row. Threads: a value.
class AlarmPrior {
 public:
  /// Alarms per row at a novelty of 1, of streams in general.
  static constexpr double kNaturalRate = 1.0 / 2016;
  /// The prior weighs as much as so many alarms.
  static constexpr double kAlarms = 2.5;

  /// By streams in general, how much rarer than a novelty of 1 a level is, as a logarithm; and its
  /// inverse.
  [[nodiscard]] static double general_rarity(double level) noexcept {
    return level * kTail + std::max(0.0, level - kTailFrom) * (kFarTail - kTail);
  }
  [[nodiscard]] static double general_level(double rarity) noexcept;

  /// As general_rarity, by this prior. Grows with the level.
  [[nodiscard]] double rarity(double level) const noexcept {
    return general_rarity(level) - AlarmLevels::look_up(more_, level);
  }
  /// Whether it differs from that of streams in general.
  [[nodiscard]] bool learnt() const noexcept { return *this != AlarmPrior{}; }
  bool operator==(const AlarmPrior&) const = default;

  template <class A>
  void fields(A& archive) {
    archive(more_);
  }
  [[nodiscard]] bool plausible() const noexcept;

 private:
  friend class AlarmPriorLearner;
  static constexpr double kTail = 0.95;   // log rate lost per log novelty,
  static constexpr double kTailFrom = 3;  // and from this log novelty on
  static constexpr double kFarTail = 4;
  static constexpr double kMost = 3;  // of more_: twenty times

  std::array<float, AlarmLevels::kCount> more_{};  ///< log rate over that of streams in general
};

/// What one stream's budget has seen.
struct AlarmExperience {
  std::array<double, AlarmLevels::kCount> alarms{};  ///< that each level would have raised
  double rows = 0;                                   ///< in which; old ones weigh less
};

/// Learns a prior from settled streams by empirical Bayes (Gamma-Poisson, after Robbins 1956): at
/// each level the pooled alarms over the pooled rows, together with four pseudo-streams that are
/// as streams in general, so that few change little.
///
/// No stream weighs more than a pseudo-stream, nor brings more than twice the alarms the pooled
/// rate gives it and two (a Huber-like estimate, by iteration): one bad stream among twenty
/// changes rates by about a tenth. A rate is at most twenty times the general one, or a twentieth,
/// and never grows with the level.
///
/// Streams are merged by keeping them: in any order, from any number of learners, but for the
/// rounding of a sum. Units: rows. Threads: distinct objects are safe. Memory: 360 bytes a stream.
/// Cost: learn() 1 us a stream, about.
class AlarmPriorLearner {
 public:
  void add(const AlarmExperience& experience) { seen_.push_back(experience); }
  void merge(const AlarmPriorLearner& other);
  [[nodiscard]] std::size_t streams() const noexcept { return seen_.size(); }
  /// That of streams in general when there are none.
  [[nodiscard]] AlarmPrior learn() const;

 private:
  std::vector<AlarmExperience> seen_;
};

}  // namespace lapwing::detect
