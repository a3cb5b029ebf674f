// SPDX-License-Identifier: Apache-2.0
#include "hub/migrate/migrate.hpp"

#include "hub/migrate/copy.hpp"
#include "hub/migrate/plan.hpp"
#include "hub/migrate/verify.hpp"
#include "hub/store/postgres_schema.hpp"
#include "hub/store/reads.hpp"
#include "hub/store/sqlite_schema.hpp"
#include "shared/sqlite/connection.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace lapwing::hub {
namespace {

using migration::Copier;
using migration::Digest;
using migration::Plan;
using migration::Tick;

constexpr Micros kTellEvery = std::chrono::milliseconds(250);
/// Rows between two looks at the clock.
constexpr std::uint64_t kLookEvery = 1024;

class Migration {
 public:
  explicit Migration(const MigrationRequest& request) : request_(request) {}

  Result<Migrated> run();

 private:
  Result<void> open();
  Result<void> carry_over();
  void lock_target();
  void table(const std::string& name, const std::function<Digest(const Tick&)>& copy,
             const std::function<Digest(const Tick&)>& read_back);
  Digest step(const std::string& name, bool checking, std::uint64_t rows,
              const std::function<Digest(const Tick&)>& work);
  void compare_totals();
  [[nodiscard]] std::optional<Error> failure() const;

  const MigrationRequest& request_;
  std::unique_ptr<sqlite::Connection> source_;
  std::unique_ptr<postgres::Connection> target_;
  std::unique_ptr<Partitions> partitions_;
  Plan plan_;
  Migrated done_;
};

Result<void> Migration::open() {
  auto source = sqlite::Connection::open(request_.source, {.read_only = true});
  if (!source) return std::move(source).error();
  source_ = *std::move(source);
  std::int64_t version = 0;
  source_->begin(sql::Connection::Access::read);
  source_->rows("PRAGMA user_version", [&](const sql::Row& row) { version = row.integer(0); });
  if (source_->failed()) return source_->failure();
  if (version != std::ssize(kSqliteMigrations)) {
    return Error{Errc::unsupported, request_.source.string() +
                                        " was written by another version of lapwing-hub"
                                        " (schema " +
                                        std::to_string(version) + ", this one's is " +
                                        std::to_string(std::ssize(kSqliteMigrations)) +
                                        "); let a hub of this version start on it once"};
  }
  auto options = request_.target;
  options.statement_timeout = options.lock_timeout = options.idle_timeout = Micros(0);
  auto target = postgres::Connection::open(options);
  if (!target) return std::move(target).error();
  target_ = *std::move(target);
  done_.target = target_->name();
  if (auto made = postgres::migrate(*target_, kPostgresMigrations); !made) return made;
  auto partitions = postgres::Connection::open(request_.target);
  if (!partitions) return std::move(partitions).error();
  partitions_ = std::make_unique<Partitions>(*std::move(partitions));
  auto plan = migration::make_plan(*source_, *target_);
  if (!plan) return std::move(plan).error();
  plan_ = *std::move(plan);
  return {};
}

std::optional<Error> Migration::failure() const {
  if (source_->failed()) return source_->failure();
  if (target_->failed()) return target_->failure();
  return std::nullopt;
}

/// Everything belongs to a tenant: without one there is no hub yet. Who would make one waits.
void Migration::lock_target() {
  target_->script("LOCK TABLE tenants, devices IN EXCLUSIVE MODE NOWAIT");
  if (target_->failed()) {
    auto why = target_->failure();
    target_->clear_failure();
    target_->fail({Errc::exists, "another program works with the database: " + why.context});
    return;
  }
  bool empty = true;
  target_->rows("SELECT 1 FROM tenants UNION ALL SELECT 1 FROM devices LIMIT 1",
                [&](const sql::Row&) { empty = false; });
  if (empty) return;
  target_->fail(
      {Errc::exists, done_.target + " holds a hub's data already; name an empty database"});
}

Digest Migration::step(const std::string& name, bool checking, std::uint64_t rows,
                       const std::function<Digest(const Tick&)>& work) {
  MigrationProgress progress{.table = name, .checking = checking, .rows_of = rows};
  const auto began = ticks_now();
  auto next = began + kTellEvery;
  const auto tell = [&] {
    progress.took = std::chrono::duration_cast<Micros>(ticks_now() - began);
    if (request_.progress) request_.progress(progress);
  };
  const auto digest = work([&] {
    if (++progress.rows % kLookEvery != 0 || ticks_now() < next) return;
    next = ticks_now() + kTellEvery;
    tell();
  });
  progress.complete = !failure();
  if (progress.complete) tell();
  return digest;
}

void Migration::table(const std::string& name, const std::function<Digest(const Tick&)>& copy,
                      const std::function<Digest(const Tick&)>& read_back) {
  if (failure()) return;
  std::uint64_t rows = 0;
  source_->rows("SELECT count(*) FROM " + name, [&](const sql::Row& row) { rows = row.count(0); });
  const auto was = step(name, false, rows, copy);
  if (failure()) return;
  const auto is = step(name, true, was.rows, read_back);
  if (failure()) return;
  if (was != is || was.rows != rows) {
    return target_->fail({Errc::corrupt, name + ": of " + std::to_string(rows) + " rows " +
                                             std::to_string(is.rows) +
                                             " were read back, or others than were copied"});
  }
  done_.tables.push_back({name, rows});
}

/// What people see of the accounts.
void Migration::compare_totals() {
  if (failure()) return;
  const auto here = reads::totals(*source_);
  const auto there = reads::totals(*target_);
  if (!here || !there) return;  // the connection knows why
  const auto same = [](const Ledger& l, const Ledger& r) {
    return l.produced == r.produced && l.stored == r.stored && l.lost == r.lost &&
           l.elsewhere == r.elsewhere && l.outstanding == r.outstanding;
  };
  if (here->devices != there->devices || !same(here->ledger, there->ledger)) {
    return target_->fail({Errc::corrupt, "the devices' accounts are not what they were"});
  }
  done_.totals = *here;
}

Result<void> Migration::carry_over() {
  const auto oldest = request_.at - std::chrono::duration_cast<Micros>(request_.history);
  Copier copier(*source_, *target_, *partitions_, oldest, request_.at);
  target_->begin(sql::Connection::Access::write);
  lock_target();
  for (const auto& one : plan_.tables) {
    table(
        one.name, [&](const Tick& tick) { return copier.copy(one, tick); },
        [&](const Tick& tick) { return migration::read_back(*target_, one, tick); });
  }
  table(
      "ledger", [&](const Tick& tick) { return copier.copy_ledger(tick); },
      [&](const Tick& tick) { return migration::read_back_ledger(*target_, tick); });
  table(
      "history", [&](const Tick& tick) { return copier.copy_history(tick); },
      [&](const Tick& tick) { return migration::read_back_history(*target_, tick); });
  if (!failure()) copier.copy_counters(plan_);
  compare_totals();
  if (!failure()) target_->commit();
  done_.repaired = copier.repaired();
  if (const auto why = failure()) {
    target_->rollback();
    return *why;
  }
  return {};
}

Result<Migrated> Migration::run() {
  if (auto opened = open(); !opened) return std::move(opened).error();
  if (auto carried = carry_over(); !carried) return std::move(carried).error();
  target_->script("ANALYZE");  // so that the first queries are planned for what is there
  target_->clear_failure();    // the server does it by itself, too
  return std::move(done_);
}

}  // namespace

Result<Migrated> migrate_to_postgres(const MigrationRequest& request) {
  return Migration(request).run();
}

}  // namespace lapwing::hub
