// SPDX-License-Identifier: Apache-2.0
#include "shared/postgres/connection.hpp"

#include "shared/postgres/values.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <libpq-fe.h>
#include <limits>
#include <poll.h>
#include <utility>

namespace lapwing::postgres {
namespace {

constexpr int kServerVersionMin = 140000;
/// Statements sent before their answers are read: bounds what waits in memory on both sides.
constexpr std::size_t kPostedMax = 256;
constexpr std::size_t kCopyChunk = 1U << 20U;
constexpr std::string_view kCommit = "COMMIT";

struct CloseConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, ClearResult>;

class ResultRow final : public sql::Row {
 public:
  ResultRow(const PGresult* result, int row) : result_(result), row_(row) {}
  [[nodiscard]] std::int64_t integer(int column) const override {
    return is_null(column) ? 0 : integer_from(PQftype(result_, column), data(column));
  }
  [[nodiscard]] double number(int column) const override {
    return is_null(column) ? std::numeric_limits<double>::quiet_NaN()
                           : number_from(PQftype(result_, column), data(column));
  }
  [[nodiscard]] std::string_view view(int column) const override {
    return {data(column), static_cast<std::size_t>(PQgetlength(result_, row_, column))};
  }
  [[nodiscard]] bool is_null(int column) const override {
    return PQgetisnull(result_, row_, column) != 0;
  }

 private:
  [[nodiscard]] const char* data(int column) const { return PQgetvalue(result_, row_, column); }
  const PGresult* result_;
  int row_;
};

bool succeeded(const Answer& answer) {
  const auto status = PQresultStatus(answer.get());
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

std::int64_t rows_changed(const Answer& answer) {
  const char* text = PQcmdTuples(answer.get());
  return text[0] == '\0' ? 0 : std::strtoll(text, nullptr, 10);
}

/// The field's first line, without the line's end.
std::string first_line(const char* text) {
  const std::string_view whole = text == nullptr ? "" : text;
  return std::string(whole.substr(0, whole.find('\n')));
}

/// By class and code of the server's answer (PostgreSQL manual, appendix A).
Errc kind_of(std::string_view state) {
  const auto group = state.substr(0, 2);
  if (state == "57014") return Errc::timeout;                  // statement_timeout
  if (state == "42501" || group == "28") return Errc::denied;  // rights, password
  if (group == "53" || group == "54") return Errc::limit;      // disk, memory, connections
  if (group == "22") return Errc::bad_input;                   // data it cannot take
  if (group == "42" || group == "XX" || group == "23") return Errc::corrupt;
  if (group == "0A") return Errc::unsupported;
  return Errc::io;  // lost connection, shutdown, deadlock, lock timeout, read-only standby
}

std::string_view remedy_for(std::string_view state, Errc kind) {
  if (state == "53100") return "; free space on the server's volume";
  if (state == "53300") return "; raise max_connections, or lower store.readers";
  if (kind == Errc::denied) return "; check user, password and rights";
  if (state == "25006") return "; the server is a standby: name the primary";
  if (kind == Errc::corrupt) return "; the schema or its data are not what this program wrote";
  return {};
}

}  // namespace

struct Connection::Impl {
  struct Statement {
    std::string name;
    std::vector<std::uint32_t> types;
  };
  struct Posted {
    std::string doing;  ///< the statement's beginning, for messages
    EachRow each;
  };

  Options options;
  std::string name;
  std::unique_ptr<PGconn, CloseConnection> connection;
  sql::Statements<Statement> statements;
  std::deque<Posted> posted;
  Arguments arguments;

  Result<void> connect();
  [[nodiscard]] Error error(const PGresult* result, std::string_view doing) const;
  Result<const Statement*> prepared(std::string_view sql);
  void check_commit(Connection& db, const PGresult* answer) const;
};

Result<void> Connection::Impl::connect() {
  statements.clear();
  posted.clear();
  const auto seconds =
      std::to_string(std::max<std::int64_t>(1, options.connect_timeout.count() / 1'000'000));
  const auto milliseconds = [](Micros time) { return std::to_string(time.count() / 1000); };
  const auto network = milliseconds(options.network_timeout);
  // The server's end of the connection is watched as ours is.
  const auto settings =
      "-c statement_timeout=" + milliseconds(options.statement_timeout) +
      " -c lock_timeout=" + milliseconds(options.lock_timeout) +
      " -c idle_in_transaction_session_timeout=" + milliseconds(options.idle_timeout) +
      " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
      " -c tcp_user_timeout=" +
      network + " -c synchronous_commit=on -c jit=off -c client_min_messages=warning " +
      options.settings;
  std::vector<const char*> keys{"dbname",           "application_name",    "connect_timeout",
                                "keepalives_idle",  "keepalives_interval", "keepalives_count",
                                "tcp_user_timeout", "client_encoding",     "options"};
  std::vector<const char*> values{options.url.c_str(),
                                  options.application.c_str(),
                                  seconds.c_str(),
                                  "5",
                                  "5",
                                  "3",
                                  network.c_str(),
                                  "UTF8",
                                  settings.c_str()};
  if (options.password) {
    keys.push_back("password");
    values.push_back(options.password->reveal().c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  connection.reset(PQconnectdbParams(keys.data(), values.data(), 1));
  if (connection == nullptr) return Error{Errc::limit, "no memory for a connection"};
  const auto part = [](const char* text) { return std::string(text == nullptr ? "" : text); };
  name = part(PQuser(connection.get())) + "@" + part(PQhost(connection.get())) + ":" +
         part(PQport(connection.get())) + "/" + part(PQdb(connection.get()));
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    const auto why = first_line(PQerrorMessage(connection.get()));
    const bool denied = why.find("password") != std::string::npos ||
                        why.find("authentication") != std::string::npos ||
                        why.find("pg_hba") != std::string::npos;
    return Error{denied ? Errc::denied : Errc::io, "PostgreSQL " + name + ": " + why};
  }
  if (PQserverVersion(connection.get()) < kServerVersionMin) {
    return Error{Errc::unsupported, "PostgreSQL " + name + " is older than version 14; upgrade it"};
  }
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  return {};
}

Error Connection::Impl::error(const PGresult* result, std::string_view doing) const {
  const char* field = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view state = field == nullptr ? "" : field;
  const bool lost = PQstatus(connection.get()) != CONNECTION_OK;
  const auto kind = lost ? Errc::io : kind_of(state);
  const char* primary =
      result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  auto text =
      "PostgreSQL " + name + ": " +
      (primary != nullptr ? std::string(primary) : first_line(PQerrorMessage(connection.get())));
  text += remedy_for(state, kind);
  text += " (";
  text += doing.substr(0, 60);
  text += ')';
  return {kind, std::move(text)};
}

/// The server answers COMMIT of a transaction that failed with success, having rolled it back.
void Connection::Impl::check_commit(Connection& db, const PGresult* answer) const {
  if (std::string_view(PQcmdStatus(const_cast<PGresult*>(answer))) == kCommit) return;
  db.fail({Errc::io, "PostgreSQL " + name + ": the transaction was rolled back"});
}

/// Asks the server, once for each statement, what types its arguments have.
Result<const Connection::Impl::Statement*> Connection::Impl::prepared(std::string_view sql) {
  const auto at = statements.find(sql);
  if (at != statements.end()) return &at->second;
  Statement statement{"s" + std::to_string(statements.size()), {}};
  const Answer made(
      PQprepare(connection.get(), statement.name.c_str(), numbered(sql).c_str(), 0, nullptr));
  if (!succeeded(made)) return error(made.get(), sql);
  const Answer told(PQdescribePrepared(connection.get(), statement.name.c_str()));
  if (!succeeded(told)) return error(told.get(), sql);
  for (int i = 0; i < PQnparams(told.get()); ++i) {
    statement.types.push_back(PQparamtype(told.get(), i));
  }
  return &statements.emplace(std::string(sql), std::move(statement)).first->second;
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

const std::string& Connection::name() const noexcept { return impl_->name; }

Result<std::unique_ptr<Connection>> Connection::open(const Options& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  if (auto connected = impl->connect(); !connected) return connected.error();
  return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

void Connection::begin(Access access) {
  if (failed()) return;
  const std::string_view sql =
      access == Access::write ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
  if (PQstatus(impl_->connection.get()) == CONNECTION_OK) {
    run(sql);
    // That a server went away while nothing was asked of it shows only now: nothing is lost.
    if (PQstatus(impl_->connection.get()) == CONNECTION_OK) return;
    clear_failure();
  }
  if (auto connected = impl_->connect(); !connected) return fail(std::move(connected).error());
  run(sql);
}

std::int64_t Connection::execute(std::string_view sql, std::span<const sql::Value> arguments,
                                 const EachRow* each) {
  // With what was posted before: locks that it took are held for one journey less.
  if (sql == kCommit && !impl_->posted.empty() && impl_->statements.contains(sql)) {
    enqueue(sql, arguments, nullptr);
    sync();
    return 0;
  }
  sync();
  if (failed()) return 0;
  auto statement = impl_->prepared(sql);
  if (!statement) {
    fail(std::move(statement).error());
    return 0;
  }
  auto& encoded = impl_->arguments;
  if (!encoded.encode((*statement)->types, arguments)) {
    fail({Errc::bad_input, encoded.problem() + " (" + std::string(sql.substr(0, 60)) + ")"});
    return 0;
  }
  const Answer answer(PQexecPrepared(impl_->connection.get(), (*statement)->name.c_str(),
                                     encoded.count(), encoded.values(), encoded.lengths(),
                                     encoded.formats(), 1));
  if (!succeeded(answer)) {
    fail(impl_->error(answer.get(), sql));
    return 0;
  }
  if (sql == kCommit) impl_->check_commit(*this, answer.get());
  if (each != nullptr) {
    for (int row = 0; row < PQntuples(answer.get()); ++row) (*each)(ResultRow(answer.get(), row));
  }
  return rows_changed(answer);
}

void Connection::enqueue(std::string_view sql, std::span<const sql::Value> arguments,
                         EachRow each) {
  auto* const connection = impl_->connection.get();
  if (impl_->posted.size() >= kPostedMax || !impl_->statements.contains(sql)) sync();
  if (failed()) return;
  auto statement = impl_->prepared(sql);  // answers at once where it is known
  if (!statement) return fail(std::move(statement).error());
  auto& encoded = impl_->arguments;
  if (!encoded.encode((*statement)->types, arguments)) {
    return fail({Errc::bad_input, encoded.problem() + " (" + std::string(sql.substr(0, 60)) + ")"});
  }
  const bool sent =
      (PQpipelineStatus(connection) == PQ_PIPELINE_ON || PQenterPipelineMode(connection) == 1) &&
      PQsendQueryPrepared(connection, (*statement)->name.c_str(), encoded.count(), encoded.values(),
                          encoded.lengths(), encoded.formats(), 1) == 1;
  if (!sent) return fail(impl_->error(nullptr, sql));
  impl_->posted.push_back({std::string(sql.substr(0, 60)), std::move(each)});
}

void Connection::sync() {
  auto* const connection = impl_->connection.get();
  if (PQpipelineStatus(connection) == PQ_PIPELINE_OFF) return;
  auto posted = std::exchange(impl_->posted, {});
  if (PQpipelineSync(connection) != 1) fail(impl_->error(nullptr, "sync"));
  for (auto& one : posted) {
    const Answer answer(PQgetResult(connection));
    if (answer == nullptr) {  // the connection is gone
      fail(impl_->error(nullptr, one.doing));
      break;
    }
    const bool good = succeeded(answer);
    if (good && one.doing == kCommit) impl_->check_commit(*this, answer.get());
    // The first failure is the cause; those behind it were not tried.
    if (!good && PQresultStatus(answer.get()) != PGRES_PIPELINE_ABORTED) {
      fail(impl_->error(answer.get(), one.doing));
    }
    if (good && one.each && !failed()) {
      for (int row = 0; row < PQntuples(answer.get()); ++row) {
        one.each(ResultRow(answer.get(), row));
      }
    }
    while (const Answer rest{PQgetResult(connection)}) {
    }
  }
  const Answer end(PQgetResult(connection));  // of the sync itself
  if (PQexitPipelineMode(connection) != 1) fail(impl_->error(nullptr, "sync"));
}

void Connection::script(std::string_view sql) {
  sync();
  if (failed()) return;
  const Answer answer(PQexec(impl_->connection.get(), std::string(sql).c_str()));
  if (!succeeded(answer)) fail(impl_->error(answer.get(), "script"));
}

void Connection::copy(std::string_view copy, std::string_view rows) {
  sync();
  if (failed()) return;
  auto* const connection = impl_->connection.get();
  {
    const Answer begun(PQexec(connection, std::string(copy).c_str()));
    if (PQresultStatus(begun.get()) != PGRES_COPY_IN) {
      return fail(impl_->error(begun.get(), copy));
    }
  }
  bool sent = true;
  for (; sent && !rows.empty(); rows.remove_prefix(std::min(rows.size(), kCopyChunk))) {
    const auto chunk = rows.substr(0, kCopyChunk);
    sent = PQputCopyData(connection, chunk.data(), static_cast<int>(chunk.size())) == 1;
  }
  sent = PQputCopyEnd(connection, sent ? nullptr : "cannot send") == 1 && sent;
  if (!sent) fail(impl_->error(nullptr, copy));
  while (const Answer answer{PQgetResult(connection)}) {
    if (!succeeded(answer)) fail(impl_->error(answer.get(), copy));
  }
}

std::vector<std::string> Connection::notifications(Micros timeout, int wake) {
  std::vector<std::string> channels;
  auto* const connection = impl_->connection.get();
  if (failed()) return channels;
  const auto take = [&] {
    while (auto* one = PQnotifies(connection)) {
      std::string channel = one->relname;
      PQfreemem(one);
      if (std::find(channels.begin(), channels.end(), channel) == channels.end()) {
        channels.push_back(std::move(channel));
      }
    }
  };
  take();  // what came with other answers
  if (!channels.empty()) return channels;
  pollfd waits[2] = {{PQsocket(connection), POLLIN, 0}, {wake, POLLIN, 0}};
  const auto milliseconds = static_cast<int>(timeout.count() / 1000);
  if (poll(waits, wake >= 0 ? 2 : 1, milliseconds) < 0 && errno != EINTR) {
    fail({Errc::io, std::string("poll: ") + std::strerror(errno)});
    return channels;
  }
  if (waits[0].revents != 0) {
    if (PQconsumeInput(connection) != 1) fail(impl_->error(nullptr, "wait for notifications"));
    take();
  }
  return channels;
}

Result<void> migrate(Connection& db, std::span<const std::string_view> migrations) {
  constexpr std::int64_t kLock = 0x6c617077696e67;  // "lapwing"
  return db.transaction(sql::Connection::Access::write, [&] {
    // Who waits, and what is changed in a large database, may take longer than statements may.
    db.script("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0");
    db.rows(
        "SELECT pg_advisory_xact_lock(?)", [](const sql::Row&) {}, kLock);
    db.script("CREATE TABLE IF NOT EXISTS schema_version(version bigint NOT NULL)");
    std::optional<std::int64_t> version;
    db.rows("SELECT version FROM schema_version",
            [&](const sql::Row& row) { version = row.integer(0); });
    const auto newest = static_cast<std::int64_t>(migrations.size());
    if (!db.failed() && version.value_or(0) > newest) {
      db.fail({Errc::unsupported, db.name() + " was written by a newer version (schema " +
                                      std::to_string(*version) + ", this one knows " +
                                      std::to_string(newest) + "); install that version"});
    }
    if (!version) db.run("INSERT INTO schema_version VALUES(0)");
    for (auto next = version.value_or(0); !db.failed() && next < newest; ++next) {
      db.script(migrations[static_cast<std::size_t>(next)]);
    }
    if (version.value_or(0) < newest) db.run("UPDATE schema_version SET version = ?", newest);
  });
}

}  // namespace lapwing::postgres
