// SPDX-License-Identifier: Apache-2.0
/// Tells the hub about this device's models.
#pragma once

#include "agent/engine/engine.hpp"
#include "agent/models/activation.hpp"
#include "agent/models/model_meters.hpp"
#include "agent/models/remembered.hpp"
#include "agent/outbox/outbox.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <string>

namespace lapwing::agent {

/// Records go to the outbox, and wait where its submit() does. Threads: one at a time.
class ModelReporter {
 public:
  /// Borrows all of it.
  ModelReporter(Engine& engine, Outbox& outbox, const ModelTrust& trust, ModelMeters& meters)
      : engine_(engine), outbox_(outbox), trust_(trust), meters_(meters) {}

  /// With the number of the key list, and the statistics that it asks for. `model`: also one that
  /// no group uses.
  void report(const std::string& model, const model_action::Report& said);
  void alarm(const wire::AnomalyRecord& alarm, Time at);

 private:
  void write(wire::RecordClass record_class, Time at, std::string payload);

  Engine& engine_;
  Outbox& outbox_;
  const ModelTrust& trust_;
  ModelMeters& meters_;
};

}  // namespace lapwing::agent
