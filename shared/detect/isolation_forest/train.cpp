// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/isolation_forest/forest.hpp"
#include "shared/detect/isolation_forest/grow.hpp"
#include "shared/detect/isolation_forest/kind.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

namespace lapwing::detect {
namespace {

using isolation_forest::Column;
using isolation_forest::Forest;
using isolation_forest::Grower;

constexpr std::size_t kRowsMin = 8;
constexpr std::size_t kMedianRows = 1024;  // enough for a centre: it need not be exact
constexpr double kValueMax = 1e300;

/// Lowest and highest value of each column; the wrong way round where all are missing.
struct Reach {
  explicit Reach(const Table& table)
      : low(table.width, std::numeric_limits<double>::infinity()), high(table.width, -low[0]) {
    for (std::size_t row = 0; row < table.rows(); ++row) {
      const double* values = &table.values[row * table.width];
      for (std::size_t i = 0; i < table.width; ++i) {
        low[i] = values[i] < low[i] ? values[i] : low[i];  // neither holds for a missing value
        high[i] = values[i] > high[i] ? values[i] : high[i];
      }
    }
  }
  std::vector<double> low;
  std::vector<double> high;
};

/// The column's place and reach in the training rows; factor 0 when it does not vary.
Column learn_column(const Table& table, std::size_t column, const Reach& all,
                    std::vector<double>& some) {
  const auto cut = [](double value) { return std::clamp(value, -kValueMax, kValueMax); };
  const auto value_at = [&](std::size_t row) {
    return cut(table.values[row * table.width + column]);
  };
  const double low = cut(all.low[column]);
  const double high = cut(all.high[column]);
  if (!(low < high)) return {};
  some.clear();
  const std::size_t step = 1 + (table.rows() - 1) / kMedianRows;
  for (std::size_t row = 0; row < table.rows(); row += step) {
    if (!std::isnan(value_at(row))) some.push_back(value_at(row));
  }
  if (some.empty()) some.push_back(low);
  const auto middle = some.begin() + static_cast<std::ptrdiff_t>(some.size() / 2);
  std::ranges::nth_element(some, middle);
  const double reach = std::max(high - *middle, *middle - low);
  const double factor = 1 / std::max(reach, std::numeric_limits<double>::min());
  return {.centre = *middle, .factor = factor};
}

/// Moves the next `count` of a random order to the front (Fisher and Yates); any order before will
/// do.
void draw(std::vector<std::uint32_t>& order, std::size_t count, Random& random) {
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(order[i], order[i + random.below(order.size() - i)]);
  }
}

}  // namespace

Result<std::vector<std::byte>> train_isolation_forest(const Table& table, const Settings& settings,
                                                      const Progress& progress) {
  if (auto fine = check_settings(kIsolationForest, settings); !fine) return fine.error();
  const auto whole = [&](std::string_view name) {
    return static_cast<std::uint32_t>(parameter(kIsolationForest, settings, name));
  };
  const auto refuse = [](Errc code, const std::string& why) {
    return Error{code, "isolation_forest: " + why};
  };
  const std::size_t rows = table.rows();
  if (table.width != settings.width || rows * table.width != table.values.size()) {
    return refuse(Errc::bad_input, "the rows are not of width " + std::to_string(settings.width));
  }
  if (rows < kRowsMin || rows > std::numeric_limits<std::uint32_t>::max()) {
    return refuse(Errc::bad_input, "trains on " + std::to_string(kRowsMin) + " to 2^32 rows, not " +
                                       std::to_string(rows));
  }
  if (whole("extension") >= table.width) {
    return refuse(Errc::bad_config,
                  "extension is less than the number of columns, " + std::to_string(table.width));
  }
  const auto sample = static_cast<std::uint32_t>(std::min<std::size_t>(whole("sample"), rows));
  Forest forest(static_cast<std::uint32_t>(table.width), whole("trees"), sample,
                whole("extension"));
  const Reach reach(table);
  std::vector<double> some;
  bool varies = false;
  for (std::size_t i = 0; i < table.width; ++i) {
    forest.column(i) = learn_column(table, i, reach, some);
    varies = varies || forest.column(i).factor > 0;
  }
  if (!varies) return refuse(Errc::bad_input, "no column varies in the training rows");

  Grower grower(forest, settings.seed);
  std::vector<std::uint32_t> order(rows);
  std::iota(order.begin(), order.end(), 0U);
  for (std::uint32_t tree = 0; tree < forest.trees(); ++tree) {
    if (progress && !progress(static_cast<double>(tree) / forest.trees())) {
      return refuse(Errc::shutting_down, "training was cancelled");
    }
    draw(order, sample, grower.random());
    for (std::size_t i = 0; i < sample; ++i) {
      forest.scale(table.values.subspan(order[i] * table.width, table.width),
                   grower.sample().subspan(i * table.width, table.width).data());
    }
    grower.grow(tree);
  }
  return forest.write();
}

}  // namespace lapwing::detect
