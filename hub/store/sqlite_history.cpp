// SPDX-License-Identifier: Apache-2.0
/// Score history: one stream's points, from a table that is ordered by minute before stream.
#include "hub/store/gaps.hpp"
#include "hub/store/sqlite_pages.hpp"
#include "hub/store/sqlite_reads.hpp"
#include "hub/store/sqlite_schema.hpp"

#include <algorithm>

namespace lapwing::hub::reads {
namespace {

const std::string kPoints =
    "SELECT minute, stream_no, begin_us, end_us, readings, value_min, value_mean,"
    " value_max, score_mean, score_max, expected, lower, upper FROM history"
    " WHERE tenant_no=? AND device_no=? AND minute=? AND stream_no=? AND begin_us >= ?"
    " AND begin_us < ? ORDER BY begin_us";
const std::string kOldestFirst = kPoints + " LIMIT ?";
const std::string kNewestFirst = kPoints + " DESC LIMIT ?";

HistoryPoint history_point(const sqlite::Row& row) {
  return {from_micros(row.integer(2)),
          from_micros(row.integer(3)),
          row.count(4),
          row.number(5),
          row.number(6),
          row.number(7),
          row.number(8),
          row.number(9),
          {row.number(10), row.number(11), row.number(12)}};
}

/// Walks one stream's points through the minutes of its device; minutes without any are skipped.
class HistoryWalk {
 public:
  HistoryWalk(sqlite::Connection& db, DeviceNumbers numbers, std::int64_t stream)
      : db_(db), numbers_(numbers), stream_(stream) {}

  /// Points with from <= begin < to, oldest first.
  void forward(std::int64_t from, std::int64_t to, std::size_t limit,
               std::vector<HistoryPoint>& out) {
    if (to <= from) return;
    auto minute = minute_of(from);
    while (!db_.failed() && out.size() < limit && minute <= minute_of(to - 1)) {
      const auto found = seek(
          "SELECT minute, stream_no FROM history WHERE tenant_no=? AND device_no=?"
          " AND (minute, stream_no) >= (?, ?) ORDER BY minute, stream_no LIMIT 1",
          minute);
      if (!found) return;
      if (*found == At{minute, stream_}) {
        read(kOldestFirst, minute, from, to, limit, out);
        ++minute;
      } else {
        // Only later streams in this minute, or another minute: look there for this stream.
        minute = found->minute == minute ? minute + 1 : found->minute;
      }
    }
  }

  /// Points with from <= begin < to, newest first.
  void backward(std::int64_t from, std::int64_t to, std::size_t limit,
                std::vector<HistoryPoint>& out) {
    if (to <= from) return;
    auto minute = minute_of(to - 1);
    while (!db_.failed() && out.size() < limit && minute >= minute_of(from)) {
      const auto found = seek(
          "SELECT minute, stream_no FROM history WHERE tenant_no=? AND device_no=?"
          " AND (minute, stream_no) <= (?, ?) ORDER BY minute DESC, stream_no DESC LIMIT 1",
          minute);
      if (!found) return;
      if (*found == At{minute, stream_}) {
        read(kNewestFirst, minute, from, to, limit, out);
        --minute;
      } else {
        minute = found->minute == minute ? minute - 1 : found->minute;
      }
    }
  }

 private:
  struct At {
    std::int64_t minute = 0;
    std::int64_t stream = 0;
    friend bool operator==(const At&, const At&) = default;
  };

  std::optional<At> seek(std::string_view sql, std::int64_t minute) {
    std::optional<At> found;
    db_.rows(
        sql,
        [&](const sqlite::Row& row) {
          found = At{row.integer(0), row.integer(1)};
        },
        numbers_.tenant_no, numbers_.device_no, minute, stream_);
    return found;
  }

  void read(std::string_view sql, std::int64_t minute, std::int64_t from, std::int64_t to,
            std::size_t limit, std::vector<HistoryPoint>& out) {
    db_.rows(
        sql, [&](const sqlite::Row& row) { out.push_back(history_point(row)); }, numbers_.tenant_no,
        numbers_.device_no, minute, stream_, from, to, limit - out.size());
  }

  sqlite::Connection& db_;
  DeviceNumbers numbers_;
  std::int64_t stream_;
};

constexpr auto kEarliest = std::numeric_limits<std::int64_t>::min();
/// How far beside the range its neighbours are looked for; bounds the walk through other streams.
constexpr std::int64_t kNeighbourUs = Micros(std::chrono::hours(24)).count();

/// What the query asks for, in microseconds.
struct Range {
  std::int64_t from = kEarliest;
  std::int64_t to = kLast;
  std::size_t limit = 0;
};

/// The gaps of `points` that meet the range. Reads losses only where there is a hole.
std::vector<Gap> gaps_of(sqlite::Connection& db, const DeviceNumbers& device, HistoryWalk& walk,
                         const Range& range, const std::vector<HistoryPoint>& points) {
  std::vector<HistoryPoint> row;
  if (range.from > kEarliest + kNeighbourUs) {
    walk.backward(range.from - kNeighbourUs, range.from, 1, row);
  }
  row.insert(row.end(), points.begin(), points.end());
  if (points.size() < range.limit && range.to < kLast - kNeighbourUs) {
    walk.forward(range.to, range.to + kNeighbourUs, row.size() + 1, row);
  }
  const auto holes = find_holes(row);
  if (holes.empty()) return {};
  const auto step = holes.back().step.count();
  const auto losses = losses_between(db, device, to_micros(holes.front().begin),
                                     std::min(to_micros(holes.back().end), kLast - step) + step);
  auto gaps = find_gaps(holes, losses);
  std::erase_if(gaps, [&](const Gap& gap) {
    return to_micros(gap.to) <= range.from || to_micros(gap.from) >= range.to;
  });
  return gaps;
}

}  // namespace

Result<History> history(sqlite::Connection& db, const DeviceKey& key, const HistoryQuery& query) {
  const auto numbers = device_numbers(db, key);
  if (!numbers) return numbers.error();
  std::optional<std::int64_t> stream;
  db.rows(
      "SELECT stream_no FROM streams WHERE tenant_no=?1 AND device_no=?2 AND stream=?3"
      " AND (?4 = '' OR watch = ?4) ORDER BY last_time DESC LIMIT 1",
      [&](const sqlite::Row& row) { stream = row.integer(0); }, numbers->tenant_no,
      numbers->device_no, query.stream, query.watch);
  if (db.failed()) return db.failure();
  if (!stream) {
    return Error{Errc::not_found, "device " + key.device + " has no stream " + query.stream};
  }
  Range range{.limit = std::clamp<std::size_t>(query.limit, 1, 10'000)};
  if (query.to) range.to = to_micros(*query.to);
  History found;
  HistoryWalk walk(db, *numbers, *stream);
  if (query.from) {
    range.from = to_micros(*query.from);
    walk.forward(range.from, range.to, range.limit, found.points);
  } else {
    walk.backward(kEarliest, range.to, range.limit, found.points);
    std::reverse(found.points.begin(), found.points.end());
  }
  found.gaps = gaps_of(db, *numbers, walk, range, found.points);
  if (db.failed()) return db.failure();
  return found;
}

}  // namespace lapwing::hub::reads
