// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite_store.hpp"

#include "hub/store/feed.hpp"
#include "hub/store/sql_store.hpp"
#include "hub/store/sqlite_history.hpp"
#include "hub/store/sqlite_schema.hpp"
#include "hub/store/sqlite_trim.hpp"
#include "hub/store/sqlite_writer.hpp"
#include "shared/sqlite/connection.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

class SqliteStore final : public SqlStore {
 public:
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& path,
                                             const SqliteStoreOptions& options);

  Result<std::unique_ptr<FeedWatch>> watch_feed(Feed&) override {
    return std::unique_ptr<FeedWatch>();
  }
  Result<Trimmed> trim(Time at) override {
    return trim_sqlite(static_cast<SqliteWriter&>(access().writer()), retention_, at);
  }

 private:
  SqliteStore(std::unique_ptr<SqliteWriter> writer, const Retention& retention)
      : SqlStore(std::move(writer), nullptr, {}, sqlite_points), retention_(retention) {}

  std::uint64_t bytes_on_disk(sql::Connection& db) override {
    std::uint64_t bytes = 0;
    db.rows("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            [&](const sql::Row& row) { bytes = row.count(0); });
    return bytes;
  }

  Retention retention_;
};

Result<std::unique_ptr<Store>> SqliteStore::open(const std::filesystem::path& path,
                                                 const SqliteStoreOptions& options) {
  auto connection = sqlite::Connection::open(path, {.cache_bytes = options.cache_bytes});
  if (!connection) return connection.error();
  if (auto migrated = sqlite::migrate(**connection, kSqliteMigrations); !migrated) {
    return within("open store " + path.string(), std::move(migrated).error());
  }
  auto writer = std::make_unique<SqliteWriter>(*std::move(connection));
  if (writer->db().failed()) return writer->db().failure();
  std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(writer), options.retention));
  for (std::size_t i = 0; i < std::max<std::size_t>(options.readers, 1); ++i) {
    auto reader =
        sqlite::Connection::open(path, {.read_only = true, .cache_bytes = options.cache_bytes / 4});
    if (!reader) return reader.error();
    store->access().add_reader(*std::move(reader));
  }
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& path,
                                                 const SqliteStoreOptions& options) {
  return SqliteStore::open(path, options);
}

}  // namespace lapwing::hub
