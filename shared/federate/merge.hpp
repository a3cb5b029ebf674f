// SPDX-License-Identifier: Apache-2.0
/// From contributions to a model file, pass by pass.
#pragma once

#include "shared/base/result.hpp"
#include "shared/federate/cohort.hpp"
#include "shared/federate/contribute.hpp"
#include "shared/model/header.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace lapwing::federate {

/// What the model is to be. Plain data.
struct Plan {
  Kind kind = Kind::pca;
  std::vector<model::Sensor> sensors;  ///< names and units, in the devices' order
  std::uint64_t seed = 1;
  std::map<std::string, double, std::less<>> parameters = {};  ///< of the kind of detector
  CohortRules rules = {};
  std::string tool = {};
};

/// How one sensor is spread over all devices, as far as the second pass told.
struct SensorSpread {
  double quartiles[3] = {0, 0, 0};
  std::vector<double> histogram;  ///< as Histogram::counts
};

/// What came of a pass.
struct Merged {
  std::string file;  ///< model file; a candidate, before the last pass: its calibration is none yet
  double rows = 0;   ///< that count
  std::vector<std::string> devices;   ///< whose contributions count
  std::vector<Left> left;             ///< whose do not
  std::vector<SensorSpread> spreads;  ///< pass 2
};

/// Pass 1: moments become components, or trees one forest, in proportion to the rows of each
/// device. Errors: as judge(); bad_input (nothing varies, what was asked for is not there),
/// unsupported.
Result<Merged> begin(const Plan& plan, std::span<const Member> members);
/// Pass 2: the candidate gets the union's limits, or its leaves the union's counts.
Result<Merged> refine(const Plan& plan, std::string_view candidate,
                      std::span<const Member> members);
/// Pass 3: the calibration is that of all devices' scores.
Result<Merged> finish(const Plan& plan, std::string_view candidate,
                      std::span<const Member> members);
/// Whichever `pass` is. `candidate`: empty in the first.
Result<Merged> merge(const Plan& plan, std::uint32_t pass, std::string_view candidate,
                     std::span<const Member> members);

}  // namespace lapwing::federate
