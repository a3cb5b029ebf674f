// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/evidence.hpp"

#include <boost/math/special_functions/beta.hpp>

#include <cmath>
#include <limits>

namespace lapwing::hub::rollout {

double log_evidence_of_more(std::uint64_t first, std::uint64_t first_rows, std::uint64_t second,
                            std::uint64_t second_rows) {
  if (first_rows == 0 || second_rows == 0 || first + second == 0) return 0;
  const auto x = static_cast<double>(first);
  const auto y = static_cast<double>(second);
  const auto equal = static_cast<double>(first_rows) /
                     (static_cast<double>(first_rows) + static_cast<double>(second_rows));
  // The mean over p in (equal, 1) of p^x (1-p)^y is that part of a beta integral.
  const auto above = boost::math::ibetac(x + 1, y + 1, equal);
  if (!(above > 0)) return -std::numeric_limits<double>::infinity();
  const auto beta = std::lgamma(x + 1) + std::lgamma(y + 1) - std::lgamma(x + y + 2);
  return beta + std::log(above) - std::log1p(-equal) - x * std::log(equal) - y * std::log1p(-equal);
}

}  // namespace lapwing::hub::rollout
