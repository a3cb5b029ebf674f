// SPDX-License-Identifier: Apache-2.0
/// The real `lapwing-agent` as a process.
#pragma once

#include "tests/support/process.hpp"

#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace lapwing::testing {

// Exit codes (docs/reference).
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kConfig = 78;  // EX_CONFIG

inline constexpr std::uint64_t kTextMax = 1U << 24;  ///< bytes of a file that is read

/// What a command that ends said.
struct Said {
  int code = -1;
  std::string out;
  std::string err;
};

inline std::vector<std::string> agent_argv(std::vector<std::string> words) {
  words.insert(words.begin(), LAPWING_AGENT);
  return words;
}

inline Said agent(std::vector<std::string> words, const Process::Environment& environment = {}) {
  Process process(agent_argv(std::move(words)), environment);
  const auto code = process.wait();
  return {code.value_or(-1), process.out(), process.err()};
}

/// CSV of a quiet sine, a second a row, that jumps 100 rows before its end, for `jump_rows`.
inline std::string readings(int rows, int jump_rows = 50) {
  std::string text = "timestamp,value\n";
  for (int i = 0; i < rows; ++i) {
    const double jump = i >= rows - 100 && i < rows - 100 + jump_rows ? 20 : 0;
    text += std::to_string(1'700'000'000 + i) + "," +
            std::to_string(10 + std::sin(i * 0.7) + 0.1 * std::cos(i * 17.3) + jump) + "\n";
  }
  return text;
}

}  // namespace lapwing::testing
