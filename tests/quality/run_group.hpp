// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/base/result.hpp"
#include "tests/quality/collections.hpp"
#include "tests/quality/options.hpp"
#include "tests/quality/run_stream.hpp"

#include <cstddef>

namespace lapwing::quality {

struct GroupOutput {
  Output output;           ///< of the sensors together; what one sensor has alone is not in it
  std::size_t sensor = 0;  ///< has the largest part in the highest peak
};

/// The rows of a series through the product's pipeline for groups, as if each arrived at its own
/// time, warmed up on the training rows, with the options' kind and budget. As for streams, a fault
/// is never accepted as the new normal. Errors: not_found (no such kind), and what the kind
/// refuses.
Result<GroupOutput> run_group(const Series& series, const Options& options);

}  // namespace lapwing::quality
