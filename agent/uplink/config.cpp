// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/config.hpp"

#include "shared/base/config.hpp"

namespace lapwing::agent {
namespace {

HubEndpoint read_hub(config::Section& section, const UplinkConfig& uplink) {
  HubEndpoint hub;
  hub.host = section.required_text({"host", "host name of this hub's broker"});
  hub.port = static_cast<std::uint16_t>(
      section.integer({"port", "port of its broker (MQTT over TLS)"}, hub.port, 1, 65535));
  hub.priority = static_cast<std::uint32_t>(section.integer(
      {"priority", "lower first; hubs of one priority are equally good, tried in random order"},
      hub.priority, 0, 1000));
  hub.ca_file = section.path(
      {"ca_file", "certificate of its authority (PEM); absent: that of [uplink]"}, uplink.ca_file);
  if (hub.ca_file.empty() && !section.describing()) {
    section.problem("ca_file", "is missing, here and in [uplink]: `lapwing-agent enrol` makes it");
  }
  return hub;
}

}  // namespace

std::vector<HubEndpoint> UplinkConfig::endpoints() const {
  if (!hubs.empty() || host.empty()) return hubs;
  return {{.host = host, .port = port, .ca_file = ca_file}};
}

UplinkConfig UplinkConfig::read(config::Section section) {
  using std::chrono::hours;
  using std::chrono::minutes;
  using std::chrono::seconds;
  UplinkConfig c;
  c.host =
      section.text({"host", "host name of the hub's broker; without it the agent works alone"}, "");
  c.port = static_cast<std::uint16_t>(
      section.integer({"port", "port of the hub's broker (MQTT over TLS)"}, c.port, 1, 65535));
  c.ca_file = section.path({"ca_file", "certificate of the hub's authority (PEM)"}, "");
  c.certificate_file = section.path(
      {"certificate_file", "this device's certificate (PEM), from `lapwing-agent enrol`"}, "");
  c.key_file = section.path({"key_file", "its private key (PEM)"}, "");
  c.batch_records_max = static_cast<std::uint32_t>(section.integer(
      {"batch_records_max", "records in one message", "records"}, c.batch_records_max, 1, 10'000));
  c.batch_bytes_max =
      section.bytes({"batch_bytes_max", "bytes in one message, before compression", "bytes"},
                    c.batch_bytes_max, 4096, std::uint64_t{1} << 20);
  c.pace_bytes_per_second = section.bytes(
      {"pace", "most bytes of records sent in a second, before compression; 0 is no limit",
       "bytes per second"},
      0, 0, std::uint64_t{1} << 30);
  c.live_backlog = static_cast<std::uint64_t>(section.integer(
      {"live_backlog",
       "records behind from which new ones are also sent at once, ahead of the backlog", "records"},
      static_cast<std::int64_t>(c.live_backlog), 100, 1'000'000'000));
  c.answer_timeout = section.duration(
      {"answer_timeout", "how long the hub may take to answer before it is asked again"},
      c.answer_timeout, std::chrono::milliseconds(100), minutes(5));
  c.status_interval =
      section.duration({"status_interval", "how often the device reports its own figures"},
                       c.status_interval, seconds(1), hours(1));
  c.keep_alive = section.duration(
      {"keep_alive", "MQTT keep-alive: a dead connection is noticed after 1.5 times this"},
      c.keep_alive, seconds(5), minutes(10));
  c.reconnect_max = section.duration({"reconnect_max", "longest wait between attempts to connect"},
                                     c.reconnect_max, seconds(1), hours(1));
  c.failover_after = section.duration(
      {"failover_after",
       "how long no hub of a better priority may have welcomed the agent before the next is tried"},
      c.failover_after, seconds(1), hours(1));
  c.failback_after = section.duration(
      {"failback_after",
       "how long a better hub must be reachable without a break before the agent goes back to it"},
      c.failback_after, seconds(1), hours(7 * 24));
  for (auto& hub : section.tables({"hub",
                                   "One of several hubs, instead of [uplink] host and port; the "
                                   "agent fails over from one to the next and back"})) {
    c.hubs.push_back(read_hub(hub, c));
  }
  if (section.describing()) c.hubs.clear();
  if (!c.host.empty() && !c.hubs.empty()) {
    section.problem("host",
                    "and [[uplink.hub]] are both given; make host and port one of the "
                    "[[uplink.hub]] and remove them here");
  }
  if (c.hubs.size() > kHubsMax) {
    section.problem("hub", "is given " + std::to_string(c.hubs.size()) + " times; at most " +
                               std::to_string(kHubsMax) + " are tried");
  }
  if (c.enabled()) {
    for (const auto& [name, file] : {std::pair{"ca_file", &c.ca_file},
                                     {"certificate_file", &c.certificate_file},
                                     {"key_file", &c.key_file}}) {
      const bool elsewhere = file == &c.ca_file && !c.hubs.empty();  // each has its own
      if (file->empty() && !elsewhere) {
        section.problem(name,
                        "is missing; with a hub it is required: `lapwing-agent enrol` makes it");
      }
    }
  }
  return c;
}

}  // namespace lapwing::agent
