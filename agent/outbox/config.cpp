// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/config.hpp"

#include "shared/base/config.hpp"

namespace lapwing::agent {

OutboxConfig OutboxConfig::read(config::Section section) {
  OutboxConfig c;
  c.bytes_max = section.bytes(
      {"bytes_max",
       "records kept while the hub is away; at the bound the oldest summaries go first, "
       "anomalies last, each leaving a loss record",
       "bytes"},
      c.bytes_max, std::uint64_t{1} << 20, std::uint64_t{1} << 40);
  c.commit_records_max = static_cast<std::size_t>(
      section.integer({"commit_records_max", "records gathered into one commit", "records"},
                      static_cast<std::int64_t>(c.commit_records_max), 1, 100'000));
  c.commit_interval = section.duration(
      {"commit_interval", "how long a record may wait for others before it is committed"},
      c.commit_interval, Micros(0), std::chrono::seconds(10));
  c.queue_records_max = static_cast<std::size_t>(
      section.integer({"queue_records_max",
                       "records waiting to be committed; at the bound scoring waits", "records"},
                      static_cast<std::int64_t>(c.queue_records_max), 100, 1'000'000));
  return c;
}

}  // namespace lapwing::agent
