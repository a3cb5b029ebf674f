// SPDX-License-Identifier: Apache-2.0
/// The real `lapwing-agent` as a process.
#pragma once

#include "tests/support/process.hpp"

#include <optional>
#include <string>
#include <vector>

namespace lapwing::testing {

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

}  // namespace lapwing::testing
