// SPDX-License-Identifier: Apache-2.0
#include "hub/migrate/copy.hpp"

#include "shared/base/utf8.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

namespace lapwing::hub::migration {
namespace {

/// Rows are sent when they are so many bytes.
constexpr std::size_t kSendBytes = 4U << 20U;
/// Records in one row of the ledger.
constexpr std::int64_t kRunMax = 1000;
constexpr std::uint16_t kLedgerColumns = 8;
constexpr std::uint16_t kHistoryColumns = 16;

void append_number(std::string& to, std::int64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    to += static_cast<char>((static_cast<std::uint64_t>(value) >> static_cast<unsigned>(shift)) &
                            0xffU);
  }
}

/// Consecutive records of one device and epoch.
struct Run {
  std::array<std::int64_t, 3> key{};  ///< tenant, device, epoch
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::string classes;
  std::string hashes;
};

}  // namespace

void Copier::send(std::string_view copy, postgres::CopyRows& rows, std::size_t bytes_min) {
  if (rows.rows() == 0 || rows.size_bytes() < bytes_min) return;
  target_.copy(copy, rows.finish());
  rows.clear();
}

template <class T>
T Copier::fitting(const std::string& name, std::int64_t value) {
  if (!std::in_range<T>(value)) {
    source_.fail({Errc::corrupt,
                  name + " is " + std::to_string(value) + ", which is more than its column takes"});
  }
  return static_cast<T>(value);
}

/// PostgreSQL takes no other text, nor a zero byte.
std::string_view Copier::utf8(std::string_view text) {
  if (valid_utf8(text) && text.find('\0') == std::string_view::npos) return text;
  ++repaired_;
  text_.clear();
  for (std::size_t at = 0; at < text.size();) {
    const auto length = text[at] == '\0' ? 0 : utf8_length(text, at);
    length == 0 ? text_.append("\xEF\xBF\xBD") : text_.append(text.substr(at, length));
    at += std::max<std::size_t>(length, 1);
  }
  return text_;
}

void Copier::copy_value(const Column& column, const sql::Row& row, int at, postgres::CopyRows& rows,
                        RowHash& hash) {
  if (row.is_null(at)) {
    rows.null();
    return hash.null();
  }
  switch (column.type) {
    case Column::Type::boolean:
      rows.boolean(row.integer(at) != 0);
      return hash.integer(row.integer(at) != 0 ? 1 : 0);
    case Column::Type::smallint:
      rows.smallint(fitting<std::int16_t>(column.name, row.integer(at)));
      return hash.integer(row.integer(at));
    case Column::Type::integer:
      rows.integer(fitting<std::int32_t>(column.name, row.integer(at)));
      return hash.integer(row.integer(at));
    case Column::Type::bigint:
      rows.bigint(row.integer(at));
      return hash.integer(row.integer(at));
    case Column::Type::number:
      rows.number(row.number(at));
      return hash.number(row.number(at));
    case Column::Type::text: {
      const auto text = utf8(row.view(at));
      rows.bytes(text);
      return hash.bytes(text);
    }
    case Column::Type::bytes:
      rows.bytes(row.view(at));
      return hash.bytes(row.view(at));
  }
}

Digest Copier::copy(const Table& table, const Tick& tick) {
  Digest digest;
  const auto names = table.column_names();
  const auto copy = "COPY " + table.name + "(" + names + ") FROM STDIN (FORMAT binary)";
  postgres::CopyRows rows(static_cast<std::uint16_t>(table.columns.size()));
  target_.run("DELETE FROM " + table.name);  // what the schema itself put there: the source's stand
  source_.rows("SELECT " + names + " FROM " + table.name, [&](const sql::Row& row) {
    if (source_.failed() || target_.failed()) return;
    RowHash hash;
    rows.begin_row();
    for (int at = 0; const auto& column : table.columns) copy_value(column, row, at++, rows, hash);
    digest.add(hash.value());
    send(copy, rows, kSendBytes);
    tick();
  });
  send(copy, rows, 0);
  return digest;
}

Digest Copier::copy_ledger(const Tick& tick) {
  constexpr std::string_view kCopy =
      "COPY ledger(received_at, tenant_no, device_no, epoch, seq_first, seq_last, classes, hashes)"
      " FROM STDIN (FORMAT binary)";
  Digest digest;
  postgres::CopyRows rows(kLedgerColumns);
  Run run;
  // When they came SQLite does not say: they are kept as long as what comes now.
  if (auto made = partitions_.ensure(day_of(at_)); !made) target_.fail(std::move(made).error());
  const auto close = [&] {
    if (run.classes.empty()) return;
    rows.begin_row();
    rows.bigint(to_micros(at_));
    rows.integer(fitting<std::int32_t>("tenant_no", run.key[0]));
    rows.integer(fitting<std::int32_t>("device_no", run.key[1]));
    rows.bigint(run.key[2]);
    rows.bigint(run.first);
    rows.bigint(run.last);
    rows.bytes(run.classes);
    rows.bytes(run.hashes);
    run.classes.clear();
    run.hashes.clear();
    send(kCopy, rows, kSendBytes);
  };
  source_.rows(
      "SELECT tenant_no, device_no, epoch, seq, class, hash FROM ledger"
      " ORDER BY tenant_no, device_no, epoch, seq",
      [&](const sql::Row& row) {
        if (source_.failed() || target_.failed()) return;
        const std::array key{row.integer(0), row.integer(1), row.integer(2)};
        const auto seq = row.integer(3);
        if (key != run.key || seq != run.last + 1 || seq - run.first >= kRunMax) {
          close();
          run.key = key;
          run.first = seq;
        }
        run.last = seq;
        run.classes += static_cast<char>(fitting<std::int8_t>("class", row.integer(4)));
        append_number(run.hashes, row.integer(5));
        RowHash hash;
        for (int at = 0; at < 6; ++at) hash.integer(row.integer(at));
        digest.add(hash.value());
        tick();
      });
  close();
  send(kCopy, rows, 0);
  return digest;
}

Digest Copier::copy_history(const Tick& tick) {
  constexpr std::string_view kCopy =
      "COPY history(received_at, tenant_no, device_no, minute, stream_no, begin_us, end_us,"
      " readings, value_min, value_mean, value_max, score_mean, score_max, expected, lower, upper)"
      " FROM STDIN (FORMAT binary)";
  Digest digest;
  postgres::CopyRows rows(kHistoryColumns);
  source_.rows(
      "SELECT tenant_no, device_no, minute, stream_no, begin_us, end_us, readings, value_min,"
      " value_mean, value_max, score_mean, score_max, expected, lower, upper FROM history",
      [&](const sql::Row& row) {
        if (source_.failed() || target_.failed()) return;
        // When it came SQLite does not say: about when it ended, so that it is kept as long as it
        // was going to be.
        const auto received_at = std::clamp(from_micros(row.integer(5)), oldest_, at_);
        if (auto made = partitions_.ensure(day_of(received_at)); !made) {
          return target_.fail(std::move(made).error());
        }
        RowHash hash;
        rows.begin_row();
        rows.bigint(to_micros(received_at));
        rows.integer(fitting<std::int32_t>("tenant_no", row.integer(0)));
        rows.integer(fitting<std::int32_t>("device_no", row.integer(1)));
        rows.bigint(row.integer(2));
        rows.integer(fitting<std::int32_t>("stream_no", row.integer(3)));
        for (int at = 4; at < 7; ++at) rows.bigint(row.integer(at));
        for (int at = 0; at < 7; ++at) hash.integer(row.integer(at));
        for (int at = 7; at < 15; ++at) {
          rows.number(row.number(at));
          hash.number(row.number(at));
        }
        digest.add(hash.value());
        send(kCopy, rows, kSendBytes);
        tick();
      });
  send(kCopy, rows, 0);
  return digest;
}

void Copier::copy_counters(const Plan& plan) {
  source_.rows("SELECT key, value FROM meta", [&](const sql::Row& row) {
    for (const auto& one : counters()) {
      if (one.meta_key == row.view(0) && row.integer(1) > 0) {
        target_.rows(
            "SELECT setval(?::text::regclass, ?)", [](const sql::Row&) {}, one.sequence,
            row.integer(1));
      }
    }
    if (of_sqlite_only(row.view(0))) return;
    target_.run(
        "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2",
        row.view(0), row.integer(1));
  });
  for (const auto& table : plan.tables) {
    for (const auto& column : table.columns) {
      if (!column.identity) continue;
      std::int64_t highest = 0;
      const auto take = [&](const sql::Row& row) { highest = std::max(highest, row.integer(0)); };
      source_.rows("SELECT max(" + column.name + ") FROM " + table.name, take);
      // Numbers that were given out and whose rows are gone are not given out again.
      source_.rows("SELECT seq FROM sqlite_sequence WHERE name = ?", take, table.name);
      if (highest == 0) continue;
      target_.rows(
          "SELECT setval(pg_get_serial_sequence(?, ?), ?)", [](const sql::Row&) {}, table.name,
          column.name, highest);
    }
  }
}

}  // namespace lapwing::hub::migration
