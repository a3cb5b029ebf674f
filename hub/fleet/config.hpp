// SPDX-License-Identifier: Apache-2.0
/// `[certificates]` and `[models]` of hub.toml.
#pragma once

#include "shared/base/time.hpp"

#include <cstdint>
#include <filesystem>

namespace lapwing::config {
class Section;
}

namespace lapwing::hub {

/// Plain data.
struct CertificatesConfig {
  Micros device_lifetime = std::chrono::hours(24 * 365);  ///< [1 s, 3650 d]
  /// How long a list of revoked certificates holds; a broker that got no newer one by then refuses
  /// every device. [10 min, 90 d]
  Micros crl_lifetime = std::chrono::hours(24 * 7);
  Micros crl_every = std::chrono::hours(24);  ///< a new list, changed or not; [1 s, lifetime / 2]
  /// Within which devices that are online renew once there is a new authority, [1 s, 30 d]
  Micros move_within = std::chrono::hours(1);

  static CertificatesConfig read(config::Section& section);
};

/// Plain data.
struct ModelsConfig {
  std::filesystem::path signing_key;  ///< of assignments (Ed25519, PEM)
  bool signing_key_given = false;     ///< else there need be none
  std::uint64_t pieces_bytes_per_second = std::uint64_t{16} << 20U;  ///< [64 KiB, 1 GiB]

  static ModelsConfig read(config::Section& section, const std::filesystem::path& data_dir);
};

}  // namespace lapwing::hub
