// SPDX-License-Identifier: Apache-2.0
/// Reads the machine's own telemetry from proc and sys.
#pragma once

#include "shared/base/time.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

/// What a probe looks at.
struct HostProbeConfig {
  std::filesystem::path root = "/";  ///< proc and sys are looked for below it
  bool cpu = true;
  bool memory = true;
  bool load = true;
  bool disk = true;
  bool network = true;
  bool temperature = true;
  bool per_core = false;
};

/// `cpu/busy_percent` 3.5; the unit is the name's last word.
struct HostValue {
  std::string name;
  double value = 0;
};

/// What is missing on this machine (swap, sensors, a file) is left out, never an error. Percentages
/// of time and rates are over the time since the previous sample, so the first one has none of
/// them. Threads: distinct objects are safe. Cost: about ten small files a sample.
class HostProbe {
 public:
  explicit HostProbe(HostProbeConfig config);
  [[nodiscard]] std::vector<HostValue> sample(Ticks now);

 private:
  void sample_cpu();
  void sample_memory();
  void sample_load();
  void sample_disks();
  void sample_filesystems();
  void sample_network();
  void sample_temperatures();

  /// The whole file, at most 1 MiB; empty when it cannot be read. Valid until the next read.
  std::string_view read(const std::filesystem::path& path);
  void put(std::string name, double value);
  /// What a counter grew by since the previous sample; nothing at first and after a restart of it.
  std::optional<double> growth(const std::string& counter, double value);

  HostProbeConfig config_;
  std::string text_;
  std::vector<HostValue> values_;
  std::map<std::string, double, std::less<>> counters_;       ///< of this sample
  std::map<std::string, double, std::less<>> counters_last_;  ///< of the previous one
  std::optional<Ticks> last_;
  double seconds_ = 0;  ///< since the previous sample; 0 at first
};

/// A word for one level of a stream's name: other bytes than letters, digits, `_`, `-`, `.` become
/// `_`.
[[nodiscard]] std::string level_word(std::string_view text);

}  // namespace lapwing::agent
