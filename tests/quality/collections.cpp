// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/collections.hpp"

#include "shared/base/files.hpp"
#include "shared/csv/fields.hpp"
#include "shared/csv/split.hpp"
#include "tests/quality/nab_score.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <optional>

namespace lapwing::quality {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileBytesMax = std::size_t{256} << 20;
constexpr std::size_t kSkabTrainRows = 400;
constexpr auto kInterval = std::chrono::minutes(5);
constexpr Time kStart = from_micros(946'684'800'000'000);

double number(std::string_view text) {
  double value = std::numeric_limits<double>::quiet_NaN();
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

struct Layout {
  char delimiter = ',';
  std::string time_column = "timestamp";  ///< times are made up where there is none
  std::vector<std::string> label_columns = {"label", "Label"};
  std::vector<std::string> ignored = {};
  bool last_is_label = false;
};

Result<Series> read_csv(const fs::path& file, const Layout& layout) {
  const auto text = read_file(file, kFileBytesMax);
  if (!text) return text.error();
  csv::Splitter rows(*text, layout.delimiter);
  if (!rows.next()) return Error{Errc::bad_input, file.string() + " is empty"};
  Series series;
  std::optional<std::size_t> time;
  std::optional<std::size_t> label;
  std::vector<std::size_t> columns;
  const auto header = rows.fields();
  for (std::size_t i = 0; i < header.size(); ++i) {
    const std::string name(header[i]);
    const auto is_in = [&](const std::vector<std::string>& names) {
      return std::ranges::find(names, name) != names.end();
    };
    if (name == layout.time_column) {
      time = i;
    } else if (layout.last_is_label ? i + 1 == header.size() : is_in(layout.label_columns)) {
      label = i;
    } else if (!is_in(layout.ignored)) {
      columns.push_back(i);
      series.sensors.push_back(name);
    }
  }
  const std::size_t fields = header.size();
  while (rows.next()) {
    const auto& row = rows.fields();
    if (row.size() != fields) {
      return Error{Errc::bad_input, file.string() + ":" + std::to_string(rows.line()) + ": " +
                                        std::to_string(row.size()) + " fields, not " +
                                        std::to_string(fields)};
    }
    Time at = kStart + kInterval * static_cast<std::int64_t>(series.rows());
    if (time) {
      const auto read = csv::parse_time(row[*time]);
      if (!read) return within(file.string(), read.error());
      at = *read;
    }
    series.times.push_back(at);
    for (const std::size_t column : columns) series.values.push_back(number(row[column]));
    if (label) series.labels.push_back(number(row[*label]) > 0.5 ? 1 : 0);
  }
  return series;
}

/// Every CSV file below `folder`, sorted by name.
Result<std::vector<fs::path>> csv_files(const fs::path& folder) {
  std::error_code failed;
  std::vector<fs::path> files;
  if (!fs::is_directory(folder, failed)) {
    return Error{Errc::not_found, folder.string() + " is not there"};
  }
  for (const auto& entry : fs::recursive_directory_iterator(folder, failed)) {
    if (entry.path().extension() == ".csv") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::string name_in(const fs::path& file, const fs::path& folder) {
  return file.lexically_relative(folder).replace_extension().generic_string();
}

/// First row of each time: files may repeat an hour.
Result<void> find_windows(const nlohmann::json& labels, Series& series) {
  std::map<Time, std::size_t> row_at;
  for (std::size_t i = 0; i < series.rows(); ++i) row_at.emplace(series.times[i], i);
  const auto row_of = [&](const nlohmann::json& text) -> std::optional<std::size_t> {
    const auto time = csv::parse_time(text.get<std::string>());
    const auto found = time ? row_at.find(*time) : row_at.end();
    return found == row_at.end() ? std::nullopt : std::optional(found->second);
  };
  for (const auto& window : labels) {
    const auto first = row_of(window.at(0));
    const auto last = row_of(window.at(1));
    if (!first || !last) {
      return Error{Errc::bad_input, series.name + " has no row at " + window.dump()};
    }
    series.windows.emplace_back(*first, *last);
  }
  return {};
}

}  // namespace

Result<std::vector<Series>> read_nab(const fs::path& data) {
  const auto folder = data / "nab";
  const auto text = read_file(folder / "labels" / "combined_windows.json", kFileBytesMax);
  if (!text) return Error{Errc::not_found, text.error().context};
  const auto labels = nlohmann::json::parse(*text, nullptr, false);
  std::vector<Series> list;
  for (const auto& [file, windows] : labels.items()) {
    auto series = read_csv(folder / "data" / file, {});
    if (!series) return series.error();
    series->name = fs::path(file).replace_extension().generic_string();
    series->train_rows = nab_probation(series->rows());
    if (auto found = find_windows(windows, *series); !found) return found.error();
    list.push_back(*std::move(series));
  }
  return list;
}

Result<std::vector<Series>> read_tsb(const fs::path& data, const std::string& collection) {
  const auto folder = data / collection;
  const auto index = read_file(folder / "index.csv", kFileBytesMax);
  if (!index) return Error{Errc::not_found, index.error().context};
  std::vector<Series> list;
  csv::Splitter rows(*index);
  if (!rows.next()) return Error{Errc::bad_input, "index.csv is empty"};
  while (rows.next()) {
    const std::string name(rows.fields().at(0));
    auto series = read_csv(folder / (name + ".csv"), {});
    if (!series) return series.error();
    series->name = name;
    series->train_rows = static_cast<std::size_t>(number(rows.fields().at(1)));
    series->vus_window = static_cast<std::size_t>(number(rows.fields().at(2)));
    list.push_back(*std::move(series));
  }
  return list;
}

Result<std::vector<Series>> read_skab(const fs::path& data) {
  const auto folder = data / "skab" / "data";
  const auto files = csv_files(folder);
  if (!files) return files.error();
  std::vector<Series> list;
  for (const auto& file : *files) {
    if (file.parent_path().filename() == "anomaly-free") continue;
    auto series = read_csv(file, {.delimiter = ';',
                                  .time_column = "datetime",
                                  .label_columns = {"anomaly"},
                                  .ignored = {"changepoint"}});
    if (!series) return series.error();
    series->name = name_in(file, folder);
    series->train_rows = kSkabTrainRows;
    list.push_back(*std::move(series));
  }
  return list;
}

Result<std::vector<Series>> read_adbench(const fs::path& data) {
  const auto folder = data / "adbench";
  const auto files = csv_files(folder);
  if (!files) return files.error();
  std::vector<Series> list;
  for (const auto& file : *files) {
    auto series = read_csv(file, {.last_is_label = true});
    if (!series) return series.error();
    series->name = name_in(file, folder);
    list.push_back(*std::move(series));
  }
  return list;
}

}  // namespace lapwing::quality
