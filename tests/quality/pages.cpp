// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/pages.hpp"

#include "agent/replay/plot.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace lapwing::quality {
namespace {

namespace fs = std::filesystem;

std::vector<agent::Window> labels_of(const Series& series) {
  std::vector<agent::Window> list;
  for (const auto& [first, last] : series.windows) {
    list.push_back({series.times[first], series.times[last]});
  }
  for (std::size_t i = 0; i < series.labels.size(); ++i) {
    if (series.labels[i] == 0) continue;
    if (i == 0 || series.labels[i - 1] == 0) list.push_back({series.times[i], series.times[i]});
    list.back().end = series.times[i];
  }
  return list;
}

void write_scores(const fs::path& file, const Series& series, const Output& output) {
  std::ofstream csv(file);
  csv.precision(9);  // every float is told from its neighbour
  csv << "timestamp,score,anomaly_score,outlier\n";
  const auto onsets = output.onsets();
  for (std::size_t i = 0; i < onsets.size(); ++i) {
    csv << to_rfc3339(series.times[i]) << ',' << output.verdicts[i].score << ',' << onsets[i] << ','
        << output.verdicts[i].anomalous << '\n';
  }
}

}  // namespace

void write_pages(const Options& options, std::string_view collection, const Series& series,
                 const Output& output, std::size_t sensor) {
  if (options.out.empty()) return;
  const auto base = options.out / collection / series.name;
  fs::create_directories(base.parent_path());
  write_scores(base.string() + ".csv", series, output);
  agent::Plot plot(series.times.front(), std::ranges::max(series.times));
  for (std::size_t i = 0; i < series.rows(); ++i) {
    plot.add({series.times[i], series.values[i * series.width() + sensor]}, output.verdicts[i]);
  }
  std::string title = series.name;
  if (series.width() > 1) title += " (" + series.sensors[sensor] + ")";
  std::ofstream(base.string() + ".svg") << plot.svg(title, output.anomalies, labels_of(series));
}

void write_index(const Options& options) {
  if (options.out.empty()) return;
  std::vector<std::string> pictures;
  for (const auto& entry : fs::recursive_directory_iterator(options.out)) {
    if (entry.path().extension() != ".svg") continue;
    pictures.push_back(entry.path().lexically_relative(options.out).generic_string());
  }
  std::ranges::sort(pictures);
  std::ofstream page(options.out / "index.html");
  page << "<!doctype html><meta charset=\"utf-8\"><title>Lapwing quality</title>\n"
          "<style>body{font-family:system-ui,sans-serif;max-width:1150px;margin:2em auto}"
          "img{width:100%;border:1px solid #d9dee3;margin-bottom:1em}</style>\n"
          "<h1>What was found in every file</h1>\n";
  for (const auto& picture : pictures) {
    page << "<p id=\"" << picture << "\"><a href=\"" << picture << "\">" << picture
         << "</a></p><img loading=\"lazy\" alt=\"\" src=\"" << picture << "\">\n";
  }
}

}  // namespace lapwing::quality
