// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/alarm_prior.hpp"

#include <algorithm>
#include <cmath>
#include <span>

namespace lapwing::detect {
namespace {

constexpr double kPseudoStreams = 4;
constexpr double kTimes = 2;  // a stream brings at most so many times the alarms it should,
constexpr double kStray = 2;  // and so many
constexpr int kRounds = 24;
constexpr double kSettled = 1e-4;

/// One stream at one level, in units of streams in general.
struct Share {
  double alarms = 0;
  double expected = 0;  ///< alarms, if it were as streams in general; at most AlarmPrior::kAlarms
};

Share share_of(const AlarmExperience& seen, std::size_t level, double general_rate) {
  const double expected = seen.rows * general_rate;
  const double part = std::min(1.0, AlarmPrior::kAlarms / expected);
  return {.alarms = seen.alarms[level] * part, .expected = expected * part};
}

/// How many times as many alarms as streams in general these have.
double pooled(std::span<const Share> shares) {
  constexpr double kPseudo = kPseudoStreams * AlarmPrior::kAlarms;
  double expected = kPseudo;
  double alarms = kPseudo;
  for (const Share& share : shares) {
    expected += share.expected;
    alarms += share.alarms;
  }
  double times = alarms / expected;
  for (int round = 0; round < kRounds; ++round) {
    const double before = times;
    alarms = kPseudo;
    for (const Share& share : shares) {
      alarms += std::min(share.alarms, kTimes * before * share.expected + kStray);
    }
    times = alarms / expected;
    if (std::abs(times - before) < kSettled * times) break;
  }
  return times;
}

}  // namespace

double AlarmPrior::general_level(double rarity) noexcept {
  const double near = rarity / kTail;
  return near <= kTailFrom ? near : kTailFrom + (rarity - kTailFrom * kTail) / kFarTail;
}

bool AlarmPrior::plausible() const noexcept {
  for (std::size_t i = 0; i < more_.size(); ++i) {
    if (!(std::abs(more_[i]) <= kMost)) return false;
    if (i > 0 && rarity(AlarmLevels::at(i)) < rarity(AlarmLevels::at(i - 1)) - kSettled)
      return false;
  }
  return true;
}

void AlarmPriorLearner::merge(const AlarmPriorLearner& other) {
  seen_.insert(seen_.end(), other.seen_.begin(), other.seen_.end());
}

AlarmPrior AlarmPriorLearner::learn() const {
  AlarmPrior prior;
  if (seen_.empty()) return prior;
  std::vector<Share> shares(seen_.size());
  double most = AlarmPrior::kMost;
  for (std::size_t i = 0; i < AlarmLevels::kCount; ++i) {
    const double rarity = AlarmPrior::general_rarity(AlarmLevels::at(i));
    const double general_rate = AlarmPrior::kNaturalRate * std::exp(-rarity);
    std::ranges::transform(seen_, shares.begin(), [&](const AlarmExperience& seen) {
      return share_of(seen, i, general_rate);
    });
    const double more = std::clamp(std::log(pooled(shares)), -AlarmPrior::kMost, most);
    prior.more_[i] = static_cast<float>(more);
    // The next level's rate is no higher than this one's.
    const double next = AlarmPrior::general_rarity(AlarmLevels::at(i) + AlarmLevels::kStep);
    most = std::min(AlarmPrior::kMost, more + next - rarity);
  }
  return prior;
}

}  // namespace lapwing::detect
