// SPDX-License-Identifier: Apache-2.0
/// One SQLite connection as hub and agent use it.
#pragma once

#include "shared/base/result.hpp"
#include "shared/sql/connection.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

namespace lapwing::sqlite {

using sql::Blob;
using sql::Row;

/// Threads: one object is used from one thread at a time.
class Connection final : public sql::Connection {
 public:
  struct Options {
    bool read_only = false;
    std::uint64_t cache_bytes = 16U << 20U;
    /// The file stops growing there (with what the write-ahead log holds beyond it): Errc::limit.
    std::uint64_t file_bytes_max = 0;  ///< 0: the disk is the limit
    /// Deleted content is overwritten with zeros: more writes. Off where rows come and go all day.
    bool secure_delete = true;
    int checkpoint_pages = 4000;  ///< write-ahead log pages before they are moved into the file
  };
  /// Opens or creates the file. WAL, synchronous=FULL; every pragma is asked back. Errors: io,
  /// denied, corrupt, limit (disk full).
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path,
                                                  const Options& options);
  ~Connection() override;

  void begin(Access access) override { run(access == Access::write ? "BEGIN IMMEDIATE" : "BEGIN"); }
  void script(std::string_view sql) override;

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);

  std::int64_t execute(std::string_view sql, std::span<const sql::Value> arguments,
                       const EachRow* each) override;

  std::unique_ptr<Impl> impl_;
};

/// Brings the database to the newest schema: `user_version` counts the migrations applied, all in
/// one transaction. unsupported: it was written by a newer version.
Result<void> migrate(Connection& db, std::span<const std::string_view> migrations);

}  // namespace lapwing::sqlite
