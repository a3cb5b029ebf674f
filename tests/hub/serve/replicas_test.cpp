// SPDX-License-Identifier: Apache-2.0
/// Two hubs on one PostgreSQL: a live feed goes on at the other when one is killed; upkeep too.
#include "hub/store/replicas.hpp"

#include "hub/fleet/init.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "hub/store/postgres_store.hpp"
#include "shared/http/client.hpp"
#include "tests/support/broker.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <unistd.h>

namespace lapwing::hub {
namespace {

using lapwing::testing::eventually;
using lapwing::testing::free_port;
using lapwing::testing::PostgresServer;
using lapwing::testing::Process;
using lapwing::testing::TempDir;

class HubReplicas : public ::testing::Test {
 protected:
  const DeviceKey key_{"acme", "edge-1"};

  struct Hub {
    InitOptions options;
    std::unique_ptr<Process> process;
  };

  void SetUp() override {
    auto* server = PostgresServer::shared();
    if (server == nullptr) GTEST_SKIP() << "PostgreSQL's server is not installed";
    url_ = server->new_database();
    for (auto* hub : {&a_, &b_}) {
      hub->options = {.directory = folder_.path() / (hub == &a_ ? "a" : "b"),
                      .authority = hub == &a_ ? "" : (folder_.path() / "a").string(),
                      .tenant = "acme",
                      .hosts = {"localhost"},
                      .mqtt_port = free_port(),
                      .http_port = free_port(),
                      .store_url = url_,
                      .run_as_root = ::geteuid() == 0};
      auto made = init(hub->options, now());
      ASSERT_TRUE(made) << made.error().context;
      if (made->admin_token) token_ = *made->admin_token;
    }
    store_ = open_postgres_store({.connection = {.url = url_}, .readers = 1}).value();
    ASSERT_TRUE(store_->register_device({key_, now(), "0a", std::nullopt}));
  }
  void serve(Hub& hub, const std::string& roles) const {
    hub.process = std::make_unique<Process>(
        std::vector<std::string>{LAPWING_HUB_PROGRAM, "serve", "--config",
                                 (hub.options.directory / "hub.toml").string(), "--roles", roles});
    ASSERT_TRUE(hub.process->wait_for("hub serves")) << hub.process->err();
  }
  http::Client client(const Hub& hub) const {
    return http::Client(
        {.origin = http::parse_origin("https://127.0.0.1:" + std::to_string(hub.options.http_port))
                       .value(),
         .ca_file = hub.options.directory / "ca.pem",
         .bearer = *token_});
  }
  /// The next anomalies, a commit each, as some replica's ingest takes them in.
  void put(int count) {
    for (int i = 0; i < count; ++i) {
      auto transaction = store_->begin_ingest().value();
      auto state = transaction->device(key_).value().sync;
      state.epoch = 1;
      ASSERT_TRUE(transaction->save_sync(key_, state));
      const auto seq = ++state.watermark;
      wire::AnomalyRecord anomaly;
      anomaly.id = seq;
      anomaly.stream = "s";
      anomaly.onset = anomaly.peak_time = now();
      const wire::RecordBody body = anomaly;
      const IncomingRecord record{seq, seq, wire::RecordClass::anomaly, seq, &body};
      ASSERT_TRUE(transaction->store(key_, 1, now(), std::span(&record, 1)));
      ASSERT_TRUE(transaction->save_sync(key_, state));
      ASSERT_TRUE(transaction->commit());
    }
  }

  TempDir folder_;
  std::string url_;
  Hub a_;
  Hub b_;
  std::optional<Secret<std::string>> token_;
  std::unique_ptr<Store> store_;
};

TEST_F(HubReplicas, AFeedGoesOnAtTheOtherHubWithoutAHoleOrARepetition) {
  ASSERT_NO_FATAL_FAILURE(serve(a_, "api"));
  ASSERT_NO_FATAL_FAILURE(serve(b_, "api"));
  constexpr std::size_t kEach = 40;
  std::mutex mutex;
  std::vector<std::uint64_t> seen;
  std::string last;
  bool gap = false;
  const auto count = [&] {
    const std::scoped_lock lock(mutex);
    return seen.size();
  };
  const auto on_event = [&](const http::Event& event) {
    const std::scoped_lock lock(mutex);
    if (!event.id.empty()) last = event.id;
    gap = gap || event.name == "gap";
    if (event.name == "anomaly") seen.push_back(std::stoull(event.id));
    return seen.size() < 3 * kEach;
  };
  std::atomic<bool> open{false};
  std::thread at_a([&] {
    std::ignore = client(a_).events("/api/v1/feed", "0",
                                    {.on_event = on_event, .on_open = [&] { open = true; }});
  });
  EXPECT_TRUE(eventually([&] { return open.load(); }));
  put(kEach);
  EXPECT_TRUE(eventually([&] { return count() == kEach; })) << count();
  // Some are on their way when it is killed, some come while nobody listens.
  std::thread writing([&] { put(kEach); });
  EXPECT_TRUE(eventually([&] { return count() > kEach; }));
  a_.process->kill();
  at_a.join();
  writing.join();
  std::thread at_b([&] {
    const auto done = client(b_).events("/api/v1/feed", last, {.on_event = on_event});
    EXPECT_TRUE(done) << done.error().context;
  });
  put(kEach);
  at_b.join();
  EXPECT_FALSE(gap);
  EXPECT_EQ(seen.size(), 3 * kEach);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end()) << "none twice";
  const auto rows = store_->feed("acme", {.after = 0, .device = {}, .limit = 5'000}).value();
  ASSERT_EQ(rows.size(), seen.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].seq, seen[i]);
}

TEST_F(HubReplicas, UpkeepGoesOverToTheOtherWorkerAtAnOrderlyEnd) {
  ASSERT_NO_FATAL_FAILURE(serve(a_, "worker"));
  ASSERT_TRUE(a_.process->wait_for("this replica does the upkeep")) << a_.process->err();
  ASSERT_NO_FATAL_FAILURE(serve(b_, "worker"));
  a_.process->signal(SIGTERM);
  a_.process->signal(SIGTERM);  // no drain
  EXPECT_EQ(a_.process->wait(), 0);
  EXPECT_TRUE(b_.process->wait_for("this replica does the upkeep", std::chrono::seconds(15)))
      << b_.process->err();
}

}  // namespace
}  // namespace lapwing::hub
