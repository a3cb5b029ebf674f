// SPDX-License-Identifier: Apache-2.0
/// What this region tells others of its anomalies: all of them, then what changes.
#include "hub/store/anomaly_rows.hpp"
#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"
#include "hub/store/sql_exchange.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>

namespace lapwing::hub::reads {
namespace {

std::size_t text_bytes(const ExchangedAnomaly& a) {
  const auto& r = a.record;
  std::size_t bytes = 512 + a.device.size() + r.stream.size() + r.watch.size() + r.text.size();
  for (const auto& one : r.contributions) bytes += one.stream.size() + 32;
  for (const auto& tag : r.tags) bytes += tag.key.size() + tag.value.size() + 8;
  return bytes;
}

/// Where a reader of anomalies is. First it goes through all by (onset, number) up to the end, then
/// through the feed from `feed`, which was the newest step when it began.
struct Position {
  bool listing = true;
  std::int64_t feed = 0;
  std::int64_t onset = std::numeric_limits<std::int64_t>::min();
  std::int64_t number = 0;
  /// Following the feed: a step that was read, by its number and its anomaly's id. A store that was
  /// set back behind it has another there, or none.
  std::int64_t witness = 0;
  std::int64_t witness_id = 0;

  [[nodiscard]] std::string text() const {
    const auto n = [](std::int64_t value) { return std::to_string(value); };
    return listing ? make_cursor({"l", n(feed), n(onset), n(number)})
                   : make_cursor({"f", n(feed), n(witness), n(witness_id)});
  }

  static Result<Position> read(const std::string& cursor) {
    auto parts = read_cursor(cursor, 4);
    if (!parts) return parts.error();
    std::array<std::int64_t, 3> numbers{};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto number = cursor_number((*parts)[i + 1]);
      if (!number) return number.error();
      numbers.at(i) = *number;
    }
    Position at{.listing = parts->front() == "l", .feed = numbers[0]};
    (at.listing ? at.onset : at.witness) = numbers[1];
    (at.listing ? at.number : at.witness_id) = numbers[2];
    return at;
  }
};

struct FeedState {
  std::int64_t newest = 0;
  std::int64_t floor = 0;  ///< steps up to here may be gone
};

FeedState feed_state(sql::Connection& db) {
  FeedState state;
  db.rows("SELECT key, value FROM meta WHERE key IN ('feed_seq', 'feed_floor')",
          [&](const sql::Row& row) {
            (row.view(0) == "feed_seq" ? state.newest : state.floor) = row.integer(1);
          });
  return state;
}

/// Whether what follows the position in the feed is all that changed since.
bool reaches_back(sql::Connection& db, std::int64_t tenant_no, const Position& at,
                  const FeedState& feed) {
  if (at.feed < feed.floor || at.feed > feed.newest) return false;
  if (at.witness <= feed.floor) return true;
  bool same = false;
  db.rows(
      "SELECT a.id FROM feed f LEFT JOIN anomalies a ON a.anomaly_no = f.anomaly_no"
      " WHERE f.tenant_no=? AND f.seq=?",
      [&](const sql::Row& row) { same = row.is_null(0) || row.integer(0) == at.witness_id; },
      tenant_no, at.witness);
  return same;
}

/// Collects a page: own rows, each anomaly once, until it is full.
class Collect {
 public:
  explicit Collect(const ExportRequest& request) : bytes_max_(request.bytes_max) {}

  /// False: the page is full, and the row is for the next one.
  bool add(const sql::Row& row) {
    ++read_;
    if (full_ || (bytes_ > 0 && bytes_ >= bytes_max_)) {
      full_ = true;
      return false;
    }
    if (row.integer(kAnomalyColumnCount + 2) != 0) return true;  // another region's
    auto a = anomaly_row(row);
    ExchangedAnomaly out{std::move(a.device),
                         row.count(kAnomalyColumnCount),
                         row.count(kAnomalyColumnCount + 1),
                         std::move(a.record),
                         a.received_at,
                         a.updated_at};
    // Of several steps of one anomaly all show it as it is now.
    if (!seen_.insert(row.integer(0)).second) return true;
    bytes_ += text_bytes(out);
    page_.rows.emplace_back(std::move(out));
    return true;
  }

  [[nodiscard]] std::size_t read() const { return read_; }
  [[nodiscard]] bool full() const { return full_; }
  ExportPage& page() { return page_; }

 private:
  ExportPage page_;
  std::set<std::int64_t> seen_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::size_t read_ = 0;
  bool full_ = false;
};

constexpr std::string_view kSteps = ", a.epoch, a.seq, a.peer_no";

void list(sql::Connection& db, std::int64_t tenant_no, std::size_t limit, Position& at,
          Collect& collect) {
  db.rows(
      std::string(kAnomalyColumns)
          .append(kSteps)
          .append(kAnomalyTables)
          .append(" WHERE a.tenant_no=? AND (a.onset, a.anomaly_no) > (?, ?)"
                  " ORDER BY a.onset, a.anomaly_no LIMIT ?"),
      [&](const sql::Row& row) {
        if (!collect.add(row)) return;
        at.onset = row.integer(9);
        at.number = row.integer(0);
      },
      tenant_no, at.onset, at.number, limit);
  collect.page().more = true;
  if (collect.full() || collect.read() == limit) return;
  at.listing = false;
  at.witness = 0;
  at.witness_id = 0;
}

void follow(sql::Connection& db, std::int64_t tenant_no, std::size_t limit, const FeedState& feed,
            Position& at, Collect& collect) {
  db.rows(
      std::string(kAnomalyColumns)
          .append(kSteps)
          .append(", f.seq FROM feed f JOIN anomalies a ON a.anomaly_no=f.anomaly_no"
                  " JOIN devices d ON d.tenant_no=a.tenant_no AND d.device_no=a.device_no"
                  " WHERE f.tenant_no=? AND f.seq > ? ORDER BY f.seq LIMIT ?"),
      [&](const sql::Row& row) {
        if (!collect.add(row)) return;
        at.feed = at.witness = row.integer(kAnomalyColumnCount + 3);
        at.witness_id = row.integer(2);
      },
      tenant_no, at.feed, limit);
  collect.page().more = collect.full() || collect.read() == limit;
  // Other tenants' steps need not be looked through again.
  if (!collect.page().more) at.feed = std::max(at.feed, feed.newest);
}

}  // namespace

Result<ExportPage> export_anomalies(sql::Connection& db, std::string_view tenant,
                                    const ExportRequest& request) {
  const auto tenant_no = tenant_number(db, tenant);
  const auto feed = feed_state(db);
  if (db.failed()) return db.failure();
  Position at{.feed = feed.newest};
  if (!request.cursor.empty()) {
    const auto known = Position::read(request.cursor);
    if (!known) return known.error();
    if (known->listing || (tenant_no && reaches_back(db, *tenant_no, *known, feed))) at = *known;
  }
  Collect collect(request);
  const auto limit = std::clamp<std::size_t>(request.rows_max, 1, 1000);
  if (!tenant_no) {
    collect.page().next = at.text();
  } else if (at.listing) {
    list(db, *tenant_no, limit, at, collect);
  } else {
    follow(db, *tenant_no, limit, feed, at, collect);
  }
  if (db.failed()) return db.failure();
  collect.page().next = at.text();
  return std::move(collect.page());
}

}  // namespace lapwing::hub::reads
