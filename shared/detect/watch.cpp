// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/watch.hpp"

#include <algorithm>

namespace lapwing::detect {
namespace {

/// Takes the first level off `rest`; `more` says whether another follows.
std::string_view take_level(std::string_view& rest, bool& more) noexcept {
  const std::size_t slash = rest.find('/');
  more = slash != std::string_view::npos;
  const std::string_view level = rest.substr(0, slash);
  rest = more ? rest.substr(slash + 1) : std::string_view{};
  return level;
}

}  // namespace

bool filter_matches(std::string_view filter, std::string_view stream) noexcept {
  bool more_filter = true;
  bool more_stream = true;
  while (more_filter) {
    const std::string_view wanted = take_level(filter, more_filter);
    if (wanted == "#") return true;  // whether or not levels are left: the parent is included
    if (!more_stream) return false;
    const std::string_view level = take_level(stream, more_stream);
    if (wanted != "+" && wanted != level) return false;
  }
  return !more_stream;
}

std::string_view filter_problem(std::string_view filter) noexcept {
  if (filter.empty()) return "is empty: use \"#\" for every stream";
  if (filter.size() > 1024) return "is longer than 1024 bytes";
  if (filter.find('\0') != std::string_view::npos) return "contains a NUL byte";
  bool more = true;
  while (more) {
    const std::string_view level = take_level(filter, more);
    const bool wild = level.find_first_of("+#") != std::string_view::npos;
    if (wild && level.size() != 1) return "has + or # beside other characters in one level";
    if (level == "#" && more) return "has # before its end: it stands for the rest";
  }
  return {};
}

const WatchConfig* watch_for(std::span<const WatchConfig> watches,
                             std::string_view stream) noexcept {
  for (const WatchConfig& watch : watches) {
    const auto takes = [stream](const std::string& f) { return filter_matches(f, stream); };
    if (std::ranges::any_of(watch.streams, takes)) return &watch;
  }
  return nullptr;
}

}  // namespace lapwing::detect
