// SPDX-License-Identifier: Apache-2.0
/// Commands and desired settings.
#include "hub/store/commands.hpp"
#include "tests/hub/store/store_contract.hpp"
#include "tests/support/process.hpp"

#include <atomic>
#include <set>
#include <thread>

namespace lapwing::hub {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

CommandRow command(const DeviceKey& key, Time at, const std::string& kind = "report_status") {
  return {.key = key,
          .kind = kind,
          .arguments = R"({"within_ms":1})",
          .actor = "t1",
          .created_at = at,
          .expires_at = at + hours(1)};
}

void connect(Store& store, const DeviceKey& key, const std::string& replica,
             const std::string& connection, Time at, std::uint64_t desired = 0,
             const std::string& problem = {}) {
  auto transaction = store.begin_ingest().value();
  ASSERT_TRUE(transaction->device(key));
  Presence presence{.connection_id = connection, .seen = at, .replica = replica};
  presence.reported = ReportedSettings{desired, problem};
  ASSERT_TRUE(transaction->save_presence(key, presence));
  ASSERT_TRUE(transaction->commit());
}

}  // namespace

TEST_P(StoreContract, GivesCommandsNumbersThatAreNeverUsedTwice) {
  auto& commands = store_->commands();
  EXPECT_EQ(commands.add(command({kTenant, "none"}, t0_)).error().code, Errc::not_found);
  const auto first = commands.add(command(key_, t0_)).value();
  EXPECT_EQ(first.id, 1U);
  EXPECT_EQ(first.status, CommandStatus::pending);
  EXPECT_EQ(first.arguments, R"({"within_ms":1})");
  EXPECT_EQ(first.expires_at, t0_ + hours(1));
  for (std::uint64_t id = 2; id <= Commands::kEndedMax + 20; ++id) {
    EXPECT_TRUE(commands.finish(key_, id - 1, CommandStatus::done, "fine", t0_).value());
    ASSERT_EQ(commands.add(command(key_, t0_)).value().id, id);
  }
  std::size_t kept = 0;
  std::uint64_t before = ~std::uint64_t{0};
  for (PageRequest page{.limit = 7};;) {
    const auto part = commands.list(key_, page).value();
    for (const auto& one : part.items) {
      EXPECT_LT(one.id, before);
      before = one.id;
    }
    kept += part.items.size();
    if (!part.next_cursor) break;
    page.cursor = *part.next_cursor;
  }
  EXPECT_EQ(kept, Commands::kEndedMax + 1);
  reopen();
  EXPECT_EQ(store_->commands().add(command(key_, t0_)).value().id, Commands::kEndedMax + 21);
}

TEST_P(StoreContract, TakesABoundedNumberOfOpenCommands) {
  auto& commands = store_->commands();
  for (std::size_t i = 0; i < Commands::kOpenMax; ++i)
    ASSERT_TRUE(commands.add(command(key_, t0_)));
  EXPECT_EQ(commands.add(command(key_, t0_)).error().code, Errc::limit);
  const DeviceKey other{kTenant, "press-2"};
  enrol(other);
  EXPECT_EQ(commands.add(command(other, t0_)).value().id, 1U);
  EXPECT_EQ(commands.expire(t0_ + hours(1) - seconds(1)).value(), 0U);
  EXPECT_EQ(commands.expire(t0_ + hours(1)).value(), Commands::kOpenMax + 1);
  EXPECT_EQ(commands.get(key_, 1)->status, CommandStatus::expired);
  EXPECT_TRUE(commands.add(command(key_, t0_)));
}

TEST_P(StoreContract, HandsCommandsToTheReplicaThatHoldsTheConnection) {
  auto& commands = store_->commands();
  const DeviceKey away{kTenant, "press-2"};
  enrol(away);
  connect(*store_, key_, "a", "1-x", t0_);
  ASSERT_TRUE(commands.add(command(away, t0_)));
  ASSERT_TRUE(commands.add(command(key_, t0_, "reconnect")));
  EXPECT_TRUE(commands.due("b", t0_, 10)->empty());
  auto due = commands.due("a", t0_, 10).value();
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].command.kind, "reconnect");
  EXPECT_EQ(due[0].connection_id, "1-x");
  ASSERT_TRUE(commands.mark_sent(due, t0_ + seconds(1)));
  EXPECT_EQ(commands.get(key_, 1)->status, CommandStatus::sent);
  EXPECT_EQ(commands.get(key_, 1)->sent_at, t0_ + seconds(1));
  EXPECT_TRUE(commands.due("a", t0_ + seconds(2), 10)->empty());
  EXPECT_EQ(commands.due("a", t0_ + seconds(1) + Commands::kResendAfter, 10)->size(), 1U)
      << "no answer came";
  connect(*store_, key_, "b", "2-x", t0_ + seconds(3));
  EXPECT_TRUE(commands.due("a", t0_ + seconds(4), 10)->empty());
  EXPECT_EQ(commands.due("b", t0_ + seconds(4), 10)->size(), 1U) << "on each new connection";
  EXPECT_TRUE(commands.due("b", t0_ + hours(1), 10)->empty()) << "expired";
  EXPECT_TRUE(commands.finish(key_, 1, CommandStatus::failed, "no", t0_ + seconds(5)).value());
  EXPECT_FALSE(commands.finish(key_, 1, CommandStatus::done, "yes", t0_ + seconds(6)).value());
  const auto ended = commands.get(key_, 1).value();
  EXPECT_EQ(ended.status, CommandStatus::failed);
  EXPECT_EQ(ended.result, "no");
  EXPECT_EQ(ended.ended_at, t0_ + seconds(5));
  EXPECT_TRUE(commands.due("b", t0_ + seconds(7), 10)->empty());
  EXPECT_FALSE(commands.finish(key_, 77, CommandStatus::done, "", t0_).value());
}

TEST_P(StoreContract, KeepsDesiredSettingsByVersionAndSeesTheDeviceFollow) {
  auto& commands = store_->commands();
  const auto none = commands.desired(key_).value();
  EXPECT_EQ(none.version, 0U);
  EXPECT_EQ(none.document, "{}");
  EXPECT_EQ(commands.desired({kTenant, "none"}).error().code, Errc::not_found);
  connect(*store_, key_, "a", "1-x", t0_);
  EXPECT_TRUE(commands.desired_due("a", 10)->empty());
  const auto first = commands.desire(key_, R"({"log_level":"warn"})", 0, "t1", t0_).value();
  EXPECT_EQ(first.version, 1U);
  EXPECT_EQ(commands.desire(key_, "{}", 0, "t2", t0_).error().code, Errc::exists);
  EXPECT_EQ(commands.desire(key_, "{}", std::nullopt, "t2", t0_ + seconds(1))->version, 2U);
  EXPECT_TRUE(commands.desired_due("b", 10)->empty());
  const auto due = commands.desired_due("a", 10).value();
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].first.document, "{}");
  EXPECT_EQ(due[0].first.version, 2U);
  EXPECT_EQ(due[0].second, "1-x");
  connect(*store_, key_, "a", "1-x", t0_ + seconds(2), 2, "\"x\": is no setting");
  EXPECT_TRUE(commands.desired_due("a", 10)->empty());
  const auto now = commands.desired(key_).value();
  EXPECT_EQ(now.reported_version, 2U);
  EXPECT_EQ(now.reported_problem, "\"x\": is no setting");
  EXPECT_EQ(now.actor, "t2");
  EXPECT_EQ(now.changed_at, t0_ + seconds(1));
  connect(*store_, key_, "b", "2-x", t0_ + seconds(3), 0);  // it started anew
  EXPECT_EQ(commands.desired_due("b", 10)->size(), 1U);
}

TEST_P(StoreContract, WakesThoseWhoWaitForCommands) {
  std::atomic<int> woken{0};
  auto watch = store_->commands().watch([&] { ++woken; });
  ASSERT_TRUE(watch);
  ASSERT_TRUE(store_->commands().add(command(key_, t0_)));
  EXPECT_TRUE(lapwing::testing::eventually([&] { return woken > 0; }));
  const int before = woken;
  ASSERT_TRUE(store_->commands().desire(key_, "{}", std::nullopt, "t1", t0_));
  EXPECT_GT(woken, before);
  watch->reset();
  const int last = woken;
  ASSERT_TRUE(store_->commands().add(command(key_, t0_)));
  EXPECT_EQ(woken, last);
}

}  // namespace lapwing::hub
