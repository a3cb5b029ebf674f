// SPDX-License-Identifier: Apache-2.0
/// What the outbox tells of itself at /metrics.
#pragma once

#include "shared/base/metrics.hpp"

namespace lapwing::agent {

/// Threads: safe, as the instruments are.
struct OutboxMeters {
  explicit OutboxMeters(Metrics& m)
      : committed(m.counter("outbox_records_committed_total", "Records made durable")),
        dropped(m.counter("outbox_records_dropped_total",
                          "Records given up at a bound; each has a loss record")),
        commits(m.counter("outbox_commits_total", "Transactions")),
        waits(m.counter("outbox_waits_total", "Times scoring waited for the outbox")),
        failures(m.counter("outbox_commit_failures_total", "Commits that failed")),
        corrupt(m.counter("outbox_corrupt_records_total",
                          "Rows read back damaged; each is sent as a loss record")),
        heals(m.counter("outbox_heals_total", "Times a damaged database was replaced")),
        disk_full(m.counter("outbox_disk_full_total",
                            "Times the ballast was given back because the disk was full")),
        record_bytes(m.counter("outbox_record_bytes_total", "Bytes of the records made durable")),
        written(
            m.counter("outbox_bytes_written_total",
                      "Bytes written to the outbox's files, log, checkpoints and mark included: "
                      "what wears flash out")),
        records(m.gauge("outbox_records", "Records committed and not acknowledged")),
        bytes(m.gauge("outbox_bytes", "Bytes they take")),
        bytes_max(m.gauge("outbox_bytes_max", "Bytes they may take; less while the disk is full")),
        at_risk(m.gauge("outbox_records_at_risk",
                        "Records in memory, not committed yet: gone if the agent is killed now")),
        seconds(m.histogram("outbox_commit_seconds", "Duration of a commit",
                            {.0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5})) {}
  Counter& committed;
  Counter& dropped;
  Counter& commits;
  Counter& waits;
  Counter& failures;
  Counter& corrupt;
  Counter& heals;
  Counter& disk_full;
  Counter& record_bytes;
  Counter& written;
  Gauge& records;
  Gauge& bytes;
  Gauge& bytes_max;
  Gauge& at_risk;
  Histogram& seconds;
};

}  // namespace lapwing::agent
