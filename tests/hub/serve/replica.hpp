// SPDX-License-Identifier: Apache-2.0
/// The real program with its own real broker, for tests of what they do together.
#pragma once

#include "hub/fleet/init.hpp"
#include "shared/http/client.hpp"
#include "tests/support/broker.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace lapwing::testing {

/// A hub's folder with its broker and its program running.
class Replica {
 public:
  Replica(const std::filesystem::path& folder, const std::string& store_url,
          const std::filesystem::path& authority) {
    options_ = {.directory = folder,
                .authority = authority,
                .tenant = "acme",
                .hosts = {"localhost"},
                .mqtt_port = free_port(),
                .http_port = free_port(),
                .store_url = store_url,
                .run_as_root = ::geteuid() == 0};
    auto made = hub::init(options_, now());
    EXPECT_TRUE(made) << made.error().context;
    if (made && made->admin_token) token_ = made->admin_token->reveal();
  }
  void start_broker() {
    broker_.emplace(
        std::vector<std::string>{"mosquitto", "-c", (folder() / "mosquitto.conf").string()});
    ASSERT_TRUE(eventually([&] { return accepts(options_.mqtt_port); })) << broker_->err();
  }
  void start_hub() {
    hub_.emplace(std::vector<std::string>{LAPWING_HUB_PROGRAM, "serve", "--config",
                                          (folder() / "hub.toml").string()},
                 environment_);
    ASSERT_TRUE(hub_->wait_for("hub serves")) << hub_->err();
  }
  /// Settings of the hub, before it starts.
  void set(const std::string& name, const std::string& value) {
    environment_.emplace_back(name, value);
  }
  void start() {
    ASSERT_NO_FATAL_FAILURE(start_broker());
    ASSERT_NO_FATAL_FAILURE(start_hub());
    ASSERT_TRUE(hub_->wait_for("uses the newest list")) << hub_->err();
  }

  [[nodiscard]] const std::filesystem::path& folder() const { return options_.directory; }
  [[nodiscard]] std::uint16_t mqtt_port() const { return options_.mqtt_port; }
  [[nodiscard]] const std::string& token() const { return token_; }
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(options_.http_port);
  }
  /// For tools that take a configuration.
  [[nodiscard]] std::string toml() const { return (folder() / "hub.toml").string(); }
  Process& hub() { return *hub_; }
  Process& broker() { return *broker_; }
  http::Response post(const std::string& target, const nlohmann::json& body,
                      const std::string& token) const {
    const http::Client client({.origin = http::parse_origin(url()).value(),
                               .ca_file = {},
                               .bearer = Secret<std::string>(token)});
    auto response = client.post(target, body.dump());
    EXPECT_TRUE(response) << response.error().context;
    return response ? *response : http::Response{.status = 0};
  }
  std::string metrics() const { return get("/metrics", ""); }
  nlohmann::json device(const std::string& name) const {
    return nlohmann::json::parse(get("/api/v1/devices/" + name, token_), nullptr, false);
  }
  std::string get(const std::string& target, const std::string& token) const {
    const http::Client client({.origin = http::parse_origin(url()).value(),
                               .ca_file = {},
                               .bearer = Secret<std::string>(token)});
    auto response = client.get(target);
    return response ? response->body : "";
  }

 private:
  hub::InitOptions options_;
  std::string token_;
  Process::Environment environment_{{"LAPWING__HTTP__TLS", "false"}};
  std::optional<Process> broker_;
  std::optional<Process> hub_;
};

}  // namespace lapwing::testing
