// SPDX-License-Identifier: Apache-2.0
/// Does what Activation decides: keeps, fetches, installs, reports.
#pragma once

#include "agent/engine/engine.hpp"
#include "agent/models/activation.hpp"
#include "agent/models/desk_events.hpp"
#include "agent/models/device_model.hpp"
#include "agent/models/model_meters.hpp"
#include "agent/models/model_reporter.hpp"
#include "agent/models/model_transfers.hpp"
#include "shared/base/result.hpp"

namespace lapwing::agent {

/// Threads: one at a time; never a scoring one.
class Activator {
 public:
  /// Borrows all of it.
  Activator(Engine& engine, ModelTransfers& transfers, ModelReporter& reporter, ModelMeters& meters)
      : engine_(engine), transfers_(transfers), reporter_(reporter), meters_(meters) {}

  /// In their order, and what follows from them: what a slot does not take is decided on anew.
  /// `before`: what to go back to, and to do no more, when the new state cannot be kept; the hub
  /// will offer again, or the next tick try again. What cannot be kept or installed is told in the
  /// log; the former is counted.
  void perform(DeviceModel& model, ModelActions actions, const ActivationState* before = nullptr);

  /// The end of a transfer. The file is looked at before anything else is done with it; one that is
  /// another than the wanted one is removed, and counted as refused.
  void fetched(DeviceModel& model, const Fetched& fetched);

 private:
  Result<void> install(const DeviceModel& model, const model_action::Install& install);
  void file_came(DeviceModel& model, const std::string& sha256);

  Engine& engine_;
  ModelTransfers& transfers_;
  ModelReporter& reporter_;
  ModelMeters& meters_;
};

}  // namespace lapwing::agent
