// SPDX-License-Identifier: Apache-2.0
// The uplink on a real mosquitto with mutual TLS, a real outbox, and a small hub that can
// misbehave.
#include "agent/uplink/uplink.hpp"

#include "agent/uplink/events.hpp"
#include "shared/base/config.hpp"
#include "shared/base/metrics.hpp"
#include "tests/agent/uplink/small_hub.hpp"
#include "tests/support/broker.hpp"
#include "tests/support/pki.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapwing::agent {
namespace {

using lapwing::testing::Broker;
using lapwing::testing::eventually;
using lapwing::testing::Pki;
using lapwing::testing::SmallHub;
using lapwing::testing::TempDir;
using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

class UplinkOnABroker : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = pki_.server("server", {"localhost"});
    device_ = pki_.client("device", "acme/edge-1");
    configure_broker();
    ASSERT_TRUE(broker_.start()) << broker_.log();
    config_.host = "localhost";
    config_.port = broker_.port();
    config_.ca_file = pki_.ca_file();
    config_.certificate_file = device_.certificate_file;
    config_.key_file = device_.key_file;
    config_.batch_records_max = 100;
    config_.live_backlog = 1000;
    config_.answer_timeout = milliseconds(300);
    config_.status_interval = std::chrono::seconds(1);
    config_.reconnect_max = milliseconds(300);
    open_outbox();
    start_hub();
  }
  void TearDown() override {
    uplink_.reset();
    outbox_.reset();
    hub_.reset();
  }

  void configure_broker() {
    broker_.configure("allow_anonymous true\nrequire_certificate true\ncafile " +
                      pki_.ca_file().string() + "\ncertfile " + server_.certificate_file.string() +
                      "\nkeyfile " + server_.key_file.string() + "\n");
  }
  void start_hub() {
    const auto own = pki_.client("hub", "hub");
    mqtt::Options options;
    options.host = "localhost";
    options.port = broker_.port();
    options.client_id = "hub";
    options.tls = mqtt::Tls{pki_.ca_file(), own.certificate_file, own.key_file, true};
    options.backoff_max = milliseconds(300);
    hub_ = std::make_unique<SmallHub>(std::move(options));
    ASSERT_TRUE(hub_->listens());
  }
  void open_outbox() {
    auto outbox = Outbox::open({}, folder_.path(), metrics_);
    ASSERT_TRUE(outbox) << outbox.error().context;
    outbox_ = *std::move(outbox);
  }
  void start_uplink() {
    auto uplink = Uplink::make(config_, *outbox_, metrics_, "0.1.0",
                               [](wire::Status& status) { status.streams = 42; });
    ASSERT_TRUE(uplink) << uplink.error().context;
    uplink_ = *std::move(uplink);
    ASSERT_TRUE(uplink_->start());
  }
  /// Summaries named by their number, durable when it returns.
  void commit(std::size_t count) {
    std::vector<OutboxRecord> records;
    for (; count > 0; --count) {
      wire::SummaryRecord record;
      record.stream = "s/" + std::to_string(++produced_);
      record.readings = produced_;
      records.push_back({wire::RecordClass::summary, now(), wire::encode_record(record)});
    }
    outbox_->submit(std::move(records));
    outbox_->flush();
  }
  bool drained() {
    return eventually([this] {
      const auto figures = uplink_->figures();
      return figures.connected && figures.backlog == 0 && figures.watermark == produced_;
    });
  }
  bool in_state(const std::string& state) {
    return eventually([&] { return uplink_->figures().state == state; });
  }
  /// The hub holds every record once, and each is what was committed under its number.
  void expect_all_delivered() {
    const auto heard = hub_->heard();
    EXPECT_EQ(heard.rows.size(), produced_);
    EXPECT_EQ(heard.lost, 0U);
    EXPECT_FALSE(heard.conflict);
    for (const auto& [key, payload] : heard.rows) {
      const auto record = wire::decode_record(payload);
      ASSERT_TRUE(record);
      ASSERT_EQ(std::get<wire::SummaryRecord>(*record).readings, key.second);
    }
  }

  Pki pki_;
  Pki other_{"another authority"};
  Broker broker_;
  lapwing::testing::Identity server_;
  lapwing::testing::Identity device_;
  TempDir folder_;
  Metrics metrics_;
  UplinkConfig config_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<SmallHub> hub_;
  std::unique_ptr<Uplink> uplink_;
  std::uint64_t produced_ = 0;
};

TEST_F(UplinkOnABroker, DeliversEveryCommittedRecordAndLetsTheOutboxForget) {
  commit(500);  // a backlog from before
  start_uplink();
  for (int i = 0; i < 20; ++i) commit(50);
  ASSERT_TRUE(drained()) << uplink_->figures().problem;
  expect_all_delivered();
  EXPECT_EQ(hub_->state().epoch, 1U);
  EXPECT_EQ(uplink_->figures().state, "streaming");
  EXPECT_EQ(uplink_->figures().epoch, 1U);
  EXPECT_TRUE(eventually([this] { return outbox_->figures().records == 0; }));
  EXPECT_EQ(outbox_->position().acked_seq, produced_);
  EXPECT_EQ(wire::to_string(uplink_->identity()), "acme/edge-1");
  EXPECT_THAT(metrics_.text(), HasSubstr("lapwing_uplink_records_acked_total 1500"));
  EXPECT_THAT(metrics_.text(), HasSubstr("lapwing_uplink_connected 1"));
}

TEST_F(UplinkOnABroker, AnotherStartResumesInTheSameEpoch) {
  start_uplink();
  commit(150);
  ASSERT_TRUE(drained());
  uplink_->stop();
  uplink_->stop();
  EXPECT_EQ(uplink_->figures().state, "stopped");
  uplink_.reset();
  outbox_.reset();
  open_outbox();
  commit(150);
  start_uplink();
  ASSERT_TRUE(drained());
  expect_all_delivered();
  EXPECT_EQ(hub_->state().epoch, 1U);
  EXPECT_NE(hub_->heard().hellos.front().instance_id, hub_->heard().hellos.back().instance_id);
}

TEST_F(UplinkOnABroker, ABrokerKilledInTheMiddleCostsNothing) {
  start_uplink();
  for (int round = 0; round < 3; ++round) {
    commit(400);
    broker_.kill();
    commit(200);
    ASSERT_TRUE(broker_.start()) << broker_.log();
  }
  ASSERT_TRUE(drained()) << uplink_->figures().problem;
  expect_all_delivered();
  EXPECT_EQ(hub_->state().epoch, 1U);
}

TEST_F(UplinkOnABroker, AHubThatDoesNotAnswerIsSentAgainWhatItMissed) {
  hub_->with([](auto&, auto& faults) { faults.batches_unanswered = 10; });
  start_uplink();
  commit(1000);
  ASSERT_TRUE(drained());
  expect_all_delivered();
  EXPECT_GT(hub_->heard().batches, 10U);
}

TEST_F(UplinkOnABroker, LostAnswersDoNotMakeRecordsTwice) {
  hub_->with([](auto&, auto& faults) { faults.acks_lost = true; });
  start_uplink();
  commit(300);
  ASSERT_TRUE(hub_->has_rows(300));
  EXPECT_EQ(outbox_->position().acked_seq, 0U) << "nothing is deleted without an answer";
  hub_->with([](auto&, auto& faults) { faults.acks_lost = false; });
  ASSERT_TRUE(drained());
  expect_all_delivered();
}

TEST_F(UplinkOnABroker, NewRecordsGoLiveAheadOfABacklog) {
  commit(5000);
  config_.pace_bytes_per_second = 20'000;  // the backlog takes long
  start_uplink();
  ASSERT_TRUE(eventually([this] { return uplink_->figures().watermark > 0; }));
  commit(5);
  ASSERT_TRUE(eventually([this] { return hub_->heard().live.contains(5005); }));
  const auto heard = hub_->heard();
  EXPECT_EQ(heard.live, (std::set<std::uint64_t>{5001, 5002, 5003, 5004, 5005}));
  EXPECT_LT(uplink_->figures().watermark, 5000U) << "they overtook the backlog";
  uplink_.reset();  // another start without the pace brings the rest
  config_.pace_bytes_per_second = 0;
  start_uplink();
  ASSERT_TRUE(drained());
  expect_all_delivered();
  EXPECT_EQ(hub_->state().epoch, 1U) << "live copies are no sign of another history";
}

TEST_F(UplinkOnABroker, ARestoredOutboxOverwritesNothing) {
  start_uplink();
  commit(100);
  ASSERT_TRUE(drained());
  uplink_.reset();
  outbox_.reset();
  TempDir backup;
  const auto copy = [](const auto& from, const auto& to) {
    std::filesystem::copy(from, to,
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
  };
  copy(folder_.path(), backup.path());
  open_outbox();
  start_uplink();
  commit(100);
  ASSERT_TRUE(drained());
  uplink_.reset();
  outbox_.reset();
  for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
    std::filesystem::remove_all(file);
  }
  copy(backup.path(), folder_.path());
  open_outbox();
  start_uplink();
  commit(10);
  ASSERT_TRUE(eventually([this] { return uplink_->figures().backlog == 0; }));
  ASSERT_TRUE(hub_->has_rows(210));
  EXPECT_EQ(hub_->state().epoch, 2U);
  EXPECT_FALSE(hub_->heard().conflict);
}

TEST_F(UplinkOnABroker, AQuarantinedDeviceKeepsItsRecordsAndSaysWhy) {
  hub_->with([](auto&, auto& faults) { faults.quarantine = "two live copies"; });
  start_uplink();
  commit(10);
  ASSERT_TRUE(in_state("quarantined"));
  EXPECT_THAT(uplink_->figures().problem, HasSubstr("two live copies"));
  EXPECT_FALSE(uplink_->figures().connected);
  EXPECT_EQ(hub_->heard().batches, 0U);
  EXPECT_EQ(outbox_->figures().records, 10U);
}

TEST_F(UplinkOnABroker, TellsHowTheDeviceDoesAndWhenItLeaves) {
  commit(7);
  start_uplink();
  ASSERT_TRUE(eventually([this] { return hub_->heard().statuses.size() >= 2; }));
  const auto status = hub_->heard().statuses.back();
  EXPECT_TRUE(status.online);
  EXPECT_EQ(status.streams, 42U);
  EXPECT_EQ(status.produced_seq, 7U);
  EXPECT_EQ(status.agent_version, "0.1.0");
  EXPECT_EQ(status.connection_id, hub_->heard().hellos.back().connection_id);
  uplink_->stop();
  ASSERT_TRUE(eventually([this] { return !hub_->heard().statuses.back().online; }));
}

TEST_F(UplinkOnABroker, FramesStayBelowTheBrokersLimit) {
  config_.batch_records_max = 10'000;
  std::vector<OutboxRecord> records;
  for (int i = 0; i < 200; ++i) {
    wire::AnomalyRecord record;
    record.stream = "s/" + std::to_string(i);
    for (int c = 0; c < 4000; ++c) record.text += static_cast<char>('!' + (i * 7 + c * c) % 90);
    records.push_back({wire::RecordClass::anomaly, now(), wire::encode_record(record)});
  }
  produced_ = records.size();
  outbox_->submit(std::move(records));
  outbox_->flush();
  start_uplink();
  ASSERT_TRUE(drained());
  EXPECT_EQ(hub_->heard().rows.size(), produced_);
  EXPECT_LE(hub_->heard().frame_bytes_max, 128U * 1024);
}

TEST_F(UplinkOnABroker, AHubOfAnotherAuthorityIsNamedWithTheRemedy) {
  config_.ca_file = other_.ca_file();
  start_uplink();
  ASSERT_TRUE(eventually([this] { return !uplink_->figures().problem.empty(); }));
  EXPECT_THAT(uplink_->figures().problem, HasSubstr(other_.ca_file().string()));
  EXPECT_FALSE(uplink_->figures().connected);
}

TEST_F(UplinkOnABroker, ARenewedCertificateIsUsedAtTheNextConnection) {
  const auto expired = pki_.client("old", "acme/edge-1", now() - hours(48), hours(24));
  config_.certificate_file = folder_.path() / "device.pem";
  config_.key_file = folder_.path() / "device.key";
  const auto use = [&](const lapwing::testing::Identity& one) {
    using std::filesystem::copy_options;
    std::filesystem::copy_file(one.key_file, config_.key_file, copy_options::overwrite_existing);
    std::filesystem::copy_file(one.certificate_file, config_.certificate_file,
                               copy_options::overwrite_existing);
  };
  use(expired);
  start_uplink();
  commit(10);
  ASSERT_TRUE(eventually([this] { return !uplink_->figures().problem.empty(); }));
  EXPECT_THAT(uplink_->figures().problem, HasSubstr("expired"));
  use(device_);
  ASSERT_TRUE(drained()) << uplink_->figures().problem;
}

TEST_F(UplinkOnABroker, ACertificateThatNamesNoDeviceIsRefusedAtTheStart) {
  const auto refused = [&](const std::filesystem::path& certificate) {
    config_.certificate_file = certificate;
    const auto uplink = Uplink::make(config_, *outbox_, metrics_, "0.1.0", {});
    EXPECT_FALSE(uplink);
    return uplink ? Error{} : uplink.error();
  };
  const auto nameless = refused(pki_.client("nameless", "edge-1").certificate_file);
  EXPECT_EQ(nameless.code, Errc::bad_config);
  EXPECT_THAT(nameless.context, HasSubstr("nameless.pem"));
  EXPECT_THAT(nameless.context, HasSubstr("lapwing-agent enrol"));
  const auto missing = refused("/nowhere/device.pem");
  EXPECT_EQ(missing.code, Errc::bad_config);
  EXPECT_THAT(missing.context, HasSubstr("/nowhere/device.pem"));
}

// At the bound a new connection's event was dropped like an answer, and no hello was said on it.
TEST(UplinkEvents, RefusesAnswersAtTheBoundConnectionsNever) {
  UplinkEvents events;
  ASSERT_TRUE(events.put(Connected{"1"}));
  std::size_t taken = 1;
  while (events.put(wire::Ack{.epoch = 1, .watermark = taken})) ++taken;
  EXPECT_EQ(taken, UplinkEvents::kAnswersMax);
  EXPECT_FALSE(events.put(wire::Welcome{}));
  EXPECT_TRUE(events.put(Connected{"2"})) << "never refused";
  EXPECT_EQ(events.take().size(), UplinkEvents::kAnswersMax + 1);
  EXPECT_TRUE(events.empty());
  EXPECT_TRUE(events.put(wire::Ack{}));
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(events.put(Lost{{Errc::io, "away"}}));
    EXPECT_TRUE(events.put(Connected{std::to_string(i)}));
  }
  const auto left = events.take();
  ASSERT_EQ(left.size(), 2U) << "what a lost connection brought counts no more";
  EXPECT_TRUE(std::holds_alternative<Lost>(left[0]));
  EXPECT_EQ(std::get<Connected>(left[1]).connection_id, "99");
}

TEST(UplinkConfig, IsOffWithoutAHostAndWantsItsFilesWithOne) {
  auto none = config::Document::parse("", "agent.toml");
  EXPECT_FALSE(UplinkConfig::read(none.root().table({"uplink", "the hub"})).enabled());
  EXPECT_TRUE(none.finish().empty());
  auto bare = config::Document::parse("[uplink]\nhost = \"hub\"\n", "agent.toml");
  const auto config = UplinkConfig::read(bare.root().table({"uplink", "the hub"}));
  EXPECT_TRUE(config.enabled());
  EXPECT_EQ(config.port, 8883);
  const auto problems = bare.finish();
  ASSERT_EQ(problems.size(), 3U);
  for (const auto& problem : problems) EXPECT_THAT(problem.text(), HasSubstr("enrol"));
}

TEST(UplinkConfig, NamesWhatIsOutOfRange) {
  auto document = config::Document::parse(
      "[uplink]\nport = 70000\nbatch_records_max = 0\nanswer_timeout = \"1ms\"\npace = \"x\"\n"
      "hosst = \"hub\"\n",
      "agent.toml");
  static_cast<void>(UplinkConfig::read(document.root().table({"uplink", "the hub"})));
  EXPECT_EQ(document.finish().size(), 5U);
}

TEST_F(UplinkOnABroker, DoesEachCommandOnceAndAnswersAgain) {
  start_uplink();
  ASSERT_TRUE(in_state("streaming"));
  const auto answers = [&](std::size_t count) {
    return eventually([&] { return hub_->heard().results.size() >= count; });
  };
  const wire::Command command{.id = 7, .kind = "report_status"};
  hub_->say(wire::Channel::command, wire::encode(command));
  ASSERT_TRUE(answers(1));
  EXPECT_EQ(hub_->heard().results[0].id, 7U);
  EXPECT_EQ(hub_->heard().results[0].state, wire::CommandState::done);
  EXPECT_EQ(hub_->heard().results[0].connection_id, hub_->state().connection_id);
  hub_->say(wire::Channel::command, wire::encode(command));
  ASSERT_TRUE(answers(2));
  hub_->say(wire::Channel::command, "damaged");
  hub_->say(wire::Channel::command, wire::encode(wire::Command{.id = 8, .kind = "reboot"}));
  ASSERT_TRUE(answers(3));
  EXPECT_EQ(hub_->heard().results[2].state, wire::CommandState::failed);
  EXPECT_THAT(hub_->heard().results[2].result, HasSubstr("reboot"));
  hub_->say(
      wire::Channel::command,
      wire::encode(wire::Command{.id = 9, .kind = "reconnect", .arguments = "{\"within_ms\":-1}"}));
  ASSERT_TRUE(answers(4));
  EXPECT_EQ(hub_->heard().results[3].state, wire::CommandState::failed);
  EXPECT_EQ(hub_->heard().hellos.size(), 1U);
  hub_->say(wire::Channel::command,
            wire::encode(wire::Command{.kind = "reconnect", .arguments = "{\"within_ms\":50}"}));
  ASSERT_TRUE(eventually([&] { return hub_->heard().hellos.size() == 2; }));
  ASSERT_TRUE(in_state("streaming"));
  commit(10);
  ASSERT_TRUE(drained());
  EXPECT_EQ(hub_->heard().results.size(), 4U) << "of id 0 nobody wants an answer";
}

TEST_F(UplinkOnABroker, RunsWithTheSettingsItIsGivenAndReportsThem) {
  config_.status_interval = std::chrono::minutes(10);
  start_uplink();
  ASSERT_TRUE(in_state("streaming"));
  const auto reported = [&](std::uint64_t version) {
    return eventually([&] {
      const auto heard = hub_->heard();
      return !heard.statuses.empty() && heard.statuses.back().desired_version == version;
    });
  };
  hub_->say(wire::Channel::desired,
            wire::encode(wire::Desired{3, R"({"status_interval":"1s","colour":"red"})"}));
  ASSERT_TRUE(reported(3));
  EXPECT_THAT(hub_->heard().statuses.back().desired_problem, HasSubstr("colour"));
  const auto before = hub_->heard().statuses.size();
  EXPECT_TRUE(eventually([&] { return hub_->heard().statuses.size() >= before + 2; }))
      << "every second now";
  hub_->say(wire::Channel::desired, wire::encode(wire::Desired{4, "{}"}));
  ASSERT_TRUE(reported(4));
  EXPECT_EQ(hub_->heard().statuses.back().desired_problem, "");
  hub_->say(wire::Channel::command,
            wire::encode(wire::Command{.kind = "reconnect", .arguments = "{\"within_ms\":50}"}));
  ASSERT_TRUE(eventually([&] { return hub_->heard().hellos.size() == 2; }));
  EXPECT_EQ(hub_->heard().hellos.back().desired_version, 4U) << "not to be sent again";
}

TEST(CommandDesk, RemembersABoundedNumberOfAnswers) {
  CommandDesk desk;
  int done = 0;
  desk.on("x", [&](std::string_view) -> Result<std::string> {
    ++done;
    return std::string(10'000, 'a') + "\xc3\xa4";
  });
  const auto at = now();
  EXPECT_EQ(desk.take({.id = 1, .kind = "x"}, at)->result.size(), wire::kTextBytesMax);
  EXPECT_EQ(desk.take({.id = 1, .kind = "x"}, at)->state, wire::CommandState::done);
  EXPECT_EQ(done, 1);
  EXPECT_FALSE(desk.take({.id = 0, .kind = "x"}, at));
  EXPECT_FALSE(desk.take({.id = 0, .kind = "x"}, at));
  EXPECT_EQ(done, 3);
  EXPECT_EQ(desk.take({.id = 2, .kind = "x", .expires = at}, at)->state,
            wire::CommandState::failed);
  for (std::uint64_t id = 3; id < 3 + CommandDesk::kRememberedMax; ++id) {
    EXPECT_TRUE(desk.take({.id = id, .kind = "x"}, at));
  }
  const auto before = done;
  EXPECT_TRUE(desk.take({.id = 1, .kind = "x"}, at));
  EXPECT_EQ(done, before + 1) << "the oldest was forgotten: kinds stand it";
}

}  // namespace
}  // namespace lapwing::agent
