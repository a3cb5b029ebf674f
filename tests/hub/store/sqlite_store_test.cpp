// SPDX-License-Identifier: Apache-2.0
/// The contract on SQLite, and what only SQLite has.
#include "hub/store/sqlite_store.hpp"

#include "hub/store/cursor.hpp"
#include "hub/store/feed.hpp"
#include "hub/store/reads.hpp"
#include "hub/store/sqlite_schema.hpp"
#include "hub/store/sync_text.hpp"
#include "shared/sqlite/connection.hpp"
#include "tests/hub/store/store_contract.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <stdlib.h>

namespace lapwing::hub {
namespace {

class FreshFolder {
 public:
  FreshFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "lapwing-store-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~FreshFolder() { std::filesystem::remove_all(path_); }
  FreshFolder(const FreshFolder&) = delete;
  FreshFolder& operator=(const FreshFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class SqlitePlace final : public StorePlace {
 public:
  Result<std::unique_ptr<Store>> open(const Retention& retention) override {
    return open_sqlite_store(folder_.path() / "hub.db", {.retention = retention});
  }

 private:
  FreshFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract,
                         ::testing::Values(StoreEngine{
                             "sqlite", [] { return std::make_unique<SqlitePlace>(); }}),
                         [](const auto& one) { return one.param.name; });

TEST(SqliteStore, RefusesAFileThatIsNotADatabase) {
  const FreshFolder folder;
  const auto path = folder.path() / "hub.db";
  std::ofstream(path) << std::string(8192, 'x');
  const auto opened = open_sqlite_store(path);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::corrupt);
  EXPECT_NE(opened.error().context.find(path.string()), std::string::npos);
}

TEST(SqliteStore, RefusesADatabaseOfANewerVersion) {
  const FreshFolder folder;
  const auto path = folder.path() / "hub.db";
  {
    auto db = sqlite::Connection::open(path, {});
    ASSERT_TRUE(db);
    (*db)->script("PRAGMA user_version = 99");
  }
  const auto opened = open_sqlite_store(path);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::unsupported);
}

/// What the first version left: a loss, and a record that could not be read.
TEST(SqliteStore, TakesADatabaseOfTheFirstVersionOver) {
  const FreshFolder folder;
  const auto path = folder.path() / "hub.db";
  const DeviceKey key{"acme", "press-1"};
  const auto t0 = from_micros(1'790'000'000'000'000);
  {
    auto db = sqlite::Connection::open(path, {});
    ASSERT_TRUE(db);
    ASSERT_TRUE(sqlite::migrate(**db, std::array{kSqliteSchema1}));
    sync::DeviceSyncState sync;
    sync.epoch = 1;
    sync.watermark = 9;
    (*db)->run("INSERT INTO tenants VALUES(1, 'acme')");
    (*db)->run(
        "INSERT INTO devices(tenant_no, device_no, device, enrolled_at, certificate_serial, sync,"
        " epoch, watermark, stored, lost_quota, lost_poison, epoch_produced, epoch_accounted,"
        " streams) VALUES(1, 1, 'press-1', ?, '0a', ?, 1, 9, 5, 3, 1, 12, 9, 1)",
        to_micros(t0), sync_text(sync));
    (*db)->run("INSERT INTO losses VALUES(1, 1, 1, 4, 6, 1, 3, ?)", to_micros(t0));
    for (const int number : {1, 2}) {  // the second is within the loss
      (*db)->run("INSERT INTO dead_letters VALUES(1, ?, 'press-1', 1, ?, 'bad', x'00', ?)", number,
                 number == 1 ? 8 : 5, to_micros(t0));
    }
    (*db)->run("INSERT INTO ledger VALUES(1, 1, 1, 8, 0, 77)");
    (*db)->run(
        "INSERT INTO streams(tenant_no, device_no, stream_no, stream, watch, last_time)"
        " VALUES(1, 1, 1, 'a', 'w', ?)",
        to_micros(t0));
    for (const int i : {0, 1, 2, 9}) {
      (*db)->run(
          "INSERT INTO history(tenant_no, device_no, minute, stream_no, begin_us, end_us,"
          " readings) VALUES(1, 1, ?, 1, ?, ?, 1)",
          reads::minute_of(to_micros(t0)) + i, to_micros(t0) + i * 60'000'000LL,
          to_micros(t0) + (i + 1) * 60'000'000LL);
    }
    ASSERT_FALSE((*db)->failed()) << (*db)->failure().context;
  }
  auto opened = open_sqlite_store(path);
  ASSERT_TRUE(opened) << opened.error().context;
  auto& store = **opened;
  EXPECT_EQ(store.ledger(key)->produced, 12U);
  EXPECT_EQ(store.ledger(key)->lost, (Losses{3, 0, 0, 1}));
  auto losses = store.losses(key, {})->items;
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_EQ(losses[0].seq_first, 8U);
  EXPECT_EQ(losses[0].reason, wire::LossReason::poison);
  EXPECT_EQ(losses[1].records, 3U);
  for (const auto& loss : losses) EXPECT_FALSE(loss.from || loss.to) << "nobody wrote it down";
  EXPECT_TRUE(store.history(key, {.stream = "a"})->gaps.empty()) << "and nothing is made up";
  {
    auto transaction = store.begin_ingest().value();
    ASSERT_TRUE(transaction->device(key));
    const wire::RecordBody lost = wire::LossRecord{wire::LossReason::quota, 10, 11};
    const wire::RecordBody after = wire::SummaryRecord{.stream = "a", .watch = "w", .end = t0};
    const std::array<IncomingRecord, 2> records{
        IncomingRecord{10, 11, wire::RecordClass::loss, 1, &lost},
        IncomingRecord{12, 12, wire::RecordClass::summary, 2, &after}};
    ASSERT_TRUE(transaction->store(key, 1, t0, records));
    ASSERT_TRUE(transaction->commit());
  }
  losses = store.losses(key, {})->items;
  ASSERT_EQ(losses.size(), 3U);
  EXPECT_EQ(losses[0].from, t0) << "the newest summary there was";
  EXPECT_EQ(losses[0].to, t0);
  EXPECT_FALSE(losses[1].to || losses[2].to) << "old ones stay as they are";
}

TEST(SqliteStore, NamesThePlaceItCannotOpen) {
  const auto opened = open_sqlite_store("/nonexistent/hub.db");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::io);
  EXPECT_NE(opened.error().context.find("/nonexistent/hub.db"), std::string::npos);
}

TEST(SqliteStore, AnotherProcessMayWriteBesideIt) {
  const FreshFolder folder;
  const auto path = folder.path() / "hub.db";
  auto serving = open_sqlite_store(path);
  auto tool = open_sqlite_store(path);
  ASSERT_TRUE(serving);
  ASSERT_TRUE(tool);
  const Time at = from_micros(1);
  ASSERT_TRUE((*tool)->add_token({"acme", "t", "n", "h", {"admin"}, at}));
  EXPECT_TRUE((*serving)->token_by_hash("h"));
}

TEST(SqliteConnection, KeepsTheFirstFailureAndDoesNothingUntilItIsCleared) {
  const FreshFolder folder;
  auto db = sqlite::Connection::open(folder.path() / "x.db", {});
  ASSERT_TRUE(db);
  (*db)->run("CREATE TABLE t(a)");
  (*db)->run("INSERT INTO nowhere VALUES(1)");
  ASSERT_TRUE((*db)->failed());
  EXPECT_EQ((*db)->run("INSERT INTO t VALUES(1)"), 0);
  EXPECT_NE((*db)->failure().context.find("nowhere"), std::string::npos);
  (*db)->clear_failure();
  EXPECT_EQ((*db)->run("INSERT INTO t VALUES(1)"), 1);
}

TEST(Cursor, CarriesAnyBytes) {
  const std::string odd("a-\0\xff x", 6);
  const auto cursor = make_cursor({odd, "", "42"});
  const auto parts = read_cursor(cursor, 3);
  ASSERT_TRUE(parts);
  EXPECT_EQ((*parts)[0], odd);
  EXPECT_EQ((*parts)[1], "");
  EXPECT_EQ(*cursor_number((*parts)[2]), 42);
  EXPECT_FALSE(read_cursor(cursor, 2));
}

TEST(Feed, WakesListenersUntilTheyLeave) {
  Feed feed;
  std::uint64_t heard = 0;
  auto subscription = feed.listen([&](std::uint64_t seq) { heard = seq; });
  feed.grew(4);
  EXPECT_EQ(heard, 4U);
  auto moved = std::move(subscription);
  feed.grew(5);
  EXPECT_EQ(heard, 5U);
  moved.reset();
  feed.grew(6);
  EXPECT_EQ(heard, 5U);
}

}  // namespace
}  // namespace lapwing::hub
