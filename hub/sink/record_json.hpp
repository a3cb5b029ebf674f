// SPDX-License-Identifier: Apache-2.0
/// Records as the JSON values that consumers read: docs/sinks.md describes them. Names, times and
/// words are the API's.
#pragma once

#include "hub/store/ingest_transaction.hpp"
#include "hub/store/spool.hpp"

#include <string>
#include <string_view>

namespace lapwing::hub {

[[nodiscard]] std::string record_json(const DeviceKey& key, std::uint64_t epoch, Time received_at,
                                      const IncomingRecord& record);
/// The loss that stands for what was given up: reason `spool` or `refused`.
[[nodiscard]] std::string given_up_json(const SpoolRow& row);
/// `anomaly`, `summary`, `loss`: also of what was given up.
[[nodiscard]] std::string_view class_name(int record_class);

}  // namespace lapwing::hub
