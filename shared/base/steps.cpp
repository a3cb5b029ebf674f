// SPDX-License-Identifier: Apache-2.0
#include "shared/base/steps.hpp"

#include "shared/base/log.hpp"

namespace lapwing {

Result<void> run_steps(std::span<const Step> steps, const std::function<Result<void>()>& serve) {
  Result<void> outcome;
  std::size_t started = 0;
  for (; started < steps.size(); ++started) {
    const Step& step = steps[started];
    log::debug("start", {{"step", step.name}});
    if (auto done = step.start(); !done) {
      outcome = within(step.name, std::move(done).error());
      break;
    }
  }
  if (started == steps.size()) outcome = serve();
  while (started > 0) {
    const Step& step = steps[--started];
    log::debug("stop", {{"step", step.name}});
    if (step.stop) step.stop();
  }
  return outcome;
}

}  // namespace lapwing
