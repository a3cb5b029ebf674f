// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/ranges.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lapwing::detect {
namespace {

constexpr double kExcessMax = 10;
constexpr double kNormalGrowth = 0.15;
constexpr double kGrowth = 0.5;           // widths a range grows by in one live row
constexpr double kForget = 0.02;          // of the way to the mean, per warm-up
constexpr double kKnownMemory = 5;        // warm-ups until what a fault showed is let go
constexpr double kMeanMemory = 4;         // warm-ups
constexpr double kWidthMin = 1e-3;        // in u: finer differences are no information
constexpr double kPatternMin = 0.25;      // likewise, in usual distances of a window
constexpr float kGap = 0.02F;             // of the range visited: between levels it is news
constexpr float kUnit = 0.05F;            // widths in sum that stand for an evidence of 1
constexpr std::uint32_t kQuietRows = 32;  // without a departure end a fault

enum Statistic : std::size_t {
  kValue,
  kChange,
  kOverFour,  ///< mean, minimum, maximum, spread, change of mean
  kOverSixteen = kOverFour + 5,
  kPattern = kOverSixteen + 5
};

}  // namespace

TwoRanges::Paces::Paces(double memory) noexcept
    : forget(kForget / memory),
      fade(1 / (kKnownMemory * memory)),
      mean(1 / (kMeanMemory * memory)),
      mean_rows(kMeanMemory * memory + 1) {}

TwoRanges::Excess TwoRanges::push(double value, Stage stage, const Paces& paces, bool fault,
                                  Sides sides, double finest) noexcept {
  if (rows_ < std::numeric_limits<std::uint32_t>::max()) ++rows_;
  if (rows_ == 1) {
    low_ = high_ = known_low_ = known_high_ = mean_ = value;
    return {};
  }
  Excess excess;
  if (stage != Stage::learn) {
    const auto beyond = [&](double low, double high) {
      const double out = std::max(sides == Sides::high_only ? 0.0 : low - value, value - high);
      if (out <= 0) return 0.0F;
      return static_cast<float>(std::min(out / (high - low + finest), kExcessMax));
    };
    excess = {.known = beyond(known_low_, known_high_), .normal = beyond(low_, high_)};
  }
  const auto widen = [](double& low, double& high, double to, double by) {
    if (to > high) high = std::min(to, high + by);
    if (to < low) low = std::max(to, low - by);
  };
  if (stage != Stage::live) {
    widen(low_, high_, value, std::numeric_limits<double>::infinity());
    known_low_ = low_;
    known_high_ = high_;
    mean_ += (value - mean_) / rows_;
    return excess;
  }
  if (!fault) {
    low_ += paces.forget * (mean_ - low_);
    high_ += paces.forget * (mean_ - high_);
    widen(low_, high_, value, kNormalGrowth * (high_ - low_) + finest);
    // Within the range: a range that forgets towards a mean beyond it would leave what is normal.
    const double pace = rows_ > paces.mean_rows ? paces.mean : std::max(1.0 / rows_, paces.mean);
    mean_ += pace * (std::clamp(value, low_, high_) - mean_);
  }
  known_low_ += paces.fade * (low_ - known_low_);
  known_high_ += paces.fade * (high_ - known_high_);
  const double by = kGrowth * (known_high_ - known_low_) + finest;
  widen(known_low_, known_high_, value, by);
  if (sides == Sides::mirrored) widen(known_low_, known_high_, -value, by);
  known_low_ = std::min(known_low_, low_);
  known_high_ = std::max(known_high_, high_);
  return excess;
}

float Levels::push(float value, bool measure) noexcept {
  if (count_ == 0) low_ = high_ = value;
  const float range = high_ - low_;
  float* const end = levels_.data() + count_;
  float* const above = std::lower_bound(levels_.data(), end, value);
  float distance = std::numeric_limits<float>::max();
  if (above != end) distance = *above - value;
  if (above != levels_.data()) distance = std::min(distance, value - *(above - 1));
  const float gap = count_ == 0 ? 0 : distance / (range + static_cast<float>(kWidthMin));
  if (count_ == 0 || distance > 0.5F * kGap * range) remember(value, range);
  low_ = std::min(low_, value);
  high_ = std::max(high_, value);
  return measure && gap > kGap ? std::min(gap, static_cast<float>(kExcessMax)) : 0;
}

void Levels::remember(float value, float range) noexcept {
  if (count_ == kLevels) {  // the range has grown: levels that are close by now become one
    std::uint32_t kept = 1;
    for (std::uint32_t i = 1; i < count_; ++i) {
      if (levels_[i] - levels_[kept - 1] > 0.5F * kGap * range) levels_[kept++] = levels_[i];
    }
    count_ = kept;
  }
  if (count_ == kLevels) return;
  float* const end = levels_.data() + count_;
  float* const above = std::lower_bound(levels_.data(), end, value);
  std::copy_backward(above, end, end + 1);
  *above = value;
  ++count_;
}

Ranges::Step Ranges::push(double value, float pattern, Stage stage, double memory) noexcept {
  recent_[rows_ % kRecent] = value;
  ++rows_;
  run_ = std::min<std::uint32_t>(run_ + 1, kRecent);
  const TwoRanges::Paces paces(memory);
  float known = 0;
  float normal = 0;
  float furthest = 0;
  Cause cause = Cause::none;
  const auto hold_in = [&](Stage in, std::size_t at, double statistic, Cause above, Cause below,
                           TwoRanges::Sides sides = TwoRanges::Sides::both,
                           double finest = kWidthMin) {
    const TwoRanges& range = ranges_[at];
    const bool is_above = statistic > range.high();
    const auto excess = ranges_[at].push(statistic, in, paces, fault_, sides, finest);
    known += excess.known;
    normal += excess.normal;
    if (excess.normal > furthest) {
      furthest = excess.normal;
      cause = is_above ? above : below;
    }
  };
  const auto hold = [&](auto... what) { hold_in(stage, what...); };
  hold(kValue, value, Cause::high, Cause::low);
  if (run_ >= 2 && missing_ == 0) {
    hold(kChange, value - recent(1), Cause::jump, Cause::jump, TwoRanges::Sides::mirrored);
  }
  for (const auto& [first, k] :
       {std::pair{kOverFour, std::size_t{4}}, std::pair{kOverSixteen, std::size_t{16}}}) {
    if (run_ < k) continue;
    const double origin = recent(k - 1);
    double sum = 0;
    double square = 0;
    double low = recent(0);
    double high = low;
    for (std::size_t i = 0; i < k; ++i) {
      const double v = recent(i);
      const double about = v - origin;
      sum += about;
      square += about * about;
      low = std::min(low, v);
      high = std::max(high, v);
    }
    const auto n = static_cast<double>(k);
    const double mean = sum / n;
    hold(first, mean + origin, Cause::high, Cause::low);
    hold(first + 1, low, Cause::high, Cause::low);
    hold(first + 2, high, Cause::high, Cause::low);
    hold(first + 3, std::sqrt(std::max(0.0, square / n - mean * mean)), Cause::noisier,
         Cause::calmer);
    if (run_ < 2 * k) continue;
    double before = 0;
    for (std::size_t i = k; i < 2 * k; ++i) before += recent(i) - origin;
    hold(first + 4, mean - before / n, Cause::drift, Cause::drift, TwoRanges::Sides::mirrored);
  }
  missing_ = 0;
  const float departed = normal;
  if (pattern > 0) {  // it may begin to say something long after the warm-up
    const bool known_well = 2 * ranges_[kPattern].rows() > memory;
    const Stage own = stage == Stage::live && !known_well ? Stage::learn : stage;
    hold_in(own, kPattern, static_cast<double>(pattern), Cause::pattern, Cause::pattern,
            TwoRanges::Sides::high_only, kPatternMin);
  }
  normal = departed;  // a window shows a fault long after it has ended
  const float gap = levels_.push(static_cast<float>(value), stage != Stage::learn);
  known += gap;
  normal += gap;
  if (gap > furthest) cause = Cause::pattern;

  const Step step{.evidence = {.novelty = known / kUnit, .departure = normal / kUnit},
                  .cause = normal > kUnit ? cause : Cause::none};
  if (stage == Stage::live) follow_fault(step.evidence.departure);
  return step;
}

/// A fault is on from the first departure until none was seen for a while. One that lasts goes on
/// until the owner accepts it.
void Ranges::follow_fault(float departure) noexcept {
  if (departure > 1) {
    fault_ = true;
    quiet_ = 0;
  } else if (fault_ && ++quiet_ >= kQuietRows) {
    fault_ = false;
  }
}

void Ranges::accept() noexcept {
  for (TwoRanges& range : ranges_) range.accept();
  fault_ = false;
}

Band Ranges::reach(double last, double prediction, float departure) const noexcept {
  const double beyond = static_cast<double>(departure * kUnit);
  const auto grown = [beyond](const TwoRanges& range) {
    const double by = beyond * (range.high() - range.low());
    return std::pair{range.low() - by, range.high() + by};
  };
  const auto [low, high] = grown(ranges_[kValue]);
  if (fault_) {
    return {.expected = std::clamp(ranges_[kValue].mean(), low, high), .lower = low, .upper = high};
  }
  const auto [step_low, step_high] = grown(ranges_[kChange]);
  double lower = std::max(low, last + step_low);
  double upper = std::min(high, last + step_high);
  if (lower > upper) {
    lower = low;
    upper = high;
  }
  return {.expected = std::clamp(prediction, lower, upper), .lower = lower, .upper = upper};
}

bool Ranges::plausible() const noexcept {
  return levels_.plausible() && run_ <= kRecent && missing_ <= kHole;
}

}  // namespace lapwing::detect
