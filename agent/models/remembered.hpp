// SPDX-License-Identifier: Apache-2.0
/// What a device remembers of releases (release::Remembered), kept in two places: losing it would
/// let an older version in.
#pragma once

#include "agent/models/kept_text.hpp"
#include "shared/base/result.hpp"
#include "shared/release/judge.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::agent {

/// Threads: one at a time.
///
/// - Both copies are read, and the greater of each number counts; a damaged or missing one is
///   written anew from the other.
/// - On a device that never had a model the key list of `keys_file` is the beginning.
/// - With both gone no offer can be judged: a thief of the disk, or a fault, may have set the
/// device
///   back. problem() says so until an operator decides (begin_anew()).
class ModelTrust {
 public:
  struct Files {
    std::filesystem::path models;     ///< folder of the models: the first copy
    std::filesystem::path second;     ///< the second copy, in another folder; empty: none
    std::filesystem::path keys_file;  ///< signed key list that came with the identity
  };

  explicit ModelTrust(Files files)
      : files_(std::move(files)), text_({files_.models / "remembered", files_.second}) {}

  /// Reads what is there. Repeatable: while it is not ready, a key list may have come.
  void load();
  /// Null: not ready, see problem().
  [[nodiscard]] release::Judge* judge() noexcept { return judge_ ? &*judge_ : nullptr; }
  [[nodiscard]] const release::Judge* judge() const noexcept { return judge_ ? &*judge_ : nullptr; }
  /// Why no offer can be judged, and what to do; empty: all is well.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  /// What the judge remembers is in both places when it returns. Errors: denied, limit, io.
  Result<void> keep();
  /// An operator decided: what was remembered is given up, the key list of `keys_file` begins.
  /// Errors: that file's, and those of keep().
  Result<void> begin_anew();

 private:
  [[nodiscard]] bool had_models() const;
  Result<release::KeyList> first_keys() const;

  Files files_;
  KeptText text_;
  std::optional<release::Judge> judge_;
  std::string problem_;
};

/// As text; nullopt: it is not one of these.
[[nodiscard]] std::string to_text(const release::Remembered& remembered);
[[nodiscard]] std::optional<release::Remembered> remembered_from(std::string_view text);
/// Of two copies the greater numbers. What a key signed that is in the newer list no more does not
/// count.
[[nodiscard]] release::Remembered greater_of(release::Remembered a, const release::Remembered& b);

}  // namespace lapwing::agent
