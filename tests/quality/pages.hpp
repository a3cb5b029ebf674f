// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/base/result.hpp"
#include "tests/quality/collections.hpp"
#include "tests/quality/options.hpp"
#include "tests/quality/run_stream.hpp"

#include <cstddef>
#include <string_view>

namespace lapwing::quality {

/// OUT/COLLECTION/NAME.csv with `timestamp,score,anomaly_score,outlier` of every row (outlier: an
/// anomaly is open), and NAME.svg with one sensor's values, the labels and what was found. Nothing
/// is written without Options::out. Threads: distinct series are safe.
void write_pages(const Options& options, std::string_view collection, const Series& series,
                 const Output& output, std::size_t sensor = 0);

/// OUT/index.html: every picture below the folder.
void write_index(const Options& options);

}  // namespace lapwing::quality
