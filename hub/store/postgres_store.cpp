// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres_store.hpp"

#include "hub/store/postgres_feed.hpp"
#include "hub/store/postgres_history.hpp"
#include "hub/store/postgres_listener.hpp"
#include "hub/store/postgres_partitions.hpp"
#include "hub/store/postgres_schema.hpp"
#include "hub/store/postgres_trim.hpp"
#include "hub/store/postgres_writer.hpp"
#include "hub/store/sql_store.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <utility>

namespace lapwing::hub {
namespace {

/// Taking records in asks by key, always: one plan for each statement, and by an index. It would be
/// made while the tables are empty, when reading all of one seems the cheapest.
constexpr std::string_view kWriterSettings =
    " -c enable_seqscan=off -c plan_cache_mode=force_generic_plan";
/// What people ask differs much by its filters.
constexpr std::string_view kReaderSettings = " -c plan_cache_mode=force_custom_plan";
constexpr Micros kUpkeepLockTimeout = std::chrono::seconds(2);
constexpr std::int64_t kChangesLock = 0x6c776368;  // advisory: changes that people make

/// Over all replicas, until the transaction ends.
void one_change_at_a_time(sql::Connection& db) {
  db.rows(
      "SELECT pg_advisory_xact_lock(?)", [](const sql::Row&) {}, kChangesLock);
}

/// Wakes when any replica added a command, and every two seconds besides.
class PostgresCommandWatch final : public CommandWatch {
 public:
  static Result<std::unique_ptr<CommandWatch>> start(const postgres::Options& options,
                                                     std::function<void()> wake) {
    auto listener =
        PostgresListener::start(options, "lapwing_commands", "commands of other replicas",
                                [wake = std::move(wake)](sql::Connection&) { wake(); });
    if (!listener) return listener.error();
    return std::unique_ptr<CommandWatch>(
        std::make_unique<PostgresCommandWatch>(*std::move(listener)));
  }
  explicit PostgresCommandWatch(std::unique_ptr<PostgresListener> listener)
      : listener_(std::move(listener)) {}

 private:
  std::unique_ptr<PostgresListener> listener_;
};

class PostgresStore final : public SqlStore {
 public:
  static Result<std::unique_ptr<Store>> open(const PostgresStoreOptions& options);

  Result<std::unique_ptr<FeedWatch>> watch_feed(Feed& feed) override {
    return watch_postgres_feed(connection_, feed);
  }
  Result<Trimmed> trim(Time at) override {
    return trim_postgres(*upkeep_, upkeep_mutex_, *partitions_, retention_, at);
  }

 private:
  struct Connections {
    std::unique_ptr<postgres::Connection> writer;
    std::unique_ptr<postgres::Connection> changes;
    std::unique_ptr<postgres::Connection> upkeep;
    std::unique_ptr<postgres::Connection> partitions;
  };

  PostgresStore(Connections connections, std::unique_ptr<Partitions> partitions,
                const PostgresStoreOptions& options)
      : SqlStore(std::make_unique<PostgresWriter>(std::move(connections.writer), *partitions),
                 std::move(connections.changes), one_change_at_a_time, postgres_points,
                 {.notify_commands = "NOTIFY lapwing_commands",
                  .listen =
                      [at = options.connection](std::function<void()> wake) {
                        return PostgresCommandWatch::start(at, std::move(wake));
                      },
                  .skip_locked = " FOR UPDATE SKIP LOCKED"}),
        partitions_(std::move(partitions)),
        upkeep_(std::move(connections.upkeep)),
        connection_(options.connection),
        retention_(options.retention) {}

  std::uint64_t bytes_on_disk(sql::Connection& db) override {
    std::uint64_t bytes = 0;
    db.rows("SELECT pg_database_size(current_database())",
            [&](const sql::Row& row) { bytes = row.count(0); });
    return bytes;
  }

  std::unique_ptr<Partitions> partitions_;
  std::mutex upkeep_mutex_;
  std::unique_ptr<postgres::Connection> upkeep_;
  postgres::Options connection_;
  Retention retention_;
};

Result<std::unique_ptr<Store>> PostgresStore::open(const PostgresStoreOptions& options) {
  const auto open = [&](std::string_view settings,
                        const std::function<void(postgres::Options&)>& change = {}) {
    auto own = options.connection;
    own.settings += settings;
    if (change) change(own);
    return postgres::Connection::open(own);
  };
  // Upkeep runs in a lane: one who reads for long must not keep it from taking records in.
  const auto impatient = [](postgres::Options& own) { own.lock_timeout = kUpkeepLockTimeout; };
  auto writer = open(kWriterSettings);
  if (!writer) return writer.error();
  Connections made{.writer = *std::move(writer)};
  for (auto* one : {&made.changes, &made.upkeep, &made.partitions}) {
    auto connection = one == &made.changes ? open({}) : open({}, impatient);
    if (!connection) return connection.error();
    *one = *std::move(connection);
  }
  if (auto migrated = postgres::migrate(*made.changes, kPostgresMigrations); !migrated) {
    return within("open store", std::move(migrated).error());
  }
  auto partitions = std::make_unique<Partitions>(std::move(made.partitions));
  std::unique_ptr<PostgresStore> store(
      new PostgresStore(std::move(made), std::move(partitions), options));
  for (std::size_t i = 1; i < options.lanes; ++i) {
    auto lane = open(kWriterSettings);
    if (!lane) return lane.error();
    store->access().add_lane(
        std::make_unique<PostgresWriter>(*std::move(lane), *store->partitions_));
  }
  for (std::size_t i = 0; i < store->lanes(); ++i) {
    store->access().writer(i).stream_cache.streams_max /= store->lanes();
  }
  for (std::size_t i = 0; i < std::max<std::size_t>(options.readers, 1); ++i) {
    auto reader = open(kReaderSettings, [&](postgres::Options& own) {
      own.statement_timeout = options.query_timeout;
    });
    if (!reader) return reader.error();
    store->access().add_reader(*std::move(reader));
  }
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace

Result<std::unique_ptr<Store>> open_postgres_store(const PostgresStoreOptions& options) {
  return PostgresStore::open(options);
}

}  // namespace lapwing::hub
