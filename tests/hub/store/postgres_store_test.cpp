// SPDX-License-Identifier: Apache-2.0
/// The contract on PostgreSQL, and what only PostgreSQL has.
#include "hub/store/postgres_store.hpp"

#include "hub/store/feed.hpp"
#include "tests/hub/store/store_contract.hpp"
#include "tests/support/postgres.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <latch>
#include <random>
#include <semaphore>
#include <span>
#include <thread>
#include <vector>

namespace lapwing::hub {
namespace {

using testing::PostgresServer;

class PostgresPlace final : public StorePlace {
 public:
  explicit PostgresPlace(PostgresServer& server) : url_(server.new_database()) {}

  Result<std::unique_ptr<Store>> open(const Retention& retention) override {
    return open_postgres_store({.connection = {.url = url_}, .readers = 2, .retention = retention});
  }

 private:
  std::string url_;
};

std::unique_ptr<StorePlace> make_postgres_place() {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return nullptr;
  return std::make_unique<PostgresPlace>(*server);
}

INSTANTIATE_TEST_SUITE_P(Postgres, StoreContract,
                         ::testing::Values(StoreEngine{"postgres", make_postgres_place, true}),
                         [](const auto& one) { return one.param.name; });

/// Replicas of one hub: each a store of its own on one database.
class Replicas : public ::testing::Test {
 protected:
  static constexpr int kDevices = 6;
  const Time t0_ = from_micros(1'790'000'000'000'000);

  void SetUp() override {
    auto* server = PostgresServer::shared();
    if (server == nullptr) GTEST_SKIP() << "PostgreSQL's server is not installed";
    url_ = server->new_database();
    for (auto& store : stores_) store = open();
    for (int i = 0; i < kDevices; ++i) {
      ASSERT_TRUE(stores_[0]->register_device({device(i), t0_, "0a", t0_}));
    }
  }
  [[nodiscard]] std::unique_ptr<Store> open() const {
    auto opened = open_postgres_store({.connection = {.url = url_}, .readers = 1});
    EXPECT_TRUE(opened) << opened.error().context;
    return opened ? *std::move(opened) : nullptr;
  }
  static DeviceKey device(int i) { return {"acme", "press-" + std::to_string(i)}; }

  /// Puts the next record of each device after what the store has, an anomaly each; some devices
  /// in one transaction. What a hub does with a batch that comes to any replica.
  Result<void> advance(Store& store, std::span<const DeviceKey> keys, Time at = {}) const {
    if (at == Time{}) at = t0_;
    auto transaction = store.begin_ingest();
    if (!transaction) return transaction.error();
    auto& t = **transaction;
    if (auto locked = t.lock(keys); !locked) return locked;
    for (const auto& key : keys) {
      auto session = t.device(key);
      if (!session) return session.error();
      auto state = session->sync;
      state.epoch = 1;
      if (session->sync.epoch != 1) {
        if (auto saved = t.save_sync(key, state); !saved) return saved;
      }
      const auto seq = ++state.watermark;
      wire::AnomalyRecord anomaly;
      anomaly.id = seq;
      anomaly.stream = "s" + std::to_string(seq % 3);
      anomaly.watch = "w";
      anomaly.onset = anomaly.peak_time = t0_ + Micros(seq);
      const wire::RecordBody body = anomaly;
      const IncomingRecord record{seq, seq, wire::RecordClass::anomaly, seq, &body};
      const auto stored = t.store(key, 1, at, std::span(&record, 1));
      if (!stored) return stored.error();
      EXPECT_EQ(stored->stored, 1U);
      if (auto saved = t.save_sync(key, state); !saved) return saved;
    }
    const auto committed = t.commit();
    if (!committed) return committed.error();
    return {};
  }

  std::string url_;
  std::array<std::unique_ptr<Store>, 3> stores_;
};

TEST_F(Replicas, ThatGetTheSameDevicesStayExactAndStopNotEachOther) {
  constexpr int kRounds = 60;
  std::latch begin(std::ssize(stores_));
  std::vector<std::jthread> threads;
  for (std::size_t replica = 0; replica < stores_.size(); ++replica) {
    threads.emplace_back([&, replica] {
      std::minstd_rand random(static_cast<unsigned>(replica) + 1);
      begin.arrive_and_wait();
      for (int round = 0; round < kRounds; ++round) {
        std::vector<DeviceKey> keys;
        for (int i = 0; i < kDevices; ++i) keys.push_back(device(i));
        std::shuffle(keys.begin(), keys.end(), random);
        const auto done = advance(*stores_[replica], std::span(keys).first(4));
        EXPECT_TRUE(done) << done.error().context;
      }
    });
  }
  threads.clear();
  std::uint64_t stored = 0;
  for (int i = 0; i < kDevices; ++i) {
    const auto row = stores_[0]->device(device(i));
    ASSERT_TRUE(row);
    EXPECT_EQ(row->ledger.stored, row->watermark);
    EXPECT_EQ(row->ledger.outstanding, 0U);
    EXPECT_EQ(row->streams, 3U) << "each stream once, whoever met it first";
    EXPECT_EQ(stores_[1]->streams(device(i), {})->items.size(), 3U);
    stored += row->ledger.stored;
  }
  EXPECT_EQ(stored, stores_.size() * kRounds * 4);
  EXPECT_EQ(stores_[2]->totals()->ledger.stored, stored);
  const auto feed = stores_[1]->feed("acme", {.limit = 5000});
  ASSERT_EQ(feed->size(), stored);
  for (std::size_t i = 0; i < feed->size(); ++i) EXPECT_EQ((*feed)[i].seq, i + 1);
}

TEST_F(Replicas, AReaderOfTheFeedMissesNothingWhoeverCommits) {
  std::atomic<bool> done = false;
  std::vector<std::jthread> threads;
  std::atomic<int> running = 2;
  for (int replica = 0; replica < 2; ++replica) {
    threads.emplace_back([&, replica] {
      for (int i = 0; i < 100; ++i) {
        const std::array key{device(replica)};
        EXPECT_TRUE(advance(*stores_[static_cast<std::size_t>(replica)], key));
      }
      if (--running == 0) done = true;
    });
  }
  std::uint64_t after = 0;
  std::size_t seen = 0;
  while (true) {
    const bool last = done;
    const auto rows = stores_[2]->feed("acme", {.after = after});
    ASSERT_TRUE(rows) << rows.error().context;
    for (const auto& row : *rows) {
      EXPECT_EQ(row.seq, after + 1) << "no row appears below one that was seen";
      after = row.seq;
      ++seen;
    }
    if (last) break;
  }
  EXPECT_EQ(seen, 200U);
}

TEST_F(Replicas, HearOfEachOthersAnomaliesAtOnce) {
  Feed feed;
  std::counting_semaphore<> woken(0);
  std::atomic<std::uint64_t> newest = 0;
  const auto listener = feed.listen([&](std::uint64_t seq) {
    newest = seq;
    woken.release();
  });
  auto watch = stores_[0]->watch_feed(feed);
  ASSERT_TRUE(watch);
  const std::array keys{device(0), device(1)};
  std::uint64_t heard = 0;
  // What was there before is no news; how far that goes depends on when the watch asked first.
  for (int i = 1; heard < 4 && i < 10; ++i) {
    ASSERT_TRUE(advance(*stores_[1], keys));
    if (woken.try_acquire_for(std::chrono::seconds(5))) ++heard;
  }
  EXPECT_GE(heard, 4U);
  EXPECT_EQ(newest % 2, 0U);
}

TEST_F(Replicas, HearOfWhatCameWhileTheWatchHadNoConnection) {
  Feed feed;
  std::counting_semaphore<> woken(0);
  std::atomic<std::uint64_t> newest = 0;
  const auto listener = feed.listen([&](std::uint64_t seq) {
    newest = seq;
    woken.release();
  });
  auto watch = stores_[0]->watch_feed(feed);
  ASSERT_TRUE(watch);
  const std::array keys{device(0)};
  for (int i = 0; i < 10; ++i) {  // until the watch has asked once
    ASSERT_TRUE(advance(*stores_[1], keys));
    if (woken.try_acquire_for(std::chrono::seconds(1))) break;
  }
  auto db = postgres::Connection::open({.url = url_}).value();
  for (int round = 0; round < 2; ++round) {
    std::int64_t ended = 0;
    while (ended == 0) {  // the watch is at its wait, on a connection maybe made anew
      db->rows(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
          " current_database() AND state = 'idle' AND query LIKE 'SELECT value FROM meta WHERE%'",
          [&](const sql::Row& row) { ended += row.integer(0); });
      ASSERT_FALSE(db->failed()) << db->failure().context;
      if (ended == 0) std::this_thread::yield();
    }
    ASSERT_TRUE(advance(*stores_[1], keys));
    const auto last = stores_[1]->feed_bounds("acme")->newest;
    while (newest < last) {
      ASSERT_TRUE(woken.try_acquire_for(std::chrono::seconds(20))) << "round " << round;
    }
  }
}

TEST_F(Replicas, RareAnomaliesAreFoundByAnIndexOfTheirKind) {
  auto db = postgres::Connection::open({.url = url_}).value();
  db->script(
      "INSERT INTO anomalies(tenant_no, device_no, id, phase, epoch, seq, severity, reason, stream,"
      " watch, detector, onset, peak_time, text, contributions, tags, received_at, updated_at)"
      " SELECT 1, 1, n, 3, 1, n, CASE WHEN n = 7 THEN 3 ELSE 1 END, CASE WHEN n = 9 THEN 7 ELSE 1"
      " END, 's', 'w', 'auto', n, n, '', '', '', n, n FROM generate_series(1, 20000) AS n;"
      " ANALYZE anomalies");
  ASSERT_FALSE(db->failed()) << db->failure().context;
  const auto critical = stores_[0]->anomalies("acme", {.severity = wire::Severity::critical}, {});
  ASSERT_EQ(critical->items.size(), 1U);
  EXPECT_EQ(critical->items[0].record.id, 7U);
  const auto clock = stores_[0]->anomalies("acme", {.reason = wire::Reason::clock}, {});
  ASSERT_EQ(clock->items.size(), 1U);
  EXPECT_EQ(clock->items[0].record.id, 9U);
  for (auto& store : stores_) store.reset();  // a server's process tells its counts when it ends
  for (const auto* index : {"anomalies_by_severity", "anomalies_by_reason"}) {
    const auto used = [&] {
      std::int64_t scans = 0;
      db->rows(
          "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = ?",
          [&](const sql::Row& row) { scans = row.integer(0); }, index);
      return scans > 0;
    };
    EXPECT_TRUE(testing::eventually(used)) << index;
  }
}

TEST_F(Replicas, ARetentionThatAReaderHoldsUpStopsNobodyAndIsMadeUpLater) {
  using std::chrono::hours;
  const Retention keep{.history = hours(48)};
  auto store =
      open_postgres_store({.connection = {.url = url_}, .readers = 1, .retention = keep}).value();
  const std::array keys{device(0)};
  ASSERT_TRUE(advance(*store, keys));
  auto reader = postgres::Connection::open({.url = url_}).value();
  const auto partitions = [&] {
    std::int64_t count = 0;
    auto db = postgres::Connection::open({.url = url_}).value();
    db->rows("SELECT count(*) FROM pg_class WHERE relname LIKE 'ledger_d%' AND relkind = 'r'",
             [&](const sql::Row& row) { count = row.integer(0); });
    return count;
  };
  const auto before = partitions();
  reader->begin(sql::Connection::Access::read);
  reader->rows("SELECT count(*) FROM ledger", [](const sql::Row&) {});
  std::atomic<bool> trimmed = false;
  std::jthread upkeep([&] {
    EXPECT_FALSE(store->trim(t0_ + hours(24 * 9))) << "it cannot wait for the reader";
    trimmed = true;
  });
  const auto today = t0_ + hours(24 * 9);
  while (!trimmed) ASSERT_TRUE(advance(*stores_[1], keys, today)) << "records go on";
  upkeep.join();
  EXPECT_GE(partitions(), before) << "the reader's tables are there";
  reader->commit();
  ASSERT_FALSE(reader->failed());
  const auto done = store->trim(t0_ + hours(24 * 9));
  ASSERT_TRUE(done) << done.error().context;
  EXPECT_LT(partitions(), before + 2) << "what was begun is ended";
  std::int64_t pending = -1;
  reader->rows("SELECT count(*) FROM pg_inherits WHERE inhdetachpending",
               [&](const sql::Row& row) { pending = row.integer(0); });
  EXPECT_EQ(pending, 0);
}

TEST_F(Replicas, MarkingSilentDevicesWaitsForNoTransactionThatTakesRecordsIn) {
  for (const int i : {0, 1}) {
    auto transaction = stores_[0]->begin_ingest().value();
    ASSERT_TRUE(transaction->device(device(i)));
    ASSERT_TRUE(transaction->save_presence(
        device(i), {.online = true, .connection_id = "c1", .seen = t0_ - std::chrono::hours(1)}));
    ASSERT_TRUE(transaction->commit());
  }
  auto holds = stores_[1]->begin_ingest().value();
  ASSERT_TRUE(holds->device(device(0)));
  const auto marked = stores_[0]->mark_silent_offline(t0_);
  ASSERT_TRUE(marked) << marked.error().context;
  EXPECT_EQ(*marked, 1U) << "the one that nobody holds";
  holds.reset();
  EXPECT_EQ(*stores_[0]->mark_silent_offline(t0_), 1U);
}

TEST_F(Replicas, AQueryThatTakesTooLongFailsAndTheNextIsAnswered) {
  auto store = open_postgres_store({.connection = {.url = url_},
                                    .readers = 1,
                                    .query_timeout = std::chrono::milliseconds(50)})
                   .value();
  auto db = postgres::Connection::open({.url = url_}).value();
  db->begin(sql::Connection::Access::write);
  db->script("LOCK TABLE devices IN ACCESS EXCLUSIVE MODE");
  const auto refused = store->device(device(0));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::io) << "503 at the API";
  EXPECT_NE(refused.error().context.find("query_timeout"), std::string::npos);
  db->rollback();
  EXPECT_TRUE(store->device(device(0)));
}

TEST_F(Replicas, RecoverByThemselvesWhenTheServerWasAway) {
  PostgresServer server;
  ASSERT_TRUE(server.start()) << server.log();
  url_ = server.new_database();
  auto store = open();
  ASSERT_TRUE(store->register_device({device(0), t0_, "0a", t0_}));
  const std::array keys{device(0)};
  ASSERT_TRUE(advance(*store, keys));
  server.crash();
  const auto refused = advance(*store, keys);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::io);
  EXPECT_FALSE(store->check());
  EXPECT_FALSE(store->device(device(0)));
  EXPECT_FALSE(store->revoke_device(device(0), t0_));
  EXPECT_FALSE(store->trim(t0_));
  ASSERT_TRUE(server.start()) << server.log();
  EXPECT_TRUE(store->check());
  ASSERT_TRUE(advance(*store, keys));
  EXPECT_EQ(store->device(device(0))->ledger.stored, 2U);
  EXPECT_TRUE(store->trim(t0_));
}

}  // namespace
}  // namespace lapwing::hub
