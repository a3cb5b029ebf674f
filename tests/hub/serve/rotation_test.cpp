// SPDX-License-Identifier: Apache-2.0
/// A running agent gets its next certificate, and its hub a new authority, with the real programs
/// and a real broker; nothing is restarted that need not be, and no record is lost.
#include "shared/base/files.hpp"
#include "shared/mqtt/knock.hpp"
#include "shared/trust/certificate.hpp"
#include "shared/trust/key.hpp"
#include "tests/hub/serve/replica.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>

namespace lapwing::hub {
namespace rotation_on_a_broker {

using lapwing::testing::eventually;
using lapwing::testing::free_port;
using lapwing::testing::Process;
using lapwing::testing::Replica;
using lapwing::testing::TempDir;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

/// lapwing-agent, enrolled and running; its host's telemetry is its load.
class Agent {
 public:
  Agent(const TempDir& folder, const Replica& hub) : folder_(folder.path() / "edge-1") {
    const auto permit = Json::parse(
        hub.post("/api/v1/enrolments", {{"device", "edge-1"}, {"expires_in_s", 600}}, hub.token())
            .body);
    Process enrol({LAPWING_AGENT_PROGRAM, "enrol", "--hub", hub.url(), "--token",
                   permit["token"].get<std::string>(), "--dir", folder_.string()});
    EXPECT_EQ(enrol.wait(), 0) << enrol.err();
    const auto toml = "[agent]\ndata_dir = \"data\"\n[engine]\nsummary_interval = \"100ms\"\n" +
                      std::string("[[source]]\nkind = \"host\"\ninterval = \"100ms\"\n") +
                      "[status]\nlisten = \"127.0.0.1:" + std::to_string(port_) + "\"\n";
    EXPECT_TRUE(write_file_atomic(folder_ / "agent.toml", toml));
  }
  void start() {
    process_.emplace(std::vector<std::string>{LAPWING_AGENT_PROGRAM, "run", "--config",
                                              (folder_ / "agent.toml").string()});
    ASSERT_TRUE(eventually([&] { return connected(); })) << process_->err();
  }
  bool connected() const {
    const auto status = Json::parse(get("/api/v1/status"), nullptr, false);
    return status.is_object() && status["uplink"]["connected"].get<bool>();
  }
  std::string get(const std::string& target) const {
    const http::Client client(
        {.origin = http::parse_origin("http://127.0.0.1:" + std::to_string(port_)).value(),
         .ca_file = {},
         .bearer = {}});
    auto response = client.get(target);
    return response ? response->body : "";
  }
  double metric(const std::string& name) const {
    const auto text = get("/metrics");
    const auto at = text.find("\nlapwing_" + name + " ");
    return at == std::string::npos ? 0 : std::stod(text.substr(at + name.size() + 10));
  }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  Process& process() { return *process_; }

 private:
  std::filesystem::path folder_;
  std::uint16_t port_ = free_port();
  std::optional<Process> process_;
};

/// Records go on arriving, and the account adds up.
void expect_going_on(const Replica& hub, Agent& agent) {
  const auto before = hub.device("edge-1")["watermark"].get<std::uint64_t>();
  EXPECT_TRUE(eventually([&] {
    return hub.device("edge-1")["watermark"].get<std::uint64_t>() > before + 20;
  })) << agent.process().err();
  const auto row = hub.device("edge-1");
  EXPECT_EQ(row["epoch"], 1);
  EXPECT_EQ(row["lost"], 0);
  EXPECT_EQ(row["produced"].get<std::uint64_t>(),
            row["stored"].get<std::uint64_t>() + row["outstanding"].get<std::uint64_t>());
}

TEST(DeviceCertificate, IsRenewedUnderLoadWithoutARestart) {
  const TempDir folder;
  Replica hub(folder.path() / "hub", "", {});
  hub.set("LAPWING__CERTIFICATES__DEVICE_LIFETIME", "7s");
  ASSERT_NO_FATAL_FAILURE(hub.start());
  Agent agent(folder, hub);
  const auto since = std::chrono::steady_clock::now();
  ASSERT_NO_FATAL_FAILURE(agent.start());
  const auto first = hub.device("edge-1")["certificate_expires"];
  ASSERT_TRUE(eventually([&] { return agent.metric("certificate_renewals_total") >= 1; }))
      << agent.process().err() << hub.hub().err();
  std::cout << "renewed after "
            << std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count()
            << " s of 7 s\n";
  ASSERT_TRUE(eventually([&] { return agent.connected(); }));
  EXPECT_NE(hub.device("edge-1")["certificate_expires"], first);
  EXPECT_GT(agent.metric("certificate_expires_seconds"), 2);
  EXPECT_THAT(hub.metrics(), HasSubstr("lapwing_hub_certificates_renewed_total 1"));
  expect_going_on(hub, agent);
  EXPECT_TRUE(agent.process().running());
  EXPECT_EQ(agent.process().stop(), 0);
}

TEST(Authority, IsReplacedWhileDevicesGoOn) {
  const TempDir folder;
  Replica hub(folder.path() / "hub", "", {});
  hub.set("LAPWING__CERTIFICATES__MOVE_WITHIN", "1s");
  ASSERT_NO_FATAL_FAILURE(hub.start());
  Agent agent(folder, hub);
  ASSERT_NO_FATAL_FAILURE(agent.start());
  const auto of_agent = [&](const char* name) {
    return read_file(agent.folder() / name, 65'536).value();
  };
  const auto old_certificate = of_agent("device.pem");
  const auto old_key = of_agent("device.key");
  const auto tool = [&](const std::vector<std::string>& words) {
    std::vector<std::string> argv{LAPWING_HUB_PROGRAM};
    argv.insert(argv.end(), words.begin(), words.end());
    argv.insert(argv.end(), {"--config", hub.toml()});
    Process process(argv);
    EXPECT_EQ(process.wait(), 0) << process.err();
    return process.out();
  };

  // Both are trusted, the new one signs; the servers still show what every device trusts.
  const auto since = std::chrono::steady_clock::now();
  EXPECT_THAT(tool({"authority", "rotate"}), HasSubstr("next:"));
  hub.hub().signal(SIGHUP);
  ASSERT_TRUE(eventually([&] {
    return hub.metrics().find("lapwing_hub_devices_of_earlier_authority 0\n") !=
               std::string::npos &&
           agent.metric("certificate_renewals_total") >= 1;
  })) << hub.hub().err()
      << agent.process().err();
  std::cout << "the device moved to the new authority "
            << std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count()
            << " s after it was made\n";
  EXPECT_EQ(of_agent("ca.pem"), read_file(hub.folder() / "ca.pem", 65'536).value());
  ASSERT_TRUE(eventually([&] { return agent.connected(); }));
  expect_going_on(hub, agent);

  // The old one goes, with hub and broker started anew; the agent is not.
  EXPECT_EQ(hub.hub().stop(), 0);
  const auto status = tool({"authority", "status"});
  EXPECT_THAT(status, HasSubstr("1 devices"));
  EXPECT_THAT(status, HasSubstr("0 devices"));
  EXPECT_THAT(tool({"authority", "retire"}), HasSubstr("restart the broker"));
  hub.broker().stop();
  ASSERT_NO_FATAL_FAILURE(hub.start());
  ASSERT_TRUE(eventually([&] { return agent.connected(); })) << agent.process().err();
  expect_going_on(hub, agent);
  EXPECT_EQ(
      trust::Certificate::all_from_pem(read_file(hub.folder() / "ca.pem", 65'536).value())->size(),
      1U);
  const auto knocked = mqtt::knock({.host = "localhost",
                                    .port = hub.mqtt_port(),
                                    .ca_file = hub.folder() / "ca.pem",
                                    .certificate_pem = old_certificate,
                                    .key_pem = Secret<std::string>(old_key),
                                    .client_id = "acme/edge-1"},
                                   [] { return false; });
  EXPECT_FALSE(knocked) << "a certificate of the old authority is worth nothing";
  EXPECT_TRUE(agent.process().running());
}

}  // namespace rotation_on_a_broker
}  // namespace lapwing::hub
