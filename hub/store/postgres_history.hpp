// SPDX-License-Identifier: Apache-2.0
/// Score history as PostgreSQL keeps it.
#pragma once

#include "hub/store/reads.hpp"

namespace lapwing::hub {

std::unique_ptr<reads::StreamPoints> postgres_points(sql::Connection& db,
                                                     const reads::DeviceNumbers& device,
                                                     std::int64_t stream_no);

}  // namespace lapwing::hub
