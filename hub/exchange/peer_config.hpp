// SPDX-License-Identifier: Apache-2.0
/// `[[peer]]` of hub.toml: a region whose rows are taken.
#pragma once

#include "hub/store/exchange.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"
#include "shared/http/client.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace lapwing::config {
class Section;
}

namespace lapwing::hub {

inline constexpr std::size_t kPeersMax = 64;

/// Plain data.
struct PeerConfig {
  Peer peer;                      ///< the region as it is called here, and the tenant of its token
  http::Origin origin;            ///< https, or http on this machine
  Secret<std::string> token;      ///< with the scope `export`
  std::filesystem::path ca_file;  ///< PEM; empty: the system's authorities
  Micros every = std::chrono::seconds(5);  ///< [1 s, 1 h]
};

/// All `[[peer]]` tables.
std::vector<PeerConfig> read_peers(config::Section& root);

}  // namespace lapwing::hub
