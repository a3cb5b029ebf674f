// SPDX-License-Identifier: Apache-2.0
/// How far a long command is, for people who wait.
#pragma once

#include "shared/base/time.hpp"

#include <cstddef>
#include <iosfwd>
#include <string>

namespace lapwing::agent {

/// On a terminal one line that is written over; elsewhere, as in a log, a line now and then of what
/// takes long.
class ProgressLine {
 public:
  ProgressLine(std::ostream& out, bool terminal);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void begin(std::string what);
  void show(std::size_t done, std::size_t all);

 private:
  void clear();

  std::ostream& out_;
  bool terminal_;
  bool shown_ = false;
  std::string what_;
  Ticks begun_{};
  Ticks next_{};
};

/// Whether standard error is a terminal.
[[nodiscard]] bool errors_go_to_terminal();

}  // namespace lapwing::agent
