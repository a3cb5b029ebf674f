// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/csv.hpp"
#include "hub/jobs/training.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::size_t kPointsAtOnce = 2'000;

/// A mean that is made of means, by the readings they are of.
struct Cell {
  double sum = 0;
  double readings = 0;
};

/// A row's key: its interval, then the device, so that rows come in the order of time.
using RowKey = std::pair<std::int64_t, std::size_t>;

std::string_view last_level(std::string_view name) {
  const auto slash = name.rfind('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

class StoredReader {
 public:
  StoredReader(Store& store, std::string_view tenant, const StoredRows& rows,
               const std::function<Result<void>(std::uint64_t)>& go_on)
      : store_(store), tenant_(tenant), wanted_(rows), go_on_(go_on) {}

  Result<void> read() {
    for (std::size_t device = 0; device < wanted_.devices.size(); ++device) {
      const DeviceKey key{std::string(tenant_), wanted_.devices[device]};
      const auto names = names_of(key);
      if (!names) return names.error();
      for (std::size_t column = 0; column < wanted_.streams.size(); ++column) {
        if (auto done = read_stream(key, (*names)[column], device, column); !done) return done;
      }
    }
    return {};
  }

  std::string csv() const {
    CsvLine line;
    line.text(csv::kTimestampColumn);
    for (const auto& stream : wanted_.streams) line.text(last_level(stream));
    auto text = line.end();
    for (const auto& [key, cells] : rows_) {
      line.time(from_micros(key.first));
      for (const auto& cell : cells) {
        line.number(cell.readings > 0 ? cell.sum / cell.readings
                                      : std::numeric_limits<double>::quiet_NaN());
      }
      text += line.end();
    }
    return text;
  }

 private:
  /// The device's streams that are wanted, by column. A whole name wins over a last level.
  Result<std::vector<std::string>> names_of(const DeviceKey& key) {
    std::vector<std::set<std::string>> fits(wanted_.streams.size());
    for (PageRequest page{.limit = 1'000};;) {
      const auto streams = store_.streams(key, page);
      if (!streams) return streams.error();
      for (const auto& row : streams->items) {
        for (std::size_t c = 0; c < fits.size(); ++c) {
          const auto& name = wanted_.streams[c];
          if (name == row.stream || name == last_level(row.stream)) fits[c].insert(row.stream);
        }
      }
      if (!streams->next_cursor) break;
      page.cursor = *streams->next_cursor;
    }
    std::vector<std::string> names;
    for (std::size_t c = 0; c < fits.size(); ++c) {
      const auto& name = wanted_.streams[c];
      if (fits[c].empty()) {
        return Error{Errc::not_found, key.device + " has no stream \"" + name + "\""};
      }
      const bool whole = fits[c].contains(name);
      if (!whole && fits[c].size() > 1) {
        return Error{Errc::bad_input, key.device + ": \"" + name + "\" fits " + *fits[c].begin() +
                                          " and " + *fits[c].rbegin() + "; give the whole name"};
      }
      names.push_back(whole ? name : *fits[c].begin());
    }
    return names;
  }

  Result<void> read_stream(const DeviceKey& key, const std::string& stream, std::size_t device,
                           std::size_t column) {
    HistoryQuery query{.stream = stream,
                       .watch = {},
                       .from = wanted_.from.value_or(from_micros(0)),
                       .to = wanted_.to,
                       .limit = kPointsAtOnce};
    for (;;) {
      const auto history = store_.history(key, query);
      if (!history) return history.error();
      for (const auto& point : history->points) {
        if (auto added = add(point, device, column); !added) return added;
      }
      points_ += history->points.size();
      if (auto may = go_on_(points_); !may) return may;
      if (history->points.size() < kPointsAtOnce) return {};
      query.from = history->points.back().begin + Micros(1);
    }
  }

  Result<void> add(const HistoryPoint& point, std::size_t device, std::size_t column) {
    if (point.readings == 0 || !(point.value_mean - point.value_mean == 0)) return {};
    const auto begin = to_micros(point.begin);
    const auto every = wanted_.every.count();
    auto& row = rows_[{begin - ((begin % every) + every) % every, device}];
    if (row.empty()) {
      if (rows_.size() * wanted_.streams.size() > StoredRows::kCellsMax) {
        return Error{Errc::limit, "more than " + std::to_string(StoredRows::kCellsMax) +
                                      " values; ask for less time, or a longer \"every\""};
      }
      row.resize(wanted_.streams.size());
    }
    const auto weight = static_cast<double>(point.readings);
    row[column].sum += weight * point.value_mean;
    row[column].readings += weight;
    return {};
  }

  Store& store_;
  std::string_view tenant_;
  const StoredRows& wanted_;
  const std::function<Result<void>(std::uint64_t)>& go_on_;
  std::map<RowKey, std::vector<Cell>> rows_;
  std::uint64_t points_ = 0;
};

}  // namespace

Result<std::string> stored_csv(Store& store, std::string_view tenant, const StoredRows& rows,
                               const std::function<Result<void>(std::uint64_t)>& go_on) {
  StoredReader reader(store, tenant, rows, go_on);
  if (auto read = reader.read(); !read) return read.error();
  return reader.csv();
}

}  // namespace lapwing::hub
