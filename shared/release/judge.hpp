// SPDX-License-Identifier: Apache-2.0
/// What a device accepts of a release, and why it refuses.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/model/model.hpp"
#include "shared/release/documents.hpp"
#include "shared/release/signed.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::release {

/// Every refusal is Errc::denied and begins with its word: `rollback: version 3 of pumps after 5`.
enum class Refusal : std::uint8_t {
  wrong_key,      ///< not enough signatures of keys that may sign it
  expired,        ///< key list or assignment; or valid for longer than one may be
  rollback,       ///< an older key list or version than one that was accepted
  mismatch,       ///< the parts do not belong together, or one version has two contents
  wrong_tenant,   ///< another's
  wrong_device,   ///< another's assignment
  wrong_class,    ///< for another class of devices
  wrong_schema,   ///< for other sensors, units or another order
  agent_too_old,  ///< it needs a newer agent
};
[[nodiscard]] std::string_view word(Refusal refusal);

/// What a device is.
struct Device {
  std::string tenant;
  std::string name;
  std::string device_class;
  std::string agent_version;  ///< `1.2.3`
  std::string schema_sha256;  ///< of the sensors its rows have: schema_digest()
};

/// What is to be remembered of a model: no older version is taken any more.
struct Accepted {
  std::uint64_t number = 0;
  std::string sha256;       ///< of the model file
  std::string release_key;  ///< that signed it (PEM)
  friend bool operator==(const Accepted&, const Accepted&) = default;
};

/// What a device keeps on disk: losing it would let an older version in.
struct Remembered {
  KeyList keys;                                 ///< at first the one that came with its identity
  std::map<std::string, Accepted> models = {};  ///< by name: the newest accepted
  std::optional<Time> until = {};               ///< the newest accepted assignment's end
};

/// A version that this device may run.
struct Approved {
  Manifest manifest;
  std::string release_key;
  Time until{};  ///< the assignment's end
};

/// Pure decisions over what is remembered; whoever holds it keeps that on disk.
/// - A key list must be signed by the list before it and by itself, so root keys can be replaced
/// one
///   or all, and a list that was made by a thief of some keys only is no list.
/// - What a release key signed counts only as long as it is in the list: a stolen one that
/// "released"
///   version 2^61 blocks nothing any more once it is taken out.
/// Threads: one at a time.
class Judge {
 public:
  /// An assignment may be valid for so long at most.
  static constexpr Micros kAssignmentMax = std::chrono::hours(24 * 31);

  /// Its key list is trusted as it is.
  explicit Judge(Remembered remembered) : remembered_(std::move(remembered)) {}

  /// Takes a newer list; the one it has, again, is no error. Errors: denied (a refusal),
  /// bad_input (another document).
  Result<void> take_keys(const Signed& list, Time now);
  /// Whether the device may run what the manifest describes. Errors: as above.
  Result<Approved> approve(const Signed& manifest, const Signed& assignment, const Device& device,
                           Time now) const;
  /// The release key of the list (PEM) that signed it. Errors: denied.
  static Result<std::string> release_key(const KeyList& keys, const Signed& manifest);
  /// Whether these bytes are the approved version. Errors: denied.
  static Result<void> check_file(const Manifest& manifest, const model::Model& file);
  /// It is used from now on, or tried: no older one is approved after it.
  void accept(const Approved& approved);

  /// Nobody has told for longer than the last assignment holds what to run: the hub is away, or
  /// someone holds news back. The device goes on scoring and raises an alarm.
  [[nodiscard]] bool frozen(Time now) const {
    return remembered_.until && now >= *remembered_.until;
  }

  [[nodiscard]] const Remembered& remembered() const noexcept { return remembered_; }

 private:
  Remembered remembered_;
};

}  // namespace lapwing::release
