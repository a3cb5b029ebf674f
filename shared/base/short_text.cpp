// SPDX-License-Identifier: Apache-2.0
#include "shared/base/short_text.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace lapwing {

std::string short_number(double value) {
  if (std::isnan(value)) return "-";
  std::array<char, 40> out{};
  std::snprintf(out.data(), out.size(), "%.4g", value);
  return out.data();
}

std::string short_time(Time time) {
  std::string text = to_rfc3339(time);
  const auto dot = text.find('.');
  if (dot == std::string::npos) return text;
  const bool whole = text.compare(dot, 7, ".000000") == 0;
  return text.substr(0, whole ? dot : dot + 4) + "Z";
}

}  // namespace lapwing
