// SPDX-License-Identifier: Apache-2.0
#include "hub/migrate/migrate.hpp"

#include "hub/api/rows_json.hpp"
#include "hub/cli/commands.hpp"
#include "hub/migrate/plan.hpp"
#include "hub/store/postgres_schema.hpp"
#include "hub/store/postgres_store.hpp"
#include "hub/store/spool.hpp"
#include "hub/store/sqlite_schema.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/base/files.hpp"
#include "shared/sqlite/connection.hpp"
#include "tests/hub/store/store_contract.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <set>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace lapwing::hub {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::PostgresServer;
using testing::TempDir;

/// A store on SQLite with something of everything, and an empty database to move it to.
class Migrate : public StoreContract {
 protected:
  const Time now_ = t0_ + hours(24) * 10;
  const DeviceKey second_{kTenant, "press-2"};
  const DeviceKey theirs_{"other", "press-1"};

  void SetUp() override {
    auto* server = PostgresServer::shared();
    if (server == nullptr) GTEST_SKIP() << "PostgreSQL's server is not installed";
    url_ = server->new_database();
    open_source();
    for (const auto& key : {key_, second_, theirs_}) enrol(key);
    fill();
  }

  [[nodiscard]] std::filesystem::path file() const { return folder_.path() / "hub.db"; }
  void open_source() {
    store_.reset();
    auto opened = open_sqlite_store(file());
    ASSERT_TRUE(opened) << opened.error().context;
    store_ = *std::move(opened);
  }
  void open_target() {
    store_.reset();
    auto opened = open_postgres_store({.connection = {.url = url_}, .readers = 1});
    ASSERT_TRUE(opened) << opened.error().context;
    store_ = *std::move(opened);
  }
  [[nodiscard]] MigrationRequest request() const {
    return {.source = file(), .target = {.url = url_}, .at = now_};
  }
  Result<Migrated> migrate() {
    store_.reset();
    return migrate_to_postgres(request());
  }

  void fill() {
    std::vector<OwnedRecord> records;
    for (std::uint64_t seq = 1; seq <= 1500; ++seq) {
      const auto at = t0_ + minutes(7) * static_cast<int>(seq);
      const auto stream = "s" + std::to_string(seq % 5);
      if (seq % 10 == 0) {
        const auto phase = seq % 20 == 0 ? wire::Phase::closed : wire::Phase::opened;
        records.push_back(anomaly(seq, seq / 20 + (1ULL << 63U), phase, at, stream));
      } else {
        records.push_back(summary(seq, stream, at, static_cast<double>(seq) / 3));
      }
    }
    put(key_, 1, records, 1500, t0_ + hours(1));
    put(key_, 1, {loss(1501, 1510), summary(1511, "s1", now_ - hours(1))}, 1511, now_ - hours(1));
    put(key_, 1, {anomaly(1600, 77, wire::Phase::opened, now_)}, 0, now_);  // a live copy
    put_spooled(theirs_, {summary(1, "a", t0_), summary(2, "a", t0_)});
    put(second_, 3, {summary(1, "Zürich/ä", t0_), summary(2, "Zürich/ä", t0_ + minutes(1))}, 2);
    put(second_, 4, {summary(1, "b", now_ + hours(24) * 30)}, 1, now_);  // its clock is wrong
    put(theirs_, 1, {anomaly(3, 5, wire::Phase::updated, t0_)}, 3);
    auto transaction = store_->begin_ingest();
    ASSERT_TRUE((*transaction)->device(second_));
    ASSERT_TRUE((*transaction)->device(key_));
    ASSERT_TRUE((*transaction)
                    ->dead_letter(second_, {4, 2, 99, "cannot be \xff read",
                                            std::string("\0\xff\x01", 3), now_}));
    ASSERT_TRUE((*transaction)->save_presence(key_, {true, "7-abc", now_, "1.2.3", 1700}));
    ASSERT_TRUE((*transaction)->commit());
    ASSERT_TRUE(store_->add_token({kTenant, "t1", "n", "h1", {"read", "enrol"}, t0_, now_}));
    ASSERT_TRUE(store_->add_token({"other", "t2", "n", "h2", {"admin"}, t0_}));
    ASSERT_TRUE(store_->revoke_token(kTenant, "t1", now_));
    ASSERT_TRUE(store_->add_enrolment({kTenant, "e1", "new", t0_, now_ + hours(1), {}}));
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(store_->add_audit({0, kTenant, t0_, "cli", "token.create", "t1", "d"}));
    }
    ASSERT_TRUE(store_->revoke_device(theirs_, now_));
  }

  /// All that the store's queries tell.
  std::string everything();
  template <class Query>
  void tell_pages(std::ostream& out, const Query& query, std::size_t limit);
  void tell_device(std::ostream& out, const DeviceKey& key);

  TempDir folder_;
  std::string url_;
};

template <class Query>
void Migrate::tell_pages(std::ostream& out, const Query& query, std::size_t limit) {
  PageRequest page{.limit = limit};
  while (true) {
    const auto got = query(page);
    ASSERT_TRUE(got) << got.error().context;
    out << to_json(*got) << '\n';
    if (!got->next_cursor) return;
    page.cursor = *got->next_cursor;
  }
}

void Migrate::tell_device(std::ostream& out, const DeviceKey& key) {
  out << key.tenant << '/' << key.device << ' ' << to_json(store_->device(key).value()) << '\n';
  tell_pages(
      out, [&](const auto& page) { return store_->streams(key, page); }, 2);
  tell_pages(
      out, [&](const auto& page) { return store_->losses(key, page); }, 2);
  const auto streams = store_->streams(key, {}).value();
  for (const auto& stream : streams.items) {
    HistoryQuery query{.stream = stream.stream, .watch = stream.watch};
    out << history_json(stream.stream, store_->history(key, query).value()) << '\n';
    query.from = t0_ + hours(3);
    query.to = t0_ + hours(40);
    query.limit = 7;
    out << history_json(stream.stream, store_->history(key, query).value()) << '\n';
  }
  for (const auto seq : {1, 2, 1000, 1001, 1500, 1501, 1511, 1600}) {
    auto transaction = store_->begin_ingest();
    const auto session = (*transaction)->device(key);
    for (const auto epoch : {1, 3, 4}) {
      const auto hash = (*transaction)
                            ->record_hash(key, static_cast<std::uint64_t>(epoch),
                                          static_cast<std::uint64_t>(seq));
      out << (*hash ? std::to_string(**hash) : "-") << ' ';
    }
    out << session->sync.watermark << ' ' << session->sync.live_through << ' '
        << session->connection_id << ' ' << session->online << ' ' << session->revoked << '\n';
  }
}

std::string Migrate::everything() {
  std::ostringstream out;
  for (const auto* tenant : {"acme", "other", "nobody"}) {
    tell_pages(
        out, [&](const auto& page) { return store_->devices(tenant, page); }, 1);
    for (const auto& open : {std::optional<bool>(), std::optional<bool>(true)}) {
      const AnomalyFilter filter{.open = open};
      tell_pages(
          out, [&](const auto& page) { return store_->anomalies(tenant, filter, page); }, 40);
    }
    FeedQuery query{.limit = 50};
    for (bool more = true; more;) {
      const auto rows = store_->feed(tenant, query).value();
      for (const auto& row : rows) out << row.seq << ' ' << to_json(row) << '\n';
      more = !rows.empty();
      if (more) query.after = rows.back().seq;
    }
    const auto bounds = store_->feed_bounds(tenant).value();
    out << bounds.oldest << ' ' << bounds.newest << '\n';
    tell_pages(
        out, [&](const auto& page) { return store_->dead_letters(tenant, page); }, 2);
    tell_pages(
        out, [&](const auto& page) { return store_->tokens(tenant, page); }, 1);
    tell_pages(
        out, [&](const auto& page) { return store_->audit(tenant, page); }, 2);
  }
  for (const auto& key : {key_, second_, theirs_}) tell_device(out, key);
  const auto waiting = store_->spool().oldest("k", 100, 1000).value();
  for (const auto& row : waiting) {
    out << row.number << ' ' << row.key.device << ' ' << row.seq << ' ' << row.value << '\n';
  }
  for (const auto* hash : {"h1", "h2"}) out << to_json(store_->token_by_hash(hash).value()) << '\n';
  return out.str();
}

/// Lines that differ would be lost in two texts of a megabyte.
void expect_same(const std::string& was, const std::string& is) {
  std::istringstream left(was);
  std::istringstream right(is);
  std::string one;
  std::string other;
  for (int line = 1; std::getline(left, one); ++line) {
    ASSERT_TRUE(std::getline(right, other)) << "line " << line;
    ASSERT_EQ(one, other) << "line " << line;
  }
  EXPECT_FALSE(std::getline(right, other));
}

TEST_F(Migrate, EveryQueryTellsTheSameAfterwards) {
  auto was = everything();
  // What no text of PostgreSQL may hold; as JSON both are U+FFFD already, or are made so here.
  if (const auto at = was.find('\xff'); at != std::string::npos) was.replace(at, 1, "\uFFFD");
  store_.reset();
  const auto source = read_file(file(), 64U << 20U);
  const auto done = migrate();
  ASSERT_TRUE(done) << done.error().context;
  EXPECT_EQ(done->repaired, 1U);
  EXPECT_TRUE(read_file(file(), 64U << 20U).value() == source.value()) << "it is only read";
  open_target();
  expect_same(was, everything());
}

/// What came next on SQLite comes on PostgreSQL, with the same outcome: also where it repeats what
/// was there, fills what live copies left open, and takes the next of every number.
TEST_F(Migrate, WhatComesNextIsTakenInAsIfNothingHadHappened) {
  const auto go_on = [this] {
    std::ostringstream told;
    const auto tell = [&](const StoredCounts& c) {
      told << c.stored << ' ' << c.duplicates << ' ' << c.lost << ' ' << c.anomalies << '\n';
    };
    tell(put(key_, 1, {summary(1511, "s1", now_ - hours(1))}, 1511, now_));
    tell(put(key_, 1, {anomaly(1600, 77, wire::Phase::opened, now_)}, 0, now_));
    tell(put(key_, 1, {summary(1512, "s1", now_), summary(1513, "new", now_)}, 1513, now_));
    tell(
        put(key_, 1, {loss(1514, 1605), anomaly(1606, 78, wire::Phase::opened, now_)}, 1606, now_));
    tell(put(second_, 4, {summary(3, "b", now_)}, 3, now_));
    auto transaction = store_->begin_ingest();
    EXPECT_TRUE((*transaction)->device(second_));
    EXPECT_TRUE((*transaction)->dead_letter(second_, {0, 0, 0, "frame", "x", now_}));
    EXPECT_TRUE((*transaction)->commit());
    transaction->reset();
    EXPECT_TRUE(store_->add_audit({0, kTenant, now_, "cli", "x", "y", "z"}));
    put_spooled(key_, {summary(1607, "s1", now_)});
    enrol({"third", "d"});
    EXPECT_TRUE(store_->consume_enrolment("e1", now_));
    EXPECT_EQ(store_->consume_enrolment("e1", now_).error().code, Errc::denied);
    return told.str();
  };
  ASSERT_TRUE(migrate());
  open_source();
  const auto told_before = go_on();
  auto was = everything();
  if (const auto at = was.find('\xff'); at != std::string::npos) was.replace(at, 1, "\uFFFD");
  open_target();
  EXPECT_EQ(go_on(), told_before);
  expect_same(was, everything());
}

TEST_F(Migrate, HistoryGoesWithItsAgeAsItWasGoingTo) {
  ASSERT_TRUE(migrate());
  store_.reset();
  Retention keep;
  keep.history = hours(48);
  auto opened = open_postgres_store({.connection = {.url = url_}, .retention = keep});
  ASSERT_TRUE(opened);
  store_ = *std::move(opened);
  ASSERT_TRUE(store_->trim(now_));
  const auto points = store_->history(key_, {.stream = "s1", .watch = "w"})->points;
  ASSERT_FALSE(points.empty());
  EXPECT_GE(points.front().begin, now_ - hours(72));
  EXPECT_EQ(points.back().begin, now_ - hours(1));
}

/// A kill in the middle of every table's copy: nothing is left, and the next run is complete.
TEST_F(Migrate, AKillAtAnyPointLeavesNothingAndTheNextRunIsWhole) {
  auto was = everything();
  if (const auto at = was.find('\xff'); at != std::string::npos) was.replace(at, 1, "\uFFFD");
  store_.reset();
  for (const std::string table : {"anomalies", "devices", "history", "ledger", "tokens"}) {
    const auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto doomed = request();
      doomed.progress = [&](const MigrationProgress& p) {
        if (p.table == table && p.checking) ::raise(SIGKILL);
      };
      static_cast<void>(migrate_to_postgres(doomed));
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << table;
  }
  Result<Migrated> done = Error{Errc::io, ""};
  // The server notices within a moment that the last one is gone, and lets go of its locks.
  ASSERT_TRUE(testing::eventually([&] { return (done = migrate()).has_value(); }))
      << done.error().context;
  open_target();
  expect_same(was, everything());
}

TEST_F(Migrate, RefusesADatabaseThatIsNotEmptyAndASourceOfAnotherVersion) {
  ASSERT_TRUE(migrate());
  const auto again = migrate();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::exists);
  EXPECT_THAT(again.error().context, HasSubstr("empty"));
  {
    auto db = sqlite::Connection::open(file(), {});
    (*db)->script("PRAGMA user_version = 1");
  }
  url_ = PostgresServer::shared()->new_database();
  const auto older = migrate();
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, Errc::unsupported);
  EXPECT_THAT(older.error().context, HasSubstr("start on it once"));
}

TEST_F(Migrate, CommandMovesTheConfigurationToo) {
  const auto config = folder_.path() / "hub.toml";
  folder_.put("hub.toml", "[hub]\ndata_dir = \".\"\n\n[store]  # as we like it\nreaders = 3\n");
  std::ostringstream out;
  std::ostringstream err;
  store_.reset();
  MigrateCommand command{.config = config, .to = url_};
  {
    const auto hub = FileLock::take(folder_.path() / "hub.lock");
    EXPECT_EQ(run_migrate(command, out, err), kExitFailed);
    EXPECT_THAT(err.str(), HasSubstr("stop it first"));
  }
  EXPECT_EQ(run_migrate({.config = config, .to = "hub.db"}, out, err), kExitUsage);
  ASSERT_EQ(run_migrate(command, out, err), 0) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("copied  ledger"), HasSubstr("checked history"),
                               HasSubstr("both sides are the same"), HasSubstr("hub.toml.sqlite")));
  EXPECT_THAT(read_file(config, 4096).value(),
              AllOf(HasSubstr("[store]  # as we like it\nurl = \"" + url_ + "\"\nreaders = 3")));
  EXPECT_THAT(read_file(config.string() + ".sqlite", 4096).value(), HasSubstr("like it\nreaders"));
  EXPECT_EQ(run_migrate(command, out, err), kExitConfig) << "it is on PostgreSQL already";
  open_target();
  EXPECT_EQ(store_->totals()->devices, 3U);
}

// --- a table that nobody thought of
// ---------------------------------------------------------------

class MigrationPlan : public ::testing::Test {
 protected:
  void SetUp() override {
    auto* server = PostgresServer::shared();
    if (server == nullptr) GTEST_SKIP() << "PostgreSQL's server is not installed";
    sqlite_ = sqlite::Connection::open(folder_.path() / "hub.db", {}).value();
    ASSERT_TRUE(sqlite::migrate(*sqlite_, kSqliteMigrations));
    postgres_ = postgres::Connection::open({.url = server->new_database()}).value();
    ASSERT_TRUE(postgres::migrate(*postgres_, kPostgresMigrations));
  }
  std::string refusal() {
    const auto plan = migration::make_plan(*sqlite_, *postgres_);
    return plan ? "" : plan.error().context;
  }

  TempDir folder_;
  std::unique_ptr<sqlite::Connection> sqlite_;
  std::unique_ptr<postgres::Connection> postgres_;
};

/// Fails when a migration of the schema adds what cannot be carried over as it is: see plan.cpp.
TEST_F(MigrationPlan, CarriesOverAllThatTheSchemasHave) {
  const auto plan = migration::make_plan(*sqlite_, *postgres_);
  ASSERT_TRUE(plan) << plan.error().context;
  std::set<std::string> carried{"ledger", "history", "meta"};
  for (const auto& table : plan->tables) carried.insert(table.name);
  std::set<std::string> all;
  sqlite_->rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
                [&](const sql::Row& row) { all.insert(row.text(0)); });
  EXPECT_EQ(carried, all);
  EXPECT_GE(all.size(), 13U);
}

TEST_F(MigrationPlan, RefusesWhatNobodySaidHowToCarryOver) {
  sqlite_->script("CREATE TABLE chores(job INTEGER PRIMARY KEY) STRICT");
  EXPECT_THAT(refusal(), HasSubstr("table chores, which SQLite has alone"));
  postgres_->script("CREATE TABLE chores(job bigint PRIMARY KEY)");
  EXPECT_EQ(refusal(), "");
  postgres_->script("ALTER TABLE chores ADD COLUMN lease bigint");
  EXPECT_THAT(refusal(), HasSubstr("chores.lease, which PostgreSQL has alone"));
  sqlite_->script(
      "ALTER TABLE chores ADD COLUMN lease INTEGER; ALTER TABLE chores ADD COLUMN x TEXT");
  EXPECT_THAT(refusal(), HasSubstr("chores.x, which SQLite has alone"));
  postgres_->script("ALTER TABLE chores ADD COLUMN x jsonb");
  EXPECT_THAT(refusal(), HasSubstr("the type of chores.x"));
  postgres_->script("DROP TABLE chores; CREATE TABLE permits(job bigint)");
  sqlite_->script("DROP TABLE chores");
  EXPECT_THAT(refusal(), HasSubstr("table permits, which PostgreSQL has alone"));
  postgres_->script("DROP TABLE permits; CREATE SEQUENCE chore_number");
  EXPECT_THAT(refusal(), HasSubstr("sequence chore_number"));
}

}  // namespace
}  // namespace lapwing::hub
