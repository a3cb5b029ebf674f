// SPDX-License-Identifier: Apache-2.0
// The agent's commands as users run them: the real program, as a process.
#include "shared/base/files.hpp"
#include "shared/base/hex.hpp"
#include "shared/http/client.hpp"
#include "shared/http/server.hpp"
#include "shared/release/signed.hpp"
#include "shared/trust/authority.hpp"
#include "tests/agent/cli/support.hpp"
#include "tests/support/broker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace lapwing::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

TEST(AgentCommands, VersionAndDetectorsAreTold) {
  EXPECT_THAT(agent({"version"}).out, HasSubstr("lapwing-agent " LAPWING_VERSION));
  const auto detectors = agent({"detectors"});
  EXPECT_EQ(detectors.code, 0);
  EXPECT_THAT(detectors.out, AllOf(HasSubstr("auto"), HasSubstr("ewma"), HasSubstr("ns a reading"),
                                   HasSubstr("memory = 1000 (50 .. 100000): readings over which")));
  const auto json = nlohmann::json::parse(agent({"detectors", "--json"}).out);
  const auto named = [&](std::string_view name) {
    return *std::find_if(json.begin(), json.end(),
                         [&](const auto& k) { return k["name"] == name; });
  };
  EXPECT_EQ(named("ewma")["input"], "stream");
  EXPECT_EQ(named("seasonal")["parameters"][0]["default"], 1000);
  EXPECT_GT(named("auto")["state_bytes_max"], 0);
}

TEST(AgentCommands, TheExampleConfigurationIsAccepted) {
  const auto said =
      agent({"check-config", "--config", LAPWING_SOURCE "/packaging/agent.example.toml"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("is fine: 2 sources, 2 watches"));
}

TEST(AgentCommands, TheReferenceInTheDocumentsIsUpToDate) {
  const auto said = agent({"check-config", "--reference"});
  EXPECT_EQ(said.code, 0);
  const auto kept = read_file(LAPWING_SOURCE "/docs/reference/configuration.md", kTextMax);
  ASSERT_TRUE(kept) << kept.error().context;
  EXPECT_EQ(*kept, said.out)
      << "run: lapwing-agent check-config --reference > docs/reference/configuration.md";
  for (const auto* section : {"[agent]", "[log]", "[[source]]", "[[watch]]", "[engine]", "[outbox]",
                              "[uplink]", "[quarantine]", "[status]"}) {
    EXPECT_THAT(said.out, HasSubstr("## `" + std::string(section) + "`"));
  }
}

TEST(AgentCommands, ReplayPrintsAnomaliesAndDrawsThem) {
  const TempDir folder;
  const auto csv = folder.put("pump.csv", readings(2000));
  const auto svg = folder.path() / "out.svg";
  const auto said = agent({"replay", csv.string(), "--plot", svg.string()});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("anomal"));
  const auto drawn = read_file(svg, kTextMax);
  ASSERT_TRUE(drawn);
  EXPECT_THAT(*drawn, HasSubstr("<svg"));
  const auto json = agent({"replay", csv.string(), "--json"});
  const auto report = nlohmann::json::parse(json.out);
  EXPECT_EQ(report["readings"], 2000);
  ASSERT_GE(report["anomalies"].size(), 1U);
  EXPECT_EQ(report["anomalies"][0]["onset"], "2023-11-14T22:45:00.000000Z");
}

/// Readings of a pump with an anomaly, and the configuration that scores them; its path.
std::filesystem::path put_pump(const TempDir& folder) {
  folder.put("pump.csv", readings(2000));
  return folder.put("agent.toml",
                    "[[source]]\nkind = \"csv\"\nname = \"pump\"\nfile = "
                    "\"pump.csv\"\ntime_path = \"timestamp\"\n"
                    "[status]\nenabled = false\n");
}

TEST(AgentRun, ScoresAFileIntoTheOutboxWithoutAHub) {
  const TempDir folder;
  const auto file = put_pump(folder);
  const auto run = agent({"run", "--config", file.string(), "--until-finished"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("no [uplink]"));
  const auto stats = agent({"outbox", "stats", "--config", file.string(), "--json"});
  ASSERT_EQ(stats.code, 0) << stats.err;
  const auto figures = nlohmann::json::parse(stats.out);
  EXPECT_EQ(figures["acknowledged"], 0);
  EXPECT_GE(figures["waiting"]["anomaly"]["records"], 1);
  const auto text = agent({"outbox", "stats", "--config", file.string()});
  EXPECT_THAT(text.out, HasSubstr("never met a hub"));
  const auto exported =
      agent({"outbox", "export", "--data-dir", (folder.path() / "data").string()});
  ASSERT_EQ(exported.code, 0) << exported.err;
  std::istringstream lines(exported.out);
  std::uint64_t seq = 0;
  bool opened = false;
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    EXPECT_EQ(record["seq"], ++seq);
    opened |= record["class"] == "anomaly" && record["phase"] == "opened";
  }
  EXPECT_EQ(seq + 1, figures["next_seq"]);
  EXPECT_TRUE(opened);
}

TEST(AgentOutbox, IsVerifiedAndRepaired) {
  const TempDir folder;
  const auto file = put_pump(folder);
  ASSERT_EQ(agent({"run", "--config", file.string(), "--until-finished"}).code, 0);
  const auto outbox = [&](const char* what) {
    return agent({"outbox", what, "--config", file.string()});
  };
  const auto sound = outbox("verify");
  EXPECT_EQ(sound.code, 0) << sound.err;
  EXPECT_THAT(sound.out, HasSubstr("the outbox is sound"));
  EXPECT_EQ(outbox("repair").code, 0) << "nothing to repair";
  const auto database = folder.path() / "data" / "outbox.db";
  EXPECT_FALSE(std::filesystem::exists(database.string() + ".damaged-1"));

  const auto half = std::filesystem::file_size(database) / 2;
  std::filesystem::resize_file(database, half - half % 4096);
  const auto damaged = outbox("verify");
  EXPECT_EQ(damaged.code, kFailed);
  EXPECT_THAT(damaged.out, HasSubstr("PROBLEM"));
  EXPECT_THAT(damaged.out, HasSubstr("outbox repair"));
  {
    const auto held = FileLock::take(folder.path() / "data" / "agent.lock");
    ASSERT_TRUE(held);
    const auto refused = outbox("repair");
    EXPECT_EQ(refused.code, kFailed);
    EXPECT_THAT(refused.err, HasSubstr("stop it first"));
  }
  const auto repaired = outbox("repair");
  EXPECT_EQ(repaired.code, 0) << repaired.err;
  EXPECT_THAT(repaired.out, HasSubstr("kept aside"));
  EXPECT_THAT(repaired.out, HasSubstr("the hub will be told"));
  EXPECT_TRUE(std::filesystem::exists(database.string() + ".damaged-1"));
  EXPECT_EQ(outbox("verify").code, 0);
  const auto report = agent({"outbox", "verify", "--config", file.string(), "--json"});
  EXPECT_TRUE(nlohmann::json::parse(report.out)["sound"]);
}

TEST(AgentRun, ServesItsStatusAndStopsCleanly) {
  const TempDir folder;
  const auto port = free_port();
  const auto file =
      folder.put("agent.toml",
                 "[agent]\nname = \"line-3\"\n[[source]]\nkind = \"host\"\ninterval = \"100ms\"\n"
                 "[status]\nlisten = \"127.0.0.1:" +
                     std::to_string(port) + "\"\n");
  Process process(agent_argv({"run", "--config", file.string()}));
  ASSERT_TRUE(process.wait_for("agent runs")) << process.err();
  const http::Client client(
      {.origin = *http::parse_origin("http://127.0.0.1:" + std::to_string(port))});
  const auto ask = [&](std::string_view path) {
    const auto response = client.get(path);
    return response && response->status == 200 ? response->body : "no";
  };
  EXPECT_TRUE(eventually([&] { return ask("/health/ready") != "no"; }));
  EXPECT_TRUE(eventually([&] {
    const auto status = nlohmann::json::parse(ask("/api/v1/status"), nullptr, false);
    return status.is_object() && status["name"] == "line-3" && status["streams"] > 3 &&
           status["readings_total"] > 10;
  }));
  // Two pages give every stream once.
  const auto first = nlohmann::json::parse(ask("/api/v1/streams?limit=2"));
  ASSERT_EQ(first["items"].size(), 2U);
  const auto second = nlohmann::json::parse(
      ask("/api/v1/streams?limit=2&cursor=" + first["next_cursor"].get<std::string>()));
  EXPECT_LT(first["items"][1]["stream"], second["items"][0]["stream"]);
  EXPECT_EQ(client.get("/api/v1/streams?cursor=xyz")->status, 400U);
  const auto metrics = ask("/metrics");
  for (const auto* name :
       {"lapwing_agent_info", "lapwing_readings_total", "lapwing_predictions_total"}) {
    EXPECT_THAT(metrics, HasSubstr(name));
  }
  EXPECT_EQ(process.stop(), 0) << process.err();
  EXPECT_THAT(process.err(), HasSubstr("agent stops"));
}

TEST(AgentRun, KeepsTheLastGoodConfigurationAtSighup) {
  const TempDir folder;
  const std::string rest = "[[source]]\nkind = \"host\"\n[status]\nenabled = false\n";
  const auto file = folder.put("agent.toml", "[log]\nlevel = \"info\"\n" + rest);
  Process process(agent_argv({"run", "--config", file.string()}));
  ASSERT_TRUE(process.wait_for("agent runs")) << process.err();
  folder.put("agent.toml", "[log]\nlevle = \"debug\"\n" + rest);
  process.signal(SIGHUP);
  ASSERT_TRUE(process.wait_for("the last good one stays")) << process.err();
  EXPECT_THAT(process.err(), HasSubstr("levle"));
  folder.put("agent.toml", "[log]\nformat = \"json\"\n" + rest);
  process.signal(SIGHUP);
  ASSERT_TRUE(process.wait_for("\"msg\":\"configuration reloaded\"")) << process.err();
  EXPECT_EQ(process.stop(), 0);
}

TEST(AgentRun, RunsWithTheNewConfigurationAfterSighup) {
  const TempDir folder;
  const std::string source = "[[source]]\nkind = \"host\"\ninterval = \"100ms\"\n";
  const auto served_at = [](std::uint16_t port) {
    return "[status]\nlisten = \"127.0.0.1:" + std::to_string(port) + "\"\n";
  };
  const auto status_name = [](std::uint16_t port) -> std::string {
    const http::Client client(
        {.origin = *http::parse_origin("http://127.0.0.1:" + std::to_string(port))});
    const auto response = client.get("/api/v1/status");
    if (!response) return {};
    return nlohmann::json::parse(response->body, nullptr, false).value("name", "");
  };
  const auto port = free_port();
  const auto file = folder.put("agent.toml", source + served_at(port));
  Process process(agent_argv({"run", "--config", file.string()}));
  ASSERT_TRUE(process.wait_for("agent runs")) << process.err();

  folder.put("agent.toml", "[agent]\nname = \"renamed\"\n" + source + served_at(port));
  process.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return status_name(port) == "renamed"; })) << process.err();
  EXPECT_THAT(process.err(), HasSubstr("edited=[agent]"));

  // What cannot be started is given up for what could.
  const TempDir other_folder;
  const auto taken = free_port();
  const auto other_file = other_folder.put("agent.toml", source + served_at(taken));
  Process other(agent_argv({"run", "--config", other_file.string()}));
  ASSERT_TRUE(other.wait_for("agent runs")) << other.err();
  folder.put("agent.toml", "[agent]\nname = \"lost\"\n" + source + served_at(taken));
  process.signal(SIGHUP);
  ASSERT_TRUE(process.wait_for("back to the last good one")) << process.err();
  EXPECT_TRUE(eventually([&] { return status_name(port) == "renamed"; })) << process.err();
  EXPECT_EQ(process.stop(), 0) << process.err();
}

TEST(AgentRun, KeepsWhatItLearntAcrossARestart) {
  const TempDir folder;
  folder.put("pump.csv", readings(2000));
  const auto file = folder.put("agent.toml",
                               "[[source]]\nkind = \"csv\"\nfile = \"pump.csv\"\ntime_path = "
                               "\"timestamp\"\n[status]\nenabled = false\n");
  ASSERT_EQ(agent({"run", "--config", file.string(), "--until-finished"}).code, 0);
  const auto again = agent({"run", "--config", file.string(), "--until-finished"},
                           {{"LAPWING__LOG__LEVEL", "debug"}});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("restored"));
}

/// Stands in for systemd: what a service tells it.
class NotifySocket {
 public:
  NotifySocket() : path_(folder_.path() / "notify"), socket_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("notify socket");
    }
  }
  ~NotifySocket() { ::close(socket_); }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  [[nodiscard]] std::string path() const { return path_.string(); }
  /// Waits until it heard `text`.
  bool heard(std::string_view text) {
    return eventually([&] {
      std::array<char, 256> buffer{};
      for (;;) {
        const auto length = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (length <= 0) break;
        all_ += std::string(buffer.data(), static_cast<std::size_t>(length)) + "\n";
      }
      return all_.find(text) != std::string::npos;
    });
  }

 private:
  TempDir folder_;
  std::filesystem::path path_;
  int socket_;
  std::string all_;
};

TEST(AgentRun, TellsSystemdThatItIsReadyAliveAndStopping) {
  const TempDir folder;
  NotifySocket systemd;
  const auto file =
      folder.put("agent.toml", "[[source]]\nkind = \"host\"\n[status]\nenabled = false\n");
  Process process(agent_argv({"run", "--config", file.string()}),
                  {{"NOTIFY_SOCKET", systemd.path()}, {"WATCHDOG_USEC", "400000"}});
  EXPECT_TRUE(systemd.heard("READY=1")) << process.err();
  EXPECT_TRUE(systemd.heard("WATCHDOG=1"));
  EXPECT_EQ(process.stop(), 0);
  EXPECT_TRUE(systemd.heard("STOPPING=1"));
}

/// Stands in for a hub's enrolment: signs what the token allows, once.
class EnrolmentServer {
 public:
  EnrolmentServer()
      : authority_(*trust::Authority::create("test hub", {.now = now(), .lifetime = 24h})) {
    http::Router router;
    router.add(http::Method::post, "/api/v1/enrol", [this](const http::Request& request) {
      const auto body = nlohmann::json::parse(request.body);
      if (body["token"] != "lwe_good")
        return http::problem(403, "the token is unknown, used or expired");
      const auto certificate = authority_.issue_device(
          body["csr"].get<std::string>(), "plant1/edge-1", {.now = now(), .lifetime = 24h});
      if (!certificate) return http::problem(certificate.error());
      return http::json_response(nlohmann::json{
          {"certificate", certificate->pem()},
          {"ca", authority_.certificate().pem()},
          {"tenant", "plant1"},
          {"device", "edge-1"},
          {"mqtt", {{"host", "hub.example"}, {"port", 8883}}},
          {"keys", keys()}}.dump());
    });
    server_ = *http::Server::start({}, std::move(router));
  }
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(server_->port());
  }

  /// A key list, as bytes.
  static std::string key_list() {
    const auto root = trust::PrivateKey::generate_ed25519();
    release::Signed list(release::KeyList{.number = 1,
                                          .threshold = 1,
                                          .roots = {root->public_pem()},
                                          .releases = {root->public_pem()},
                                          .hubs = {root->public_pem()},
                                          .expires = now() + 24h});
    EXPECT_TRUE(list.sign(*root));
    return list.encode();
  }
  std::string keys() const {
    const std::lock_guard lock(mutex_);
    return keys_;
  }
  void set_keys(std::string keys) {
    const std::lock_guard lock(mutex_);
    keys_ = std::move(keys);
  }

 private:
  mutable std::mutex mutex_;
  std::string keys_ = hex(key_list());
  trust::Authority authority_;
  std::unique_ptr<http::Server> server_;
};

TEST(AgentEnrol, WritesAnIdentityThatTheNextCommandsUse) {
  EnrolmentServer hub;
  const TempDir folder;
  const auto directory = folder.path() / "edge-1";
  const auto token = folder.put("token", "lwe_good\n");
  const auto said = agent(
      {"enrol", "--hub", hub.url(), "--token-file", token.string(), "--dir", directory.string()});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out,
              AllOf(HasSubstr("enrolled as plant1/edge-1"), HasSubstr("lapwing-agent run")));
  EXPECT_EQ(hex(read_file(directory / "keys.lwk", 1U << 20U).value()), hub.keys());
  for (const auto* name : {"device.key", "device.pem", "ca.pem", "keys.lwk"}) {
    struct stat info {};
    ASSERT_EQ(::stat((directory / name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(directory / "device.key.new"));
  std::ofstream(directory / "agent.toml")
      << "[[source]]\nkind = \"host\"\n[status]\nenabled = false\n";
  const auto config = (directory / "agent.toml").string();
  EXPECT_EQ(agent({"check-config", "--config", config}).code, 0);
  EXPECT_THAT(
      agent({"doctor", "--config", config}).out,
      AllOf(HasSubstr("ok    identity: this device is plant1/edge-1"), HasSubstr("ok    hub key")));
  // A second time only if told to.
  const auto again =
      agent({"enrol", "--hub", hub.url(), "--token", "lwe_good", "--dir", directory.string()});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, AllOf(HasSubstr("device.pem"), HasSubstr("--replace")));
  EXPECT_EQ(agent({"enrol", "--hub", hub.url(), "--token", "lwe_good", "--replace", "--dir",
                   directory.string()})
                .code,
            0);
  // What it trusts from its first moment on must be what it is said to be.
  for (const std::string& wrong : {std::string("xyz"), hex("no list")}) {
    hub.set_keys(wrong);
    const auto refused = agent({"enrol", "--hub", hub.url(), "--token", "lwe_good", "--replace",
                                "--dir", directory.string()});
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("the key list received"));
  }
}

TEST(AgentEnrol, SaysWhyItWasRefusedAndLeavesNothingBehind) {
  const EnrolmentServer hub;
  const TempDir folder;
  const auto directory = folder.path() / "edge-1";
  const auto said =
      agent({"enrol", "--hub", hub.url(), "--token", "lwe_secret", "--dir", directory.string()});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, AllOf(HasSubstr(hub.url()), HasSubstr("the token is unknown"),
                              HasSubstr("ask for a new one"), Not(HasSubstr("lwe_secret"))));
  EXPECT_FALSE(std::filesystem::exists(directory / "device.key"));
  EXPECT_FALSE(std::filesystem::exists(directory / "device.key.new"));
  const auto away = agent({"enrol", "--hub", "http://127.0.0.1:" + std::to_string(free_port()),
                           "--token", "x", "--dir", directory.string()});
  EXPECT_EQ(away.code, 1);
  EXPECT_EQ(agent({"enrol", "--hub", hub.url(), "--dir", directory.string()}).code, 2);
  const auto plain = agent(
      {"enrol", "--hub", "http://hub.example:8443", "--token", "x", "--dir", directory.string()});
  EXPECT_EQ(plain.code, 2);
  EXPECT_THAT(plain.err, HasSubstr("https://"));
}

}  // namespace
}  // namespace lapwing::testing
