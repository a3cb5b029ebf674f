// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_targets.hpp"

#include "hub/store/cursor.hpp"
#include "hub/store/pages.hpp"
#include "hub/store/sql_commands.hpp"
#include "hub/store/sql_ingest.hpp"
#include "shared/wire/codec.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::string_view kTargetColumns =
    "SELECT t.tenant, d.device, m.model, m.number, m.stage, m.rollout, m.offer, m.assignment,"
    " m.until_us, m.changed_at, m.state, m.detail, m.version, m.reported_offer, m.reported_rollout,"
    " m.reported_us, m.keys_number, m.reported_at, m.statistics, d.connection_id"
    " FROM model_targets m"
    " JOIN devices d ON d.tenant_no = m.tenant_no AND d.device_no = m.device_no"
    " JOIN tenants t ON t.tenant_no = m.tenant_no ";

TargetRow target_row(const sql::Row& row) {
  TargetRow out;
  out.target = {.key = {row.text(0), row.text(1)},
                .model = row.text(2),
                .number = row.count(3),
                .stage = static_cast<wire::ModelStage>(row.integer(4)),
                .rollout = row.count(5)};
  out.offer = row.count(6);
  out.assignment = row.text(7);
  out.until = reads::instant(row, 8);
  out.changed_at = from_micros(row.integer(9));
  out.report = {.model = row.text(2),
                .version = row.count(12),
                .state = row.text(10),
                .detail = row.text(11),
                .offer = row.count(13),
                .rollout = row.count(14),
                .at = from_micros(row.integer(15)),
                .keys_number = row.count(16)};
  out.reported_at = reads::instant(row, 17);
  if (row.is_null(18)) return out;
  if (auto kept = wire::decode_record(row.view(18))) {
    if (auto* report = std::get_if<wire::ModelReport>(&*kept)) {
      out.statistics = std::move(report->statistics);
    }
  }
  return out;
}

/// The device's numbers in the tables, or it fails with not_found.
std::optional<reads::DeviceNumbers> numbers(sql::Connection& db, const DeviceKey& key) {
  auto found = reads::device_numbers(db, key);
  if (found) return *found;
  db.fail(std::move(found).error());
  return std::nullopt;
}

}  // namespace

void keep_report(sql::Connection& db, const reads::DeviceNumbers& device,
                 const ReportedModel& reported) {
  const auto& report = reported.report;
  std::string statistics;
  if (report.statistics) {
    wire::ModelReport bare;
    bare.statistics = report.statistics;
    statistics = wire::encode_record(bare);
  }
  std::optional<sql::Blob> kept;
  if (!statistics.empty()) kept = sql::Blob{statistics};
  // A version that nobody counted up to (somebody's 2^63) is shown as the greatest there can be.
  const auto number = [](std::uint64_t value) { return std::min(value, kSeqMax); };
  db.post(
      "INSERT INTO model_targets(tenant_no, device_no, model, epoch, seq, state, detail, version,"
      " reported_offer, reported_rollout, reported_us, keys_number, reported_at, statistics)"
      " SELECT tenant_no, device_no, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14"
      " FROM devices WHERE tenant_no = ?1 AND device_no = ?2"
      " AND ((SELECT count(*) FROM model_targets WHERE tenant_no = ?1 AND device_no = ?2) < ?15"
      " OR EXISTS (SELECT 1 FROM model_targets WHERE tenant_no = ?1 AND device_no = ?2"
      " AND model = ?3))"
      " ON CONFLICT(tenant_no, device_no, model) DO UPDATE SET epoch = excluded.epoch,"
      " seq = excluded.seq, state = excluded.state, detail = excluded.detail,"
      " reported_offer = excluded.reported_offer, reported_rollout = excluded.reported_rollout,"
      " reported_us = excluded.reported_us, keys_number = excluded.keys_number,"
      " reported_at = excluded.reported_at, version = excluded.version,"
      " statistics = CASE WHEN excluded.statistics IS NOT NULL THEN excluded.statistics"
      " WHEN model_targets.version = excluded.version THEN model_targets.statistics END"
      " WHERE excluded.epoch > model_targets.epoch"
      " OR (excluded.epoch = model_targets.epoch AND excluded.seq > model_targets.seq)",
      device.tenant_no, device.device_no, report.model, reported.epoch, reported.seq, report.state,
      report.detail, number(report.version), number(report.offer), number(report.rollout),
      to_micros(report.at), number(report.keys_number), to_micros(reported.received_at), kept,
      Targets::kReportedMax);
  // It has taken offers that this hub does not know of: of another region, or of a hub that was
  // restored since. What is wanted here is offered above them.
  db.post(
      "UPDATE model_targets SET offer = reported_offer + 1, assignment = NULL, until_us = NULL,"
      " sent_at = NULL WHERE tenant_no=? AND device_no=? AND model=? AND offer > 0"
      " AND reported_offer > offer",
      device.tenant_no, device.device_no, report.model);
}

Result<void> want_targets(sql::Connection& db, std::span<const Target> targets, Time at) {
  // In the order in which targets are changed everywhere: none waits for another in a circle.
  std::vector<const Target*> order;
  for (const Target& one : targets) order.push_back(&one);
  std::stable_sort(order.begin(), order.end(),
                   [](const Target* a, const Target* b) { return a->key < b->key; });
  std::vector<std::optional<reads::DeviceNumbers>> found(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    db.later(
        "SELECT d.tenant_no, d.device_no FROM devices d JOIN tenants t ON t.tenant_no = d.tenant_no"
        " WHERE t.tenant = ? AND d.device = ?",
        [&found, i](const sql::Row& row) {
          found[i] = reads::DeviceNumbers{row.integer(0), row.integer(1)};
        },
        order[i]->key.tenant, order[i]->key.device);
  }
  db.sync();
  if (db.failed()) return db.failure();
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (found[i]) continue;
    return Error{Errc::not_found, "there is no device " + order[i]->key.device};
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Target& target = *order[i];
    db.post(
        "INSERT INTO model_targets(tenant_no, device_no, model, number, stage, rollout, offer,"
        " changed_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 1, ?7)"
        " ON CONFLICT(tenant_no, device_no, model) DO UPDATE SET number = excluded.number,"
        " stage = excluded.stage, rollout = excluded.rollout, changed_at = excluded.changed_at,"
        " assignment = NULL, until_us = NULL, sent_at = NULL, sent_connection = '',"
        " offer = 1 + CASE WHEN model_targets.offer > model_targets.reported_offer"
        " THEN model_targets.offer ELSE model_targets.reported_offer END"
        " WHERE model_targets.offer = 0 OR model_targets.number <> excluded.number"
        " OR model_targets.stage <> excluded.stage OR model_targets.rollout <> excluded.rollout",
        found[i]->tenant_no, found[i]->device_no, target.model, target.number,
        static_cast<int>(target.stage), target.rollout, to_micros(at));
  }
  db.sync();
  if (db.failed()) return db.failure();
  return {};
}

Result<void> SqlTargets::want(std::span<const Target> targets, Time at) {
  auto done = access_.change([&](sql::Connection& db) -> Result<void> {
    auto wanted = want_targets(db, targets, at);
    if (wanted) commands_.notify(db);
    return wanted;
  });
  if (done) commands_.wake();
  return done;
}

Result<TargetRow> SqlTargets::get(const DeviceKey& key, std::string_view model) {
  return access_.read([&](sql::Connection& db) -> Result<TargetRow> {
    std::optional<TargetRow> found;
    if (const auto device = numbers(db, key)) {
      db.rows(
          std::string(kTargetColumns) + "WHERE m.tenant_no = ? AND m.device_no = ? AND m.model = ?",
          [&](const sql::Row& row) { found = target_row(row); }, device->tenant_no,
          device->device_no, model);
    }
    if (db.failed()) return db.failure();
    if (!found) {
      return Error{Errc::not_found, "nothing is known of model " +
                                        std::string(model.substr(0, 256)) + " on device " +
                                        key.device};
    }
    return *std::move(found);
  });
}

Result<Page<TargetRow>> SqlTargets::list(std::string_view tenant, const Filter& filter,
                                         const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<TargetRow>> {
    std::string after_device;
    std::string after_model;
    if (!page.cursor.empty()) {
      const auto parts = read_cursor(page.cursor, 2);
      if (!parts) return parts.error();
      after_device = (*parts)[0];
      after_model = (*parts)[1];
    }
    Page<TargetRow> out;
    if (!filter.device.empty() && !numbers(db, {std::string(tenant), filter.device})) {
      return db.failure();
    }
    const auto tenant_no = reads::tenant_number(db, tenant);
    const auto rows = reads::page_rows(page);
    std::string sql(kTargetColumns);
    // The first condition lets an index of devices lead, however long the list is.
    sql += "WHERE d.tenant_no = ?1 AND d.device >= ?2 AND (d.device > ?2 OR m.model > ?3)";
    if (!filter.device.empty()) sql += " AND d.device = ?4";
    if (!filter.model.empty()) sql += " AND m.model = ?5";
    if (filter.rollout != 0) sql += " AND m.rollout = ?6 AND m.rollout <> 0";
    // So that each argument has its place and type, whatever is asked for.
    sql += " AND coalesce(?4, '') = ?4 AND coalesce(?5, '') = ?5 AND ?6 >= 0";
    sql += " ORDER BY d.device, m.model LIMIT ?7";
    db.rows(
        sql, [&](const sql::Row& row) { out.items.push_back(target_row(row)); }, tenant_no,
        after_device, after_model, filter.device, filter.model,
        static_cast<std::int64_t>(std::min(filter.rollout, kSeqMax)), rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows, [](const TargetRow& one) {
      return make_cursor({one.target.key.device, one.target.model});
    });
    return out;
  });
}

Result<std::vector<DueTarget>> SqlTargets::due(std::string_view replica, Time at,
                                               std::size_t limit) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<DueTarget>> {
    std::vector<DueTarget> due;
    db.rows(
        std::string(kTargetColumns) +
            "WHERE m.offer > m.reported_offer AND d.online = 1 AND d.replica = ?"
            " AND d.revoked_at IS NULL"
            " AND (m.sent_at IS NULL OR m.sent_connection <> d.connection_id OR m.sent_at <= ?)"
            " ORDER BY m.changed_at, m.tenant_no, m.device_no, m.model LIMIT ?",
        [&](const sql::Row& row) {
          due.push_back({target_row(row), row.text(19)});
        },
        replica, to_micros(at - kResendAfter), limit);
    if (db.failed()) return db.failure();
    return due;
  });
}

Result<void> SqlTargets::mark_sent(std::span<const DueTarget> sent, Time at) {
  std::vector<const DueTarget*> order;
  for (const DueTarget& one : sent) order.push_back(&one);
  std::stable_sort(order.begin(), order.end(), [](const DueTarget* a, const DueTarget* b) {
    return a->row.target.key < b->row.target.key;
  });
  return access_.change([&](sql::Connection& db) -> Result<void> {
    for (const DueTarget* one : order) {
      db.post(
          "UPDATE model_targets SET sent_at=?, sent_connection=? WHERE model=? AND offer=?"
          " AND (tenant_no, device_no) = (SELECT d.tenant_no, d.device_no FROM devices d"
          " JOIN tenants t ON t.tenant_no = d.tenant_no WHERE t.tenant=? AND d.device=?)",
          to_micros(at), one->connection_id, one->row.target.model, one->row.offer,
          one->row.target.key.tenant, one->row.target.key.device);
    }
    db.sync();
    return {};
  });
}

Result<std::vector<TargetRow>> SqlTargets::ending(Time renew_before, std::size_t limit) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<TargetRow>> {
    std::vector<TargetRow> ending;
    db.rows(
        std::string(kTargetColumns) +
            "WHERE m.until_us < ? AND m.number <> 0 AND d.revoked_at IS NULL"
            " ORDER BY m.until_us LIMIT ?",
        [&](const sql::Row& row) { ending.push_back(target_row(row)); }, to_micros(renew_before),
        limit);
    if (db.failed()) return db.failure();
    return ending;
  });
}

Result<void> SqlTargets::assign(const DeviceKey& key, std::string_view model, std::uint64_t offer,
                                std::string_view assignment, Time until) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    if (const auto device = numbers(db, key)) {
      db.run(
          "UPDATE model_targets SET assignment=?, until_us=? WHERE tenant_no=? AND device_no=?"
          " AND model=? AND offer=?",
          sql::Blob{assignment}, to_micros(until), device->tenant_no, device->device_no, model,
          offer);
    }
    return {};
  });
}

Result<void> SqlTargets::offer_again(const DeviceKey& key, std::string_view model,
                                     std::uint64_t offer, Time at) {
  auto done = access_.change([&](sql::Connection& db) -> Result<void> {
    if (const auto device = numbers(db, key)) {
      db.run(
          "UPDATE model_targets SET assignment = NULL, until_us = NULL, sent_at = NULL,"
          " sent_connection = '', changed_at = ?, offer = 1 + CASE WHEN offer > reported_offer"
          " THEN offer ELSE reported_offer END"
          " WHERE tenant_no=? AND device_no=? AND model=? AND offer=?",
          to_micros(at), device->tenant_no, device->device_no, model, offer);
      commands_.notify(db);
    }
    return {};
  });
  if (done) commands_.wake();
  return done;
}

}  // namespace lapwing::hub
