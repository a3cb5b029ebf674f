// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/scores_file.hpp"

#include "agent/replay/replay.hpp"

#include <array>
#include <charconv>
#include <fstream>

namespace lapwing::agent {
namespace {

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

}  // namespace

std::string scores_csv(const Rows& rows, std::span<const RowScore> scores) {
  std::string out = "timestamp,value,score,anomaly_score\n";
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    append_field(out, rows.rows[i].timestamp);
    out += ',';
    append_field(out, rows.rows[i].value);
    out += ',';
    append_number(out, scores[i].score);
    out += ',';
    append_number(out, scores[i].onset_strength);
    out += '\n';
  }
  return out;
}

Result<void> write_scores(const std::filesystem::path& path, const Rows& rows,
                          std::span<const RowScore> scores) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  return write_text(path, scores_csv(rows, scores));
}

Result<void> write_text(const std::filesystem::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.flush();
  if (!out)
    return Error{Errc::io, "cannot write " + path.string() + ": check the folder and the disk"};
  return {};
}

}  // namespace lapwing::agent
