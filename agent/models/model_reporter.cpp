// SPDX-License-Identifier: Apache-2.0
#include "agent/models/model_reporter.hpp"

#include "shared/wire/codec.hpp"

#include <utility>
#include <vector>

namespace lapwing::agent {

void ModelReporter::report(const std::string& model, const model_action::Report& said) {
  auto report = said.record(model, now());
  if (trust_.judge() != nullptr) report.keys_number = trust_.judge()->remembered().keys.number;
  if (said.statistics) report.statistics = engine_.statistics(model, *said.statistics);
  meters_.reported(said.state);
  write(wire::RecordClass::model_report, report.at, wire::encode_record(report));
}

void ModelReporter::alarm(const wire::AnomalyRecord& alarm, Time at) {
  write(wire::RecordClass::anomaly, at, wire::encode_record(alarm));
}

void ModelReporter::write(wire::RecordClass record_class, Time at, std::string payload) {
  std::vector<OutboxRecord> records;
  records.push_back({record_class, at, std::move(payload)});
  outbox_.submit(std::move(records));
}

}  // namespace lapwing::agent
