// SPDX-License-Identifier: Apache-2.0
/// Start and stop as one ordered list: each step owns its stop.
#pragma once

#include "shared/base/result.hpp"

#include <functional>
#include <span>
#include <string_view>

namespace lapwing {

struct Step {
  std::string_view name;
  std::function<Result<void>()> start;
  std::function<void()>
      stop;  ///< must not throw; may run after any later step failed; may be empty
};

/// Starts the steps in order, then calls `serve`; stops the started ones in reverse; returns the
/// first error, with the step's name in front.
Result<void> run_steps(std::span<const Step> steps, const std::function<Result<void>()>& serve);

}  // namespace lapwing
