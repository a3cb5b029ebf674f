// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/skab_score.hpp"

namespace lapwing::quality {

void SkabScore::add(std::span<const std::uint8_t> labels, std::span<const std::uint8_t> alarms) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] != 0) {
      ++(alarms[i] != 0 ? hits : misses);
    } else {
      ++(alarms[i] != 0 ? false_alarms : quiet);
    }
  }
}

void SkabScore::add(const SkabScore& other) {
  hits += other.hits;
  misses += other.misses;
  false_alarms += other.false_alarms;
  quiet += other.quiet;
}

double SkabScore::f1() const {
  if (hits == 0) return 0;
  return static_cast<double>(2 * hits) / static_cast<double>(2 * hits + misses + false_alarms);
}

double SkabScore::far() const {
  const std::size_t normal = false_alarms + quiet;
  return normal == 0 ? 0 : 100 * static_cast<double>(false_alarms) / static_cast<double>(normal);
}

}  // namespace lapwing::quality
