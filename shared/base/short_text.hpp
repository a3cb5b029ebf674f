// SPDX-License-Identifier: Apache-2.0
/// Numbers and times as people read them.
#pragma once

#include "shared/base/time.hpp"

#include <string>

namespace lapwing {

/// Four significant digits; `-` when it is not a number.
[[nodiscard]] std::string short_number(double value);
/// RFC 3339, to the second where that is all there is.
[[nodiscard]] std::string short_time(Time time);

}  // namespace lapwing
