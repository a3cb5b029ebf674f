// SPDX-License-Identifier: Apache-2.0
/// The alarm side of `auto`: is this beyond everything the stream has shown?
///
/// A few statistics of the newest readings (value, step, and over 4 and 16 readings the mean,
/// minimum, maximum, spread and change of mean) are each held against two ranges. The *normal*
/// range learns from readings outside of faults and forgets slowly. The *known* range takes in what
/// faults show as well, at once, and lets go of it within about five warm-ups: a fault raises one
/// alarm, its echo none, and the next fault of its kind is news again. An excess is measured in
/// widths of the range, which makes it comparable between streams without any labels. Own work,
/// after the record head of DETECTORS B (theory of records: Chandler 1952).
#pragma once

#include "shared/detect/detector.hpp"

#include <algorithm>
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

/// Two ranges of one statistic; see above. Units: the stream's.
class TwoRanges {
 public:
  struct Excess {
    float known = 0;   ///< widths beyond the known range, up to 10
    float normal = 0;  ///< beyond the normal one
  };
  /// What a low or mirrored value says: a fault that ends steps back as it stepped in.
  enum class Sides : std::uint8_t { both, high_only, mirrored };
  /// How much of the way ranges go in a row.
  struct Paces {
    /// `memory`: rows of the warm-up, the time scale of everything here.
    explicit Paces(double memory) noexcept;

    double forget;     ///< towards the mean
    double fade;       ///< from what is known to what is normal
    double mean;       ///< of the mean, when `mean_rows` were seen
    double mean_rows;  ///< after which the mean has no faster pace
  };
  /// `fault`: a fault is on. `finest`: differences below it are no information.
  Excess push(double value, Stage stage, const Paces& paces, bool fault, Sides sides,
              double finest) noexcept;
  /// What is known is normal.
  void accept() noexcept {
    low_ = known_low_;
    high_ = known_high_;
  }
  [[nodiscard]] double low() const noexcept { return low_; }
  [[nodiscard]] double high() const noexcept { return high_; }
  [[nodiscard]] double mean() const noexcept { return mean_; }  ///< of what is normal
  [[nodiscard]] std::uint32_t rows() const noexcept { return rows_; }

  template <class A>
  void fields(A& archive) {
    archive(low_, high_, known_low_, known_high_, mean_, rows_);
  }

 private:
  double low_ = 0;
  double high_ = 0;
  double known_low_ = 0;
  double known_high_ = 0;
  double mean_ = 0;
  std::uint32_t rows_ = 0;
};

/// Values a stream has visited, to notice one between them where it has never been.
class Levels {
 public:
  /// Distance to the nearest level over the range visited where that is a gap, else 0; remembers
  /// the value.
  float push(float value, bool measure) noexcept;

  template <class A>
  void fields(A& archive) {
    archive(levels_, count_, low_, high_);
  }
  [[nodiscard]] bool plausible() const noexcept { return count_ <= kLevels; }

 private:
  static constexpr std::size_t kLevels = 128;

  void remember(float value, float range) noexcept;

  std::array<float, kLevels> levels_{};  ///< the first count_, rising
  std::uint32_t count_ = 0;
  float low_ = 0;
  float high_ = 0;
};

/// All statistics of one stream. Threads: distinct objects are safe. Cost: about 150 ns a reading,
/// no allocation.
class Ranges {
 public:
  struct Step {
    Evidence evidence;
    Cause cause = Cause::none;  ///< of the statistic furthest out
  };
  /// `pattern`: how far the newest windows are from all known ones, 0 when that says nothing.
  Step push(double value, float pattern, Stage stage, double memory) noexcept;
  /// A reading is missing: the next one is no step from the last, and after three nothing is.
  void miss() noexcept {
    missing_ = std::min(missing_ + 1, kHole);
    if (missing_ == kHole) run_ = 0;
  }
  /// Ends the fault that is on: what it shows is normal.
  void accept() noexcept;
  /// The values a next reading may take before it departs by more than `departure` by its value, or
  /// by its step from `last`, alone. Expected is `prediction`; while a fault is on, which it would
  /// follow, the mean of what is normal.
  [[nodiscard]] Band reach(double last, double prediction, float departure) const noexcept;

  template <class A>
  void fields(A& archive) {
    archive(ranges_, levels_, recent_, rows_, run_, missing_, quiet_, fault_);
  }
  [[nodiscard]] bool plausible() const noexcept;

 private:
  static constexpr std::size_t kRecent = 32;
  static constexpr std::size_t kStatistics = 13;
  static constexpr std::uint32_t kHole = 3;

  [[nodiscard]] double recent(std::size_t age) const noexcept {
    return recent_[(rows_ + kRecent - 1 - age) % kRecent];
  }
  void follow_fault(float departure) noexcept;

  std::array<TwoRanges, kStatistics> ranges_{};
  Levels levels_;
  std::array<double, kRecent> recent_{};
  std::uint64_t rows_ = 0;
  std::uint32_t run_ = 0;      ///< rows since the last hole, up to kRecent
  std::uint32_t missing_ = 0;  ///< readings missing before the next, up to kHole
  std::uint32_t quiet_ = 0;    ///< rows since the last departure
  bool fault_ = false;
};

}  // namespace lapwing::detect
