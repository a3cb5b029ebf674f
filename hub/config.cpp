// SPDX-License-Identifier: Apache-2.0
#include "hub/config.hpp"

#include "shared/base/config.hpp"
#include "shared/base/hex.hpp"
#include "shared/wire/topics.hpp"

#include <array>
#include <charconv>
#include <string>
#include <unistd.h>
#include <utility>

namespace lapwing::hub {
namespace {

std::uint16_t port(config::Section& section, config::Key key, std::uint16_t fallback, int min) {
  return static_cast<std::uint16_t>(section.integer(key, fallback, min, 65'535));
}

HubMqttConfig read_mqtt(config::Section section, const std::filesystem::path& data_dir) {
  HubMqttConfig c;
  c.host = section.text({"host", "the hub's own broker, as the hub reaches it"}, c.host);
  c.port = port(section, {"port", "its TLS port"}, c.port, 1);
  c.ca_file = section.path({"ca_file", "certificate authority of broker and devices (PEM)"},
                           data_dir / "ca.pem");
  c.certificate_file = section.path({"certificate_file", "the hub's own client certificate (PEM)"},
                                    data_dir / "hub.pem");
  c.key_file = section.path({"key_file", "its key (PEM)"}, data_dir / "hub.key");
  const auto reload = section.text(
      {"reload",
       "how the broker is made to read its files anew: pid:FILE (SIGHUP), command:LINE, or none"},
      "pid:" + (data_dir / "mosquitto.pid").string());
  if (auto parsed = BrokerReload::parse(reload)) {
    c.reload = *std::move(parsed);
  } else {
    section.problem("reload", "is " + parsed.error().context);
  }
  c.public_host =
      section.text({"public_host", "where devices reach the broker; told at enrolment"}, c.host);
  c.public_port = port(section, {"public_port", "likewise the port"}, c.port, 1);
  return c;
}

bool is_loopback(const std::string& address) {
  return address == "::1" || address.starts_with("127.");
}

/// `127.0.0.1:8443` or `[::1]:8443` into address and port; false when it is neither.
bool read_listen(std::string_view text, HubHttpConfig& c) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  auto address = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  if (address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  } else if (address.find(':') != std::string_view::npos) {
    return false;  // IPv6 without brackets: where does the port begin?
  }
  std::uint16_t number = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (address.empty() || ec != std::errc{} || end != digits.data() + digits.size()) return false;
  c.address = address;
  c.port = number;
  return true;
}

HubHttpConfig read_http(config::Section section, const std::filesystem::path& data_dir) {
  HubHttpConfig c;
  const auto listen =
      section.text({"listen", "IP address and port; port 0 takes any free one"}, "127.0.0.1:8443");
  if (!read_listen(listen, c)) {
    section.problem("listen", "is \"" + listen +
                                  "\"; an IP address and a port are wanted, as in "
                                  "127.0.0.1:8443 or [::1]:8443");
  }
  c.tls = section.flag({"tls", "HTTPS; plain HTTP is allowed on loopback only"}, c.tls);
  c.certificate_file =
      section.path({"certificate_file", "server certificate chain (PEM)"}, data_dir / "server.pem");
  c.key_file = section.path({"key_file", "its key (PEM)"}, data_dir / "server.key");
  if (!c.tls && !is_loopback(c.address)) {
    section.problem("tls", "plain HTTP is allowed on 127.0.0.0/8 and ::1 only; " + c.address +
                               " needs tls = true");
  }
  return c;
}

std::string default_replica(const std::filesystem::path& data_dir) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string name;
  for (const char c : std::string_view(host.data()).substr(0, 48)) {
    name += wire::valid_name(std::string_view(&c, 1)) ? c : '-';
  }
  std::error_code failed;
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : std::filesystem::absolute(data_dir, failed).lexically_normal().string()) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  std::string digits;
  for (int shift = 28; shift >= 0; shift -= 4) {
    digits += kHexDigits[(hash >> static_cast<unsigned>(shift)) & 15U];
  }
  return (name.empty() ? "hub" : name) + "-" + digits;
}

void read_hub(config::Section hub, HubConfig& c) {
  auto roles = parse_roles(
      hub.texts({"roles",
                 "what this process does: any of sync (devices), api (people, programs), worker "
                 "(upkeep, jobs)"},
                {"sync", "api", "worker"}));
  if (roles) {
    c.roles = *roles;
  } else {
    hub.problem("roles", roles.error().context);
  }
  c.replica = hub.text({"replica",
                        "this process among those of one store; empty: the machine's name and a "
                        "hash of data_dir"},
                       "");
  if (c.replica.empty()) c.replica = default_replica(c.data_dir);
  if (!wire::valid_name(c.replica)) {
    hub.problem("replica", "1 to 64 of A-Z a-z 0-9 . _ - are allowed");
  }
  const Micros standard = c.store.url.empty() ? Micros(0) : Micros(std::chrono::seconds(5));
  const Micros most = std::chrono::minutes(10);
  c.drain = hub.duration({"drain",
                          "after SIGTERM: how long it goes on while /health/ready says no; 5s with "
                          "PostgreSQL, else 0"},
                         standard, Micros(0), most);
  c.handoff = hub.duration({"handoff",
                            "then: the time within which its devices leave, each at a random "
                            "moment; 0: they are not told; 5s with PostgreSQL, else 0"},
                           standard, Micros(0), most);
}

}  // namespace

HubConfig HubConfig::read(config::Section& root) {
  HubConfig c;
  auto hub = root.table({"hub", "the hub itself"});
  c.data_dir = hub.path({"data_dir", "folder of database, keys and certificates"}, "data");
  sync::Region region;
  region.number = static_cast<std::uint32_t>(
      hub.integer({"region",
                   "number of this hub among several that devices fail over between; 0: it stands "
                   "alone. All replicas of a hub have one, no two hubs the same; never change it"},
                  0, 0, wire::kRegionLast));
  region.name = hub.text({"region_name", "what agents and people call it"},
                         region.number == 0 ? "" : "region-" + std::to_string(region.number));
  if (region.name.size() > 64) hub.problem("region_name", "is longer than 64 bytes");
  auto log = root.table({"log", "what goes to stderr"});
  c.log_level =
      log.choice({"level", "least level written"}, c.log_level, {"debug", "info", "warn", "error"});
  c.log_format = log.choice({"format", "one line per event"}, c.log_format, {"logfmt", "json"});
  c.mqtt = read_mqtt(root.table({"mqtt", "the hub's own broker"}), c.data_dir);
  c.http = read_http(root.table({"http", "API, page, health and metrics"}), c.data_dir);
  auto certificates = root.table({"certificates", "how long certificates hold"});
  c.certificates = CertificatesConfig::read(certificates);
  auto models = root.table({"models", "giving models to devices"});
  c.models = ModelsConfig::read(models, c.data_dir);
  auto store = root.table({"store", "where and how much is kept"});
  c.store = StoreConfig::read(store);
  auto ingest = root.table({"ingest", "taking in what devices send"});
  c.ingest = IngestConfig::read(ingest);
  c.ingest.region = std::move(region);
  c.peers = read_peers(root);
  c.sinks = read_sinks(root);
  read_hub(hub, c);
  auto jobs = root.table({"jobs", "work that takes long, of the role worker"});
  c.job_threads = static_cast<std::size_t>(
      jobs.integer({"threads", "jobs at once; 0: other replicas do them", "jobs"}, 1, 0, 16));
  c.look_every =
      jobs.duration({"look_every",
                     "how often it looks for jobs; half as often for what is to be done "
                     "in federated rounds and upkeep"},
                    c.look_every, std::chrono::milliseconds(50), std::chrono::seconds(5));
  c.keep_jobs = jobs.duration({"keep", "how long jobs that ended, and their results, are kept"},
                              c.keep_jobs, std::chrono::hours(1), std::chrono::hours(24 * 3650));
  return c;
}

}  // namespace lapwing::hub
