// SPDX-License-Identifier: Apache-2.0
/// What a model file says of its model.
#pragma once

#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::model {

inline constexpr std::size_t kNameBytesMax = 256;  ///< of sensors, units, parameters, tools
inline constexpr std::size_t kSensorsMax = 4096;
inline constexpr std::size_t kSettingsMax = 64;
inline constexpr std::size_t kQuantilesMax = 1024;

/// One column of a row. The numbers are of the rows it was trained on, in the sensor's unit, holes
/// not counted.
struct Sensor {
  std::string name;
  std::string unit = {};  ///< as people write it; empty: not said
  double mean = 0;
  double deviation = 0;  ///< standard, of the population
  double least = 0;
  double greatest = 0;
  double missing_share = 0;  ///< [0, 1]
};

/// How raw scores of normal rows are spread: `shares[i]` of them are at most `scores[i]`. Both
/// ascend.
struct Calibration {
  std::uint64_t rows = 0;
  bool held_out = false;  ///< rows that the training did not see; else the training rows
  std::vector<double> shares;
  std::vector<float> scores;
};

/// Where a model comes from.
struct Lineage {
  std::string data_sha256;  ///< of the file or sample, 64 hex digits; empty: not known
  std::uint64_t rows = 0;   ///< trained on
  std::optional<std::pair<Time, Time>> span;  ///< of the first and the last of them
  std::uint64_t seed = 1;
  std::string tool;  ///< `lapwing-agent 0.1.0`
};

struct Header {
  std::string kind;  ///< of detector, see shared/detect/kinds.hpp
  std::vector<Sensor> sensors;
  std::map<std::string, double, std::less<>> parameters;  ///< those that are not the default
  Calibration calibration;
  Lineage lineage;
};

}  // namespace lapwing::model
