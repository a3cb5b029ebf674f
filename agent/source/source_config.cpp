// SPDX-License-Identifier: Apache-2.0
#include "agent/source/source_config.hpp"

#include "shared/base/config.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace lapwing::agent {
namespace {

using namespace std::chrono_literals;

/// `mqtt://host:port` and `mqtts://host:port`, also `[::1]`; false when it is not one.
bool read_broker(std::string_view url, MqttSourceConfig& mqtt) {
  if (url.starts_with("mqtts://")) {
    mqtt.tls = true;
    mqtt.port = 8883;
    url.remove_prefix(8);
  } else if (url.starts_with("mqtt://")) {
    mqtt.tls = false;
    mqtt.port = 1883;
    url.remove_prefix(7);
  } else {
    return false;
  }
  while (url.ends_with('/')) url.remove_suffix(1);
  std::string_view port;
  if (url.starts_with('[')) {
    const std::size_t close = url.find(']');
    if (close == std::string_view::npos) return false;
    mqtt.host = url.substr(1, close - 1);
    port = url.substr(close + 1);
    if (!port.empty() && !port.starts_with(':')) return false;
  } else {
    const std::size_t colon = url.find(':');
    mqtt.host = url.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view{} : url.substr(colon);
  }
  if (mqtt.host.empty() || mqtt.host.find_first_of("/@ ?#") != std::string::npos) return false;
  if (port.empty()) return true;
  port.remove_prefix(1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), mqtt.port);
  return error == std::errc() && end == port.data() + port.size() && mqtt.port != 0;
}

std::vector<std::string> read_topics(config::Section& section, std::vector<std::string> fallback) {
  std::vector<std::string> topics = section.texts(
      {"topics", "MQTT filters of the topics wanted; `+` is any one level, `#` all that follow"},
      std::move(fallback));
  for (const std::string& topic : topics) {
    const auto problem = filter_problem(topic);
    if (!problem.empty()) {
      section.problem("topics", "`" + topic + "` is not an MQTT filter: " + std::string(problem));
    }
  }
  return topics;
}

void read_credentials(config::Section& section, MqttSourceConfig& mqtt) {
  mqtt.username = section.text({"username", "For brokers that ask for one"}, "");
  mqtt.password = section.secret({"password", "For brokers that ask for one"});
  mqtt.ca_file = section.path(
      {"ca_file", "Authority that signed the broker's certificate; absent: the system's"}, {});
  mqtt.certificate_file = section.path({"certificate_file", "This agent's certificate, PEM"}, {});
  mqtt.key_file = section.path({"key_file", "The certificate's private key, PEM"}, {});
  if (mqtt.certificate_file.empty() != mqtt.key_file.empty()) {
    section.problem(mqtt.key_file.empty() ? "certificate_file" : "key_file",
                    "certificate_file and key_file belong together: set both or neither");
  }
  const bool any = !mqtt.ca_file.empty() || !mqtt.certificate_file.empty();
  if (any && !mqtt.tls) {
    section.problem("broker", "certificates need TLS: write mqtts:// in `broker`");
  }
}

MqttSourceConfig read_mqtt(config::Section& section) {
  MqttSourceConfig mqtt;
  const std::string url =
      section.text({"broker", "Address, mqtt://host:port or, with TLS, mqtts://host:port"},
                   "mqtt://127.0.0.1:1883");
  if (!read_broker(url, mqtt)) {
    section.problem("broker", "`" + url + "` is not mqtt://host:port or mqtts://host:port");
  }
  mqtt.version =
      section.choice({"version", "MQTT version the broker speaks"}, "5", {"5", "3.1.1"}) == "5" ? 5
                                                                                                : 3;
  mqtt.client_id = section.text(
      {"client_id",
       "Fixed, unique at the broker; absent: made of the agent's and the source's names"},
      "");
  read_credentials(section, mqtt);
  mqtt.qos = static_cast<int>(
      section.integer({"qos", "Highest quality of service asked of the broker"}, 1, 0, 2));
  mqtt.persistent = section.flag(
      {"persistent", "The broker keeps messages (QoS 1 and 2) while the agent is away"}, true);
  mqtt.session_expiry = section.duration(
      {"session_expiry", "How long the broker keeps them (MQTT 5)"}, 1h, 0s, 24h * 30);
  mqtt.keep_alive =
      section.duration({"keep_alive", "A silent connection is checked this often"}, 30s, 1s, 18h);
  mqtt.gather = section.duration(
      {"gather", "Messages are decoded together for up to this long: less work, more delay"}, 20ms,
      0s, 1s);
  mqtt.buffer_bytes = static_cast<std::size_t>(section.bytes(
      {"buffer", "Raw messages waiting to be decoded; when it is full the broker has to wait"},
      std::uint64_t{4} << 20U, std::uint64_t{64} << 10U, std::uint64_t{1} << 30U));
  return mqtt;
}

CsvSourceConfig read_csv(config::Section& section) {
  CsvSourceConfig csv;
  csv.file = section.path({"file", "CSV file to replay; `-` is standard input"}, {});
  if (csv.file.filename() == "-") csv.file = "-";
  if (csv.file.empty())
    section.problem("file", "a csv source needs a file, or `-` for standard input");
  csv.paced = section.choice({"pace", "none: as fast as possible; time: as the rows' times say"},
                             "none", {"none", "time"}) == "time";
  csv.speed = section.number({"speed", "With pace = \"time\": times real time"}, 1, 1e-3, 1e6);
  return csv;
}

HostSourceConfig read_host(config::Section& section) {
  HostSourceConfig host;
  host.interval = section.duration({"interval", "Time between samples"}, 1s, 100ms, 1h);
  host.hostname = section.text(
      {"hostname", "Second level of the streams' names, host/<hostname>/…; absent: the machine's"},
      "");
  host.probe.root =
      section.path({"root", "Folder that holds proc and sys, for agents in a container"}, "/");
  host.probe.per_core = section.flag({"per_core", "Also a stream for each core"}, false);
  const std::vector<std::string> all{"cpu", "memory", "load", "disk", "network", "temperature"};
  const auto groups = section.texts({"groups", "What is sampled"}, all);
  for (const std::string& group : groups) {
    if (std::find(all.begin(), all.end(), group) == all.end()) {
      section.problem("groups",
                      "`" + group + "` is none of cpu, memory, load, disk, network, temperature");
    }
  }
  const auto has = [&](std::string_view group) {
    return std::find(groups.begin(), groups.end(), group) != groups.end();
  };
  host.probe.cpu = has("cpu");
  host.probe.memory = has("memory");
  host.probe.load = has("load");
  host.probe.disk = has("disk");
  host.probe.network = has("network");
  host.probe.temperature = has("temperature");
  return host;
}

constexpr config::Key kRouteKey{
    "route", "Topics that are decoded differently: topics, and the keys that differ"};

Route read_route(config::Section& section, const DecodeConfig& base) {
  Route route;
  route.filters = read_topics(section, {});
  if (route.filters.empty()) section.problem("topics", "a route needs the topics it is for");
  route.decode = DecodeConfig::read(section, base);
  return route;
}

void read_mqtt_source(config::Section& section, SourceConfig& source) {
  source.mqtt = read_mqtt(section);
  source.intake.cache_entries_max = static_cast<std::size_t>(section.integer(
      {"cache_entries_max", "Topics and fields whose streams are remembered", "count"}, 200000, 16,
      10000000));
  const DecodeConfig base = DecodeConfig::read(section, {});
  for (config::Section& route : section.tables(kRouteKey)) {
    source.intake.routes.push_back(read_route(route, base));
  }
  const auto topics = read_topics(section, {"#"});
  if (section.has("topics") || source.intake.routes.empty()) {
    source.intake.routes.push_back({topics, base});
  }
}

void read_csv_source(config::Section& section, SourceConfig& source) {
  source.csv = read_csv(section);
  DecodeConfig base;
  base.format = Format::csv;
  base.csv.header = true;
  base.fields_max = 1000000;
  Route route;
  route.decode = DecodeConfig::read(section, base);
  route.decode.payload_bytes_max = std::size_t{1} << 30U;  // chunks of rows, bounded by the source
  if (route.decode.format != Format::csv) {
    section.problem("format", "a csv source reads CSV: leave `format` out");
  }
  source.intake.routes.push_back(std::move(route));
}

}  // namespace

SourceConfig SourceConfig::read(config::Section& section) {
  SourceConfig source;
  const std::string kind = section.choice(
      {"kind", "Where readings come from: a broker, a CSV file, this machine's own telemetry"},
      "mqtt", {"mqtt", "csv", "host"});
  source.name = section.text({"name", "Unique; seen in status, metrics and quarantine"}, kind);
  const bool plain =
      !source.name.empty() && source.name.size() <= 64 && level_word(source.name) == source.name;
  if (!plain) section.problem("name", "1 to 64 letters, digits, `_`, `-` or `.`");
  source.intake.source = source.name;
  if (kind == "csv") {
    source.kind = SourceKind::csv;
    read_csv_source(section, source);
  } else if (kind == "host") {
    source.kind = SourceKind::host;
    source.host = read_host(section);
  } else {
    read_mqtt_source(section, source);
  }
  return source;
}

std::vector<SourceConfig> read_sources(config::Section& root) {
  std::vector<SourceConfig> sources;
  std::set<std::string> names;
  for (config::Section& section : root.tables({"source", "Where readings come from"})) {
    sources.push_back(SourceConfig::read(section));
    if (!root.has("source")) {  // a reference document: the keys of every kind
      SourceConfig unused;
      unused.csv = read_csv(section);
      unused.host = read_host(section);
      for (config::Section& route : section.tables(kRouteKey)) read_route(route, {});
    }
    if (!names.insert(sources.back().name).second) {
      section.problem("name", "`" + sources.back().name + "` is the name of another source too");
    }
  }
  return sources;
}

}  // namespace lapwing::agent
