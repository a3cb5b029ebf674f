// SPDX-License-Identifier: Apache-2.0
/// The versions of the model that is spread, signed as the product wants them.
#pragma once

#include "agent/models/activation.hpp"
#include "shared/base/time.hpp"
#include "shared/release/documents.hpp"
#include "shared/release/signed.hpp"
#include "shared/wire/models.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace lapwing::simulate {

/// Three: what runs before (known to devices already), the new one, and the way back, which has
/// the content of what ran before.
/// Threads: distinct objects are safe, a shared one is not.
class SpreadVersions {
 public:
  /// `wrong` hears what cannot be signed.
  explicit SpreadVersions(std::function<void(const std::string&)> wrong);

  /// The keys that devices trust.
  [[nodiscard]] static const release::KeyList& keys();
  [[nodiscard]] const agent::ModelVersion& old() const { return old_; }
  [[nodiscard]] const std::string& old_bytes() const { return old_bytes_; }

  [[nodiscard]] wire::Chunk chunk(const wire::Fetch& wanted) const;
  [[nodiscard]] const release::Signed& manifest(std::uint64_t number) const {
    return manifests_.at(number);
  }
  /// Signed when it is first asked for.
  const std::string& assignment(const std::string& device, const release::Signed& manifest,
                                Time now);

 private:
  void add(std::uint64_t number, std::string bytes);

  std::function<void(const std::string&)> wrong_;
  std::string old_bytes_;
  agent::ModelVersion old_;
  std::map<std::uint64_t, release::Signed> manifests_;
  std::map<std::string, std::string> files_;  ///< by digest
  std::map<std::pair<std::string, std::string>, std::string> assignments_;
};

}  // namespace lapwing::simulate
