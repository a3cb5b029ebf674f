// SPDX-License-Identifier: Apache-2.0
/// `auto`: five statistics of one stream, each weighed by its own past, joined into one raw score.
#pragma once

#include "shared/base/time.hpp"
#include "shared/detect/auto/parts.hpp"
#include "shared/detect/detector.hpp"
#include "shared/detect/auto/kind.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace lapwing::detect {

/// Statistics: error of a four-lag prediction (jump), distance from the level and daily profile
/// (high, low), distance of the recent mean (drift), ratio of recent to usual noise (noisier,
/// calmer), distance from one period ago (pattern). Each is divided by its own mean, turned into
/// about -log10 of how often it is exceeded (TailScale), and the five are joined by their root of
/// the sum of squares.
///
/// Learning: the first rows give unit, centre and period and are replayed; then every quantity
/// moves at 1/n down to 1/2000 a row, with outliers cut to a few spreads. Cost: about 150 ns a
/// reading; finding a period (at row 144, 256, 512, 1024, ...) about 40 us.
class Auto final : public Detector {
 public:
  explicit Auto(const Settings& settings);

  Result<void> score(const Batch& batch, Scores out) override;
  [[nodiscard]] std::size_t warmup_rows() const noexcept override { return warmup_; }
  [[nodiscard]] bool warm() const noexcept override { return state_.rows >= warmup_; }
  void accept_new_normal() noexcept override;
  [[nodiscard]] std::size_t state_bytes() const noexcept override { return sizeof(*this); }
  void snapshot(std::vector<std::byte>& out) const override;
  Result<void> restore(std::span<const std::byte> bytes) override;

 private:
  static constexpr std::size_t kRing = 256;
  static constexpr std::size_t kStatistics = 5;

  struct One {
    float raw = 0;
    Cause cause = Cause::none;
    Band band;
  };
  /// The statistics of one reading and what they are measured against.
  struct View {
    double prediction = 0;
    float error = 0;
    float deviation = 0;
    float wander = 1;
    float noise_ratio = 0;
    std::array<float, kStatistics> log_z{};
    std::array<float, kStatistics> score{};
    float raw = 0;
  };
  struct State {
    std::array<double, kRing> ring{};  ///< own units while buffering, then cleaned readings in u
    Predictor predictor;
    Profile profile;
    std::array<TailScale, kStatistics> tails{};
    std::array<Spread, kStatistics> spreads{};
    double centre = 0;
    double scale = 1;
    double level = 0;
    double seen_low = 0;  ///< what readings reached, in u; relaxes towards the present
    double seen_high = 0;
    float persistence = 0;  ///< slow: a drift must not pass for a wandering stream
    float short_mean = 0;
    float short_variance = 0;
    float long_variance = 0;
    float period_distance = 0;
    std::uint32_t period = 0;  ///< readings; 0: none found
    std::uint32_t period_rows = 0;
    std::uint32_t learnt = 0;  ///< rows learnt, up to the slowest pace
    std::uint32_t missing = 0;
    std::uint32_t cut_run = 0;  ///< readings in a row cut before they entered the history
    std::uint32_t settle = 0;   ///< rows until the prediction counts again after missing ones
    std::uint32_t next_search = 0;
    std::uint64_t rows = 0;       ///< finite rows seen
    std::uint64_t ring_next = 0;  ///< rows put into the ring

    template <class A>
    void fields(A& archive) {
      archive(ring, predictor, profile, tails, spreads, centre, scale, level, seen_low, seen_high);
      archive(persistence, short_mean);
      archive(short_variance, long_variance, period_distance, period, period_rows, learnt, missing);
      archive(cut_run, settle, next_search, rows, ring_next);
    }
  };

  One step(double value, const Time* time, bool learn, float band_score) noexcept;
  void begin() noexcept;
  View look(double u, float usual) const noexcept;
  void absorb(const View& view, double u, bool learn, bool learn_tails) noexcept;
  void find_period(std::span<const double> values) noexcept;
  void search_again() noexcept;
  void move_origin() noexcept;
  [[nodiscard]] float place_in_season(Time time) const noexcept;
  [[nodiscard]] float distance_one_period_ago(double u) const noexcept;
  [[nodiscard]] Band band(const View& view, float usual, float band_score) const noexcept;
  [[nodiscard]] static Cause cause_of(const View& view) noexcept;
  [[nodiscard]] std::uint64_t tag() const noexcept;

  std::uint32_t warmup_;
  std::uint32_t start_;  ///< rows buffered before the unit is known
  std::int64_t season_us_;
  State state_;
};

}  // namespace lapwing::detect
