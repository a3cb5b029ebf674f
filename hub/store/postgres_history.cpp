// SPDX-License-Identifier: Apache-2.0
/// Score history in PostgreSQL: one stream's points, window by window, out of what its device sent.
#include "hub/store/postgres_history.hpp"

#include "shared/postgres/array_argument.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace lapwing::hub {
namespace {

/// Minutes of the first window; each is four times as long as the one before.
constexpr std::int64_t kWindowMin = 256;
constexpr std::int64_t kWindowMax = 1 << 20;

/// Of a device with more streams than this each minute is looked up by itself: the index goes by
/// minute before stream, and to read through a window would mean to read what all streams sent.
constexpr std::int64_t kFewStreams = 64;
/// Minutes looked up by one statement.
constexpr std::int64_t kSeekWindowMax = 1440;

const std::string kPointsOfStream = "SELECT" + std::string(reads::kPointColumns) +
                                    "FROM history WHERE tenant_no=? AND device_no=? AND stream_no=?"
                                    " AND begin_us >= ? AND begin_us < ? AND minute ";
constexpr std::string_view kOldestFirst = " ORDER BY minute, begin_us, received_at LIMIT ?";
constexpr std::string_view kNewestFirst =
    " ORDER BY minute DESC, begin_us DESC, received_at LIMIT ?";

class PostgresPoints final : public reads::StreamPoints {
 public:
  PostgresPoints(sql::Connection& db, reads::DeviceNumbers device, std::int64_t stream)
      : db_(db), device_(device), stream_(stream) {}

  void forward(std::int64_t from, std::int64_t to, std::size_t limit,
               std::vector<HistoryPoint>& out) override {
    const auto window_max = crowded() ? kSeekWindowMax : kWindowMax;
    auto window = kWindowMin;
    while (!db_.failed() && out.size() < limit && from < to) {
      const auto first = edge(
          "SELECT minute FROM history WHERE tenant_no=? AND device_no=? AND minute >= ?"
          " ORDER BY minute LIMIT 1",
          reads::minute_of(from));
      if (!first || *first > reads::minute_of(to - 1)) return;
      const auto last = std::min(reads::minute_of(to - 1), *first + window - 1);
      read(kOldestFirst, *first, last, from, to, limit, out);
      if (last == reads::minute_of(to - 1)) return;
      from = std::max(from, (last + 1) * kMinuteUs);
      window = std::min(window * 4, window_max);
    }
  }

  void backward(std::int64_t from, std::int64_t to, std::size_t limit,
                std::vector<HistoryPoint>& out) override {
    const auto window_max = crowded() ? kSeekWindowMax : kWindowMax;
    auto window = kWindowMin;
    while (!db_.failed() && out.size() < limit && from < to) {
      const auto last = edge(
          "SELECT minute FROM history WHERE tenant_no=? AND device_no=? AND minute <= ?"
          " ORDER BY minute DESC LIMIT 1",
          reads::minute_of(to - 1));
      if (!last || *last < reads::minute_of(from)) return;
      const auto first = std::max(reads::minute_of(from), *last - window + 1);
      read(kNewestFirst, first, *last, from, to, limit, out);
      if (first == reads::minute_of(from)) return;
      to = first * kMinuteUs;
      window = std::min(window * 4, window_max);
    }
  }

 private:
  static constexpr std::int64_t kMinuteUs = 60'000'000;

  /// The nearest minute of which the device sent anything.
  std::optional<std::int64_t> edge(std::string_view sql, std::int64_t minute) {
    std::optional<std::int64_t> found;
    db_.rows(
        sql, [&](const sql::Row& row) { found = row.integer(0); }, device_.tenant_no,
        device_.device_no, minute);
    return found;
  }

  bool crowded() {
    if (!crowded_) {
      crowded_ = false;
      db_.rows(
          "SELECT streams > ? FROM devices WHERE tenant_no=? AND device_no=?",
          [&](const sql::Row& row) { crowded_ = row.integer(0) != 0; }, kFewStreams,
          device_.tenant_no, device_.device_no);
    }
    return *crowded_;
  }

  void read(std::string_view order, std::int64_t first, std::int64_t last, std::int64_t from,
            std::int64_t to, std::size_t limit, std::vector<HistoryPoint>& out) {
    const sql::Connection::EachRow take = [&](const sql::Row& row) {
      const auto point = reads::history_point(row);
      // Told twice, or the clock was set back: the first stays, as in SQLite.
      if (out.empty() || out.back().begin != point.begin) out.push_back(point);
    };
    const auto rows = limit - out.size();
    if (crowded()) {
      minutes_.clear();
      for (auto minute = first; minute <= last; ++minute) minutes_.bigint(minute);
      db_.rows(kPointsOfStream + "= ANY(?::bigint[])" + std::string(order), take, device_.tenant_no,
               device_.device_no, stream_, from, to, minutes_.value(), rows);
    } else {
      db_.rows(kPointsOfStream + "BETWEEN ? AND ?" + std::string(order), take, device_.tenant_no,
               device_.device_no, stream_, from, to, first, last, rows);
    }
  }

  sql::Connection& db_;
  reads::DeviceNumbers device_;
  std::int64_t stream_;
  std::optional<bool> crowded_;
  postgres::ArrayArgument minutes_{postgres::ArrayArgument::Of::bigint};
};

}  // namespace

std::unique_ptr<reads::StreamPoints> postgres_points(sql::Connection& db,
                                                     const reads::DeviceNumbers& device,
                                                     std::int64_t stream_no) {
  return std::make_unique<PostgresPoints>(db, device, stream_no);
}

}  // namespace lapwing::hub
