// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/base/result.hpp"
#include "tests/quality/collections.hpp"
#include "tests/quality/options.hpp"
#include "tests/quality/run_stream.hpp"

#include <cstddef>

namespace lapwing::quality {

struct GroupOutput {
  Output output;
  std::size_t sensor = 0;  ///< contributed most to the highest score
};

/// The rows of a series through the options' kind for groups, warmed up on the training rows;
/// scores are the detector's own. Errors: not_found (no such kind), and what the kind refuses.
Result<GroupOutput> run_group(const Series& series, const Options& options);

}  // namespace lapwing::quality
