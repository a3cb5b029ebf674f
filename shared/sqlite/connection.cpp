// SPDX-License-Identifier: Apache-2.0
#include "shared/sqlite/connection.hpp"

#include "shared/sqlite/counted_files.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <utility>

namespace lapwing::sqlite {
namespace {

sqlite3_stmt* raw(void* statement) { return static_cast<sqlite3_stmt*>(statement); }

struct FinishStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

}  // namespace

struct Connection::Impl {
  std::string path;
  std::unique_ptr<sqlite3, CloseDatabase> database;
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, FinishStatement>, TextHash,
                     std::equal_to<>>
      statements;
  sqlite3_stmt* current = nullptr;
  int bind_status = SQLITE_OK;
  int checkpoint_pages = 0;

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

std::int64_t Row::integer(int column) const {
  return sqlite3_column_int64(raw(statement_), column);
}

double Row::number(int column) const {
  if (is_null(column)) return std::numeric_limits<double>::quiet_NaN();
  return sqlite3_column_double(raw(statement_), column);
}

std::string_view Row::view(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(raw(statement_), column));
  const auto size = sqlite3_column_bytes(raw(statement_), column);
  return bytes == nullptr ? std::string_view()
                          : std::string_view(bytes, static_cast<std::size_t>(size));
}

bool Row::is_null(int column) const {
  return sqlite3_column_type(raw(statement_), column) == SQLITE_NULL;
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

bool Connection::ready(std::string_view sql) {
  if (failed()) return false;
  auto at = impl_->statements.find(sql);
  if (at == impl_->statements.end()) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(impl_->database.get(), sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
      fail(impl_->error(sql));
      return false;
    }
    at = impl_->statements.emplace(std::string(sql), nullptr).first;
    at->second.reset(statement);
  }
  impl_->current = at->second.get();
  impl_->bind_status = SQLITE_OK;
  return true;
}

void Connection::bind_integer(int at, std::int64_t value) {
  impl_->bind_status |= sqlite3_bind_int64(impl_->current, at, value);
}

void Connection::bind_number(int at, double value) {
  impl_->bind_status |= sqlite3_bind_double(impl_->current, at, value);
}

void Connection::bind_text(int at, std::string_view value) {
  // Borrowed: the statement is reset before the caller's text goes. Never a null pointer (NULL).
  const char* bytes = value.data() == nullptr ? "" : value.data();
  impl_->bind_status |=
      sqlite3_bind_text(impl_->current, at, bytes, static_cast<int>(value.size()), SQLITE_STATIC);
}

void Connection::bind_blob(int at, std::string_view value) {
  const char* bytes = value.data() == nullptr ? "" : value.data();
  impl_->bind_status |=
      sqlite3_bind_blob(impl_->current, at, bytes, static_cast<int>(value.size()), SQLITE_STATIC);
}

void Connection::bind_null(int at) { impl_->bind_status |= sqlite3_bind_null(impl_->current, at); }

bool Connection::bound() {
  if (impl_->bind_status == SQLITE_OK) return true;
  fail(impl_->error("bind"));
  return false;
}

std::int64_t Connection::finish() {
  const int status = sqlite3_step(impl_->current);
  if (status != SQLITE_DONE && status != SQLITE_ROW)
    fail(impl_->error(sqlite3_sql(impl_->current)));
  sqlite3_reset(impl_->current);
  return failed() ? 0 : sqlite3_changes64(impl_->database.get());
}

void Connection::walk(const EachRow& each) {
  auto* const statement = impl_->current;
  struct Reset {  // also when `each` throws: a statement left open would hold its transaction
    sqlite3_stmt* statement;
    ~Reset() { sqlite3_reset(statement); }
  } const reset{statement};
  int status = SQLITE_OK;
  while ((status = sqlite3_step(statement)) == SQLITE_ROW) each(Row(statement));
  if (status != SQLITE_DONE) fail(impl_->error(sqlite3_sql(statement)));
}

void Connection::script(std::string_view sql) {
  if (failed()) return;
  if (sqlite3_exec(impl_->database.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr) !=
      SQLITE_OK) {
    fail(impl_->error("script"));
  }
}

std::int64_t Connection::last_row() const {
  return sqlite3_last_insert_rowid(impl_->database.get());
}

Result<void> migrate(Connection& db, std::span<const std::string_view> migrations) {
  db.clear_failure();
  db.run("BEGIN IMMEDIATE");
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
  if (version < newest) db.script("PRAGMA user_version = " + std::to_string(newest));
  db.run("COMMIT");
  if (!db.failed()) return {};
  const auto failure = db.failure();
  db.clear_failure();
  db.run("ROLLBACK");
  db.clear_failure();
  return failure;
}

}  // namespace lapwing::sqlite
