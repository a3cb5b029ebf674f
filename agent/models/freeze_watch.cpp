// SPDX-License-Identifier: Apache-2.0
#include "agent/models/freeze_watch.hpp"

#include "shared/base/log.hpp"
#include "shared/wire/codec.hpp"

namespace lapwing::agent {

std::optional<wire::AnomalyRecord> FreezeWatch::look(std::optional<Time> until, Time now) {
  if (until.has_value() == since_.has_value()) return std::nullopt;
  if (until) {
    since_ = until;
    log::warn("models: nobody has told for long what to run; scoring goes on",
              {{"since", to_rfc3339(*since_)}});
    return alarm(wire::Phase::opened, now);
  }
  auto over = alarm(wire::Phase::closed, now);
  since_.reset();
  return over;
}

wire::AnomalyRecord FreezeWatch::alarm(wire::Phase phase, Time now) const {
  wire::AnomalyRecord record;
  record.id =
      wire::record_hash(database_id_ + " models frozen " + std::to_string(to_micros(*since_)));
  record.phase = phase;
  record.severity = wire::Severity::major;
  record.reason = wire::Reason::gap;
  record.stream = "lapwing/models";
  record.watch = "models";
  record.detector = "models";
  record.onset = *since_;
  record.peak_time = *since_;
  record.peak_score = 3;
  if (phase == wire::Phase::closed) record.end = now;
  record.text =
      "no word from the hub on what models to run since the last one ended: it is away, "
      "or somebody holds it back; scoring goes on";
  return record;
}

}  // namespace lapwing::agent
