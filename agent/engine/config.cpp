// SPDX-License-Identifier: Apache-2.0
#include "agent/engine/config.hpp"

#include "shared/base/config.hpp"

#include <algorithm>
#include <thread>

namespace lapwing::agent {

std::size_t EngineConfig::shard_count() const {
  if (shards > 0) return shards;
  return std::max<std::size_t>(1, std::thread::hardware_concurrency() / 2);
}

EngineConfig EngineConfig::read(config::Section section) {
  const auto count = [&section](std::string_view name, std::string_view help, std::string_view unit,
                                std::size_t fallback, std::int64_t min, std::int64_t max) {
    return static_cast<std::size_t>(
        section.integer({name, help, unit}, static_cast<std::int64_t>(fallback), min, max));
  };
  EngineConfig c;
  c.shards = count("shards", "threads that score; 0 is half the cores, at least one", "threads",
                   c.shards, 0, 64);
  c.streams_max =
      count("streams_max", "most streams kept; readings of further ones are refused and counted",
            "streams", c.streams_max, 1, 1'000'000);
  c.queue_readings_max =
      count("queue_readings_max", "readings waiting for one shard; at the bound the source waits",
            "readings", c.queue_readings_max, 1000, 10'000'000);
  c.summary_interval = section.duration(
      {"summary_interval",
       "how often each stream's score summary becomes a record: the resolution of charts"},
      c.summary_interval, std::chrono::milliseconds(100), std::chrono::hours(24));
  c.snapshot_interval =
      section.duration({"snapshot_interval",
                        "how often detector state is saved, so that a restart needs no warm-up"},
                       c.snapshot_interval, std::chrono::seconds(1), std::chrono::hours(24));
  return c;
}

}  // namespace lapwing::agent
