// SPDX-License-Identifier: Apache-2.0
#include "tests/support/postgres.hpp"

#include "shared/postgres/array_argument.hpp"
#include "shared/postgres/connection.hpp"
#include "shared/postgres/copy_rows.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <latch>
#include <limits>
#include <thread>

namespace lapwing::postgres {
namespace {

using testing::PostgresServer;
using Access = sql::Connection::Access;

constexpr std::array<std::string_view, 2> kMigrations = {
    "CREATE TABLE t(id bigint PRIMARY KEY, word text, number double precision, bytes bytea,"
    " small smallint, whole integer, truth boolean);",
    "ALTER TABLE t ADD COLUMN later bigint; CREATE INDEX t_word ON t(word);"};

class PostgresTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = PostgresServer::shared();
    if (server_ == nullptr) GTEST_SKIP() << "PostgreSQL's server is not installed";
    url_ = server_->new_database();
  }
  [[nodiscard]] std::unique_ptr<Connection> open(const Options& options = {}) const {
    auto own = options;
    own.url = url_;
    auto db = Connection::open(own);
    EXPECT_TRUE(db) << db.error().context;
    return db ? std::move(*db) : nullptr;
  }
  [[nodiscard]] std::unique_ptr<Connection> open_migrated() const {
    auto db = open();
    const auto done = migrate(*db, kMigrations);
    EXPECT_TRUE(done) << done.error().context;
    return db;
  }
  static std::int64_t one(Connection& db, std::string_view sql) {
    std::int64_t value = -1;
    db.rows(sql, [&](const sql::Row& row) { value = row.integer(0); });
    return value;
  }

  PostgresServer* server_ = nullptr;
  std::string url_;
};

TEST_F(PostgresTest, BindsAndReadsEveryType) {
  auto db = open_migrated();
  const std::string bytes("a\0b", 3);
  db->run("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", std::numeric_limits<std::int64_t>::min(),
          "wörd '?'", 1.5, sql::Blob{bytes}, -3, 70'000, true, std::optional<std::int64_t>());
  EXPECT_EQ(db->run("INSERT INTO t(id, word, number) VALUES (?, ?, ?), (9, 'x', 3)", 8,
                    std::string_view(), std::nan("")),
            2);
  ASSERT_FALSE(db->failed()) << db->failure().context;
  int rows = 0;
  db->rows("SELECT * FROM t ORDER BY id", [&](const sql::Row& row) {
    if (++rows == 1) {
      EXPECT_EQ(row.integer(0), std::numeric_limits<std::int64_t>::min());
      EXPECT_EQ(row.text(1), "wörd '?'");
      EXPECT_EQ(row.number(2), 1.5);
      EXPECT_EQ(row.view(3), bytes);
      EXPECT_EQ(row.integer(4), -3);
      EXPECT_EQ(row.integer(5), 70'000);
      EXPECT_EQ(row.integer(6), 1);
      EXPECT_TRUE(row.is_null(7));
      EXPECT_EQ(row.integer(7), 0);
    } else if (rows == 2) {
      EXPECT_FALSE(row.is_null(1));
      EXPECT_TRUE(std::isnan(row.number(2)));
      EXPECT_TRUE(row.is_null(2)) << "what is no number is NULL";
    }
  });
  EXPECT_EQ(rows, 3);
}

TEST_F(PostgresTest, KeepsTheFirstFailureAndSaysWhatAndWhere) {
  auto db = open_migrated();
  db->begin(Access::write);
  db->run("INSERT INTO t(id) VALUES (?)", 1);
  db->run("INSERT INTO t(id) VALUES (?)", 1);
  db->run("INSERT INTO nowhere VALUES (?)", 1);
  ASSERT_TRUE(db->failed());
  EXPECT_EQ(db->failure().code, Errc::corrupt);
  EXPECT_NE(db->failure().context.find("duplicate key"), std::string::npos);
  EXPECT_NE(db->failure().context.find("127.0.0.1:" + std::to_string(server_->port())),
            std::string::npos);
  db->commit();
  db->rollback();
  ASSERT_FALSE(db->failed());
  EXPECT_EQ(one(*db, "SELECT count(*) FROM t"), 0);
}

TEST_F(PostgresTest, ATransactionThatFailedCannotBeCommittedByMistake) {
  auto db = open_migrated();
  db->begin(Access::write);
  db->run("INSERT INTO nowhere VALUES (1)");
  db->clear_failure();
  db->commit();
  ASSERT_TRUE(db->failed());
  EXPECT_NE(db->failure().context.find("rolled back"), std::string::npos);
}

TEST_F(PostgresTest, WhatIsPostedHappensInOrderAndIsSeenByWhatFollows) {
  auto db = open_migrated();
  db->begin(Access::write);
  for (int i = 0; i < 1000; ++i) db->post("INSERT INTO t(id, whole) VALUES (?, ?)", i, i);
  db->post("UPDATE t SET whole = whole + 1 WHERE id < ?", 10);
  EXPECT_EQ(one(*db, "SELECT sum(whole)::bigint FROM t"), 1000 * 999 / 2 + 10);
  std::vector<std::int64_t> seen;
  for (int i = 0; i < 600; ++i) {
    db->later(
        "SELECT whole FROM t WHERE id = ?",
        [&](const sql::Row& row) { seen.push_back(row.integer(0)); }, i);
  }
  db->commit();
  ASSERT_FALSE(db->failed()) << db->failure().context;
  ASSERT_EQ(seen.size(), 600U) << "before commit() returns";
  EXPECT_EQ(seen[0], 1);
  EXPECT_EQ(seen[599], 599);
  EXPECT_EQ(one(*db, "SELECT count(*) FROM t"), 1000);
}

TEST_F(PostgresTest, AFailureOfWhatWasPostedShowsAtCommit) {
  auto db = open_migrated();
  db->begin(Access::write);
  db->run("INSERT INTO t(id) VALUES (?)", 2);  // statements that are known are sent at once
  EXPECT_EQ(one(*db, "SELECT 1"), 1);
  db->post("INSERT INTO t(id) VALUES (?)", 1);
  db->post("INSERT INTO t(id) VALUES (?)", 1);
  int called = 0;
  db->later("SELECT 1", [&](const sql::Row&) { ++called; });
  EXPECT_FALSE(db->failed());
  db->commit();
  ASSERT_TRUE(db->failed());
  EXPECT_NE(db->failure().context.find("duplicate key"), std::string::npos) << "the cause";
  EXPECT_EQ(called, 0);
  db->rollback();
  EXPECT_EQ(one(*db, "SELECT count(*) FROM t"), 0);
  EXPECT_FALSE(db->failed());
}

TEST_F(PostgresTest, CopiesRows) {
  auto db = open_migrated();
  CopyRows rows(4);
  for (int i = 0; i < 50'000; ++i) {
    rows.begin_row();
    rows.bigint(i);
    rows.bytes("word");
    i % 2 == 0 ? rows.number(i) : rows.number(std::nan(""));
    rows.smallint(-1);
  }
  db->begin(Access::write);
  db->post("INSERT INTO t(id) VALUES (-1)");
  db->copy("COPY t(id, word, number, small) FROM STDIN (FORMAT binary)", rows.finish());
  db->commit();
  ASSERT_FALSE(db->failed()) << db->failure().context;
  EXPECT_EQ(one(*db, "SELECT count(*) FROM t"), 50'001);
  EXPECT_EQ(one(*db, "SELECT count(number) FROM t WHERE word = 'word' AND small = -1"), 25'000);
  rows.clear();
  rows.begin_row();
  rows.bigint(7);
  rows.null();
  rows.null();
  rows.null();
  db->copy("COPY t(id, word, number, small) FROM STDIN (FORMAT binary)", rows.finish());
  EXPECT_TRUE(db->failed()) << "7 is there";
  db->clear_failure();
  EXPECT_EQ(one(*db, "SELECT count(*) FROM t"), 50'001) << "the connection goes on";
}

TEST_F(PostgresTest, BindsArrays) {
  auto db = open_migrated();
  using Of = ArrayArgument::Of;
  ArrayArgument ids(Of::bigint);
  ArrayArgument smalls(Of::smallint);
  ArrayArgument words(Of::text);
  ArrayArgument numbers(Of::number);
  ArrayArgument truths(Of::boolean);
  for (int i = 0; i < 3000; ++i) {
    ids.bigint(std::int64_t{i} << 32U);
    smalls.smallint(static_cast<std::int16_t>(-i));
    i % 3 == 0 ? words.null() : words.text("wörd {" + std::to_string(i) + "}");
    numbers.number(i % 2 == 0 ? i / 2.0 : std::nan(""));
    truths.boolean(i % 5 == 0);
  }
  db->begin(Access::write);
  db->post(
      "INSERT INTO t(id, small, word, number, truth) SELECT * FROM unnest(?::bigint[],"
      " ?::smallint[], ?::text[], ?::float8[], ?::boolean[])",
      ids.value(), smalls.value(), words.value(), numbers.value(), truths.value());
  db->commit();
  ASSERT_FALSE(db->failed()) << db->failure().context;
  EXPECT_EQ(one(*db, "SELECT count(*) FROM t WHERE word IS NULL"), 1000);
  EXPECT_EQ(one(*db, "SELECT count(*) FROM t WHERE number IS NULL"), 1500);
  EXPECT_EQ(one(*db, "SELECT count(*) FROM t WHERE truth"), 600);
  EXPECT_EQ(one(*db, "SELECT small FROM t WHERE id = 7::bigint << 32 AND word = 'wörd {7}'"), -7);
  ids.clear();
  words.clear();
  db->begin(Access::write);
  EXPECT_EQ(db->run("INSERT INTO t(id, word) SELECT * FROM unnest(?::bigint[], ?::text[])",
                    ids.value(), words.value()),
            0)
      << "an empty one has no elements";
  ids.bigint(-1);
  words.text("\xff");
  db->run("INSERT INTO t(id, word) SELECT * FROM unnest(?::bigint[], ?::text[])", ids.value(),
          words.value());
  ASSERT_TRUE(db->failed());
  EXPECT_EQ(db->failure().code, Errc::bad_input);
}

TEST_F(PostgresTest, ATransactionInWhichNothingHappensLetsItsLocksGo) {
  auto db = open_migrated();
  db->run("INSERT INTO t(id) VALUES (1)");
  auto hangs = open({.idle_timeout = std::chrono::milliseconds(100)});
  hangs->begin(Access::write);
  hangs->run("UPDATE t SET whole = 1 WHERE id = 1");
  db->run("UPDATE t SET whole = 2 WHERE id = 1");  // waits until the server ends the other
  ASSERT_FALSE(db->failed()) << db->failure().context;
  hangs->commit();
  ASSERT_TRUE(hangs->failed());
  EXPECT_EQ(hangs->failure().code, Errc::io);
  hangs->rollback();
  hangs->begin(Access::write);
  hangs->commit();
  EXPECT_FALSE(hangs->failed()) << "and goes on on a new connection";
  EXPECT_EQ(one(*db, "SELECT whole FROM t"), 2);
}

TEST_F(PostgresTest, DoesNotWaitForALockForLongerThanItMay) {
  auto db = open_migrated();
  db->begin(Access::write);
  db->script("LOCK TABLE t");
  auto other = open({.lock_timeout = std::chrono::milliseconds(20)});
  other->run("INSERT INTO t(id) VALUES (1)");
  ASSERT_TRUE(other->failed());
  EXPECT_EQ(other->failure().code, Errc::io);
}

TEST_F(PostgresTest, AReaderSeesOneState) {
  auto writer = open_migrated();
  auto reader = open();
  reader->begin(Access::read);
  EXPECT_EQ(one(*reader, "SELECT count(*) FROM t"), 0);
  writer->run("INSERT INTO t(id) VALUES (1)");
  EXPECT_EQ(one(*reader, "SELECT count(*) FROM t"), 0);
  reader->run("INSERT INTO t(id) VALUES (2)");
  EXPECT_TRUE(reader->failed()) << "it may not write";
  reader->rollback();
  EXPECT_EQ(one(*reader, "SELECT count(*) FROM t"), 1);
}

TEST_F(PostgresTest, ConnectsAnewAfterTheServerCutTheConnection) {
  auto db = open_migrated();
  const auto id = one(*db, "SELECT pg_backend_pid()");
  open()->rows(
      "SELECT pg_terminate_backend(?)", [](const sql::Row&) {}, id);
  db->begin(Access::write);
  db->run("INSERT INTO t(id) VALUES (1)");
  db->commit();
  EXPECT_FALSE(db->failed()) << db->failure().context
                             << ": nothing was under way, so nothing shows";

  db->begin(Access::write);
  db->run("INSERT INTO t(id) VALUES (2)");
  const auto second = one(*db, "SELECT pg_backend_pid()");
  open()->rows(
      "SELECT pg_terminate_backend(?)", [](const sql::Row&) {}, second);
  db->run("INSERT INTO t(id) VALUES (3)");
  ASSERT_TRUE(db->failed());
  EXPECT_EQ(db->failure().code, Errc::io);
  db->rollback();
  db->begin(Access::write);
  db->post("INSERT INTO t(id) VALUES (4)");
  db->commit();
  ASSERT_FALSE(db->failed()) << db->failure().context;
  EXPECT_EQ(one(*db, "SELECT sum(id)::bigint FROM t"), 5);
}

TEST_F(PostgresTest, SaysWhyItCannotConnect) {
  const auto closed = Connection::open(
      {.url = "postgresql://u@127.0.0.1:1/none", .password = Secret<std::string>("hidden")});
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, Errc::io);
  EXPECT_NE(closed.error().context.find("127.0.0.1:1"), std::string::npos);
  EXPECT_EQ(closed.error().context.find("hidden"), std::string::npos);
  const auto nobody = Connection::open({.url = server_->url("nobody")});
  ASSERT_FALSE(nobody);
  EXPECT_NE(nobody.error().context.find("\"nobody\" does not exist"), std::string::npos);
}

TEST_F(PostgresTest, AStatementThatTakesTooLongFails) {
  auto db = open({.statement_timeout = std::chrono::milliseconds(20)});
  db->rows("SELECT pg_sleep(10)", [](const sql::Row&) {});
  ASSERT_TRUE(db->failed());
  EXPECT_EQ(db->failure().code, Errc::timeout);
}

TEST_F(PostgresTest, MigratesOnceHoweverManyTry) {
  std::vector<std::jthread> threads;
  std::latch begin(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      auto db = open();
      begin.arrive_and_wait();
      const auto done = migrate(*db, kMigrations);
      EXPECT_TRUE(done) << done.error().context;
    });
  }
  threads.clear();
  auto db = open();
  EXPECT_EQ(one(*db, "SELECT version FROM schema_version"), 2);
  EXPECT_EQ(one(*db, "SELECT count(*) FROM schema_version"), 1);
  const auto older = migrate(*db, std::span(kMigrations).first(1));
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, Errc::unsupported);
}

TEST_F(PostgresTest, ATransactionThatCannotMigrateChangesNothing) {
  auto db = open();
  constexpr std::array<std::string_view, 2> kBroken = {"CREATE TABLE a(x bigint);",
                                                       "CREATE TABLE a(x bigint);"};
  EXPECT_FALSE(migrate(*db, kBroken));
  EXPECT_EQ(one(*db, "SELECT count(*) FROM pg_tables WHERE tablename = 'a'"), 0);
}

TEST_F(PostgresTest, TellsNotifications) {
  auto listener = open();
  listener->script("LISTEN feed; LISTEN commands");
  EXPECT_TRUE(listener->notifications(Micros(0), -1).empty());
  auto db = open();
  db->begin(Access::write);
  db->post("NOTIFY feed");
  db->post("SELECT pg_notify('feed', 'again')");
  EXPECT_TRUE(listener->notifications(Micros(0), -1).empty()) << "not before the commit";
  db->commit();
  EXPECT_EQ(listener->notifications(std::chrono::seconds(10), -1),
            std::vector<std::string>{"feed"});
  ASSERT_FALSE(listener->failed());
}

}  // namespace
}  // namespace lapwing::postgres
