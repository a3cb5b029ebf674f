// SPDX-License-Identifier: Apache-2.0
// What the agent says when it is given something wrong: the thing, the place, the remedy, the exit
// code (1 runtime, 2 usage, 78 configuration). The real program, as a process.
#include "tests/agent/cli/support.hpp"
#include "tests/support/broker.hpp"
#include "tests/support/pki.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapwing::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace std::chrono_literals;

/// A source that needs nothing.
const std::string kHost = "[[source]]\nkind = \"host\"\n";
const std::string kNoStatus = "[status]\nenabled = false\n";

TEST(AgentConfiguration, WithUnknownKeysIsRefusedNamingEachWithLineAndSuggestion) {
  const TempDir folder;
  const auto file = folder.put(
      "agent.toml", kHost + "intervall = \"1s\"\n[outbox]\nbytes_mx = \"1GiB\"\n[ingine]\nx = 1\n");
  for (const auto* command : {"check-config", "run", "doctor"}) {
    const auto said = agent({command, "--config", file.string()});
    EXPECT_EQ(said.code, kConfig) << command;
    EXPECT_THAT(said.out + said.err, AllOf(HasSubstr(file.string() + ":3: source[0].intervall: "),
                                           HasSubstr("did you mean \"interval\"?"),
                                           HasSubstr(file.string() + ":5: outbox.bytes_mx: "),
                                           HasSubstr("did you mean \"bytes_max\"?"),
                                           HasSubstr(file.string() + ":6: ingine: "),
                                           HasSubstr("did you mean \"engine\"?")))
        << command;
  }
}

TEST(AgentConfiguration, WithWrongTypesIsRefusedSayingWhatIsAllowed) {
  const TempDir folder;
  const auto file =
      folder.put("agent.toml", "[log]\nlevel = \"inof\"\n" + kHost +
                                   "interval = 5\n[engine]\nstreams_max = \"many\"\nshards = 1000\n"
                                   "[[watch]]\nalarms_per_week = -1\nmin = 5\nmax = 1\n");
  const auto said = agent({"check-config", "--config", file.string()});
  EXPECT_EQ(said.code, kConfig);
  EXPECT_THAT(
      said.err,
      AllOf(
          HasSubstr(":2: log.level: is \"inof\"; allowed: debug, info, warn, error; did you mean "
                    "\"info\"?"),
          HasSubstr(":5: source[0].interval: is the number 5; allowed: a duration"),
          HasSubstr(":7: engine.streams_max: is the text \"many\"; allowed: a whole number from 1 "
                    "to 1000000"),
          HasSubstr(":8: engine.shards: is the number 1000; allowed: a whole number from 0 to 64"),
          HasSubstr(
              ":10: watch[0].alarms_per_week: is the number -1; allowed: a number from 0.001"),
          HasSubstr(":11: watch[0].min: min must be below max")));
}

TEST(AgentConfiguration, ThatIsMissingIsNamedWithTheRemedyAndNothingElseIsGuessed) {
  const TempDir folder;
  const auto file = folder.path() / "nowhere.toml";
  for (const auto* command : {"check-config", "run", "doctor"}) {
    const auto said = agent({command, "--config", file.string()});
    EXPECT_EQ(said.code, kConfig) << command;
    EXPECT_THAT(said.out + said.err, AllOf(HasSubstr(file.string()), HasSubstr("no such file"),
                                           HasSubstr("--config"), Not(HasSubstr("source"))));
  }
}

TEST(AgentConfiguration, ThatIsNotTomlIsRefusedWithItsLine) {
  const TempDir folder;
  const auto file = folder.put("agent.toml", kHost + "name = \"unclosed\n");
  const auto said = agent({"run", "--config", file.string()});
  EXPECT_EQ(said.code, kConfig);
  EXPECT_THAT(said.err, HasSubstr(file.string() + ":3: is not TOML: "));
}

TEST(AgentConfiguration, ThatIsNotTextAtAllIsRefused) {
  const TempDir folder;
  const auto file = folder.put("agent.toml", std::string_view("\x7f"
                                                              "ELF\0\xff\xfe",
                                                              7));
  const auto said = agent({"check-config", "--config", file.string()});
  EXPECT_EQ(said.code, kConfig);
  EXPECT_THAT(said.err, HasSubstr(file.string() + ":1: is not TOML: "));
}

TEST(AgentConfiguration, WithoutASourceOrWithTwoOfOneNameIsRefused) {
  const TempDir folder;
  const auto none = folder.put("none.toml", "[log]\nlevel = \"info\"\n");
  EXPECT_THAT(agent({"check-config", "--config", none.string()}).err,
              HasSubstr("source: is missing: nothing would be watched; add a [[source]]"));
  const auto twice = folder.put(
      "twice.toml", kHost + kHost + "[[watch]]\nname = \"a\"\n[[watch]]\nname = \"a\"\n");
  const auto said = agent({"check-config", "--config", twice.string()});
  EXPECT_EQ(said.code, kConfig);
  EXPECT_THAT(said.err, AllOf(HasSubstr("is the name of another source too"),
                              HasSubstr("is the name of another watch or group too")));
}

TEST(AgentConfiguration, ValuesOfVariablesAreReportedUnderTheVariablesName) {
  const TempDir folder;
  const auto file = folder.put("agent.toml", kHost);
  const auto said =
      agent({"check-config", "--config", file.string()}, {{"LAPWING__ENGINE__SHARDS", "lots"}});
  EXPECT_EQ(said.code, kConfig);
  EXPECT_THAT(
      said.err,
      HasSubstr(
          "environment variable LAPWING__ENGINE__SHARDS: engine.shards: is the text \"lots\""));
}

TEST(AgentUsage, ThatIsWrongGivesExitCode2AndHelp) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{},
                                             {"fly"},
                                             {"run", "--colour"},
                                             {"replay"},
                                             {"outbox"},
                                             {"enrol"},
                                             {"replay", "x.csv", "--warmup", "2"}}) {
    EXPECT_EQ(agent(words).code, kUsage);
  }
  const auto help = agent({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const auto* command :
       {"run", "check-config", "replay", "detectors", "outbox", "enrol", "doctor", "version"}) {
    EXPECT_THAT(help.out, HasSubstr(command));
  }
}

TEST(AgentStart, OnAPortInUseNamesAddressAndRemedy) {
  const TempDir folder;
  Broker holder;
  ASSERT_TRUE(holder.start()) << holder.log();
  const std::string address = "127.0.0.1:" + std::to_string(holder.port());
  const auto file = folder.put("agent.toml", kHost + "[status]\nlisten = \"" + address + "\"\n");
  const auto said = agent({"run", "--config", file.string()});
  EXPECT_EQ(said.code, kFailed);
  EXPECT_THAT(said.err, AllOf(HasSubstr(address), HasSubstr("in use")));
  EXPECT_THAT(agent({"doctor", "--config", file.string()}).out,
              AllOf(HasSubstr("warn  status: " + address + " is in use"),
                    HasSubstr("choose another [status] listen")));
}

TEST(AgentStart, OnADataFolderInUseIsRefused) {
  const TempDir folder;
  const auto file = folder.put("agent.toml", kHost + kNoStatus);
  Process first(agent_argv({"run", "--config", file.string()}));
  ASSERT_TRUE(first.wait_for("agent runs")) << first.err();
  const auto second = agent({"run", "--config", file.string()});
  EXPECT_EQ(second.code, kFailed);
  EXPECT_THAT(second.err, AllOf(HasSubstr((folder.path() / "data/agent.lock").string()),
                                HasSubstr("stop it first")));
  EXPECT_EQ(first.stop(), 0);
}

TEST(AgentStart, OnADataFolderThatCannotBeMadeNamesItAndTheKey) {
  const TempDir folder;
  folder.put("taken", "a file");
  const auto file =
      folder.put("agent.toml", "[agent]\ndata_dir = \"taken/data\"\n" + kHost + kNoStatus);
  const auto said = agent({"run", "--config", file.string()});
  EXPECT_EQ(said.code, kFailed);
  EXPECT_THAT(said.err, AllOf(HasSubstr("taken/data"), HasSubstr("data_dir")));
  EXPECT_THAT(agent({"doctor", "--config", file.string()}).out,
              AllOf(HasSubstr("FAIL  disk: "), HasSubstr("data_dir")));
}

// A volume of 64 KiB in a mount namespace of its own, filled before the agent starts.
TEST(AgentStart, OnAFullDiskNamesTheFileAndTheRemedy) {
  const TempDir folder;
  const auto script = [&](const std::string& command) {
    Process process({"unshare", "-rm", "sh", "-c",
                     "mount -t tmpfs -o size=64k none " + folder.path().string() + " && cd " +
                         folder.path().string() + " && printf '" + kHost + kNoStatus +
                         "' > agent.toml && mkdir data && { cat /dev/zero > fill 2>/dev/null; " +
                         command + "; }"});
    const auto code = process.wait();
    return Said{code.value_or(-1), process.out(), process.err()};
  };
  if (script("exit 0").code != 0) GTEST_SKIP() << "no mount namespaces here";
  const auto run = script("exec " LAPWING_AGENT " run -c agent.toml");
  EXPECT_EQ(run.code, kFailed) << run.err;
  EXPECT_THAT(run.err, AllOf(HasSubstr("data/"), HasSubstr("No space left on device"),
                             HasSubstr("free space on this volume")));
  const auto doctor = script("exec " LAPWING_AGENT " doctor -c agent.toml");
  EXPECT_EQ(doctor.code, kFailed);
  EXPECT_THAT(doctor.out, AllOf(HasSubstr("FAIL  disk: "), HasSubstr("[agent] data_dir")));
}

TEST(AgentStart, WithACertificateFileMissingNamesTheFile) {
  const TempDir folder;
  const auto file = folder.put(
      "agent.toml", kHost + kNoStatus +
                        "[uplink]\nhost = \"localhost\"\nca_file = \"ca.pem\"\ncertificate_file = "
                        "\"device.pem\"\nkey_file = \"device.key\"\n");
  const auto said = agent({"run", "--config", file.string()});
  EXPECT_EQ(said.code, kConfig);
  EXPECT_THAT(said.err, HasSubstr((folder.path() / "device.pem").string()));
  const auto doctor = agent({"doctor", "--config", file.string()});
  EXPECT_EQ(doctor.code, kFailed);
  EXPECT_THAT(doctor.out,
              AllOf(HasSubstr("FAIL  hub authority: "), HasSubstr("FAIL  hub certificate: ")));
}

TEST(AgentStart, WithoutItsBrokerIsNoFailure) {
  const TempDir folder;
  const auto port = std::to_string(free_port());
  const auto file = folder.put(
      "agent.toml", "[[source]]\nkind = \"mqtt\"\nname = \"site\"\nbroker = \"mqtt://127.0.0.1:" +
                        port + "\"\ntopics = [\"#\"]\n" + kNoStatus);
  Process process(agent_argv({"run", "--config", file.string()}));
  ASSERT_TRUE(process.wait_for("agent runs")) << process.err();
  ASSERT_TRUE(process.wait_for("source has no broker, trying again")) << process.err();
  EXPECT_THAT(process.err(), HasSubstr("127.0.0.1:" + port));
  EXPECT_TRUE(process.running());
  EXPECT_EQ(process.stop(), 0);
  const auto doctor = agent({"doctor", "--config", file.string()});
  EXPECT_EQ(doctor.code, kFailed);
  EXPECT_THAT(doctor.out, AllOf(HasSubstr("FAIL  source site broker: "), HasSubstr(port)));
}

/// A hub's broker with TLS, and an agent with an identity.
struct HubBroker {
  Pki pki;
  Broker broker;

  HubBroker() {
    const auto server = pki.server("server", {"localhost", "127.0.0.1"});
    broker.configure("allow_anonymous true\ncafile " + pki.ca_file().string() + "\ncertfile " +
                     server.certificate_file.string() + "\nkeyfile " + server.key_file.string() +
                     "\nrequire_certificate true\nuse_identity_as_username true\n");
  }
  [[nodiscard]] std::string uplink(const Identity& identity,
                                   const std::filesystem::path& ca) const {
    return "[uplink]\nhost = \"localhost\"\nport = " + std::to_string(broker.port()) +
           "\nca_file = \"" + ca.string() + "\"\ncertificate_file = \"" +
           identity.certificate_file.string() + "\"\nkey_file = \"" + identity.key_file.string() +
           "\"\n";
  }
};

TEST(AgentIdentity, ThatIsGoodIsFoundGood) {
  HubBroker hub;
  ASSERT_TRUE(hub.broker.start()) << hub.broker.log();
  const TempDir folder;
  const auto identity = hub.pki.client("device", "plant1/edge-1");
  const auto file =
      folder.put("agent.toml", kHost + kNoStatus + hub.uplink(identity, hub.pki.ca_file()));
  const auto doctor = agent({"doctor", "--config", file.string()});
  EXPECT_EQ(doctor.code, 0) << doctor.out << doctor.err;
  EXPECT_THAT(doctor.out,
              AllOf(HasSubstr("ok    identity: this device is plant1/edge-1"),
                    HasSubstr("accepts this agent"),
                    HasSubstr("ok    hub certificate: \"plant1/edge-1\" is valid for 0 more days"),
                    Not(HasSubstr("FAIL"))));
}

TEST(AgentIdentity, ThatExpiredIsSaidByDoctorAndByTheRunningAgent) {
  HubBroker hub;
  ASSERT_TRUE(hub.broker.start()) << hub.broker.log();
  const TempDir folder;
  const auto identity = hub.pki.client("device", "plant1/edge-1", now() - 48h, 1h);
  const auto file =
      folder.put("agent.toml", kHost + kNoStatus + hub.uplink(identity, hub.pki.ca_file()));
  const auto doctor = agent({"doctor", "--config", file.string()});
  EXPECT_EQ(doctor.code, kFailed);
  EXPECT_THAT(doctor.out, AllOf(HasSubstr("FAIL  hub certificate: \"plant1/edge-1\" expired on "),
                                HasSubstr("enrol --replace"), HasSubstr("clock")));
  Process process(agent_argv({"run", "--config", file.string()}));
  ASSERT_TRUE(process.wait_for("expired")) << process.err();
  EXPECT_TRUE(process.running()) << "it keeps on scoring";
  EXPECT_EQ(process.stop(), 0);
}

TEST(AgentIdentity, OfAnotherHubIsSaidByDoctorAndByTheRunningAgent) {
  HubBroker hub;
  ASSERT_TRUE(hub.broker.start()) << hub.broker.log();
  Pki other("another authority");
  const TempDir folder;
  const auto identity = other.client("device", "plant1/edge-1");
  const auto file =
      folder.put("agent.toml", kHost + kNoStatus + hub.uplink(identity, other.ca_file()));
  const auto doctor = agent({"doctor", "--config", file.string()});
  EXPECT_EQ(doctor.code, kFailed);
  EXPECT_THAT(doctor.out, AllOf(HasSubstr("FAIL  hub: "),
                                HasSubstr("localhost:" + std::to_string(hub.broker.port())),
                                HasSubstr("authority")));
  Process process(agent_argv({"run", "--config", file.string()}));
  ASSERT_TRUE(process.wait_for("is this the wrong CA file?")) << process.err();
  EXPECT_EQ(process.stop(), 0);
}

TEST(AgentIdentity, WithTheKeyOfAnotherCertificateIsFound) {
  HubBroker hub;
  ASSERT_TRUE(hub.broker.start()) << hub.broker.log();
  const TempDir folder;
  auto identity = hub.pki.client("device", "plant1/edge-1");
  identity.key_file = hub.pki.client("other", "plant1/edge-2").key_file;
  const auto file =
      folder.put("agent.toml", kHost + kNoStatus + hub.uplink(identity, hub.pki.ca_file()));
  const auto doctor = agent({"doctor", "--config", file.string()});
  EXPECT_EQ(doctor.code, kFailed);
  EXPECT_THAT(doctor.out,
              HasSubstr("FAIL  hub key: " + identity.key_file.string() + " is not the key of"));
}

TEST(AgentReplay, OfAMissingFileOrAnUnknownWatchIsRefused) {
  const TempDir folder;
  const auto absent = agent({"replay", (folder.path() / "absent.csv").string()});
  EXPECT_EQ(absent.code, kFailed);
  EXPECT_THAT(absent.err, HasSubstr("absent.csv"));
  const auto file = folder.put("agent.toml", kHost);
  const auto csv = folder.put("a.csv", "timestamp,value\n1,1\n2,2\n");
  const auto watch =
      agent({"replay", csv.string(), "--config", file.string(), "--watch", "nosuch"});
  EXPECT_EQ(watch.code, kUsage);
  EXPECT_THAT(watch.err, HasSubstr("\"nosuch\""));
  EXPECT_NE(agent({"replay", csv.string(), "--detector", "oracle"}).code, 0);
}

TEST(AgentOutbox, ThatIsNotThereIsNamed) {
  const TempDir folder;
  for (const auto* command : {"stats", "export"}) {
    const auto said = agent({"outbox", command, "--data-dir", folder.path().string()});
    EXPECT_EQ(said.code, kFailed);
    EXPECT_THAT(said.out, IsEmpty());
    EXPECT_THAT(said.err, HasSubstr(folder.path().string()));
  }
}

}  // namespace
}  // namespace lapwing::testing
