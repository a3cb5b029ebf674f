// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/scores_file.hpp"

#include "agent/replay/replay.hpp"

#include <array>
#include <charconv>
#include <fstream>
#include <span>
#include <string>

namespace lapwing::agent {
namespace {

constexpr std::size_t kBlockBytes = 1 << 20;

template <class T>
void append_number(std::string& out, T value) {
  std::array<char, 40> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  (void)error;  // the longest number has 24 characters
  out.append(text.data(), end);
}

/// Quoted where CSV asks for it.
void append_field(std::string& out, std::string_view field) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += field;
    return;
  }
  out += '"';
  for (const char c : field) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

std::string header(const Rows& rows) {
  if (rows.width() == 1) return "timestamp,value,score,anomaly_score\n";
  std::string out = "timestamp";
  for (const std::string& name : rows.names) append_field(out += ',', name);
  out += ",score,anomaly_score";
  for (const std::string& name : rows.names) append_field(out += ',', "contribution:" + name);
  return out + '\n';
}

void append_row(std::string& out, const Rows& rows, const RowScores& scores, std::size_t i) {
  const std::size_t width = rows.width();
  if (rows.times_made_up) {
    out += to_rfc3339(rows.rows[i].time);
  } else {
    append_field(out, rows.rows[i].timestamp);
  }
  for (const auto value : std::span(rows.written).subspan(i * width, width)) {
    append_field(out += ',', value);
  }
  append_number(out += ',', scores.rows[i].score);
  append_number(out += ',', scores.rows[i].onset_strength);
  if (!scores.contributions.empty()) {
    for (const float share : std::span(scores.contributions).subspan(i * width, width)) {
      append_number(out += ',', share);
    }
  }
  out += '\n';
}

Error cannot_write(const std::filesystem::path& path) {
  return {Errc::io, "cannot write " + path.string() + ": check the folder and the disk"};
}

}  // namespace

Result<void> write_scores(const std::filesystem::path& path, const Rows& rows,
                          const RowScores& scores) {
  std::error_code failed;  // opening says what is wrong
  std::filesystem::create_directories(path.parent_path(), failed);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  std::string block = header(rows);
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    append_row(block, rows, scores, i);
    if (block.size() < kBlockBytes) continue;
    out << block;
    block.clear();
  }
  out << block;
  out.flush();
  if (!out) return cannot_write(path);
  return {};
}

Result<void> write_text(const std::filesystem::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.flush();
  if (!out) return cannot_write(path);
  return {};
}

}  // namespace lapwing::agent
