// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/federate: what every pass needs.
#pragma once

#include "shared/federate/merge.hpp"

#include <functional>
#include <string>
#include <vector>

namespace lapwing::federate {

/// Contributions that count. Borrowed from the members.
struct Used {
  std::vector<const Contribution*> contributions;
  std::vector<std::string> devices;
  std::vector<double> factors;
  std::vector<double> weights;  ///< rows times factor
  std::vector<Left> left;
};

/// Members that have what the pass asked for, judged. Errors: as judge().
Result<Used> use(const Plan& plan, std::span<const Member> members,
                 const std::function<bool(const Contribution&)>& has);

/// Without a calibration (all scores are at most 1).
[[nodiscard]] model::Header header_of(const Plan& plan, const Moments& all, std::size_t devices);

/// As model::spread_of() of the scores that went into the sketch.
[[nodiscard]] model::Calibration calibration_of(const Sketch& scores);

}  // namespace lapwing::federate
