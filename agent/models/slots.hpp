// SPDX-License-Identifier: Apache-2.0
/// What a device keeps of its models: `<data_dir>/models/<name>/`.
///
/// | file | |
/// | `<sha256>.lw` | a model file, by its digest; `.part` beside it while it is fetched |
/// | `state-0`, `state-1` | which versions are in the slots, and how far activation is (KeptText) |
/// | `rollback` | an operator's wish, until it is done |
///
/// Slots name files by their digest, so one rename changes all of them at once. A file is verified
/// when it is opened; one that is damaged empties its slot, and the others are as they were.
#pragma once

#include "agent/models/activation.hpp"
#include "agent/models/kept_text.hpp"
#include "shared/base/result.hpp"
#include "shared/model/live.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

/// Of one model. Threads: one at a time.
class ModelSlots {
 public:
  /// `folder` is the model's own.
  explicit ModelSlots(std::filesystem::path folder)
      : folder_(std::move(folder)), text_({folder_ / "state-0", folder_ / "state-1"}) {}

  /// What was kept; that of a new model when nothing was, or nothing of it can be read (`problem`
  /// says so).
  ActivationState read(std::string& problem);
  /// Durable when it returns; files that neither this nor the state before it names are removed.
  /// Errors: denied, limit (disk full), io.
  Result<void> keep(const ActivationState& state);

  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
  [[nodiscard]] std::filesystem::path file(const std::string& sha256) const {
    return folder_ / (sha256 + ".lw");
  }
  /// The version's file, verified: seal, bounds, digest and length. Errors: not_found, corrupt,
  /// denied (another file), io, and those of model::Model.
  Result<std::shared_ptr<const model::LiveModel>> open(std::string_view model,
                                                       const ModelVersion& version) const;

  /// An operator's wish, which a running agent's desk or the next start grants.
  Result<void> ask_rollback() const;
  [[nodiscard]] bool rollback_asked() const;
  void rollback_done() const;

  /// The models that have a folder, by name.
  static std::vector<std::string> names(const std::filesystem::path& models);

 private:
  void clear(const ActivationState& state) const;

  std::filesystem::path folder_;
  KeptText text_;
  ActivationState kept_;
};

/// As JSON; `false`: it is not one of these.
[[nodiscard]] std::string to_text(const ActivationState& state);
[[nodiscard]] bool from_text(std::string_view text, ActivationState& state);

}  // namespace lapwing::agent
