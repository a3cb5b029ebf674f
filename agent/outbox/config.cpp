// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/config.hpp"

#include "shared/base/config.hpp"

#include <string>

namespace lapwing::agent {
namespace {

AtBound at_bound(const std::string& name) {
  if (name == "block") return AtBound::block;
  return name == "drop_newest" ? AtBound::drop_newest : AtBound::drop_oldest;
}

}  // namespace

OutboxConfig OutboxConfig::read(config::Section section) {
  OutboxConfig c;
  c.bytes_max = section.bytes({"bytes_max",
                               "records kept while the hub is away; what gives way at the bound "
                               "leaves a loss record",
                               "bytes"},
                              c.bytes_max, std::uint64_t{1} << 20, std::uint64_t{1} << 40);
  c.summaries_at_bound = at_bound(section.choice(
      {"summaries_at_bound",
       "what becomes of score summaries at bytes_max or on a full disk; anomalies go last. block: "
       "scoring and the sources wait, and nothing is given up"},
      "drop_oldest", {"drop_oldest", "drop_newest", "block"}));
  c.ballast_bytes = section.bytes(
      {"ballast_bytes",
       "disk space kept in outbox.ballast; given back when the disk is full, so that records can "
       "still be deleted, and anomalies stored",
       "bytes"},
      c.ballast_bytes, 0, std::uint64_t{1} << 30);
  c.commit_records_max = static_cast<std::size_t>(
      section.integer({"commit_records_max", "records gathered into one commit", "records"},
                      static_cast<std::int64_t>(c.commit_records_max), 1, 100'000));
  c.commit_interval = section.duration(
      {"commit_interval", "how long a record may wait for others before it is committed"},
      c.commit_interval, Micros(0), std::chrono::seconds(10));
  c.summaries_wait = section.duration(
      {"summaries_wait",
       "how long summaries may wait in memory when no anomaly comes; longer spares flash, but what "
       "waits is gone when the agent is killed (lapwing_outbox_records_at_risk)"},
      c.summaries_wait, Micros(0), std::chrono::minutes(10));
  c.queue_records_max = static_cast<std::size_t>(
      section.integer({"queue_records_max",
                       "records waiting to be committed; at the bound scoring waits", "records"},
                      static_cast<std::int64_t>(c.queue_records_max), 100, 1'000'000));
  c.queue_bytes_max = section.bytes(
      {"queue_bytes_max", "likewise their size: anomalies of groups are large", "bytes"},
      c.queue_bytes_max, std::uint64_t{1} << 20, std::uint64_t{1} << 30);
  return c;
}

}  // namespace lapwing::agent
