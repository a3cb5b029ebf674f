// SPDX-License-Identifier: Apache-2.0
/// Three replicas' dispatchers on one store: who sends what to whom, on a virtual clock.
#include "hub/fleet/dispatcher.hpp"

#include "hub/fleet/command_kinds.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "hub/store/postgres_store.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/wire/codec.hpp"
#include "shared/wire/topics.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <array>

namespace lapwing::hub {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

/// A replica: a dispatcher, and what it handed to its broker.
struct Replica {
  Replica(const std::string& name, Store& store)
      : dispatcher(
            name, store,
            [this](const std::string& topic, const std::string& frame) {
              if (!broker) return false;
              const auto body = wire::FrameReader().open(frame);
              const auto parsed = wire::parse_topic(topic);
              if (!body || !parsed) return false;
              if (parsed->channel == wire::Channel::command) {
                commands.push_back(wire::decode_command(*body).value());
              } else {
                desired.push_back(wire::decode_desired(*body).value());
              }
              return true;
            },
            metrics) {}
  bool broker = true;
  std::vector<wire::Command> commands;
  std::vector<wire::Desired> desired;
  Metrics metrics;
  Dispatcher dispatcher;
};

void connect(Store& store, const DeviceKey& key, const std::string& replica,
             const std::string& connection, Time at, std::uint64_t reported = 0) {
  auto transaction = store.begin_ingest().value();
  ASSERT_TRUE(transaction->device(key));
  ASSERT_TRUE(transaction->save_presence(key, {.connection_id = connection,
                                               .seen = at,
                                               .replica = replica,
                                               .reported = ReportedSettings{reported, {}}}));
  ASSERT_TRUE(transaction->commit());
}

class DispatcherTest : public ::testing::Test {
 protected:
  const DeviceKey key_{"acme", "press-1"};
  const Time t0_ = from_micros(1'790'000'000'000'000);

  void SetUp() override {
    store_ = open_sqlite_store(folder_.path() / "hub.db").value();
    ASSERT_TRUE(store_->register_device({key_, t0_, "0a", std::nullopt}));
    for (const auto* name : {"a", "b", "c"}) {
      replicas_.push_back(std::make_unique<Replica>(name, *store_));
    }
  }
  void round(Time at) {
    for (auto& one : replicas_) one->dispatcher.round(at);
  }
  std::uint64_t add(Time at, const std::string& kind = "report_status") {
    return store_->commands()
        .add({.key = key_, .kind = kind, .created_at = at, .expires_at = at + hours(1)})
        .value()
        .id;
  }
  void answer(Replica& replica, std::uint64_t id, wire::CommandState state, Time at) {
    replica.dispatcher.answered({{key_, {"1-x", id, state, "so"}}});
    replica.dispatcher.round(at);
  }

  lapwing::testing::TempDir folder_;
  std::unique_ptr<Store> store_;
  std::vector<std::unique_ptr<Replica>> replicas_;
};

TEST_F(DispatcherTest, OnlyTheReplicaThatHoldsTheConnectionSends) {
  const auto id = add(t0_);
  round(t0_);
  for (auto& one : replicas_) EXPECT_TRUE(one->commands.empty()) << "the device is away";
  connect(*store_, key_, "b", "1-x", t0_);
  round(t0_ + seconds(1));
  round(t0_ + seconds(2));
  ASSERT_EQ(replicas_[1]->commands.size(), 1U) << "once, not at every look";
  EXPECT_EQ(replicas_[1]->commands[0].id, id);
  EXPECT_EQ(replicas_[1]->commands[0].kind, "report_status");
  EXPECT_TRUE(replicas_[0]->commands.empty());
  EXPECT_TRUE(replicas_[2]->commands.empty());
  // The replica dies with the answer under way; the device lands on another.
  connect(*store_, key_, "c", "2-x", t0_ + seconds(3));
  round(t0_ + seconds(3));
  ASSERT_EQ(replicas_[2]->commands.size(), 1U);
  EXPECT_EQ(replicas_[2]->commands[0].id, id) << "the device tells it by its id";
  answer(*replicas_[2], id, wire::CommandState::done, t0_ + seconds(4));
  EXPECT_EQ(store_->commands().get(key_, id)->status, CommandStatus::done);
  EXPECT_EQ(store_->commands().get(key_, id)->result, "so");
  answer(*replicas_[1], id, wire::CommandState::failed, t0_ + seconds(5));
  EXPECT_EQ(store_->commands().get(key_, id)->status, CommandStatus::done) << "the first counts";
  round(t0_ + hours(1));
  EXPECT_EQ(replicas_[1]->commands.size() + replicas_[2]->commands.size(), 2U);
}

TEST_F(DispatcherTest, SendsAgainWhatWasNotAnsweredAndWhatTheBrokerDidNotTake) {
  connect(*store_, key_, "a", "1-x", t0_);
  replicas_[0]->broker = false;
  const auto id = add(t0_);
  round(t0_);
  EXPECT_EQ(store_->commands().get(key_, id)->status, CommandStatus::pending);
  replicas_[0]->broker = true;
  round(t0_ + seconds(2));
  ASSERT_EQ(replicas_[0]->commands.size(), 1U);
  round(t0_ + seconds(2) + Commands::kResendAfter);
  EXPECT_EQ(replicas_[0]->commands.size(), 2U);
  answer(*replicas_[0], id, wire::CommandState::failed, t0_ + seconds(40));
  EXPECT_EQ(store_->commands().get(key_, id)->status, CommandStatus::failed);
}

TEST_F(DispatcherTest, SendsSettingsUntilTheDeviceReportsThem) {
  connect(*store_, key_, "a", "1-x", t0_);
  ASSERT_TRUE(store_->commands().desire(key_, R"({"log_level":"warn"})", {}, "t", t0_));
  round(t0_);
  round(t0_ + seconds(2));
  ASSERT_EQ(replicas_[0]->desired.size(), 1U);
  EXPECT_EQ(replicas_[0]->desired[0].version, 1U);
  connect(*store_, key_, "b", "2-x", t0_ + seconds(3));
  round(t0_ + seconds(3));
  EXPECT_EQ(replicas_[1]->desired.size(), 1U);
  connect(*store_, key_, "b", "2-x", t0_ + seconds(4), 1);
  round(t0_ + hours(1));
  EXPECT_EQ(replicas_[0]->desired.size(), 1U);
  EXPECT_EQ(replicas_[1]->desired.size(), 1U);
}

TEST_F(DispatcherTest, IsWokenByACommandInItsOwnProcess) {
  connect(*store_, key_, "a", "1-x", now());
  auto& dispatcher = replicas_[0]->dispatcher;
  ASSERT_TRUE(dispatcher.start());
  const auto id = add(now());
  EXPECT_TRUE(lapwing::testing::eventually(
      [&] { return store_->commands().get(key_, id)->status == CommandStatus::sent; }));
  dispatcher.answered({{key_, {"1-x", id, wire::CommandState::done, ""}}});
  dispatcher.stop();
  EXPECT_EQ(store_->commands().get(key_, id)->status, CommandStatus::done)
      << "what was answered is stored at the end";
}

/// Each replica has a store of its own on one database.
TEST(DispatcherOnPostgres, HearsOfACommandThatAnotherReplicaTook) {
  auto* server = lapwing::testing::PostgresServer::shared();
  if (server == nullptr) GTEST_SKIP() << "PostgreSQL's server is not installed";
  const auto url = server->new_database();
  const auto open = [&] {
    return open_postgres_store({.connection = {.url = url}, .readers = 1}).value();
  };
  const std::array stores{open(), open(), open()};
  const DeviceKey key{"acme", "press-1"};
  ASSERT_TRUE(stores[0]->register_device({key, now(), "0a", std::nullopt}));
  std::vector<std::unique_ptr<Replica>> replicas;
  for (std::size_t i = 0; i < stores.size(); ++i) {
    replicas.push_back(
        std::make_unique<Replica>(std::string(1, static_cast<char>('a' + i)), *stores[i]));
    ASSERT_TRUE(replicas.back()->dispatcher.start());
  }
  connect(*stores[1], key, "b", "1-x", now());
  const auto at = now();
  const auto id =
      stores[0]
          ->commands()
          .add({.key = key, .kind = "reconnect", .created_at = at, .expires_at = at + hours(1)})
          .value()
          .id;
  EXPECT_TRUE(lapwing::testing::eventually(
      [&] { return stores[2]->commands().get(key, id)->status == CommandStatus::sent; }));
  for (auto& one : replicas) one->dispatcher.stop();
  EXPECT_EQ(replicas[0]->commands.size(), 0U);
  EXPECT_EQ(replicas[1]->commands.size(), 1U);
  EXPECT_EQ(replicas[2]->commands.size(), 0U);
}

TEST(CommandKinds, AreCheckedByNameAndArguments) {
  EXPECT_TRUE(check_command("reconnect", ""));
  EXPECT_TRUE(check_command("reconnect", R"({"within_ms":0})"));
  EXPECT_TRUE(check_command("renew_certificate", "{}"));
  for (const auto& [kind, arguments] : std::initializer_list<std::pair<const char*, const char*>>{
           {"reboot", ""},
           {"reconnect", "["},
           {"reconnect", "[]"},
           {"reconnect", R"({"within_ms":-1})"},
           {"reconnect", R"({"within_ms":1.5})"},
           {"reconnect", R"({"soon":1})"},
           {"report_status", R"({"x":1})"}}) {
    const auto checked = check_command(kind, arguments);
    EXPECT_FALSE(checked) << kind << arguments;
    if (!checked) {
      EXPECT_EQ(checked.error().code, Errc::bad_input);
    }
  }
  EXPECT_NE(check_command("reboot", "").error().context.find("reconnect"), std::string::npos);
}

}  // namespace
}  // namespace lapwing::hub
