// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/base/result.hpp"
#include "tests/quality/collections.hpp"
#include "tests/quality/options.hpp"

#include <vector>

namespace lapwing::quality {

/// A score for each row of a series, from the options' kind for groups, warmed up on the training
/// rows. Errors: not_found (no such kind), and what the kind refuses.
Result<std::vector<float>> run_group(const Series& series, const Options& options);

}  // namespace lapwing::quality
