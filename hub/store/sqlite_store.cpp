// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite_store.hpp"

#include "hub/store/lists_text.hpp"
#include "hub/store/sqlite_ingest.hpp"
#include "hub/store/sqlite_reads.hpp"
#include "hub/store/sqlite_schema.hpp"
#include "hub/store/sqlite_trim.hpp"
#include "hub/store/sync_text.hpp"
#include "shared/base/config.hpp"
#include "shared/sqlite/connection.hpp"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace lapwing::hub {
namespace {

/// Read connections, lent to one caller at a time; callers beyond the last one wait.
class Readers {
 public:
  void add(std::unique_ptr<sqlite::Connection> connection) {
    const std::scoped_lock lock(mutex_);
    free_.push_back(std::move(connection));
  }

  template <class Query>
  auto lend(Query&& query) {
    Loan loan(*this);
    return query(*loan.connection);
  }

 private:
  struct Loan {
    explicit Loan(Readers& from) : readers(from) {
      std::unique_lock lock(readers.mutex_);
      readers.returned_.wait(lock, [this] { return !readers.free_.empty(); });
      connection = std::move(readers.free_.back());
      readers.free_.pop_back();
      lock.unlock();
      connection->clear_failure();
      connection->run("BEGIN");  // several statements of one call see one state
    }
    ~Loan() {
      connection->clear_failure();
      connection->run("COMMIT");
      connection->clear_failure();
      readers.add(std::move(connection));
      readers.returned_.notify_one();
    }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

    Readers& readers;
    std::unique_ptr<sqlite::Connection> connection;
  };

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<sqlite::Connection>> free_;
};

class SqliteStore final : public Store {
 public:
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& path,
                                             const SqliteStoreOptions& options);

  Result<std::unique_ptr<IngestTransaction>> begin_ingest() override {
    return SqliteIngest::begin(writer_);
  }
  Result<std::uint64_t> mark_silent_offline(Time silent_since) override;

  Result<void> register_device(const DeviceRegistration& registration) override;
  Result<void> revoke_device(const DeviceKey& key, Time at) override;
  Result<void> release_quarantine(const DeviceKey& key) override;
  Result<DeviceRow> device(const DeviceKey& key) override {
    return readers_.lend([&](auto& db) { return reads::device(db, key); });
  }
  Result<Page<DeviceRow>> devices(std::string_view tenant, const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::devices(db, tenant, page); });
  }
  Result<Ledger> ledger(const DeviceKey& key) override {
    auto row = device(key);
    if (!row) return row.error();
    return row->ledger;
  }

  Result<Page<StreamRow>> streams(const DeviceKey& key, const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::streams(db, key, page); });
  }
  Result<Page<LossRow>> losses(const DeviceKey& key, const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::losses(db, key, page); });
  }
  Result<History> history(const DeviceKey& key, const HistoryQuery& query) override {
    return readers_.lend([&](auto& db) { return reads::history(db, key, query); });
  }
  Result<Page<AnomalyRow>> anomalies(std::string_view tenant, const AnomalyFilter& filter,
                                     const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::anomalies(db, tenant, filter, page); });
  }
  Result<AnomalyRow> anomaly(const DeviceKey& key, std::uint64_t id) override {
    return readers_.lend([&](auto& db) { return reads::anomaly(db, key, id); });
  }
  Result<std::vector<FeedRow>> feed(std::string_view tenant, const FeedQuery& query) override {
    return readers_.lend([&](auto& db) { return reads::feed(db, tenant, query); });
  }
  Result<FeedBounds> feed_bounds(std::string_view tenant) override {
    return readers_.lend([&](auto& db) { return reads::feed_bounds(db, tenant); });
  }
  Result<Page<DeadLetterRow>> dead_letters(std::string_view tenant,
                                           const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::dead_letters(db, tenant, page); });
  }

  Result<void> add_token(const TokenRow& token) override;
  Result<TokenRow> token_by_hash(std::string_view hash) override {
    return readers_.lend([&](auto& db) { return reads::token_by_hash(db, hash); });
  }
  Result<Page<TokenRow>> tokens(std::string_view tenant, const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::tokens(db, tenant, page); });
  }
  Result<void> revoke_token(std::string_view tenant, std::string_view id, Time at) override;
  Result<void> add_enrolment(const EnrolmentRow& enrolment) override;
  Result<EnrolmentRow> consume_enrolment(std::string_view hash, Time at) override;

  Result<void> add_audit(const AuditRow& row) override;
  Result<Page<AuditRow>> audit(std::string_view tenant, const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::audit(db, tenant, page); });
  }
  Result<StoreTotals> totals() override {
    return readers_.lend([](auto& db) { return reads::totals(db); });
  }
  Result<Trimmed> trim(Time at) override { return trim_sqlite(writer_, retention_, at); }
  Result<void> check() override;

 private:
  explicit SqliteStore(const Retention& retention) : retention_(retention) {}

  /// Runs `change` as one durable transaction. It sees the writer and returns a Result; a Result
  /// that is an error, or a failed statement, rolls everything back.
  template <class Change>
  auto change(Change&& change) -> decltype(change(std::declval<sqlite::Connection&>()));

  static std::optional<std::int64_t> make_tenant(sqlite::Connection& db, std::string_view tenant);

  SqliteWriter writer_;
  Readers readers_;
  Retention retention_;
};

template <class Change>
auto SqliteStore::change(Change&& change) -> decltype(change(std::declval<sqlite::Connection&>())) {
  const std::scoped_lock lock(writer_.mutex);
  auto& db = *writer_.connection;
  db.clear_failure();
  db.run("BEGIN IMMEDIATE");
  if (db.failed()) return db.failure();
  auto result = change(db);
  if (result && !db.failed()) {
    db.run("COMMIT");
    if (!db.failed()) return result;
  }
  if (result) result = db.failure();
  db.clear_failure();
  db.run("ROLLBACK");
  db.clear_failure();
  return result;
}

std::optional<std::int64_t> SqliteStore::make_tenant(sqlite::Connection& db,
                                                     std::string_view tenant) {
  db.run("INSERT INTO tenants(tenant) VALUES(?) ON CONFLICT DO NOTHING", tenant);
  return reads::tenant_number(db, tenant);
}

Result<std::unique_ptr<Store>> SqliteStore::open(const std::filesystem::path& path,
                                                 const SqliteStoreOptions& options) {
  auto writer = sqlite::Connection::open(path, {.cache_bytes = options.cache_bytes});
  if (!writer) return writer.error();
  std::unique_ptr<SqliteStore> store(new SqliteStore(options.retention));
  store->writer_.connection = *std::move(writer);
  auto& db = *store->writer_.connection;
  if (auto migrated = sqlite::migrate(db, kSqliteMigrations); !migrated) {
    return within("open store " + path.string(), std::move(migrated).error());
  }
  store->writer_.forget();
  if (db.failed()) return db.failure();
  for (std::size_t i = 0; i < std::max<std::size_t>(options.readers, 1); ++i) {
    auto reader =
        sqlite::Connection::open(path, {.read_only = true, .cache_bytes = options.cache_bytes / 4});
    if (!reader) return reader.error();
    store->readers_.add(*std::move(reader));
  }
  return std::unique_ptr<Store>(std::move(store));
}

Result<void> SqliteStore::check() {
  return readers_.lend([](sqlite::Connection& db) -> Result<void> {
    db.rows("SELECT value FROM meta LIMIT 1", [](const sqlite::Row&) {});
    if (db.failed()) return db.failure();
    return {};
  });
}

Result<std::uint64_t> SqliteStore::mark_silent_offline(Time silent_since) {
  return change([&](sqlite::Connection& db) -> Result<std::uint64_t> {
    return static_cast<std::uint64_t>(
        db.run("UPDATE devices SET online = 0 WHERE online = 1 AND last_seen < ?",
               to_micros(silent_since)));
  });
}

Result<void> SqliteStore::register_device(const DeviceRegistration& r) {
  if (r.key.tenant.empty() || r.key.device.empty()) {
    return Error{Errc::bad_input, "a device needs a tenant and a name"};
  }
  return change([&](sqlite::Connection& db) -> Result<void> {
    const auto tenant_no = make_tenant(db, r.key.tenant);
    std::optional<std::int64_t> expires;
    if (r.certificate_expires) expires = to_micros(*r.certificate_expires);
    db.run(
        "INSERT INTO devices(tenant_no, device_no, device, enrolled_at, certificate_serial,"
        " certificate_expires)"
        " VALUES(?1, (SELECT coalesce(max(device_no), 0) + 1 FROM devices), ?2, ?3, ?4, ?5)"
        " ON CONFLICT(tenant_no, device) DO UPDATE SET enrolled_at=?3, certificate_serial=?4,"
        " certificate_expires=?5, revoked_at=NULL",
        tenant_no, r.key.device, to_micros(r.enrolled_at), r.certificate_serial, expires);
    return {};
  });
}

Result<void> SqliteStore::revoke_device(const DeviceKey& key, Time at) {
  return change([&](sqlite::Connection& db) -> Result<void> {
    const auto numbers = reads::device_numbers(db, key);
    if (!numbers) return numbers.error();
    db.run(
        "UPDATE devices SET revoked_at = coalesce(revoked_at, ?), online = 0"
        " WHERE tenant_no=? AND device_no=?",
        to_micros(at), numbers->tenant_no, numbers->device_no);
    return {};
  });
}

Result<void> SqliteStore::release_quarantine(const DeviceKey& key) {
  return change([&](sqlite::Connection& db) -> Result<void> {
    const auto numbers = reads::device_numbers(db, key);
    if (!numbers) return numbers.error();
    std::string text;
    db.rows(
        "SELECT sync FROM devices WHERE tenant_no=? AND device_no=?",
        [&](const sqlite::Row& row) { text = row.text(0); }, numbers->tenant_no,
        numbers->device_no);
    if (db.failed()) return db.failure();
    auto sync = sync_from(text);
    if (!sync) return sync.error();
    sync::release_quarantine(*sync);
    db.run("UPDATE devices SET sync=?, quarantined=0 WHERE tenant_no=? AND device_no=?",
           sync_text(*sync), numbers->tenant_no, numbers->device_no);
    return {};
  });
}

Result<void> SqliteStore::add_token(const TokenRow& token) {
  return change([&](sqlite::Connection& db) -> Result<void> {
    std::optional<std::int64_t> expires;
    if (token.expires_at) expires = to_micros(*token.expires_at);
    std::optional<std::int64_t> revoked;
    if (token.revoked_at) revoked = to_micros(*token.revoked_at);
    const auto tenant_no = make_tenant(db, token.tenant);
    const auto added = db.run("INSERT INTO tokens VALUES(?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
                              tenant_no, token.id, token.name, token.hash, words_text(token.scopes),
                              to_micros(token.created_at), expires, revoked);
    if (!db.failed() && added == 0) return Error{Errc::exists, "token " + token.id + " exists"};
    return {};
  });
}

Result<void> SqliteStore::revoke_token(std::string_view tenant, std::string_view id, Time at) {
  return change([&](sqlite::Connection& db) -> Result<void> {
    const auto revoked = db.run(
        "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?)"
        " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND id = ?",
        to_micros(at), tenant, id);
    if (!db.failed() && revoked == 0) {
      return Error{Errc::not_found, "there is no token " + std::string(id)};
    }
    return {};
  });
}

Result<void> SqliteStore::add_enrolment(const EnrolmentRow& e) {
  return change([&](sqlite::Connection& db) -> Result<void> {
    std::optional<std::int64_t> used;
    if (e.used_at) used = to_micros(*e.used_at);
    const auto tenant_no = make_tenant(db, e.tenant);
    const auto added =
        db.run("INSERT INTO enrolments VALUES(?,?,?,?,?,?) ON CONFLICT DO NOTHING", tenant_no,
               e.hash, e.device, to_micros(e.created_at), to_micros(e.expires_at), used);
    if (!db.failed() && added == 0) return Error{Errc::exists, "this enrolment token exists"};
    return {};
  });
}

Result<EnrolmentRow> SqliteStore::consume_enrolment(std::string_view hash, Time at) {
  return change([&](sqlite::Connection& db) -> Result<EnrolmentRow> {
    std::optional<EnrolmentRow> found;
    db.rows(
        "SELECT n.tenant, e.hash, e.device, e.created_at, e.expires_at, e.used_at"
        " FROM enrolments e JOIN tenants n ON n.tenant_no = e.tenant_no WHERE e.hash = ?",
        [&](const sqlite::Row& row) {
          found = EnrolmentRow{row.text(0),
                               row.text(1),
                               row.text(2),
                               from_micros(row.integer(3)),
                               from_micros(row.integer(4)),
                               std::nullopt};
          if (!row.is_null(5)) found->used_at = from_micros(row.integer(5));
        },
        hash);
    if (db.failed()) return db.failure();
    if (!found) return Error{Errc::not_found, "there is no such enrolment token"};
    if (found->used_at) {
      return Error{Errc::denied, "the enrolment token was used already; ask for a new one"};
    }
    if (at >= found->expires_at) {
      return Error{Errc::denied, "the enrolment token has expired; ask for a new one"};
    }
    db.run("UPDATE enrolments SET used_at = ? WHERE hash = ?", to_micros(at), hash);
    found->used_at = at;
    return *std::move(found);
  });
}

Result<void> SqliteStore::add_audit(const AuditRow& a) {
  return change([&](sqlite::Connection& db) -> Result<void> {
    const auto tenant_no = make_tenant(db, a.tenant);
    db.run(
        "INSERT INTO audit VALUES(?1, (SELECT coalesce(max(number), 0) + 1 FROM audit WHERE"
        " tenant_no = ?1), ?2, ?3, ?4, ?5, ?6)",
        tenant_no, to_micros(a.at), a.actor, a.action, a.subject, a.detail);
    return {};
  });
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& path,
                                                 const SqliteStoreOptions& options) {
  return SqliteStore::open(path, options);
}

SqliteStoreOptions SqliteStoreOptions::read(config::Section& section) {
  using std::chrono::hours;
  const SqliteStoreOptions standard;
  SqliteStoreOptions options;
  options.readers = static_cast<std::size_t>(section.integer(
      {"readers", "read connections; further readers wait", "connections"}, 4, 1, 64));
  options.cache_bytes = section.bytes({"cache", "page cache of the writing connection", "bytes"},
                                      standard.cache_bytes, 1 << 20, std::uint64_t{16} << 30U);
  const auto age = [&](config::Key key, hours fallback) {
    return std::chrono::duration_cast<hours>(
        section.duration(key, fallback, hours(1), hours(24 * 3650)));
  };
  auto& keep = options.retention;
  keep.history = age({"history", "how long score history is kept", "duration"}, keep.history);
  keep.anomalies =
      age({"anomalies", "how long closed anomalies are kept", "duration"}, keep.anomalies);
  keep.history_rows = static_cast<std::uint64_t>(
      section.integer({"history_rows", "score history points kept; the oldest go first", "rows"},
                      100'000'000, 10'000, 10'000'000'000));
  keep.feed_rows = static_cast<std::uint64_t>(section.integer(
      {"feed_rows", "newest steps of the live feed kept", "rows"}, 100'000, 1'000, 100'000'000));
  keep.ledger_rows_per_device = static_cast<std::uint64_t>(section.integer(
      {"ledger_rows_per_device", "keys and hashes of delivered records kept", "rows"}, 100'000, 0,
      1'000'000'000));
  keep.dead_letters_per_tenant = static_cast<std::uint64_t>(section.integer(
      {"dead_letters", "unreadable records kept per tenant", "rows"}, 10'000, 1, 1'000'000));
  return options;
}

}  // namespace lapwing::hub
