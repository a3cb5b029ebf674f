// SPDX-License-Identifier: Apache-2.0
/// The contract on SQLite, and what only SQLite has.
#include "hub/store/sqlite_store.hpp"

#include "hub/store/cursor.hpp"
#include "hub/store/feed.hpp"
#include "shared/sqlite/connection.hpp"
#include "tests/hub/store/store_contract.hpp"

#include <gtest/gtest.h>

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
                         testing::Values(StoreEngine{
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
