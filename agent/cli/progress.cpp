// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/progress.hpp"

#include "agent/replay/report.hpp"

#include <ostream>
#include <unistd.h>
#include <utility>

namespace lapwing::agent {
namespace {

constexpr auto kTerminalEvery = std::chrono::milliseconds(100);
constexpr auto kLogEvery = std::chrono::seconds(5);

}  // namespace

ProgressLine::ProgressLine(std::ostream& out, bool terminal) : out_(out), terminal_(terminal) {}

ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::begin(std::string what) {
  clear();
  what_ = std::move(what);
  begun_ = ticks_now();
  next_ = begun_ + (terminal_ ? Micros(kTerminalEvery) : Micros(kLogEvery));
}

void ProgressLine::show(std::size_t done, std::size_t all) {
  const Ticks now = ticks_now();
  if (now < next_ || done == 0) return;
  next_ = now + (terminal_ ? Micros(kTerminalEvery) : Micros(kLogEvery));
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  const auto rate = static_cast<double>(done) / seconds;
  out_ << (terminal_ ? "\r\x1b[K" : "") << what_ << ": " << done << " of " << all << " rows, "
       << short_number(rate) << " a second" << (terminal_ ? "" : "\n") << std::flush;
  shown_ = true;
}

void ProgressLine::clear() {
  if (shown_ && terminal_) out_ << "\r\x1b[K" << std::flush;
  shown_ = false;
}

bool errors_go_to_terminal() { return ::isatty(STDERR_FILENO) == 1; }

}  // namespace lapwing::agent
