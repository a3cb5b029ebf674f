// SPDX-License-Identifier: Apache-2.0
/// What an operator on this machine asked for, by files that the commands of `lapwing-agent model`
/// leave.
#pragma once

#include "agent/models/activator.hpp"
#include "agent/models/device_model.hpp"
#include "agent/models/remembered.hpp"

#include <filesystem>
#include <utility>

namespace lapwing::agent {

/// | file | |
/// | `<model>/rollback` | the version before back, see ModelSlots::ask_rollback |
/// | `trust` | begin anew with the list of keys, see ModelTrust::begin_anew |
///
/// Threads: one at a time.
class OperatorWishes {
 public:
  /// Borrows `trust` and `activator`. `folder`: of the models; `keys_file`: what the list is named.
  OperatorWishes(std::filesystem::path folder, std::filesystem::path keys_file, ModelTrust& trust,
                 Activator& activator)
      : asks_trust_(std::move(folder) / "trust"),
        keys_file_(std::move(keys_file)),
        trust_(trust),
        activator_(activator) {}

  /// For this model, and for all. The files are gone when it returns, whatever came of it, which
  /// the log says.
  void grant(DeviceModel& model);

 private:
  std::filesystem::path asks_trust_;
  std::filesystem::path keys_file_;
  ModelTrust& trust_;
  Activator& activator_;
};

}  // namespace lapwing::agent
