// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lapwing::quality {

/// What the figures are measured with.
struct Options {
  std::filesystem::path data;     ///< holds nab/, tsb-u/, tsb-m/, skab/, adbench/, or some of them
  std::vector<std::string> only;  ///< names of measures; empty: all
  std::string detector = "auto";  ///< kind for streams
  std::string group_detector = "auto";  ///< kind for groups
  double alarms_per_week = 1;           ///< budget where a measure does not set its own
  bool per_file = false;                ///< a line a file, family or set too
  bool intervals = false;               ///< how far a figure moves when files are drawn anew
  std::filesystem::path out;            ///< scores and plots of every file; empty: not written
};

}  // namespace lapwing::quality
