// SPDX-License-Identifier: Apache-2.0
#include "hub/sink/config.hpp"

#include "shared/base/config.hpp"
#include "shared/wire/topics.hpp"

namespace lapwing::hub {
namespace {

void read_access(config::Section& section, SinkConfig& c) {
  c.tls = section.flag({"tls", "TLS to the brokers"}, c.tls);
  c.ca_file = section.path({"ca_file", "authority of the brokers (PEM); empty: the system's"}, {});
  c.certificate_file =
      section.path({"certificate_file", "certificate shown to the brokers (PEM)"}, {});
  c.key_file = section.path({"key_file", "its key (PEM)"}, {});
  c.key_password = section.secret({"key_password", "of the key"});
  c.sasl = section.choice({"sasl", "how the hub proves who it is"}, c.sasl,
                          {"none", "plain", "scram-sha-256", "scram-sha-512"});
  c.username = section.text({"username", "for sasl"}, "");
  c.password = section.secret({"password", "for sasl"});
  const bool files =
      !c.ca_file.empty() || !c.certificate_file.empty() || !c.key_file.empty() || c.key_password;
  if (!c.tls && files && !section.describing()) {
    section.problem("tls", "is false, and certificates are of use with tls = true only");
  }
  if (c.certificate_file.empty() != c.key_file.empty()) {
    section.problem("certificate_file", "and key_file belong together");
  }
  if ((c.sasl == "none") != (c.username.empty() && !c.password)) {
    section.problem("sasl", "and username, password belong together");
  } else if (c.sasl != "none" && (c.username.empty() || !c.password)) {
    section.problem("sasl", "\"" + c.sasl + "\" needs username and password_file");
  }
  if (c.sasl == "plain" && !c.tls) {
    section.problem("sasl", "\"plain\" would send the password in the open: set tls = true");
  }
}

std::set<wire::RecordClass> read_classes(config::Section& section) {
  std::set<wire::RecordClass> classes;
  const auto words =
      section.texts({"classes", "which records: anomaly, summary, loss"}, {"anomaly"});
  for (const auto& word : words) {
    if (word == "anomaly") {
      classes.insert(wire::RecordClass::anomaly);
    } else if (word == "summary") {
      classes.insert(wire::RecordClass::summary);
    } else if (word == "loss") {
      classes.insert(wire::RecordClass::loss);
    } else {
      section.problem("classes", "holds \"" + word + "\"; allowed: anomaly, summary, loss");
    }
  }
  if (words.empty()) section.problem("classes", "is empty: nothing would be handed on");
  return classes;
}

}  // namespace

SinkConfig SinkConfig::read(config::Section& section) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  SinkConfig c;
  c.name = section.text({"name", "of its spool and metrics"}, c.name);
  if (!wire::valid_name(c.name)) {
    section.problem("name", "\"" + c.name + "\": 1 to 64 of A-Z a-z 0-9 . _ - are allowed");
  }
  section.choice({"kind", "what takes the records"}, "kafka", {"kafka"});
  c.brokers = section.required_text({"brokers", "host:port, several separated by commas"});
  c.topic = section.required_text({"topic", "where records go"});
  c.classes = read_classes(section);
  const auto delivery =
      section.choice({"delivery",
                      "after_commit: records wait in the store for Kafka, devices do not;"
                      " before_ack: devices are answered when Kafka has the records"},
                     "after_commit", {"after_commit", "before_ack"});
  c.delivery = delivery == "before_ack" ? Delivery::before_ack : Delivery::after_commit;
  c.timeout = section.duration(
      {"timeout", "before_ack: how long Kafka may take before devices must send again"}, c.timeout,
      seconds(1), seconds(8));
  c.spool_rows_max = static_cast<std::uint64_t>(section.integer(
      {"spool_rows", "records waiting for Kafka; beyond it the oldest are given up", "records"},
      1'000'000, 1'000, 1'000'000'000));
  c.spool_bytes_max = section.bytes({"spool_bytes", "likewise their size", "bytes"},
                                    c.spool_bytes_max, 1U << 20U, std::uint64_t{1} << 40U);
  c.linger = section.duration({"linger", "how long a record may wait for others"}, c.linger,
                              Micros(0), seconds(1));
  c.compression = section.choice({"compression", "of what is sent"}, c.compression,
                                 {"none", "gzip", "snappy", "lz4", "zstd"});
  c.client_id = section.text({"client_id", "as the brokers' logs name the hub"}, c.client_id);
  read_access(section, c);
  return c;
}

std::vector<SinkConfig> read_sinks(config::Section& root) {
  std::vector<SinkConfig> sinks;
  std::set<std::string> names;
  for (auto& section : root.tables({"sink", "where records are handed on to"})) {
    sinks.push_back(SinkConfig::read(section));
    if (!names.insert(sinks.back().name).second) {
      section.problem("name", "\"" + sinks.back().name + "\" is another sink's already");
    }
  }
  return sinks;
}

}  // namespace lapwing::hub
