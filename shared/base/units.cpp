// SPDX-License-Identifier: Apache-2.0
#include "shared/base/config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace lapwing::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t size;
};

constexpr std::array kDurations{Unit{"us", 1},
                                Unit{"ms", 1'000},
                                Unit{"s", 1'000'000},
                                Unit{"m", 60'000'000},
                                Unit{"h", 3'600'000'000},
                                Unit{"d", 86'400'000'000},
                                Unit{"w", 604'800'000'000}};
constexpr std::array kSizes{Unit{"", 1},
                            Unit{"B", 1},
                            Unit{"kB", 1'000},
                            Unit{"KB", 1'000},
                            Unit{"MB", 1'000'000},
                            Unit{"GB", 1'000'000'000},
                            Unit{"TB", 1'000'000'000'000},
                            Unit{"KiB", std::uint64_t{1} << 10},
                            Unit{"MiB", std::uint64_t{1} << 20},
                            Unit{"GiB", std::uint64_t{1} << 30},
                            Unit{"TiB", std::uint64_t{1} << 40}};

/// A number without sign, perhaps a space, then one of the units.
Result<std::uint64_t> parse_with(std::string_view text, std::span<const Unit> units,
                                 std::string_view expected) {
  const Error bad{Errc::bad_config,
                  "\"" + std::string(text) + "\" is not " + std::string(expected)};
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc()) return bad;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const Unit& known : units) {
    if (known.name != unit) continue;
    if (number >
        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / known.size) {
      return bad;
    }
    return number * known.size;
  }
  return bad;
}

std::string format_with(std::uint64_t value, std::span<const Unit> units) {
  const Unit* best = &units.front();
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.size == 0 && unit.size >= best->size) best = &unit;
  }
  return std::to_string(value / best->size) + std::string(best->name);
}

}  // namespace

Result<Micros> parse_duration(std::string_view text) {
  if (text == "0") return Micros(0);
  auto micros = parse_with(text, kDurations, "a duration such as \"250ms\", \"10s\" or \"7d\"");
  if (!micros) return std::move(micros).error();
  return Micros(static_cast<std::int64_t>(*micros));
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  return parse_with(text, kSizes, "a size such as \"64MiB\"");
}

std::string format_duration(Micros duration) {
  if (duration == Micros(0)) return "0";
  // Weeks only from two on: "7d" reads better than "1w".
  const std::span units(kDurations.data(),
                        kDurations.size() - (duration >= std::chrono::weeks(2) ? 0 : 1));
  return format_with(static_cast<std::uint64_t>(duration.count()), units);
}

std::string format_bytes(std::uint64_t bytes) {
  static constexpr std::array kShown{
      Unit{"", 1}, Unit{"KiB", std::uint64_t{1} << 10}, Unit{"MiB", std::uint64_t{1} << 20},
      Unit{"GiB", std::uint64_t{1} << 30}, Unit{"TiB", std::uint64_t{1} << 40}};
  return format_with(bytes, kShown);
}

std::optional<std::string> did_you_mean(std::string_view word,
                                        std::span<const std::string> candidates) {
  // Optimal string alignment distance (Damerau-Levenshtein without repeated edits of one place).
  const auto distance = [](std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1,
                                               std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
      for (std::size_t j = 1; j <= b.size(); ++j) {
        cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                               cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
          cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
      }
    }
    return cost[a.size()][b.size()];
  };
  if (word.size() > 64) return std::nullopt;
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const std::size_t far = distance(word, candidate);
    if (far < best_distance) {
      best = &candidate;
      best_distance = far;
    }
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

}  // namespace lapwing::config
