// SPDX-License-Identifier: Apache-2.0
/// Anomalies against labels: what was found, how late, and what was found in vain.
#pragma once

#include "agent/replay/replay.hpp"
#include "agent/replay/window.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lapwing::agent {

/// Labels of one or of many files.
class Labels {
 public:
  /// Either a CSV of `start,end` times, for whatever file, or JSON as the Numenta Anomaly Benchmark
  /// has it: an object of lists of [start, end] by file. Errors: not_found, denied, io, bad_input
  /// (names the line or the key).
  static Result<Labels> read(const std::filesystem::path& file);

  /// Those of the file, looked up by its name and as much of its folders as the label names;
  /// nullptr when the labels do not mention it.
  [[nodiscard]] const std::vector<Window>* of(const std::filesystem::path& file) const;

 private:
  std::optional<std::vector<Window>> all_;
  std::map<std::string, std::vector<Window>> by_file_;
};

/// Each run of rows the label column calls anomalous.
[[nodiscard]] std::vector<Window> windows_of(const Rows& rows);

/// Counted by event, never by row: a long window does not count more than a short one. An anomaly
/// meets a window when it was found in it, or was open when it began. Windows that ended before the
/// first score cannot be found and are counted apart, as are the anomalies found in them.
struct Judgement {
  std::uint64_t anomalies = 0;
  std::uint64_t true_anomalies = 0;  ///< that met a window
  std::uint64_t windows = 0;
  std::uint64_t windows_found = 0;
  std::uint64_t windows_early = 0;  ///< ended before the first score
  double clean_weeks = 0;           ///< scored time outside windows
  std::vector<double> delays;       ///< seconds from a window's start to its first anomaly

  /// NaN where nothing could be counted.
  [[nodiscard]] double precision() const;
  [[nodiscard]] double recall() const;
  [[nodiscard]] double false_alarms_per_week() const;
  [[nodiscard]] double median_delay() const;

  void add(const Judgement& other);
};

[[nodiscard]] Judgement judge(const ReplayReport& report, std::span<const Window> windows);

}  // namespace lapwing::agent
