// SPDX-License-Identifier: Apache-2.0
/// What is normal and what is known of a stream's statistics; see ranges.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lapwing::detect {

/// Where a row stands while its stream is learnt.
enum class Stage : std::uint8_t {
  learn,     ///< ranges grow, nothing is measured
  rehearse,  ///< ranges grow, excesses are measured
  live,      ///< ranges relax and grow by at most half a width
};

/// Two ranges of each of kCount statistics, all held against a row's values at once, side by side
/// in the processor's vectors. Units: each statistic's own. The same bits on every processor.
/// Threads: distinct objects are safe.
class TwoRanges {
 public:
  static constexpr std::size_t kCount = 16;
  using Row = std::array<double, kCount>;  ///< a number for each statistic

  /// How each statistic is taken. What is not 0 holds.
  struct Rules {
    Row finest;     ///< differences below it are no information; above 0
    Row high_only;  ///< low values say nothing
    Row mirrored;   ///< a fault that ends steps back as it stepped in
  };
  /// How much of the way ranges go in a row.
  struct Paces {
    /// `memory`: rows of the warm-up, the time scale of everything here.
    explicit Paces(double memory) noexcept;

    double memory;
    double forget;     ///< towards the mean
    double fade;       ///< from what is known to what is normal
    double mean;       ///< of the mean, when `mean_rows` were seen
    double mean_rows;  ///< after which the mean has no faster pace
  };
  struct Excess {
    Row known{};   ///< widths beyond the known range, 0 to 10
    Row normal{};  ///< beyond the normal one, below 0 where the value is below it
    bool any = false;
  };
  /// `values`: NaN where a statistic says nothing now. `fault`: a fault is on.
  Excess push(const Row& values, const Rules& rules, Stage stage, const Paces& paces,
              bool fault) noexcept;
  /// What is known is normal.
  void accept() noexcept {
    state_.low = state_.known_low;
    state_.high = state_.known_high;
  }
  struct State {
    Row low{};
    Row high{};
    Row known_low{};
    Row known_high{};
    Row mean{};  ///< of what is normal
    Row rows{};  ///< seen
  };
  [[nodiscard]] const State& state() const noexcept { return state_; }

  template <class A>
  void fields(A& archive) {
    State& s = state_;
    archive(s.low, s.high, s.known_low, s.known_high, s.mean, s.rows);
  }

 private:
  State state_;
};

}  // namespace lapwing::detect
