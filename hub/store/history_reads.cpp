// SPDX-License-Identifier: Apache-2.0
/// Score history and the gaps in it.
#include "hub/store/gaps.hpp"
#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"

#include <algorithm>

namespace lapwing::hub::reads {
namespace {

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
std::vector<Gap> gaps_of(sql::Connection& db, const DeviceNumbers& device, StreamPoints& stream,
                         const Range& range, const std::vector<HistoryPoint>& points) {
  std::vector<HistoryPoint> row;
  if (range.from > kEarliest + kNeighbourUs) {
    stream.backward(range.from - kNeighbourUs, range.from, 1, row);
  }
  row.insert(row.end(), points.begin(), points.end());
  if (points.size() < range.limit && range.to < kLast - kNeighbourUs) {
    stream.forward(range.to, range.to + kNeighbourUs, row.size() + 1, row);
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

HistoryPoint history_point(const sql::Row& row) {
  return {from_micros(row.integer(0)),
          from_micros(row.integer(1)),
          row.count(2),
          row.number(3),
          row.number(4),
          row.number(5),
          row.number(6),
          row.number(7),
          {row.number(8), row.number(9), row.number(10)}};
}

Result<History> history(sql::Connection& db, const OpenStream& open, const DeviceKey& key,
                        const HistoryQuery& query) {
  const auto numbers = device_numbers(db, key);
  if (!numbers) return numbers.error();
  std::optional<std::int64_t> stream_no;
  db.rows(
      "SELECT stream_no FROM streams WHERE tenant_no=?1 AND device_no=?2 AND stream=?3"
      " AND (?4 = '' OR watch = ?4) ORDER BY last_time DESC NULLS LAST LIMIT 1",
      [&](const sql::Row& row) { stream_no = row.integer(0); }, numbers->tenant_no,
      numbers->device_no, query.stream, query.watch);
  if (db.failed()) return db.failure();
  if (!stream_no) {
    return Error{Errc::not_found, "device " + key.device + " has no stream " + query.stream};
  }
  Range range{.limit = std::clamp<std::size_t>(query.limit, 1, 10'000)};
  if (query.to) range.to = to_micros(*query.to);
  History found;
  const auto stream = open(db, *numbers, *stream_no);
  if (query.from) {
    range.from = to_micros(*query.from);
    stream->forward(range.from, range.to, range.limit, found.points);
  } else {
    stream->backward(kEarliest, range.to, range.limit, found.points);
    std::reverse(found.points.begin(), found.points.end());
  }
  found.gaps = gaps_of(db, *numbers, *stream, range, found.points);
  if (db.failed()) return db.failure();
  return found;
}

}  // namespace lapwing::hub::reads
