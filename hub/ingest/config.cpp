// SPDX-License-Identifier: Apache-2.0
#include "hub/ingest/config.hpp"

#include "shared/base/config.hpp"

namespace lapwing::hub {

IngestConfig IngestConfig::read(config::Section& section) {
  using std::chrono::hours;
  using std::chrono::seconds;
  const IngestConfig standard;
  IngestConfig c;
  c.queue_bytes_max = section.bytes(
      {"queue_bytes", "messages waiting for the store; beyond it the newest is refused", "bytes"},
      standard.queue_bytes_max, 1U << 20U, std::uint64_t{4} << 30U);
  c.queue_messages_max = static_cast<std::size_t>(section.integer(
      {"queue_messages", "messages waiting for the store", "messages"}, 20'000, 16, 1'000'000));
  c.commit_records_max = static_cast<std::size_t>(section.integer(
      {"commit_records", "records in one transaction", "records"}, 20'000, 1, 1'000'000));
  c.batch_records_max = static_cast<std::uint32_t>(section.integer(
      {"batch_records", "records an agent may put in one batch", "records"}, 1'000, 1, 10'000));
  c.batch_bytes_max = static_cast<std::uint32_t>(
      section.bytes({"batch_bytes", "bytes an agent may put in one batch", "bytes"},
                    standard.batch_bytes_max, 4U << 10U, 1U << 20U));
  c.silence = section.duration({"silence", "a device not heard of for so long is offline"},
                               standard.silence, seconds(10), hours(24 * 7));
  c.trim_every = section.duration({"trim_every", "how often retention is applied"},
                                  standard.trim_every, seconds(1), hours(24));
  return c;
}

}  // namespace lapwing::hub
