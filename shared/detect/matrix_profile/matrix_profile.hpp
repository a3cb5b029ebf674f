// SPDX-License-Identifier: Apache-2.0
/// `matrix_profile`: the left matrix profile of one stream, with bounded memory.
#pragma once

#include "shared/detect/detector.hpp"
#include "shared/detect/matrix_profile/kind.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

/// The last `window` readings are compared, each window brought to mean 0 and variance 1, with
/// every window of the last `history` readings that does not overlap them. The distance to the
/// nearest is the left matrix profile (Lu et al., DAMP, 2022), kept up by the recurrence of SCAMP
/// over all lags at once; what followed the nearest window (or the one followed before, while it is
/// as good) predicts the next reading.
///
/// Raw score: the larger of two. Pattern: how far the distance lies above its own mean, in its own
/// deviations. Error: distance from the prediction in its usual scale, without which a
/// z-normalised window would not see the size of a spike.
///
/// Quiet: to every window the same small part is added (a twentieth of the usual spread), so that
/// windows without a shape of their own are alike, and noise below it is no shape.
/// Missing readings are taken to be as predicted; windows that hold more than half of them are not
/// scored. While `learn` is false the readings enter the history but their windows are nobody's
/// neighbour until accept_new_normal().
///
/// Cost: O(history); about 1.1 us a reading and 20 bytes a reading of history with the defaults.
/// One covariance a reading is computed anew, so rounding never adds up over more than `history`
/// readings.
class MatrixProfile final : public Detector {
 public:
  explicit MatrixProfile(const Settings& settings);

  Result<void> score(const Batch& batch, Scores out) override;
  [[nodiscard]] std::size_t warmup_rows() const noexcept override { return warmup_; }
  [[nodiscard]] bool warm() const noexcept override { return state_.rows >= warmup_; }
  void accept_new_normal() noexcept override;
  [[nodiscard]] std::size_t state_bytes() const noexcept override;
  void snapshot(std::vector<std::byte>& out) const override;
  Result<void> restore(std::span<const std::byte> bytes) override;

  static constexpr std::uint32_t kWindowMin = 8;
  static constexpr std::uint32_t kWindowMax = 512;
  static constexpr std::uint32_t kHistoryMin = 4;  ///< windows

 private:
  static constexpr std::uint32_t kFirstMax = 512;  ///< rows that give unit and window

  /// A statistic's mean and its mean distance from it.
  struct Usual {
    float mean = 0;
    float stray = 1;
    std::uint32_t count = 0;

    void learn(float value) noexcept;
    template <class A>
    void fields(A& archive) {
      archive(mean, stray, count);
    }
  };
  struct State {
    double centre = 0;
    double scale = 1;
    double mean = 0;      ///< of the newest window, in u = (value - centre) / scale
    double expected = 0;  ///< the next reading, in u
    float seen_low = 0;
    float seen_high = 0;
    float correlation = 0;      ///< of the newest window and its nearest neighbour
    Usual error;                ///< of the expectation
    Usual pattern;              ///< sqrt(1 - correlation)
    std::uint32_t window = 0;   ///< 0: not known yet
    std::uint32_t newest = 0;   ///< place of the newest reading in the rings
    std::uint32_t held = 0;     ///< readings in the rings
    std::uint32_t nearest = 0;  ///< lag of the neighbour that is followed; 0: none
    std::uint32_t renewed = 0;  ///< lag whose covariance was last computed anew
    std::uint32_t filled = 0;   ///< about how many readings of the window were missing
    std::uint64_t rows = 0;     ///< finite rows seen

    template <class A>
    void fields(A& archive) {
      archive(centre, scale, mean, expected, seen_low, seen_high, correlation, error, pattern);
      archive(window, newest, held, nearest, renewed, filled, rows);
    }
  };
  struct View {
    float raw = 0;
    Cause cause = Cause::none;
    Band band;
  };
  using Scratch = std::array<double, kWindowMax>;

  View step(double value, bool learn, float band_score) noexcept;
  void begin() noexcept;
  void put(double u, bool learn) noexcept;
  void search(float change, float sum, float spread) noexcept;
  void foresee(std::uint32_t followed, float spread) noexcept;
  void renew_steps() noexcept;
  void move_origin() noexcept;
  [[nodiscard]] double within_reach(double u) const noexcept;
  [[nodiscard]] std::size_t place(std::uint32_t lag) const noexcept;
  [[nodiscard]] std::uint32_t lag_max() const noexcept;
  /// The window that ended `lag` readings ago, newest first.
  [[nodiscard]] std::span<const double> window_at(std::uint32_t lag, Scratch& out) const noexcept;
  [[nodiscard]] float spread_of(double squares) const noexcept;
  [[nodiscard]] Band band(float band_score) const noexcept;
  [[nodiscard]] bool plausible() const noexcept;
  void reset() noexcept;
  template <class A>
  void contents(A& archive);
  [[nodiscard]] std::uint64_t tag() const noexcept;

  std::uint32_t window_wanted_;
  std::uint32_t history_;
  std::uint32_t warmup_;
  std::uint32_t first_;
  State state_;
  std::vector<double> first_values_;  ///< until unit and window are known
  // Rings: the newest reading at state_.newest, older ones behind it.
  std::vector<float> values_;      ///< in u
  std::vector<float> change_;      ///< of the window that ends at the reading (see Step)
  std::vector<float> sum_;         ///< likewise
  std::vector<float> inverse_;     ///< 1 / its norm; NaN: it is not a neighbour
  std::vector<float> covariance_;  ///< by lag: of the newest window and the one that long ago
};

}  // namespace lapwing::detect
