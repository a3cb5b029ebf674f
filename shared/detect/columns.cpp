// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/columns.hpp"

#include "shared/detect/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

namespace lapwing::detect {
namespace {

constexpr double kValueMax = 1e150;     // beyond it squares overflow
constexpr double kSame = 1e-12;         // of the centre: closer than this is the same value
constexpr double kNormalRange = 1.349;  // interquartile range of the normal, in deviations

struct Spread {
  double centre = 0;
  double width = 0;
};

Spread standard_spread(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  Spread spread;
  for (const double v : values) spread.centre += v / n;
  double squares = 0;
  for (const double v : values) squares += (v - spread.centre) * (v - spread.centre) / n;
  spread.width = std::sqrt(squares);
  return spread;
}

double quantile(std::span<double> values, double share) {
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(at);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

Spread robust(std::span<double> values) {
  const double width = (quantile(values, 0.75) - quantile(values, 0.25)) / kNormalRange;
  const Spread fallback = standard_spread(values);
  return {quantile(values, 0.5), width > kSame * fallback.width ? width : fallback.width};
}

bool differ(double low, double high) {
  return high - low > kSame * std::max(std::abs(low), std::abs(high));
}

bool varies(const Spread& spread) { return spread.width > std::numeric_limits<double>::min() * 4; }

Error refused(std::string_view kind, const char* what) {
  return {Errc::bad_input, "training " + std::string(kind) + ": " + what};
}

double clamped(double value) { return std::clamp(value, -kValueMax, kValueMax); }

}  // namespace

Result<Columns> Columns::learn(std::string_view kind, const Table& table, Scaling scaling) {
  if (table.rows() == 0) return refused(kind, "there are no rows");
  Columns made(table.width);
  made.scaling_ = scaling;
  std::vector<double> values;
  values.reserve(table.rows());
  double widest = 0;
  for (std::size_t c = 0; c < table.width; ++c) {
    values.clear();
    for (std::size_t r = 0; r < table.rows(); ++r) {
      const double value = table.values[r * table.width + c];
      if (!std::isnan(value)) values.push_back(clamped(value));
    }
    if (values.empty()) continue;
    const auto [low, high] = std::ranges::minmax(values);
    Spread spread{low, 0};
    if (differ(low, high)) {
      spread = scaling == Scaling::robust ? robust(values) : standard_spread(values);
    }
    widest = std::max(widest, spread.width);
    made.columns_[c] = {spread.centre, varies(spread) ? 1 / spread.width : 0};
  }
  if (std::ranges::none_of(made.columns_, [](const Column& c) { return c.factor > 0; })) {
    return refused(kind, "no column varies");
  }
  if (scaling == Scaling::common) {
    for (Column& column : made.columns_) {
      if (column.factor > 0) column.factor = 1 / widest;
    }
  }
  return made;
}

Result<Columns> Columns::standard(std::string_view kind, std::span<const Shown> columns) {
  Columns made(columns.size());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const Shown& shown = columns[c];
    Spread spread{shown.least, 0};
    if (differ(shown.least, shown.greatest)) spread = {shown.mean, shown.deviation};
    made.columns_[c] = {spread.centre, varies(spread) ? 1 / spread.width : 0};
  }
  if (std::ranges::none_of(made.columns_, [](const Column& c) { return c.factor > 0; })) {
    return refused(kind, "no column varies");
  }
  return made;
}

float Columns::scale(std::size_t column, double value) const noexcept {
  const auto [centre, factor] = columns_[column];
  const double off = clamped(value) - centre;
  if (factor == 0) {
    if (std::isnan(off)) return std::numeric_limits<float>::quiet_NaN();
    if (std::abs(off) <= kSame * std::abs(centre)) return 0;
    return off > 0 ? kConstantStep : -kConstantStep;
  }
  const double scaled = scaling_ == Scaling::robust ? std::asinh(off * factor) : off * factor;
  return static_cast<float>(
      std::clamp(scaled, -static_cast<double>(kFarthest), static_cast<double>(kFarthest)));
}

void Columns::scale(std::span<const double> row, std::span<float> out) const noexcept {
  for (std::size_t c = 0; c < columns_.size(); ++c) out[c] = scale(c, row[c]);
}

double Columns::unit() const noexcept {
  if (scaling_ != Scaling::common) return 1;
  const auto varies = std::ranges::find_if(columns_, [](const Column& c) { return c.factor > 0; });
  return varies == columns_.end() ? 1 : 1 / varies->factor;
}

double Columns::origin(std::size_t column) const noexcept {
  const auto [centre, factor] = columns_[column];
  return scaling_ == Scaling::common ? -centre * factor : 0;
}

bool Columns::sound() const noexcept {
  const bool known = scaling_ <= Scaling::robust;
  return known && std::ranges::all_of(columns_, [](const Column& one) {
           return std::isfinite(one.centre) && std::isfinite(one.factor) && one.factor >= 0;
         });
}

std::vector<std::size_t> draw_rows(const Table& table, std::size_t rows_max, std::uint64_t seed) {
  std::vector<std::size_t> rows;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    const auto row = table.values.subspan(r * table.width, table.width);
    if (std::ranges::any_of(row, [](double v) { return !std::isnan(v); })) rows.push_back(r);
  }
  if (rows.size() <= rows_max) return rows;
  Random random(seed);
  for (std::size_t i = 0; i < rows_max; ++i) {
    std::swap(rows[i], rows[i + random.below(rows.size() - i)]);
  }
  rows.resize(rows_max);
  std::ranges::sort(rows);
  return rows;
}

std::vector<float> scaled_rows(const Table& table, std::span<const std::size_t> rows,
                               const Columns& columns) {
  std::vector<float> scaled(rows.size() * table.width);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::span<float> out(&scaled[i * table.width], table.width);
    columns.scale(table.values.subspan(rows[i] * table.width, table.width), out);
    for (float& v : out) v = std::isnan(v) ? 0 : v;
  }
  return scaled;
}

}  // namespace lapwing::detect
