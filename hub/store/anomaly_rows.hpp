// SPDX-License-Identifier: Apache-2.0
/// How a row of `anomalies` (a) with its device (d) is read.
#pragma once

#include "hub/store/store.hpp"
#include "shared/sql/connection.hpp"

#include <string_view>

namespace lapwing::hub::reads {

inline constexpr std::string_view kAnomalyColumns =
    "SELECT a.anomaly_no, d.device, a.id, a.phase, a.severity, a.reason, a.stream, a.watch,"
    " a.detector, a.onset, a.peak_time, a.end_us, a.peak_score, a.peak_value, a.expected, a.lower,"
    " a.upper, a.text, a.contributions, a.tags, a.received_at, a.updated_at,"
    " (SELECT p.peer FROM peers p WHERE p.peer_no = a.peer_no)";
inline constexpr int kAnomalyColumnCount = 23;
/// LEFT, though each has its device: where a planner has not counted the devices yet it takes a
/// plain join to leave next to nothing, and reads and sorts all anomalies for one page.
inline constexpr std::string_view kAnomalyTables =
    " FROM anomalies a LEFT JOIN devices d ON d.tenant_no=a.tenant_no AND d.device_no=a.device_no";

[[nodiscard]] AnomalyRow anomaly_row(const sql::Row& row);

}  // namespace lapwing::hub::reads
