// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/auroc.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

namespace lapwing::quality {

double auroc(std::span<const std::uint8_t> labels, std::span<const float> scores) {
  std::vector<std::size_t> order(labels.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, std::greater{}, [&](std::size_t i) { return scores[i]; });
  double hits = 0;
  double misses = 0;
  double area = 0;
  for (std::size_t i = 0; i < order.size();) {
    double hit = 0;
    double miss = 0;
    for (const float at = scores[order[i]]; i < order.size() && scores[order[i]] == at; ++i) {
      (labels[order[i]] != 0 ? hit : miss) += 1;
    }
    area += miss * (hits + hit / 2);
    hits += hit;
    misses += miss;
  }
  return hits > 0 && misses > 0 ? area / (hits * misses) : std::nan("");
}

}  // namespace lapwing::quality
