// SPDX-License-Identifier: Apache-2.0
#include "shared/sqlite/connection.hpp"
#include "shared/sqlite/counted_files.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <fstream>
#include <stdexcept>

namespace lapwing::sqlite {
namespace {

constexpr std::array<std::string_view, 2> kMigrations = {
    "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT, number REAL, bytes BLOB) STRICT;",
    "ALTER TABLE t ADD COLUMN later INTEGER;"};

class SqliteTest : public ::testing::Test {
 protected:
  std::unique_ptr<Connection> open(const Connection::Options& options = {}) {
    auto db = Connection::open(file_, options);
    EXPECT_TRUE(db) << db.error().context;
    return db ? std::move(*db) : nullptr;
  }
  std::unique_ptr<Connection> open_migrated(const Connection::Options& options = {}) {
    auto db = open(options);
    if (db) {
      auto done = migrate(*db, kMigrations);
      EXPECT_TRUE(done) << done.error().context;
    }
    return db;
  }
  static std::int64_t one(Connection& db, std::string_view sql) {
    std::int64_t value = -1;
    db.rows(sql, [&](const Row& row) { value = row.integer(0); });
    return value;
  }

  lapwing::testing::TempDir folder_;
  const std::filesystem::path file_ = folder_.path() / "t.db";
};

TEST_F(SqliteTest, OpensForDurability) {
  auto db = open();
  std::string mode;
  db->rows("PRAGMA journal_mode", [&](const Row& row) { mode = row.text(0); });
  EXPECT_EQ(mode, "wal");
  EXPECT_EQ(one(*db, "PRAGMA synchronous"), 2) << "FULL";
  EXPECT_EQ(one(*db, "PRAGMA secure_delete"), 1);
  EXPECT_EQ(one(*open({.secure_delete = false}), "PRAGMA secure_delete"), 0);
}

TEST_F(SqliteTest, BindsAndReadsEveryType) {
  auto db = open_migrated();
  const std::string bytes("a\0b", 3);
  db->run("INSERT INTO t VALUES (?, ?, ?, ?, ?)", 7, "text", 1.5, Blob{bytes},
          std::optional<std::int64_t>());
  db->run("INSERT INTO t VALUES (?, ?, ?, ?, ?)", 8, std::string_view(), std::nan(""), Blob{},
          std::uint64_t{9});
  ASSERT_FALSE(db->failed()) << db->failure().context;
  int rows = 0;
  db->rows("SELECT * FROM t ORDER BY id", [&](const Row& row) {
    if (rows++ == 0) {
      EXPECT_EQ(row.text(1), "text");
      EXPECT_EQ(row.number(2), 1.5);
      EXPECT_EQ(row.view(3), bytes);
      EXPECT_TRUE(row.is_null(4));
    } else {
      EXPECT_FALSE(row.is_null(1)) << "an empty text is no NULL";
      EXPECT_TRUE(std::isnan(row.number(2)));
      EXPECT_FALSE(row.is_null(3));
      EXPECT_EQ(row.count(4), 9U);
    }
  });
  EXPECT_EQ(rows, 2);
  EXPECT_EQ(db->run("DELETE FROM t WHERE id > ?", 0), 2);
}

TEST_F(SqliteTest, KeepsTheFirstFailureAndDoesNothingUntilItIsCleared) {
  auto db = open_migrated();
  db->run("INSERT INTO nowhere VALUES (1)");
  db->run("INSERT INTO t(id) VALUES (1)");
  ASSERT_TRUE(db->failed());
  EXPECT_NE(db->failure().context.find("nowhere"), std::string::npos);
  EXPECT_NE(db->failure().context.find(file_.string()), std::string::npos);
  db->clear_failure();
  EXPECT_EQ(one(*db, "SELECT count(*) FROM t"), 0);
}

TEST_F(SqliteTest, AThrowingCallbackLeavesTheStatementUsable) {
  auto db = open_migrated();
  db->run("INSERT INTO t(id) VALUES (1), (2)");
  EXPECT_THROW(
      db->rows("SELECT id FROM t", [](const Row&) { throw std::runtime_error("not our problem"); }),
      std::runtime_error);
  db->run("DROP TABLE t");
  EXPECT_FALSE(db->failed()) << "a statement left open would lock the table";
}

TEST_F(SqliteTest, MigratesOnceAndRefusesANewerFile) {
  { auto db = open_migrated(); }
  {
    auto db = open_migrated();
    EXPECT_EQ(one(*db, "PRAGMA user_version"), 2);
    db->run("PRAGMA user_version = 3");
  }
  auto db = open();
  const auto refused = migrate(*db, kMigrations);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  EXPECT_NE(refused.error().context.find("newer version"), std::string::npos);
}

TEST_F(SqliteTest, AFailedMigrationChangesNothing) {
  constexpr std::array<std::string_view, 2> kBroken = {"CREATE TABLE a (id INTEGER);",
                                                       "CREATE TABLE b (id INTEGER); NONSENSE;"};
  auto db = open();
  EXPECT_FALSE(migrate(*db, kBroken));
  EXPECT_EQ(one(*db, "PRAGMA user_version"), 0);
  EXPECT_EQ(one(*db, "SELECT count(*) FROM sqlite_schema"), 0);
}

TEST_F(SqliteTest, ItsQuotaIsALimitAndTheRestStaysUsable) {
  auto db = open_migrated({.file_bytes_max = 1U << 20U});
  const std::string bytes(10'000, 'x');
  int stored = 0;
  while (!db->failed() && stored < 1000) {
    db->run("INSERT INTO t(bytes) VALUES (?)", Blob{bytes});
    if (!db->failed()) ++stored;
  }
  ASSERT_TRUE(db->failed());
  EXPECT_EQ(db->failure().code, Errc::limit) << db->failure().context;
  EXPECT_NE(db->failure().context.find("free space"), std::string::npos);
  EXPECT_GT(stored, 50);
  db->clear_failure();
  EXPECT_EQ(db->run("DELETE FROM t WHERE id <= 10"), 10);
  db->run("INSERT INTO t(bytes) VALUES (?)", Blob{bytes});
  EXPECT_FALSE(db->failed());
}

TEST_F(SqliteTest, AReadOnlyConnectionCannotWrite) {
  auto writer = open_migrated();
  auto reader = open({.read_only = true});
  reader->run("INSERT INTO t(id) VALUES (1)");
  ASSERT_TRUE(reader->failed());
  EXPECT_EQ(reader->failure().code, Errc::denied);
  reader->clear_failure();
  writer->run("INSERT INTO t(id) VALUES (1)");
  EXPECT_EQ(one(*reader, "SELECT count(*) FROM t"), 1);
}

TEST_F(SqliteTest, TellsWhatIsWrongWithAFile) {
  const auto missing = Connection::open(folder_.path() / "no" / "t.db", {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::io);
  EXPECT_NE(missing.error().context.find("No such file"), std::string::npos)
      << missing.error().context;
  folder_.put("t.db", std::string(8192, 'z'));
  const auto rubbish = Connection::open(file_, {});
  ASSERT_FALSE(rubbish);
  EXPECT_EQ(rubbish.error().code, Errc::corrupt) << rubbish.error().context;
}

TEST_F(SqliteTest, CountsWhatIsWrittenLogAndCheckpointsIncluded) {
  std::atomic<std::uint64_t> bytes = 0;
  std::unique_ptr<Connection> db;
  {
    const CountedFiles counted(&bytes);
    db = open_migrated({.checkpoint_pages = 100});
  }
  const std::uint64_t made = bytes;
  EXPECT_GT(made, 0U);
  const std::string text(1000, 'x');
  for (int i = 0; i < 1000; ++i) db->run("INSERT INTO t (text) VALUES (?)", text);
  ASSERT_FALSE(db->failed());
  // At least a page of 4 KiB a commit in the log, and most pages once more at checkpoints.
  EXPECT_GT(bytes - made, 1000U * 4096);
  EXPECT_LT(bytes - made, 1000U * 4 * 4096);
  const std::uint64_t before = bytes;
  EXPECT_EQ(one(*db, "SELECT count(*) FROM t"), 1000);
  EXPECT_EQ(bytes, before) << "reading writes nothing";
  auto other = open_migrated();
  other->run("INSERT INTO t (text) VALUES (?)", text);
  EXPECT_FALSE(other->failed());
  EXPECT_EQ(bytes, before) << "opened outside, not counted";
}

}  // namespace
}  // namespace lapwing::sqlite
