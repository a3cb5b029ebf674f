// SPDX-License-Identifier: Apache-2.0
/// The texts that init writes.
#include "hub/fleet/init.hpp"
#include "shared/wire/frame.hpp"

namespace lapwing::hub {
namespace {

bool is_any(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

std::string with_port(const std::string& address, std::uint16_t port) {
  const bool v6 = address.find(':') != std::string::npos;
  return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

std::string quoted(const std::string& text) { return '"' + text + '"'; }  // no quotes inside

std::string store_section(const InitOptions& options) {
  if (options.store_url.empty()) return {};
  std::string text = "\n[store]\nurl = " + quoted(options.store_url) + "\n";
  if (!options.store_password_file.empty()) {
    std::error_code failed;
    const auto file = std::filesystem::absolute(options.store_password_file, failed);
    text += "password_file = " + quoted(file.string()) + "\n";
  }
  return text;
}

}  // namespace

std::string mosquitto_conf(const InitOptions& options) {
  const auto file = [&](const char* name) { return (options.directory / name).string(); };
  // A frame, its topic and properties.
  const std::size_t packet_bytes = wire::FrameLimits{}.frame_bytes_max + (64U << 10U);
  std::string text =
      "# SPDX-License-Identifier: Apache-2.0\n"
      "# The hub's own broker, written by `lapwing-hub init`. Start: mosquitto -c " +
      file("mosquitto.conf") + "\n";
  if (options.run_as_root) text += "user root\n";
  text += "listener " + std::to_string(options.mqtt_port) + " " + options.mqtt_listen +
          "\n"
          "cafile " +
          file("ca.pem") + "\ncertfile " + file("server.pem") + "\nkeyfile " + file("server.key") +
          "\n"
          "tls_version tlsv1.2\n"
          "# The hub writes this list and, by the number in pid_file, has it read anew.\n"
          "crlfile " +
          file("crl.pem") + "\npid_file " + file("mosquitto.pid") +
          "\n"
          "\n"
          "# A certificate of our authority is needed, and is the name: `<tenant>/<device>`.\n"
          "# The client id is that name too, so that no device can take another's connection.\n"
          "require_certificate true\n"
          "use_identity_as_username true\n"
          "use_username_as_clientid true\n"
          "allow_anonymous false\n"
          "acl_file " +
          file("acl") +
          "\n"
          "\n"
          "# Nothing is kept here: the hub acknowledges after its own commit, devices send again.\n"
          "persistence false\n"
          "retain_available false\n"
          "persistent_client_expiration 1h\n"
          "\n"
          "# Bounds. What exceeds a queue is dropped, and sent again by the device.\n"
          "max_packet_size " +
          std::to_string(packet_bytes) +
          "\n"
          "max_queued_messages 100000\n"
          "max_queued_bytes 268435456\n"
          "max_inflight_messages 1000\n"
          "max_keepalive 600\n"
          "set_tcp_nodelay true\n"
          "\n"
          "sys_interval 0\n"
          "log_dest stderr\n"
          "log_type error\n"
          "log_type warning\n"
          "log_type notice\n";
  return text;
}

std::string mosquitto_acl() {
  return "# SPDX-License-Identifier: Apache-2.0\n"
         "# %u is the certificate's name, `<tenant>/<device>`.\n"
         "pattern write lapwing/v1/%u/up/#\n"
         "pattern read lapwing/v1/%u/down/#\n"
         "\n"
         "user " +
         std::string(kHubUser) +
         "\n"
         "topic read lapwing/v1/+/+/up/#\n"
         "topic write lapwing/v1/+/+/down/#\n";
}

std::string hub_toml(const InitOptions& options) {
  const std::string mqtt_host = is_any(options.mqtt_listen) ? "127.0.0.1" : options.mqtt_listen;
  const std::string public_host = options.hosts.empty() ? "localhost" : options.hosts.front();
  return "# SPDX-License-Identifier: Apache-2.0\n"
         "# Written by `lapwing-hub init`. Start: lapwing-hub serve --config " +
         (options.directory / "hub.toml").string() +
         "\n"
         "[hub]\n"
         "data_dir = \".\"  # relative to this file\n"
         "\n"
         "[mqtt]\n"
         "host = " +
         quoted(mqtt_host) + "\nport = " + std::to_string(options.mqtt_port) +
         "\n"
         "public_host = " +
         quoted(public_host) +
         "  # what devices are told at enrolment\n"
         "public_port = " +
         std::to_string(options.public_port == 0 ? options.mqtt_port : options.public_port) +
         "\n"
         "\n"
         "[http]\n"
         "listen = " +
         quoted(with_port(options.http_listen, options.http_port)) + "\ntls = true\n" +
         store_section(options);
}

}  // namespace lapwing::hub
