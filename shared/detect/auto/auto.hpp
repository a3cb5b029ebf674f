// SPDX-License-Identifier: Apache-2.0
/// `auto`: how unlike its past a stream is (score), and whether that is news (evidence).
#pragma once

#include "shared/detect/auto/codebook.hpp"
#include "shared/detect/auto/kind.hpp"
#include "shared/detect/auto/predictor.hpp"
#include "shared/detect/auto/ranges.hpp"
#include "shared/detect/auto/tail_scale.hpp"
#include "shared/detect/detector.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

/// Score: the root of the weighted sum of squares of seven statistics, each turned into about
/// -log10 of how often it is exceeded (TailScale): distance of the newest windows (one period, half
/// of one, two, sixteen readings) from all remembered ones (Codebook), error of a prediction from
/// four lags and its recent mean, and calm (recent steps smaller than usual). Four and more is
/// rare. Evidence: Ranges.
///
/// Learning: the warm-up is buffered (its last 2,944 readings where it is longer than twice that),
/// gives unit, centre and period, and is replayed. Afterwards usual windows refine the codebooks
/// and nothing is forgotten, but for the ranges; accept_new_normal() lets new windows in.
/// Missing readings count as the last one, score 0 and teach nothing.
/// Cost: about 0.8 us a reading, less where periods are long; beginning (once) a few ms. 16 KiB.
class Auto final : public Detector {
 public:
  explicit Auto(const Settings& settings);

  Result<void> score(const Batch& batch, Scores out) override;
  [[nodiscard]] std::size_t warmup_rows() const noexcept override { return warmup_; }
  [[nodiscard]] bool warm() const noexcept override { return state_.rows >= warmup_; }
  [[nodiscard]] double memory_rows() const noexcept override { return paces_.memory; }
  void accept_new_normal() noexcept override;
  [[nodiscard]] std::size_t state_bytes() const noexcept override { return sizeof(*this); }
  void snapshot(std::vector<std::byte>& out) const override;
  Result<void> restore(std::span<const std::byte> bytes) override;

 private:
  using WholePeriod = Codebook<96, 48, View::shape>;
  using HalfPeriod = Codebook<96, 48, View::shape>;
  using TwoPeriods = Codebook<64, 32, View::level>;
  using Sixteen = Codebook<32, 16, View::shape>;
  static constexpr std::size_t kCodes =
      WholePeriod::kCodes + HalfPeriod::kCodes + TwoPeriods::kCodes + Sixteen::kCodes;
  static constexpr std::size_t kBuffer = kCodes / sizeof(float);  ///< readings
  enum Statistic : std::size_t {
    kWhole,
    kHalf,
    kTwo,
    kSixteen,
    kError,
    kErrors,
    kCalm,
    kStatistics
  };

  struct One {
    float raw = 0;
    Ranges::Step step;
    Band band;
  };
  struct State {
    /// The codes of all codebooks; until begin() the buffered readings, as floats about the first.
    std::array<std::int8_t, kCodes> codes{};
    WholePeriod whole;
    HalfPeriod half;
    TwoPeriods two;
    Sixteen sixteen;
    Ranges ranges;
    Predictor predictor;
    std::array<TailScale, kStatistics> tails{};
    std::array<float, kStatistics> scores{};  ///< of the last row: codebooks hold theirs
    double first = 0;                         ///< origin of the buffer
    double centre = 0;                        ///< of u = (value - centre) / scale
    double scale = 1;
    double last = 0;       ///< reading, u
    float period = 0;      ///< readings
    float error_mean = 1;  ///< of absolute prediction errors, u
    float errors = 0;      ///< short mean of errors over their mean
    float step_mean = 0;   ///< of absolute steps, u
    float step_recent = 0;
    std::uint64_t rows = 0;        ///< finite rows seen
    std::uint64_t learnt = 0;      ///< rows pushed through the statistics
    std::uint64_t grow_until = 0;  ///< of `learnt`: codebooks take new windows
    std::uint64_t renew_until = 0;

    template <class A>
    void fields(A& archive) {
      archive(codes, whole, half, two, sixteen, ranges, predictor, tails, scores);
      archive(first, centre, scale, last, period, error_mean, errors, step_mean, step_recent);
      archive(rows, learnt, grow_until, renew_until);
    }
  };

  One step(double value, bool learn, float band_departure) noexcept;
  void buffer(double value) noexcept;
  [[nodiscard]] float buffered(std::uint64_t row) const noexcept;
  void begin() noexcept;
  float look(double u, bool learn) noexcept;
  void look_at_windows(float u, bool learn) noexcept;
  [[nodiscard]] Stage stage(std::uint64_t row) const noexcept;
  [[nodiscard]] float pattern() const noexcept;
  [[nodiscard]] Band band(float departure) const noexcept;
  [[nodiscard]] std::uint64_t tag() const noexcept;

  std::uint32_t warmup_;
  TwoRanges::Paces paces_;
  std::uint32_t begin_at_;  ///< rows seen when the buffer is replayed
  State state_;
};

}  // namespace lapwing::detect
