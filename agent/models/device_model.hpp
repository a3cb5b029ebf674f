// SPDX-License-Identifier: Apache-2.0
/// One model as this device has it: its files, and how far its activation is.
#pragma once

#include "agent/models/activation.hpp"
#include "agent/models/config.hpp"
#include "agent/models/slots.hpp"
#include "shared/base/result.hpp"
#include "shared/detect/group.hpp"
#include "shared/model/live.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace lapwing::agent {

/// What it was left with, and what follows from that.
struct ModelStart {
  ModelActions actions;
  bool lost = false;  ///< nothing could be read of what was kept: the hub is to hear of it
};

/// Threads: one at a time.
class DeviceModel {
 public:
  /// `folder` is the model's own; `group`: one that uses it.
  DeviceModel(std::string name, std::filesystem::path folder, const detect::GroupConfig& group,
              const ModelsConfig& config);

  /// Reads what was kept. `unclean`: the process before did not end by itself. Where that cannot be
  /// counted, what is on trial is not used in this run: crashes would go on for ever.
  ModelStart start(bool unclean);
  /// Back to a state that was kept.
  void restore(ActivationState state);
  /// The version's file, verified, and made for the rows of this device. Errors: those of
  /// ModelSlots::open, and denied (the refusal).
  [[nodiscard]] Result<std::shared_ptr<const model::LiveModel>> open(
      const ModelVersion& version) const;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Of the rows that it scores, see release::schema_digest.
  [[nodiscard]] const std::string& schema() const noexcept { return schema_; }
  /// Of what lies on disk; empty: nothing.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  [[nodiscard]] const ActivationState& state() const noexcept { return activation_.state(); }
  [[nodiscard]] Activation& activation() noexcept { return activation_; }
  [[nodiscard]] ModelSlots& slots() noexcept { return slots_; }
  [[nodiscard]] const ModelSlots& slots() const noexcept { return slots_; }

 private:
  ModelActions rest_trial(const Error& why);

  std::string name_;
  std::string schema_;
  Micros confirm_after_;
  Micros report_every_;
  ModelSlots slots_;
  Activation activation_;
  std::string problem_;
};

/// Those that groups use, by name.
using DeviceModels = std::map<std::string, DeviceModel, std::less<>>;

}  // namespace lapwing::agent
