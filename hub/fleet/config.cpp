// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/config.hpp"

#include "shared/base/config.hpp"

namespace lapwing::hub {

CertificatesConfig CertificatesConfig::read(config::Section& section) {
  using std::chrono::hours;
  using std::chrono::minutes;
  using std::chrono::seconds;
  CertificatesConfig c;
  c.device_lifetime = section.duration({"device_lifetime", "how long a device's certificate holds"},
                                       c.device_lifetime, seconds(1), hours(24 * 3650));
  c.crl_lifetime =
      section.duration({"crl_lifetime", "how long a list of revoked certificates holds"},
                       c.crl_lifetime, minutes(10), hours(24 * 90));
  c.crl_every = section.duration({"crl_every", "how often a new list is issued, changed or not"},
                                 c.crl_every, seconds(1), hours(24 * 45));
  c.move_within = section.duration(
      {"move_within", "within which online devices get certificates of a new authority"},
      c.move_within, seconds(1), hours(24 * 30));
  if (c.crl_every > c.crl_lifetime / 2) {
    section.problem("crl_every",
                    "must be at most half of crl_lifetime: the broker would have no time to spare");
  }
  return c;
}

ModelsConfig ModelsConfig::read(config::Section& section, const std::filesystem::path& data_dir) {
  ModelsConfig c;
  const auto standard = data_dir / "release-hub.key";
  c.signing_key = section.path({"signing_key",
                                "the hub's key for assignments (`lapwing keys new`); without it no "
                                "model is given to a device"},
                               standard);
  c.signing_key_given = c.signing_key != standard;
  c.pieces_bytes_per_second = section.bytes(
      {"pieces_bytes_per_second", "of model files, to all devices of this replica together"},
      c.pieces_bytes_per_second, 64U << 10U, 1U << 30U);
  return c;
}

}  // namespace lapwing::hub
