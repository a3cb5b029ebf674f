// SPDX-License-Identifier: Apache-2.0
/// A stretch of time.
#pragma once

#include "shared/base/time.hpp"

namespace lapwing::agent {

/// A labelled event; both ends belong to it.
struct Window {
  Time start{};
  Time end{};
};

}  // namespace lapwing::agent
