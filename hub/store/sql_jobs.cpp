// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_jobs.hpp"

#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace lapwing::hub {
namespace {

/// Rows one trim removes at most; more goes with the next.
constexpr std::int64_t kTrimRows = 100;

constexpr std::string_view kJobColumns =
    "SELECT t.tenant, j.id, j.kind, j.arguments, j.state, j.actor, j.created_at, j.started_at,"
    " j.ended_at, j.attempts, j.taken_by, j.heartbeat_at, j.done, j.total, j.text, j.content_type,"
    " j.result_bytes, j.result_parts FROM jobs j JOIN tenants t ON t.tenant_no = j.tenant_no ";

JobRow job_row(const sql::Row& row) {
  return {.tenant = row.text(0),
          .id = row.count(1),
          .kind = row.text(2),
          .arguments = row.text(3),
          .state = static_cast<JobState>(row.integer(4)),
          .actor = row.text(5),
          .created_at = from_micros(row.integer(6)),
          .started_at = reads::instant(row, 7),
          .ended_at = reads::instant(row, 8),
          .attempts = row.count(9),
          .taken_by = row.text(10),
          .heartbeat_at = reads::instant(row, 11),
          .done = row.count(12),
          .total = row.count(13),
          .text = row.text(14),
          .content_type = row.text(15),
          .result_bytes = row.count(16),
          .result_parts = row.count(17)};
}

Error no_job(std::uint64_t id) {
  return {Errc::not_found, "there is no job " + std::to_string(id)};
}

Result<JobRow> read_job(sql::Connection& db, std::uint64_t id) {
  std::optional<JobRow> found;
  db.rows(
      std::string(kJobColumns) + "WHERE j.id = ?",
      [&](const sql::Row& row) { found = job_row(row); }, id);
  if (db.failed()) return db.failure();
  if (!found) return no_job(id);
  return *std::move(found);
}

/// As read_job, of the tenant only.
Result<JobRow> read_job(sql::Connection& db, std::string_view tenant, std::uint64_t id) {
  auto job = read_job(db, id);
  if (job && job->tenant != tenant) return no_job(id);
  return job;
}

Error not_yours(std::uint64_t id) {
  return {Errc::denied, "job " + std::to_string(id) + " is not this worker's any more"};
}

int number(JobState state) { return static_cast<int>(state); }

}  // namespace

Result<JobRow> SqlJobs::add(const JobRow& job) {
  return access_.change([&](sql::Connection& db) -> Result<JobRow> {
    const auto tenant_no = make_tenant(db, job.tenant);
    std::uint64_t open = 0;
    db.rows(
        "SELECT count(*) FROM jobs WHERE tenant_no=? AND state < 3",
        [&](const sql::Row& row) { open = row.count(0); }, tenant_no);
    if (!db.failed() && open >= kOpenMax) {
      return Error{Errc::limit, std::to_string(kOpenMax) +
                                    " jobs have not ended; wait for some, or cancel them"};
    }
    std::uint64_t id = 0;
    db.run("INSERT INTO meta(key, value) VALUES('job', 0) ON CONFLICT(key) DO NOTHING");
    db.rows("UPDATE meta SET value = value + 1 WHERE key = 'job' RETURNING value",
            [&](const sql::Row& row) { id = row.count(0); });
    db.run(
        "INSERT INTO jobs(id, tenant_no, kind, arguments, state, actor, created_at)"
        " VALUES(?,?,?,?,1,?,?)",
        id, tenant_no, job.kind, job.arguments, job.actor, to_micros(job.created_at));
    if (db.failed()) return db.failure();
    return read_job(db, id);
  });
}

Result<JobRow> SqlJobs::get(std::string_view tenant, std::uint64_t id) {
  return access_.read([&](sql::Connection& db) { return read_job(db, tenant, id); });
}

Result<Page<JobRow>> SqlJobs::list(std::string_view tenant, const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<JobRow>> {
    const auto before = reads::number_cursor(page, reads::kLast);
    if (!before) return before.error();
    Page<JobRow> out;
    const auto rows = reads::page_rows(page);
    db.rows(
        std::string(kJobColumns) +
            "WHERE j.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?)"
            " AND j.id < ? ORDER BY j.id DESC LIMIT ?",
        [&](const sql::Row& row) { out.items.push_back(job_row(row)); }, tenant, *before, rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows,
                      [](const JobRow& j) { return make_cursor({std::to_string(j.id)}); });
    return out;
  });
}

Result<JobRow> SqlJobs::cancel(std::string_view tenant, std::uint64_t id, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<JobRow> {
    if (auto job = read_job(db, tenant, id); !job) return job;
    db.run(
        "UPDATE jobs SET state=5, ended_at=?, text='cancelled before it began' WHERE id=?"
        " AND state=1",
        to_micros(at), id);
    db.run("UPDATE jobs SET cancel=1 WHERE id=? AND state=2", id);
    if (db.failed()) return db.failure();
    return read_job(db, tenant, id);
  });
}

Result<std::string> SqlJobs::result_part(std::string_view tenant, std::uint64_t id,
                                         std::uint64_t part) {
  return access_.read([&](sql::Connection& db) -> Result<std::string> {
    const auto job = read_job(db, tenant, id);
    if (!job) return job.error();
    if (job->state != JobState::done) {
      return Error{Errc::not_found, "job " + std::to_string(id) + " has no result (yet)"};
    }
    std::optional<std::string> bytes;
    db.rows(
        "SELECT bytes FROM job_parts WHERE job=? AND part=?",
        [&](const sql::Row& row) { bytes = row.text(0); }, id, part);
    if (db.failed()) return db.failure();
    if (!bytes) {
      return Error{Errc::not_found, "the result has no part " + std::to_string(part) + "; it has " +
                                        std::to_string(job->result_parts)};
    }
    return *std::move(bytes);
  });
}

/// Of the kinds, in the order of their age.
std::optional<std::uint64_t> SqlJobs::find(sql::Connection& db, const Take& wanted) const {
  std::string sql = "SELECT id FROM jobs WHERE (state=1 OR (state=2 AND heartbeat_at < ?1))";
  std::vector<sql::Value> values{sql::Value(to_micros(wanted.at - wanted.timeout))};
  sql += " AND kind IN (";
  for (const auto kind : wanted.kinds) {
    values.emplace_back(kind);
    sql += (values.size() > 2 ? ", ?" : "?") + std::to_string(values.size());
  }
  sql += ") ORDER BY id LIMIT 1" + locking_;
  std::optional<std::uint64_t> id;
  db.rows(
      sql, [&](const sql::Row& row) { id = row.count(0); }, std::span<const sql::Value>(values));
  return id;
}

Result<std::optional<JobRow>> SqlJobs::take(const Take& wanted) {
  using Taken = std::optional<JobRow>;
  if (wanted.kinds.empty()) return Taken();
  return access_.change([&](sql::Connection& db) -> Result<Taken> {
    for (;;) {
      const auto id = find(db, wanted);
      if (db.failed()) return db.failure();
      if (!id) return Taken();
      const auto job = read_job(db, *id);
      if (!job) return job.error();
      db.run("DELETE FROM job_parts WHERE job=?", *id);
      if (job->attempts >= wanted.attempts_max) {
        db.run(
            "UPDATE jobs SET state=4, ended_at=?, text=?, result_bytes=0, result_parts=0"
            " WHERE id=?",
            to_micros(wanted.at), "its worker died " + std::to_string(job->attempts) + " times",
            *id);
        continue;
      }
      db.run(
          "UPDATE jobs SET state=2, attempts=attempts+1, taken_by=?2, started_at=?3,"
          " heartbeat_at=?3, done=0, total=0, text='', result_bytes=0, result_parts=0"
          " WHERE id=?1",
          *id, wanted.worker, to_micros(wanted.at));
      if (db.failed()) return db.failure();
      auto taken = read_job(db, *id);
      if (!taken) return taken.error();
      return Taken(*std::move(taken));
    }
  });
}

Result<JobOrder> SqlJobs::report(std::string_view worker, std::uint64_t id,
                                 const JobProgress& progress, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<JobOrder> {
    auto order = JobOrder::drop;
    db.rows(
        "UPDATE jobs SET heartbeat_at=?, done=?, total=?, text=? WHERE id=? AND state=2"
        " AND taken_by=? RETURNING cancel",
        [&](const sql::Row& row) {
          order = row.integer(0) != 0 ? JobOrder::cancel : JobOrder::go_on;
        },
        to_micros(at), progress.done, progress.total, progress.text, id, worker);
    return order;
  });
}

Result<void> SqlJobs::append(std::string_view worker, std::uint64_t id, std::string_view bytes) {
  if (bytes.size() > kPartBytesMax) {
    return Error{Errc::limit,
                 "a part of a result has at most " + std::to_string(kPartBytesMax) + " bytes"};
  }
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto job = read_job(db, id);
    if (!job) return job.error();
    if (job->state != JobState::running || job->taken_by != worker) return not_yours(id);
    if (job->result_bytes + bytes.size() > kResultBytesMax) {
      return Error{Errc::limit, "the result is longer than " + std::to_string(kResultBytesMax) +
                                    " bytes; ask for less"};
    }
    db.run("INSERT INTO job_parts(job, part, bytes) VALUES(?,?,?)", id, job->result_parts,
           sql::Blob{bytes});
    db.run("UPDATE jobs SET result_parts=result_parts+1, result_bytes=result_bytes+? WHERE id=?",
           bytes.size(), id);
    return {};
  });
}

Result<void> SqlJobs::end(std::string_view worker, std::uint64_t id, JobState state,
                          const JobProgress& last, std::string_view content_type, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    std::int64_t changed = 0;
    if (state == JobState::queued) {
      changed = db.run(
          "UPDATE jobs SET state=1, attempts=attempts-1, heartbeat_at=NULL WHERE id=?"
          " AND state=2 AND taken_by=?",
          id, worker);
    } else {
      changed = db.run(
          "UPDATE jobs SET state=?, ended_at=?, done=?, total=?, text=?,"
          " content_type=? WHERE id=? AND state=2 AND taken_by=?",
          number(state), to_micros(at), last.done, last.total, last.text, content_type, id, worker);
    }
    if (!db.failed() && changed == 0) return not_yours(id);
    if (state == JobState::done) return {};
    db.run("DELETE FROM job_parts WHERE job=?", id);
    db.run("UPDATE jobs SET result_bytes=0, result_parts=0 WHERE id=?", id);
    return {};
  });
}

Result<std::uint64_t> SqlJobs::trim(Time before) {
  return access_.change([&](sql::Connection& db) -> Result<std::uint64_t> {
    std::vector<std::uint64_t> old;
    const auto keep = [&](const sql::Row& row) { old.push_back(row.count(0)); };
    db.rows("SELECT id FROM jobs WHERE state >= 3 AND ended_at < ? ORDER BY id LIMIT ?", keep,
            to_micros(before), kTrimRows);
    std::vector<std::int64_t> tenants;
    db.rows("SELECT tenant_no FROM tenants",
            [&](const sql::Row& row) { tenants.push_back(row.integer(0)); });
    for (const auto tenant : tenants) {
      db.rows(
          "SELECT id FROM jobs WHERE tenant_no=? AND state >= 3 ORDER BY id DESC"
          " LIMIT ? OFFSET ?",
          keep, tenant, kTrimRows, kEndedMax);
    }
    std::uint64_t gone = 0;
    for (const auto id : old) {
      db.run("DELETE FROM job_parts WHERE job=?", id);
      gone += static_cast<std::uint64_t>(db.run("DELETE FROM jobs WHERE id=?", id));
    }
    return gone;
  });
}

Result<Jobs::Open> SqlJobs::open() {
  return access_.read([](sql::Connection& db) -> Result<Open> {
    Open open;
    db.rows(
        "SELECT count(*) FILTER (WHERE state=1), count(*) FILTER (WHERE state=2) FROM jobs"
        " WHERE state < 3",
        [&](const sql::Row& row) {
          open = {row.count(0), row.count(1)};
        });
    if (db.failed()) return db.failure();
    return open;
  });
}

}  // namespace lapwing::hub
