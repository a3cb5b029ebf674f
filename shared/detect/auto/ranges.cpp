// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/ranges.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace lapwing::detect {
namespace {

constexpr double kFinest = 1e-3;          // in u: finer differences are no information
constexpr double kPatternFinest = 0.25;   // likewise, in usual distances of a window
constexpr float kUnit = 0.05F;            // widths in sum that stand for an evidence of 1
constexpr std::uint32_t kQuietRows = 32;  // without a departure end a fault

enum Statistic : std::size_t {
  kValue,
  kChange,
  kShort,  ///< mean, minimum, maximum, spread, change of mean
  kLong = kShort + 5,
  kPattern = kLong + 5,
  kStatistics
};
static_assert(kStatistics <= TwoRanges::kCount);

struct Causes {
  Cause above;
  Cause below;
};
constexpr Causes kHighOrLow{Cause::high, Cause::low};
constexpr Causes kSpread{Cause::noisier, Cause::calmer};
constexpr Causes kDrift{Cause::drift, Cause::drift};
constexpr std::array<Causes, kStatistics> kCauses = {{
    kHighOrLow,
    {Cause::jump, Cause::jump},
    kHighOrLow,
    kHighOrLow,
    kHighOrLow,
    kSpread,
    kDrift,
    kHighOrLow,
    kHighOrLow,
    kHighOrLow,
    kSpread,
    kDrift,
    {Cause::pattern, Cause::pattern},
}};

constexpr TwoRanges::Rules kRules = [] {
  TwoRanges::Rules rules{};
  rules.finest.fill(kFinest);
  rules.finest[kPattern] = kPatternFinest;
  rules.high_only[kPattern] = 1;
  for (const Statistic which : {kChange, Statistic(kShort + 4), Statistic(kLong + 4)})
    rules.mirrored[which] = 1;
  return rules;
}();

constexpr TwoRanges::Row kSilent = [] {
  TwoRanges::Row row{};
  row.fill(std::numeric_limits<double>::quiet_NaN());
  return row;
}();

/// A window's statistics, once it is whole, and the one before it for the change.
void fill(TwoRanges::Row& values, std::size_t first, const WindowStatistics& window,
          std::size_t readings, std::size_t run) {
  if (run < readings) return;
  values[first] = window.mean;
  values[first + 1] = window.low;
  values[first + 2] = window.high;
  values[first + 3] = window.spread;
  if (run >= 2 * readings) values[first + 4] = window.change;
}

}  // namespace

Ranges::Step Ranges::push(double value, float pattern, Stage stage,
                          const TwoRanges::Paces& paces) noexcept {
  recent_.push(value);
  run_ = std::min<std::uint32_t>(run_ + 1, Recent::kReadings);
  TwoRanges::Row values = kSilent;
  values[kValue] = value;
  if (run_ >= 2 && missing_ == 0) values[kChange] = value - recent_.at(1);
  missing_ = 0;
  const Recent::Windows windows = recent_.windows();
  fill(values, kShort, windows.short_one, Recent::kShort, run_);
  fill(values, kLong, windows.long_one, Recent::kLong, run_);
  float known = 0;
  float normal = 0;
  float furthest = 0;
  Cause cause = Cause::none;
  const auto take = [&](const TwoRanges::Excess& excess) {
    for (std::size_t i = 0; i < kStatistics && excess.any; ++i) {
      known += static_cast<float>(excess.known[i]);
      const auto beyond = static_cast<float>(excess.normal[i]);
      const float size = std::abs(beyond);
      if (i != kPattern) normal += size;  // a window shows a fault long after it has ended
      if (size <= furthest) continue;
      furthest = size;
      cause = beyond > 0 ? kCauses[i].above : kCauses[i].below;
    }
  };
  if (pattern > 0) {
    // It may begin to say something long after the warm-up.
    const bool known_well = 2 * ranges_.state().rows[kPattern] > paces.memory;
    if (stage != Stage::live || known_well) {
      values[kPattern] = static_cast<double>(pattern);
    } else {
      TwoRanges::Row alone = kSilent;
      alone[kPattern] = static_cast<double>(pattern);
      ranges_.push(alone, kRules, Stage::learn, paces, fault_);
    }
  }
  take(ranges_.push(values, kRules, stage, paces, fault_));
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
  ranges_.accept();
  fault_ = false;
}

Band Ranges::reach(double last, double prediction, float departure) const noexcept {
  const double beyond = static_cast<double>(departure * kUnit);
  const TwoRanges::State& s = ranges_.state();
  const auto grown = [&s, beyond](Statistic which) {
    const double by = beyond * (s.high[which] - s.low[which]);
    return std::pair{s.low[which] - by, s.high[which] + by};
  };
  const auto [low, high] = grown(kValue);
  if (fault_) {
    return {.expected = std::clamp(s.mean[kValue], low, high), .lower = low, .upper = high};
  }
  const auto [step_low, step_high] = grown(kChange);
  double lower = std::max(low, last + step_low);
  double upper = std::min(high, last + step_high);
  if (lower > upper) {
    lower = low;
    upper = high;
  }
  return {.expected = std::clamp(prediction, lower, upper), .lower = lower, .upper = upper};
}

bool Ranges::plausible() const noexcept {
  return levels_.plausible() && recent_.plausible() && run_ <= Recent::kReadings &&
         missing_ <= kHole;
}

}  // namespace lapwing::detect
