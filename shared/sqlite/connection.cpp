// SPDX-License-Identifier: Apache-2.0
#include "shared/sqlite/connection.hpp"

#include "shared/sqlite/counted_files.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

namespace lapwing::sqlite {
namespace {

struct FinishStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};

class StatementRow final : public sql::Row {
 public:
  explicit StatementRow(sqlite3_stmt* statement) : statement_(statement) {}
  [[nodiscard]] std::int64_t integer(int column) const override {
    return sqlite3_column_int64(statement_, column);
  }
  [[nodiscard]] double number(int column) const override {
    if (is_null(column)) return std::numeric_limits<double>::quiet_NaN();
    return sqlite3_column_double(statement_, column);
  }
  [[nodiscard]] std::string_view view(int column) const override {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    const auto size = sqlite3_column_bytes(statement_, column);
    return bytes == nullptr ? std::string_view()
                            : std::string_view(bytes, static_cast<std::size_t>(size));
  }
  [[nodiscard]] bool is_null(int column) const override {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
  }

 private:
  sqlite3_stmt* statement_;
};

int bind(sqlite3_stmt* statement, int at, const sql::Value& value) {
  // Bytes are borrowed: the statement is reset before they go. Never a null pointer (NULL).
  const auto bytes = value.bytes();
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  const auto size = static_cast<int>(bytes.size());
  switch (value.kind()) {
    case sql::Value::Kind::integer:
      return sqlite3_bind_int64(statement, at, value.integer());
    case sql::Value::Kind::number:
      return sqlite3_bind_double(statement, at, value.number());
    case sql::Value::Kind::text:
      return sqlite3_bind_text(statement, at, data, size, SQLITE_STATIC);
    case sql::Value::Kind::blob:
      return sqlite3_bind_blob(statement, at, data, size, SQLITE_STATIC);
    case sql::Value::Kind::null:
      break;
  }
  return sqlite3_bind_null(statement, at);
}

}  // namespace

struct Connection::Impl {
  std::string path;
  std::unique_ptr<sqlite3, CloseDatabase> database;
  sql::Statements<std::unique_ptr<sqlite3_stmt, FinishStatement>> statements;
  int checkpoint_pages = 0;

  sqlite3_stmt* prepared(std::string_view sql);

  /// In the place of SQLite's own checkpoints, which keep every failure to themselves. Of a sync
  /// that failed whoever commits must know: what it was to write may be gone, so it is not tried
  /// again; the database is opened anew. Else the log stays, and the next commit tries again.
  static int checkpoint(void* self, sqlite3* db, const char* schema, int pages) {
    if (pages < static_cast<Impl*>(self)->checkpoint_pages) return SQLITE_OK;
    const int status =
        sqlite3_wal_checkpoint_v2(db, schema, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    return status == SQLITE_IOERR_FSYNC ? status : SQLITE_OK;
  }

  [[nodiscard]] Error error(std::string_view doing) const {
    const int extended = sqlite3_extended_errcode(database.get());
    const int code = extended & 0xff;
    // Not every full disk or refusal comes as its own code: the system's word is asked for too.
    const bool outside = code == SQLITE_IOERR || code == SQLITE_CANTOPEN;
    const int system = outside ? sqlite3_system_errno(database.get()) : 0;
    // A sync that finds no room leaves open what happened, as every sync that fails.
    const bool sync = extended == SQLITE_IOERR_FSYNC || extended == SQLITE_IOERR_DIR_FSYNC;
    const bool full = code == SQLITE_FULL || (!sync && (system == ENOSPC || system == EDQUOT));
    const bool denied = code == SQLITE_READONLY || code == SQLITE_PERM || system == EACCES ||
                        system == EPERM || system == EROFS;
    // Our statements are right for our tables: where SQLite cannot compile one, the file's schema
    // is not what was written.
    const bool corrupt = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR;
    const auto kind = corrupt  ? Errc::corrupt
                      : full   ? Errc::limit
                      : denied ? Errc::denied
                               : Errc::io;
    std::string text = path + ": " + sqlite3_errmsg(database.get());
    if (system != 0) text += std::string(": ") + std::strerror(system);
    if (full) text += "; free space on the volume, or raise the quota";
    if (denied) text += "; let this user write the file and its folder";
    if (code == SQLITE_BUSY) text += "; another process holds the database";
    text += " (";
    text += doing.substr(0, 60);
    text += ')';
    return {kind, std::move(text)};
  }
};

/// The prepared statement; null: it cannot be compiled.
sqlite3_stmt* Connection::Impl::prepared(std::string_view sql) {
  const auto at = statements.find(sql);
  if (at != statements.end()) return at->second.get();
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(database.get(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return nullptr;
  }
  statements.emplace(std::string(sql), statement);
  return statement;
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& path,
                                                     const Options& options) {
  auto impl = std::make_unique<Impl>();
  impl->path = path.string();
  const int flags =
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
      (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* database = nullptr;
  const int opened =
      sqlite3_open_v2(impl->path.c_str(), &database, flags, CountedFiles::file_system());
  impl->database.reset(database);
  if (opened != SQLITE_OK) return impl->error("open");
  sqlite3_busy_timeout(database, 10'000);
  std::unique_ptr<Connection> connection(new Connection(std::move(impl)));
  auto& db = *connection;
  // Each pragma is asked back: SQLite does not report one that it did not honour.
  const auto set = [&db, &path](const std::string& pragma, std::string_view value) {
    std::string got;
    db.rows("PRAGMA " + pragma + " = " + std::string(value), [](const Row&) {});
    db.rows("PRAGMA " + pragma, [&got](const Row& row) { got = row.text(0); });
    if (!db.failed() && got != value) {
      db.fail({Errc::io, path.string() + ": pragma " + pragma + " is " + got + ", not " +
                             std::string(value) + "; the file system may not support it"});
    }
  };
  set("temp_store", "2");
  set("cache_size", "-" + std::to_string(options.cache_bytes / 1024));
  set("trusted_schema", "0");
  set("cell_size_check", "1");
  if (options.read_only) {
    set("query_only", "1");
  } else {
    set("journal_mode", "wal");
    set("synchronous", "2");  // FULL: an acknowledged record survives a power cut
    db.impl_->checkpoint_pages = options.checkpoint_pages;
    sqlite3_wal_hook(database, &Impl::checkpoint, db.impl_.get());
    set("journal_size_limit", "67108864");
    set("secure_delete", options.secure_delete ? "1" : "0");
    if (options.file_bytes_max > 0) {
      std::int64_t page_bytes = 4096;
      db.rows("PRAGMA page_size", [&](const Row& row) { page_bytes = row.integer(0); });
      const auto pages = static_cast<std::int64_t>(options.file_bytes_max) / page_bytes;
      set("max_page_count", std::to_string(pages));
    }
  }
  if (db.failed()) return db.failure();
  return connection;
}

std::int64_t Connection::execute(std::string_view sql, std::span<const sql::Value> arguments,
                                 const EachRow* each) {
  auto* const statement = impl_->prepared(sql);
  if (statement == nullptr) {
    fail(impl_->error(sql));
    return 0;
  }
  struct Reset {  // also when `each` throws: a statement left open would hold its transaction
    sqlite3_stmt* statement;
    ~Reset() { sqlite3_reset(statement); }
  } const reset{statement};
  int status = SQLITE_OK;
  for (int at = 0; const auto& argument : arguments) status |= bind(statement, ++at, argument);
  if (status != SQLITE_OK) {
    fail(impl_->error("bind"));
    return 0;
  }
  const StatementRow row(statement);
  while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
    if (each == nullptr) return sqlite3_changes64(impl_->database.get());
    (*each)(row);
  }
  if (status == SQLITE_DONE) return sqlite3_changes64(impl_->database.get());
  fail(impl_->error(sql));
  return 0;
}

void Connection::script(std::string_view sql) {
  if (failed()) return;
  if (sqlite3_exec(impl_->database.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr) !=
      SQLITE_OK) {
    fail(impl_->error("script"));
  }
}

Result<void> migrate(Connection& db, std::span<const std::string_view> migrations) {
  return db.transaction(sql::Connection::Access::write, [&] {
    std::int64_t version = 0;
    db.rows("PRAGMA user_version", [&](const Row& row) { version = row.integer(0); });
    const auto newest = static_cast<std::int64_t>(migrations.size());
    if (!db.failed() && version > newest) {
      db.fail({Errc::unsupported, "written by a newer version (schema " + std::to_string(version) +
                                      ", this one knows " + std::to_string(newest) +
                                      "); install that version"});
    }
    if (!db.failed() && version < 0) {
      db.fail({Errc::corrupt, "the file's version is " + std::to_string(version)});
    }
    for (auto next = version; !db.failed() && next < newest; ++next) {
      db.script(migrations[static_cast<std::size_t>(next)]);
    }
    if (!db.failed() && version < newest) {
      db.script("PRAGMA user_version = " + std::to_string(newest));
    }
  });
}

}  // namespace lapwing::sqlite
