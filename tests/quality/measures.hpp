// SPDX-License-Identifier: Apache-2.0
/// One function a collection: each runs the detectors and prints its figures, one line each.
#pragma once

#include "shared/base/result.hpp"
#include "tests/quality/options.hpp"

namespace lapwing::quality {

/// Errors: not_found (the collection is not in the data folder, or there is no such kind),
/// bad_input.
using Measure = Result<void> (*)(const Options&);

Result<void> measure_nab(const Options& options);
Result<void> measure_tsb_u(const Options& options);
Result<void> measure_tsb_m(const Options& options);
Result<void> measure_skab(const Options& options);
/// Trained kinds on tables.
Result<void> measure_adbench(const Options& options);
/// Isolation forests of rows spread over devices against one of all rows, on the same tables.
Result<void> measure_federated(const Options& options);
/// False alarms on clean synthetic streams, over those asked for.
Result<void> measure_budget(const Options& options);
/// The same on what is not labelled in NAB and TSB-AD-U.
Result<void> measure_budget_real(const Options& options);
/// Faults found in synthetic streams.
Result<void> measure_synthetic(const Options& options);

}  // namespace lapwing::quality
