// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/judge.hpp"
#include "shared/base/files.hpp"
#include "shared/csv/fields.hpp"
#include "shared/csv/split.hpp"

#include <nlohmann/json.hpp>

namespace lapwing::agent {
namespace {

constexpr std::uint64_t kLabelBytesMax = std::uint64_t{64} << 20;

Result<Window> window_of(std::string_view start, std::string_view end) {
  const auto from = csv::parse_time(start);
  if (!from) return from.error();
  const auto to = csv::parse_time(end);
  if (!to) return to.error();
  if (*to < *from) {
    return Error{Errc::bad_input, "it ends (" + std::string(end) + ") before it begins"};
  }
  return Window{*from, *to};
}

Result<std::vector<Window>> windows_of_csv(std::string_view text) {
  std::vector<Window> windows;
  csv::Splitter rows(text);
  bool first = true;
  while (rows.next()) {
    const auto& fields = rows.fields();
    const bool header = first && !csv::parse_time(fields[0]);
    first = false;
    if (header) continue;
    const auto window = fields.size() < 2
                            ? Result<Window>(Error{Errc::bad_input, "start and end are needed"})
                            : window_of(fields[0], fields[1]);
    if (!window) return within("line " + std::to_string(rows.line()), window.error());
    windows.push_back(*window);
  }
  return windows;
}

Result<std::vector<Window>> windows_of_json(const nlohmann::json& list) {
  std::vector<Window> windows;
  const Error wrong{Errc::bad_input, "a list of [start, end] is needed"};
  if (!list.is_array()) return wrong;
  for (const auto& pair : list) {
    const bool fine =
        pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string();
    if (!fine) return wrong;
    const auto window = window_of(pair[0].get<std::string>(), pair[1].get<std::string>());
    if (!window) return window.error();
    windows.push_back(*window);
  }
  return windows;
}

/// Whether `path` is `key` or ends with it at a folder's edge.
bool ends_with_path(std::string_view path, std::string_view key) {
  if (!path.ends_with(key)) return false;
  return path.size() == key.size() || path[path.size() - key.size() - 1] == '/';
}

}  // namespace

Result<Labels> Labels::read(const std::filesystem::path& file) {
  const auto text = read_file(file, kLabelBytesMax);
  if (!text) return text.error();
  Labels labels;
  const auto from = text->find_first_not_of(" \t\r\n");
  if (from == std::string::npos || (*text)[from] != '{') {
    auto windows = windows_of_csv(*text);
    if (!windows) return within(file.string(), windows.error());
    labels.all_ = std::move(*windows);
    return labels;
  }
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return Error{Errc::bad_input, file.string() + " is not JSON"};
  for (const auto& [key, list] : json.items()) {
    auto windows = windows_of_json(list);
    if (!windows) return within(file.string() + ": " + key, windows.error());
    labels.by_file_[key] = std::move(*windows);
  }
  return labels;
}

const std::vector<Window>* Labels::of(const std::filesystem::path& file) const {
  if (all_) return &*all_;
  const std::string path = file.generic_string();
  for (const auto& [key, windows] : by_file_) {
    if (ends_with_path(path, key)) return &windows;
  }
  return nullptr;
}

}  // namespace lapwing::agent
