// SPDX-License-Identifier: Apache-2.0
#include "hub/exchange/peer_config.hpp"

#include "shared/base/config.hpp"
#include "shared/wire/topics.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

PeerConfig read_peer(config::Section& section) {
  PeerConfig c;
  c.peer.region = section.required_text({"name", "the region, as it is called here"});
  c.peer.tenant = section.required_text({"tenant", "whose rows are taken; the token's"});
  const auto url =
      section.required_text({"url", "the region's API, as in https://hub.eu.example:8443"});
  c.ca_file =
      section.path({"ca_file", "certificate authority of its API (PEM); empty: the system's"}, "");
  c.every = section.duration({"every", "how often it is asked what is new"}, c.every,
                             std::chrono::seconds(1), std::chrono::hours(1));
  const auto token = section.secret({"token", "made there, with the scope export"});
  if (section.describing()) return c;
  if (!wire::valid_name(c.peer.region) || c.peer.region == "local") {
    section.problem("name", "1 to 64 of A-Z a-z 0-9 . _ - are allowed, and local is this region");
  }
  if (!wire::valid_name(c.peer.tenant)) section.problem("tenant", "is not a tenant's name");
  if (token) {
    c.token = *token;
  } else {
    section.problem("token",
                    "is missing; `lapwing-hub token create --scope export` there makes one");
  }
  auto origin = http::parse_origin(url);
  if (!origin) {
    section.problem("url", origin.error().context);
    return c;
  }
  if (!origin->tls && !is_loopback(origin->host)) {
    section.problem("url", "plain HTTP is allowed on this machine only; https is wanted");
  }
  c.origin = *std::move(origin);
  return c;
}

}  // namespace

std::vector<PeerConfig> read_peers(config::Section& root) {
  std::vector<PeerConfig> peers;
  for (auto& section : root.tables({"peer", "a region whose rows are taken"})) {
    auto one = read_peer(section);
    const auto same = [&](const PeerConfig& other) { return other.peer == one.peer; };
    if (std::any_of(peers.begin(), peers.end(), same)) {
      section.problem("name", "this region and tenant are there already");
    }
    if (peers.size() == kPeersMax) {
      section.problem("name", "there are more than " + std::to_string(kPeersMax) + " peers");
    }
    peers.push_back(std::move(one));
  }
  return peers;
}

}  // namespace lapwing::hub
