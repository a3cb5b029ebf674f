// SPDX-License-Identifier: Apache-2.0
/// `seasonal`: robust exponential smoothing of one stream: level, trend and seasons by the clock.
#pragma once

#include "shared/base/time.hpp"
#include "shared/detect/detector.hpp"
#include "shared/detect/seasonal/kind.hpp"
#include "shared/detect/seasonal/season_profile.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

/// The next reading is expected at level + trend + day + week + named season + what remains of the
/// last deviation (autocorrelated). Everything is moved by Huber-clipped errors (Gelper, Fried &
/// Croux, Robust forecasting with exponential and Holt-Winters smoothing, 2010).
///
/// Raw score: the largest of the error (jump), the deviation from level and seasons (high, low),
/// its recent mean (drift) and the recent noise (noisier, calmer), each in scales of its own; all
/// are first divided by how unruly the stream usually is at this time of the day or week.
///
/// Seasons go by the rows' times, so gaps and irregular rows do not matter; without times there are
/// none. While `learn` is false, level, trend and scales stay; the record of the season goes on for
/// a quarter of the season, since only repetition on later days makes it count: a job that is
/// flagged and therefore never learnt would be flagged forever. An hour's shift of the whole day
/// (daylight saving) is found within two or three days.
///
/// Cost: about 130 ns a reading, under 8 KiB.
class Seasonal final : public Detector {
 public:
  explicit Seasonal(const Settings& settings);

  Result<void> score(const Batch& batch, Scores out) override;
  [[nodiscard]] std::size_t warmup_rows() const noexcept override { return warmup_; }
  [[nodiscard]] bool warm() const noexcept override { return state_.rows >= warmup_; }
  void accept_new_normal() noexcept override;
  [[nodiscard]] std::size_t state_bytes() const noexcept override { return sizeof(*this); }
  void snapshot(std::vector<std::byte>& out) const override;
  Result<void> restore(std::span<const std::byte> bytes) override;

 private:
  static constexpr std::uint32_t kFirst = 64;  ///< rows that give the unit, then are replayed
  enum Statistic : std::size_t { kError, kDeviation, kMean, kNoise, kStatistics };

  struct Row {
    double value = 0;
    Time time{};
    bool timed = false;
    bool learn = true;
  };
  /// One reading against what was expected, in u; error, deviation and mean divided by `ratio`.
  struct View {
    double expected = 0;  ///< level, trend and seasons
    double prediction = 0;
    float ratio = 1;
    float wander = 1;
    float carry = 0;  ///< of the last deviation into the prediction
    float error = 0;
    float deviation = 0;
    float mean = 0;
    float variance = 0;
    float noise = 0;
    std::array<float, kStatistics> z{};
    SeasonView day;
    SeasonView week;
    SeasonView named;
  };
  struct State {
    std::array<double, kFirst> first_values{};
    std::array<Time, kFirst> first_times{};
    SeasonProfile<288> day;
    SeasonProfile<336> week;
    SeasonProfile<96> named;
    std::array<float, kStatistics> spreads{1, 1, 1, 1};  ///< mean absolute value of each
    double centre = 0;
    double scale = 1;
    double level = 0;  ///< in u = (value - centre) / scale
    double slope = 0;  ///< u a usual interval
    double seen_low = 0;
    double seen_high = 0;
    float last_deviation = 0;  ///< clipped
    float product = 0;         ///< of neighbouring deviations: the autocorrelation's parts
    float power = 0;
    float recent_mean = 0;  ///< of deviations, each cut so that a spike is no drift
    double recent_off = 0;  ///< the same of whole ones: where a new normal lies
    float recent_variance = 0;
    float usual_variance = 0;
    float interval = 0;           ///< usual, microseconds
    std::uint32_t intervals = 0;  ///< seen, up to 64
    std::uint32_t learnt = 0;     ///< rows learnt, up to the memory
    std::int32_t hours = 0;       ///< the day's pattern moved by
    std::uint32_t shift_rest = 0;
    std::array<float, 3> shift_errors{};  ///< earlier, as it is, later
    bool timed = false;
    Time last_time{};
    Time unlearnt_since{};  ///< first row in a row that was not to be learnt
    bool unlearnt = false;
    std::uint64_t rows = 0;

    template <class A>
    void fields(A& archive) {
      archive(first_values, first_times, day, week, named, spreads, centre, scale, level, slope);
      archive(seen_low, seen_high, last_deviation, product, power, recent_mean, recent_off,
              recent_variance);
      archive(usual_variance, interval, intervals, learnt, hours, shift_rest, shift_errors);
      archive(timed, last_time, unlearnt_since, unlearnt, rows);
    }
  };

  struct Places {
    float day = 0;
    float week = 0;
    float named = 0;
  };
  void begin() noexcept;
  [[nodiscard]] Places places(Time time) const noexcept;
  [[nodiscard]] double elapsed(const Row& row) const noexcept;
  [[nodiscard]] View look(double u, const Row& row) const noexcept;
  void absorb(const View& view, double u, const Row& row) noexcept;
  void learn_seasons(const View& view, double u, const Row& row) noexcept;
  void follow_clock() noexcept;
  [[nodiscard]] float autocorrelation() const noexcept;
  [[nodiscard]] Band band(const View& view, float band_score) const noexcept;
  [[nodiscard]] static Cause cause_of(const View& view) noexcept;
  [[nodiscard]] float pace() const noexcept;
  [[nodiscard]] std::uint64_t tag() const noexcept;

  std::uint32_t warmup_;
  std::uint32_t first_;
  std::uint32_t memory_;
  std::int64_t season_us_;  ///< 0: none named
  State state_;
};

}  // namespace lapwing::detect
