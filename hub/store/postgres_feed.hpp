// SPDX-License-Identifier: Apache-2.0
/// Hears of the live feed's growth at other replicas.
#pragma once

#include "hub/store/feed.hpp"
#include "shared/base/result.hpp"
#include "shared/postgres/connection.hpp"

#include <memory>

namespace lapwing::hub {

/// While it lives, `feed` is told when any replica's commit made the feed grow: by NOTIFY at once,
/// and by asking every two seconds, whatever became of notifications.
Result<std::unique_ptr<FeedWatch>> watch_postgres_feed(const postgres::Options& options,
                                                       Feed& feed);

}  // namespace lapwing::hub
