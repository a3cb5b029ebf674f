// SPDX-License-Identifier: Apache-2.0
/// Score history in SQLite: one stream's points, from a table that is ordered by minute before
/// stream.
#include "hub/store/sqlite_history.hpp"

#include "hub/store/pages.hpp"

#include <algorithm>

namespace lapwing::hub {
namespace {

const std::string kPoints =
    "SELECT" + std::string(reads::kPointColumns) +
    "FROM history WHERE tenant_no=? AND device_no=? AND minute=? AND stream_no=? AND begin_us >= ?"
    " AND begin_us < ? ORDER BY begin_us";
const std::string kOldestFirst = kPoints + " LIMIT ?";
const std::string kNewestFirst = kPoints + " DESC LIMIT ?";

/// Walks one stream's points through the minutes of its device; minutes without any are skipped.
class HistoryWalk final : public reads::StreamPoints {
 public:
  HistoryWalk(sql::Connection& db, reads::DeviceNumbers numbers, std::int64_t stream)
      : db_(db), numbers_(numbers), stream_(stream) {}

  /// Points with from <= begin < to, oldest first.
  void forward(std::int64_t from, std::int64_t to, std::size_t limit,
               std::vector<HistoryPoint>& out) override {
    if (to <= from) return;
    auto minute = reads::minute_of(from);
    while (!db_.failed() && out.size() < limit && minute <= reads::minute_of(to - 1)) {
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
                std::vector<HistoryPoint>& out) override {
    if (to <= from) return;
    auto minute = reads::minute_of(to - 1);
    while (!db_.failed() && out.size() < limit && minute >= reads::minute_of(from)) {
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
        [&](const sql::Row& row) {
          found = At{row.integer(0), row.integer(1)};
        },
        numbers_.tenant_no, numbers_.device_no, minute, stream_);
    return found;
  }

  void read(std::string_view sql, std::int64_t minute, std::int64_t from, std::int64_t to,
            std::size_t limit, std::vector<HistoryPoint>& out) {
    db_.rows(
        sql, [&](const sql::Row& row) { out.push_back(reads::history_point(row)); },
        numbers_.tenant_no, numbers_.device_no, minute, stream_, from, to, limit - out.size());
  }

  sql::Connection& db_;
  reads::DeviceNumbers numbers_;
  std::int64_t stream_;
};

}  // namespace

std::unique_ptr<reads::StreamPoints> sqlite_points(sql::Connection& db,
                                                   const reads::DeviceNumbers& device,
                                                   std::int64_t stream_no) {
  return std::make_unique<HistoryWalk>(db, device, stream_no);
}

}  // namespace lapwing::hub
