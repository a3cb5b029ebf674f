// SPDX-License-Identifier: Apache-2.0
/// Whose contributions count in a round, and for how much.
#pragma once

#include "shared/base/result.hpp"
#include "shared/federate/contribution.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lapwing::federate {

inline constexpr std::size_t kCohortMin = 3;      ///< no round takes fewer devices
inline constexpr std::size_t kCohortDefault = 5;  ///< unless it says otherwise
inline constexpr std::size_t kCohortMax = 10'000;

struct CohortRules {
  std::size_t devices_min = kCohortDefault;  ///< [kCohortMin, kCohortMax]
  double share_max = 0.25;  ///< of the weight, one device's; (0, 1]. No less than an equal share
  double far = 6;  ///< robust deviations from the cohort's median that are too far, [3, 100]
};

/// A device's part in one pass. Borrowed.
struct Member {
  std::string device;
  const Contribution* contribution = nullptr;
};

struct Left {
  std::string device;
  std::string why;  ///< for people
};

struct Cohort {
  std::vector<std::size_t> kept;  ///< of the members
  std::vector<double> factors;    ///< of each kept one: its rows count so many times, (0, 1]
  std::vector<Left> left;         ///< trimmed
};

/// Leaves out those who are far from the others' median: in a sensor's mean or deviation, in how
/// sensors go together, or in how their scores are spread; each in deviations of the cohort (1.4826
/// times the median distance, which less than half of the devices cannot move, floored at a tenth
/// of what rows of one device vary). In few devices chance goes far: the limit is far (1 + 5 /
/// devices). Then cuts weights, so that no device has more than its share: rows beyond it count
/// less.
///
/// Errors: bad_input (fewer than devices_min, before or after; more than a third to be left out:
/// these are not devices of one kind).
Result<Cohort> judge(std::span<const Member> members, const CohortRules& rules);

/// Weights as they are, or cut to `share_max` of what is then their sum.
[[nodiscard]] std::vector<double> capped(std::vector<double> weights, double share_max);

/// How many of `total` each gets, in proportion, at most `most[i]` (largest remainders); fewer
/// together where the mosts do not suffice.
[[nodiscard]] std::vector<std::uint32_t> apportion(std::span<const double> weights,
                                                   std::span<const std::uint32_t> most,
                                                   std::uint32_t total);

}  // namespace lapwing::federate
