// SPDX-License-Identifier: Apache-2.0
/// The job `export`: anomalies of a tenant, or a device's history, as CSV.
#pragma once

#include "hub/jobs/kinds.hpp"

namespace lapwing::hub {

/// Arguments: `what` (anomalies, history), `device` (history: required), `stream`, `from`, `to`
/// (RFC 3339; by onset, or by begin).
Result<void> check_export(std::string_view arguments);
/// One row an anomaly or a point, with a header; RFC 4180. What is taken in meanwhile may be
/// missing.
Result<void> run_export(JobRun& run);

}  // namespace lapwing::hub
