// SPDX-License-Identifier: Apache-2.0
/// Keeps federated rounds going, one replica at a time, and the job that merges.
#pragma once

#include "hub/jobs/kinds.hpp"
#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <string_view>

namespace lapwing::hub {

/// An asked device that has not told all is asked again after so long.
inline constexpr Micros kAskAgain = std::chrono::seconds(60);

/// Asks the devices that are due by a command `contribute` (at most 500), and gives passes that are
/// over to a job `federate`. Errors: the store's.
Result<void> tend_rounds(Store& store, Time at);

/// The job `federate`: `round`. Merges a pass: the next one begins, or the round ends with a model
/// file among Store::models(); of samples, with a table (CSV) among Store::uploads() that the job
/// `train` takes. What devices told is gone then.
Result<void> check_federate(std::string_view arguments);
Result<void> run_federate(JobRun& run);

}  // namespace lapwing::hub
