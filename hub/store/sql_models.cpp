// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_models.hpp"

#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::string_view kTenantNo = "(SELECT tenant_no FROM tenants WHERE tenant = ?1)";

/// `text`: header, report and picture too.
std::string file_columns(bool text) {
  return std::string(
             "SELECT t.tenant, f.sha256, f.length, f.kind, f.job, f.actor, f.created_at,"
             " f.file_no") +
         (text ? ", f.header, f.report, f.picture" : ", '', '', ''") +
         " FROM model_files f JOIN tenants t ON t.tenant_no = f.tenant_no ";
}

ModelFileRow file_row(const sql::Row& row) {
  return {.tenant = row.text(0),
          .sha256 = row.text(1),
          .length = row.count(2),
          .kind = row.text(3),
          .header = row.text(8),
          .report = row.text(9),
          .picture = row.text(10),
          .job = row.count(4),
          .actor = row.text(5),
          .created_at = from_micros(row.integer(6))};
}

constexpr std::string_view kVersionColumns =
    "SELECT t.tenant, v.model, v.number, v.sha256, v.manifest, v.device_class, v.actor,"
    " v.created_at, v.version_no FROM model_versions v JOIN tenants t ON t.tenant_no = "
    "v.tenant_no ";

ModelVersionRow version_row(const sql::Row& row) {
  return {.tenant = row.text(0),
          .model = row.text(1),
          .number = row.count(2),
          .sha256 = row.text(3),
          .manifest = row.text(4),
          .device_class = row.text(5),
          .actor = row.text(6),
          .created_at = from_micros(row.integer(7))};
}

Error no_file(std::string_view sha256) {
  return {Errc::not_found, "there is no model file " + std::string(sha256.substr(0, 64))};
}

Error no_version(std::string_view model, std::uint64_t number) {
  return {Errc::not_found, "there is no version " + std::to_string(number) + " of " +
                               std::string(model.substr(0, 256))};
}

/// Its number in the tables; none: it is not there, or the connection failed.
std::optional<std::int64_t> file_number(sql::Connection& db, std::string_view tenant,
                                        std::string_view sha256) {
  std::optional<std::int64_t> number;
  db.rows(
      "SELECT file_no FROM model_files WHERE tenant_no = " + std::string(kTenantNo) +
          " AND sha256 = ?2",
      [&](const sql::Row& row) { number = row.integer(0); }, tenant, sha256);
  return number;
}

std::uint64_t count_of(sql::Connection& db, std::string_view sql,
                       std::optional<std::int64_t> tenant_no) {
  std::uint64_t count = 0;
  db.rows(
      sql, [&](const sql::Row& row) { count = row.count(0); }, tenant_no);
  return count;
}

/// The next of a counter that never gives a number twice.
std::uint64_t next_number(sql::Connection& db, std::string_view counter) {
  std::uint64_t number = 0;
  db.run("INSERT INTO meta(key, value) VALUES(?, 0) ON CONFLICT(key) DO NOTHING", counter);
  db.rows(
      "UPDATE meta SET value = value + 1 WHERE key = ? RETURNING value",
      [&](const sql::Row& row) { number = row.count(0); }, counter);
  return number;
}

Result<std::optional<ModelVersionRow>> newest(sql::Connection& db, std::string_view tenant,
                                              std::string_view model) {
  std::optional<ModelVersionRow> found;
  db.rows(
      std::string(kVersionColumns) + "WHERE v.tenant_no = " + std::string(kTenantNo) +
          " AND v.model = ?2 ORDER BY v.number DESC LIMIT 1",
      [&](const sql::Row& row) { found = version_row(row); }, tenant, model);
  if (db.failed()) return db.failure();
  return found;
}

}  // namespace

Result<void> SqlModels::add_file(const ModelFileRow& row, std::string_view bytes) {
  if (bytes.size() > kFileBytesMax) {
    return Error{Errc::limit,
                 "a model file has at most " + std::to_string(kFileBytesMax) + " bytes"};
  }
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto tenant_no = make_tenant(db, row.tenant);
    if (file_number(db, row.tenant, row.sha256)) return {};
    if (count_of(db, "SELECT count(*) FROM model_files WHERE tenant_no=?", tenant_no) >=
        kFilesMax) {
      return Error{Errc::limit, "there are " + std::to_string(kFilesMax) +
                                    " model files; remove some that no version is made of"};
    }
    const auto number = next_number(db, "model_file");
    db.run(
        "INSERT INTO model_files(tenant_no, sha256, file_no, length, kind, header, report, picture,"
        " job, actor, created_at) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
        tenant_no, row.sha256, number, bytes.size(), row.kind, row.header, row.report, row.picture,
        row.job, row.actor, to_micros(row.created_at));
    for (std::size_t part = 0; part * kPartBytes < bytes.size() && !db.failed(); ++part) {
      db.run("INSERT INTO model_parts(file_no, part, bytes) VALUES(?,?,?)", number, part,
             sql::Blob{bytes.substr(part * kPartBytes, kPartBytes)});
    }
    return {};
  });
}

Result<ModelFileRow> SqlModels::file(std::string_view tenant, std::string_view sha256) {
  return access_.read([&](sql::Connection& db) -> Result<ModelFileRow> {
    std::optional<ModelFileRow> found;
    db.rows(
        file_columns(true) + "WHERE f.tenant_no = " + std::string(kTenantNo) + " AND f.sha256 = ?2",
        [&](const sql::Row& row) { found = file_row(row); }, tenant, sha256);
    if (db.failed()) return db.failure();
    if (!found) return no_file(sha256);
    return *std::move(found);
  });
}

Result<Page<ModelFileRow>> SqlModels::files(std::string_view tenant, const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<ModelFileRow>> {
    const auto before = reads::number_cursor(page, reads::kLast);
    if (!before) return before.error();
    Page<ModelFileRow> out;
    std::vector<std::uint64_t> numbers;
    const auto rows = reads::page_rows(page);
    db.rows(
        file_columns(false) + "WHERE f.tenant_no = " + std::string(kTenantNo) +
            " AND f.file_no < ?2 ORDER BY f.file_no DESC LIMIT ?3",
        [&](const sql::Row& row) {
          out.items.push_back(file_row(row));
          numbers.push_back(row.count(7));
        },
        tenant, *before, rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows, [&](const ModelFileRow&) {
      return make_cursor({std::to_string(numbers[rows - 1])});
    });
    return out;
  });
}

Result<std::string> SqlModels::part(std::string_view tenant, std::string_view sha256,
                                    std::uint64_t number) {
  return access_.read([&](sql::Connection& db) -> Result<std::string> {
    const auto file = file_number(db, tenant, sha256);
    if (db.failed()) return db.failure();
    if (!file) return no_file(sha256);
    std::optional<std::string> bytes;
    // A number that no column holds is no part either.
    const auto wanted = std::min<std::uint64_t>(number, kFileBytesMax);
    db.rows(
        "SELECT bytes FROM model_parts WHERE file_no=? AND part=?",
        [&](const sql::Row& row) { bytes = row.text(0); }, *file, wanted);
    if (db.failed()) return db.failure();
    if (!bytes) {
      return Error{Errc::not_found, "the model file has no part " + std::to_string(number)};
    }
    return *std::move(bytes);
  });
}

Result<void> SqlModels::drop_file(std::string_view tenant, std::string_view sha256) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto file = file_number(db, tenant, sha256);
    if (!db.failed() && !file) return no_file(sha256);
    std::string version;
    db.rows(
        "SELECT model, number FROM model_versions WHERE tenant_no = " + std::string(kTenantNo) +
            " AND sha256 = ?2 ORDER BY version_no DESC LIMIT 1",
        [&](const sql::Row& row) { version = row.text(0) + " " + std::to_string(row.count(1)); },
        tenant, sha256);
    if (db.failed()) return db.failure();
    if (!version.empty()) return Error{Errc::denied, "it is the file of " + version};
    db.run("DELETE FROM model_parts WHERE file_no=?", *file);
    db.run("DELETE FROM model_files WHERE file_no=?", *file);
    return {};
  });
}

Result<void> SqlModels::add_version(const ModelVersionRow& row) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto tenant_no = make_tenant(db, row.tenant);
    if (!file_number(db, row.tenant, row.sha256)) {
      if (db.failed()) return db.failure();
      return no_file(row.sha256);
    }
    const auto last = newest(db, row.tenant, row.model);
    if (!last) return last.error();
    if (*last && (*last)->number >= row.number) {
      if ((*last)->number == row.number && (*last)->manifest == row.manifest) return {};
      return Error{Errc::exists, row.model + " has version " + std::to_string((*last)->number) +
                                     ": a greater number is needed"};
    }
    if (count_of(db, "SELECT count(*) FROM model_versions WHERE tenant_no=?", tenant_no) >=
        kVersionsMax) {
      return Error{Errc::limit, "there are " + std::to_string(kVersionsMax) + " versions"};
    }
    db.run(
        "INSERT INTO model_versions(tenant_no, model, number, version_no, sha256, manifest,"
        " device_class, actor, created_at) VALUES(?,?,?,?,?,?,?,?,?)",
        tenant_no, row.model, row.number, next_number(db, "model_version"), row.sha256,
        sql::Blob{row.manifest}, row.device_class, row.actor, to_micros(row.created_at));
    return {};
  });
}

Result<void> SqlModels::drop_version(std::string_view tenant, std::string_view model,
                                     std::uint64_t number) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto gone =
        db.run("DELETE FROM model_versions WHERE tenant_no = " + std::string(kTenantNo) +
                   " AND model = ?2 AND number = ?3",
               tenant, model, number);
    if (!db.failed() && gone == 0) return no_version(model, number);
    return {};
  });
}

Result<ModelVersionRow> SqlModels::version(std::string_view tenant, std::string_view model,
                                           std::uint64_t number) {
  return access_.read([&](sql::Connection& db) -> Result<ModelVersionRow> {
    std::optional<ModelVersionRow> found;
    db.rows(
        std::string(kVersionColumns) + "WHERE v.tenant_no = " + std::string(kTenantNo) +
            " AND v.model = ?2 AND v.number = ?3",
        [&](const sql::Row& row) { found = version_row(row); }, tenant, model, number);
    if (db.failed()) return db.failure();
    if (!found) return no_version(model, number);
    return *std::move(found);
  });
}

Result<Page<ModelRow>> SqlModels::models(std::string_view tenant, const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<ModelRow>> {
    std::string after;
    if (!page.cursor.empty()) {
      const auto parts = read_cursor(page.cursor, 1);
      if (!parts) return parts.error();
      after = parts->front();
    }
    Page<ModelRow> out;
    const auto rows = reads::page_rows(page);
    db.rows(
        "SELECT t.tenant, v.model, v.number, v.sha256, v.manifest, v.device_class, v.actor,"
        " v.created_at, m.versions FROM (SELECT model, max(number) AS number, count(*) AS versions"
        " FROM model_versions WHERE tenant_no = " +
            std::string(kTenantNo) +
            " AND model > ?2 GROUP BY model ORDER BY model LIMIT ?3) m"
            " JOIN model_versions v ON v.model = m.model AND v.number = m.number"
            " JOIN tenants t ON t.tenant_no = v.tenant_no AND t.tenant = ?1 ORDER BY v.model",
        [&](const sql::Row& row) {
          out.items.push_back({.newest = version_row(row), .versions = row.count(8)});
        },
        tenant, after, rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows,
                      [](const ModelRow& one) { return make_cursor({one.newest.model}); });
    return out;
  });
}

Result<Page<ModelVersionRow>> SqlModels::versions(std::string_view tenant, std::string_view model,
                                                  const PageRequest& page) {
  return access_.read([&](sql::Connection& db) -> Result<Page<ModelVersionRow>> {
    const auto before = reads::number_cursor(page, reads::kLast);
    if (!before) return before.error();
    Page<ModelVersionRow> out;
    std::vector<std::uint64_t> numbers;
    const auto rows = reads::page_rows(page);
    db.rows(
        std::string(kVersionColumns) + "WHERE v.tenant_no = " + std::string(kTenantNo) +
            " AND v.version_no < ?2 AND (?3 = '' OR v.model = ?3) ORDER BY v.version_no DESC"
            " LIMIT ?4",
        [&](const sql::Row& row) {
          out.items.push_back(version_row(row));
          numbers.push_back(row.count(8));
        },
        tenant, *before, model, rows + 1);
    if (db.failed()) return db.failure();
    reads::close_page(out, rows, [&](const ModelVersionRow&) {
      return make_cursor({std::to_string(numbers[rows - 1])});
    });
    return out;
  });
}

Result<void> SqlModels::add_keys(std::uint64_t number, std::string_view list, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    std::uint64_t last = 0;
    std::uint64_t lists = 0;
    std::string bytes;
    db.rows("SELECT count(*) FROM key_lists", [&](const sql::Row& row) { lists = row.count(0); });
    db.rows("SELECT number, list FROM key_lists ORDER BY number DESC LIMIT 1",
            [&](const sql::Row& row) {
              last = row.count(0);
              bytes = row.text(1);
            });
    if (db.failed()) return db.failure();
    if (lists > 0 && number == last && bytes == list) return {};
    if (lists > 0 && number <= last) {
      return Error{Errc::exists,
                   "key list " + std::to_string(last) + " is there: a greater number is needed"};
    }
    if (lists >= kKeyListsMax) {
      return Error{Errc::limit, "there are " + std::to_string(kKeyListsMax) + " key lists"};
    }
    db.run("INSERT INTO key_lists(number, list, taken_at) VALUES(?,?,?)", number, sql::Blob{list},
           to_micros(at));
    return {};
  });
}

Result<std::vector<std::string>> SqlModels::keys_after(std::uint64_t after, std::size_t limit) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<std::string>> {
    std::vector<std::string> lists;
    db.rows(
        "SELECT list FROM key_lists WHERE number > ? ORDER BY number LIMIT ?",
        [&](const sql::Row& row) { lists.push_back(row.text(0)); },
        std::min<std::uint64_t>(after, reads::kLast), std::min(limit, kKeyListsMax));
    if (db.failed()) return db.failure();
    return lists;
  });
}

Result<std::optional<std::string>> SqlModels::newest_keys() {
  return access_.read([](sql::Connection& db) -> Result<std::optional<std::string>> {
    std::optional<std::string> list;
    db.rows("SELECT list FROM key_lists ORDER BY number DESC LIMIT 1",
            [&](const sql::Row& row) { list = row.text(0); });
    if (db.failed()) return db.failure();
    return list;
  });
}

}  // namespace lapwing::hub
