// SPDX-License-Identifier: Apache-2.0
/// What every picture is made of: text, colours, the page.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace lapwing::svg {

inline constexpr std::size_t kColumns = 1040;  ///< one a pixel
inline constexpr double kLeft = 80;
inline constexpr double kWidth = kColumns;
inline constexpr double kPageWidth = kLeft + kWidth + 30;
inline constexpr double kTitleHeight = 64;  ///< title and legend, above all boxes

/// A part of the page as wide as the time axis, in pixels from the top.
struct Box {
  double top = 0;
  double height = 0;

  [[nodiscard]] double bottom() const { return top + height; }
};

/// Appends by printf's rules, at most 399 characters.
template <class... Numbers>
void print(std::string& out, const char* format, Numbers... numbers) {
  std::array<char, 400> text{};
  const int length = std::snprintf(text.data(), text.size(), format, numbers...);
  out.append(text.data(), static_cast<std::size_t>(std::clamp(length, 0, 399)));
}

/// Any text as XML's, the first 120 bytes; what is no text becomes question marks.
[[nodiscard]] std::string escaped(std::string_view text);
/// `anchor` is start, middle or end.
void text_at(std::string& out, double x, double y, const char* anchor, std::string_view text);

/// The page up to its legend; `labelled` adds the one of labels.
void begin(std::string& out, double height, std::string_view title, std::string_view legend,
           bool labelled);
void frame(std::string& out, const Box& box);

}  // namespace lapwing::svg
