// SPDX-License-Identifier: Apache-2.0
#include "hub/store/config.hpp"

#include "hub/store/postgres_store.hpp"
#include "hub/store/sqlite_store.hpp"
#include "shared/base/config.hpp"

namespace lapwing::hub {

StoreConfig StoreConfig::read(config::Section& section) {
  StoreConfig c;
  c.url = section.text(
      {"url",
       "PostgreSQL database, as in postgresql://hub@db.example:5432/lapwing?sslmode=verify-full;"
       " empty: SQLite in the data folder"},
      "");
  c.password = section.secret({"password", "of the database's user"});
  if (c.password && c.url.empty()) {
    section.problem("password", "is of use with url only: SQLite has no users");
  }
  c.readers = static_cast<std::size_t>(section.integer(
      {"readers", "connections for queries; further readers wait", "connections"}, 4, 1, 64));
  c.query_timeout =
      section.duration({"query_timeout", "a query that takes longer fails with 503 (PostgreSQL)"},
                       c.query_timeout, std::chrono::seconds(1), std::chrono::minutes(10));
  c.lanes = static_cast<std::size_t>(section.integer(
      {"lanes", "threads that take records in, each with a connection of its own (PostgreSQL)",
       "lanes"},
      static_cast<std::int64_t>(c.lanes), 1, 16));
  c.cache_bytes = section.bytes({"cache", "page cache of the writing connection (SQLite)", "bytes"},
                                c.cache_bytes, 1 << 20, std::uint64_t{16} << 30U);
  c.retention = Retention::read(section);
  return c;
}

Result<std::unique_ptr<Store>> open_store(const StoreConfig& config,
                                          const std::filesystem::path& data_dir) {
  if (config.url.empty()) {
    return open_sqlite_store(data_dir / "hub.db", {.readers = config.readers,
                                                   .cache_bytes = config.cache_bytes,
                                                   .retention = config.retention});
  }
  return open_postgres_store({.connection = {.url = config.url, .password = config.password},
                              .readers = config.readers,
                              .query_timeout = config.query_timeout,
                              .lanes = config.lanes,
                              .retention = config.retention});
}

}  // namespace lapwing::hub
