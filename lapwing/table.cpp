// SPDX-License-Identifier: Apache-2.0
#include "lapwing/table.hpp"

#include "shared/base/utf8.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <sys/ioctl.h>
#include <unistd.h>

namespace lapwing::cli {
namespace {

constexpr std::size_t kGap = 2;  // between columns
constexpr std::string_view kEllipsis = "…";

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    const auto first = static_cast<unsigned char>(text[at]);
    const bool c1 = length == 2 && first == 0xC2 && static_cast<unsigned char>(text[at + 1]) < 0xA0;
    if (length == 0 || first < 0x20 || first == 0x7F || c1) {
      out += '?';
    } else {
      out += text.substr(at, length);
    }
    at += std::max<std::size_t>(length, 1);
  }
  return out;
}

std::size_t text_width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string fit(std::string_view text, std::size_t width) {
  if (text_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::size_t end = 0;
  for (std::size_t columns = 0; end < text.size(); ++end) {
    const bool starts = (static_cast<unsigned char>(text[end]) & 0xC0U) != 0x80U;
    if (starts && columns++ == width - 1) break;
  }
  return std::string(text.substr(0, end)).append(kEllipsis);
}

void Table::add(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  for (auto& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t widest = text_width(columns_[i].title);
    for (const auto& row : rows_) widest = std::max(widest, text_width(row[i]));
    widths.push_back(widest);
  }
  const auto total = [&] {
    return std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1));
  };
  while (width > 0 && total() > width) {
    std::size_t give = widths.size();
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const auto least = columns_[i].width_min;
      if (least == 0 || widths[i] <= least) continue;
      if (give == widths.size() || widths[i] > widths[give]) give = i;
    }
    if (give == widths.size()) break;  // nothing more can be cut
    --widths[give];
  }
  std::string out;
  const auto line = [&](auto cell_of) {
    std::string text;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const auto cell = fit(cell_of(i), widths[i]);
      const std::string padding(widths[i] - text_width(cell), ' ');
      if (i > 0) text.append(kGap, ' ');
      text += columns_[i].right ? padding + cell : cell + padding;
    }
    while (text.ends_with(' ')) text.pop_back();
    out += text + "\n";
  };
  line([&](std::size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) {
    line([&](std::size_t i) { return row[i]; });
  }
  return out;
}

std::size_t terminal_width() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) != 1) return 0;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace lapwing::cli
