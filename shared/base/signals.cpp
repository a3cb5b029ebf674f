// SPDX-License-Identifier: Apache-2.0
#include "shared/base/signals.hpp"

namespace lapwing {

Signals::Signals() {
  sigemptyset(&set_);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set_, number);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int Signals::wait(std::optional<Micros> patience) const {
  for (;;) {
    int number = 0;
    if (patience) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*patience);
      const timespec time{.tv_sec = seconds.count(),
                          .tv_nsec = std::chrono::nanoseconds(*patience - seconds).count()};
      number = sigtimedwait(&set_, nullptr, &time);
    } else {
      number = sigwaitinfo(&set_, nullptr);
    }
    if (number > 0) return number;
    if (patience) return 0;
  }
}

}  // namespace lapwing
