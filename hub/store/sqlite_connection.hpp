// SPDX-License-Identifier: Apache-2.0
/// The names under which the store uses shared/sqlite.
#pragma once

#include "shared/sqlite/connection.hpp"

namespace lapwing::hub {

using SqliteConnection = sqlite::Connection;
using SqliteRow = sqlite::Row;
using sqlite::Blob;
using sqlite::migrate;

}  // namespace lapwing::hub
