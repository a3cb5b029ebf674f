// SPDX-License-Identifier: Apache-2.0
/// The sensors of a group one by one: scale, how much a reading can tell, and outages.
#pragma once

#include "shared/detect/auto_group/history.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::group {

/// Turns readings into standard scores and says how much each counts.
///
/// Weight: a reading can tell at most the logarithm of the number of values its sensor takes. A
/// switch (0 or 1) tells one bit, and one that never moved none, while what 16 or more values
/// announce counts in full. A number that is no switch counts as six values at least: that it rests
/// does not make it one. Values are counted until 16 are known, after the warm-up too.
///
/// A missing reading keeps the last one's place in the windows and counts nothing; after an outage
/// of more than three rows the sensor counts nothing for as long again, at most 160 rows, until its
/// windows are its own. A sensor without any reading in the warm-up counts nothing until the next
/// training.
class Channels {
 public:
  explicit Channels(std::size_t width);

  void learn(const History& history) noexcept;
  /// Standard scores of one sensor over the history, gaps filled with the reading before.
  void column(const History& history, std::size_t channel, std::span<float> out) const noexcept;
  /// The standard score of a reading, or `last` when it is missing.
  [[nodiscard]] float standard_or(std::size_t channel, double value, float last) const noexcept;
  void push(std::span<const double> row, bool learn) noexcept;

  [[nodiscard]] std::span<const float> standard() const noexcept { return standard_; }
  /// Of the newest row: the weight, or 0 for a sensor that counts nothing now.
  [[nodiscard]] std::span<const float> weights() const noexcept { return counting_; }
  [[nodiscard]] float weight(std::size_t channel) const noexcept { return weight_[channel]; }
  /// The newest row has no reading of it.
  [[nodiscard]] bool missing(std::size_t channel) const noexcept { return missing_[channel] > 0; }
  /// More than two values, and not a switch.
  [[nodiscard]] bool analogue(std::size_t channel) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

  template <class A>
  void fields(A& archive) {
    archive(mean_, inverse_, standard_, counting_, weight_, levels_, missing_, recovering_);
  }
  [[nodiscard]] bool plausible() const noexcept;

 private:
  static constexpr std::size_t kLevels = 16;
  struct Levels {
    std::array<double, kLevels> values{};
    std::uint8_t count = 0;
    bool is_switch = true;  ///< 0 and 1 only

    template <class A>
    void fields(A& archive) {
      archive(values, count, is_switch);
    }
  };
  void see(std::size_t channel, double value) noexcept;
  [[nodiscard]] float score(std::size_t channel, double value) const noexcept;

  std::vector<double> mean_;
  std::vector<double> inverse_;  ///< of the deviation; 0: nothing is known of the sensor
  std::vector<float> standard_;
  std::vector<float> counting_;
  std::vector<float> weight_;
  std::vector<Levels> levels_;
  std::vector<std::uint32_t> missing_;     ///< rows in a row
  std::vector<std::uint32_t> recovering_;  ///< rows until it counts again
};

}  // namespace lapwing::detect::group
