// SPDX-License-Identifier: Apache-2.0
/// What is replayed: rows of a CSV file, under the names of this room.
#pragma once

#include "shared/csv/read_rows.hpp"

namespace lapwing::agent {

using csv::BadRow;
using csv::kEveryColumn;
using csv::kTimestampColumn;
using csv::kValueColumn;
using csv::read_rows;
using csv::ReadOptions;
using csv::Row;
using csv::Rows;

}  // namespace lapwing::agent
