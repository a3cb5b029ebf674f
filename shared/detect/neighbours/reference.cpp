// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/neighbours/reference.hpp"

#include "shared/detect/neighbours/cuda.hpp"
#include "shared/detect/neighbours/task.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace lapwing::detect::neighbours {
namespace {

constexpr std::size_t kRowsMin = 3;

bool possible(float scaled) { return std::abs(scaled) <= Columns::kFarthest; }  // not for NaN

}  // namespace

Result<Reference> Reference::learn(const Kind& kind, const Table& table, const Settings& settings) {
  const auto value = [&](std::string_view name) { return parameter(kind, settings, name); };
  const bool standardize = value(kStandardize.name) > 0;
  auto columns =
      Columns::learn(kind.name, table, standardize ? Scaling::standard : Scaling::common);
  if (!columns) return columns.error();
  const auto rows_max = static_cast<std::size_t>(value(kRowsMax.name));
  const auto drawn = draw_rows(table, rows_max, settings.seed);
  if (drawn.size() < kRowsMin) {
    return Error{Errc::bad_input, "training " + std::string(kind.name) + ": fewer than 3 rows"};
  }
  Reference reference;
  reference.rows = scaled_rows(table, drawn, *columns);
  Index::order(reference.rows, table.width);
  reference.columns = std::move(*columns);
  reference.count = static_cast<std::uint32_t>(drawn.size());
  reference.neighbours =
      std::min(static_cast<std::uint32_t>(value("neighbours")), reference.count - 1);
  return reference;
}

bool Reference::read(StateReader& reader, std::size_t width) {
  columns = Columns(width);
  reader(neighbours, count, columns);
  // Before memory is taken for them, the rows must be there.
  if (!reader.ok() || count > reader.rest().size() / (width * sizeof(float))) return false;
  rows.resize(count * width);
  reader(rows);
  return reader.ok() && neighbours >= 1 && neighbours < count && columns.sound() &&
         std::ranges::all_of(rows, possible);
}

Result<std::unique_ptr<RowsOnDevice>> open_device(const Kind& kind, const Reference& reference,
                                                  std::span<const float> kth_distances,
                                                  std::span<const float> densities) {
  auto scorer = make_cuda_scorer({.rows = reference.rows.data(),
                                  .kth_distances = kth_distances.data(),
                                  .densities = densities.data(),
                                  .count = reference.count,
                                  .width = static_cast<std::uint32_t>(reference.columns.width()),
                                  .neighbours = reference.neighbours});
  if (!scorer) return within(kind.name, scorer.error());
  return std::make_unique<RowsOnDevice>(kind.name, reference.columns, std::move(*scorer));
}

Neighbours::Neighbours(const Reference& reference)
    : columns_(reference.columns),
      index_(reference.rows, reference.columns.width()),
      search_(index_, reference.neighbours + 1) {}

Nearest Neighbours::of(std::span<const double> row) noexcept {
  columns_.scale(row, search_.query);
  return of_scaled(search_.query);
}

Nearest Neighbours::of_scaled(std::span<const float> row) noexcept {
  search_.present = 0;
  for (std::size_t c = 0; c < row.size(); ++c) {
    search_.query[c] = row[c];
    search_.columns[search_.present] = static_cast<std::uint32_t>(c);
    search_.present += std::isnan(row[c]) ? 0 : 1;
  }
  if (search_.present == 0) return {};
  find_nearest(index_, search_);
  first_ = first_other(search_.squared.data());
  const std::size_t count = search_.squared.size() - 1;
  const std::span distances = std::span(search_.squared).subspan(first_, count);
  for (float& one : distances) {
    one = distance(one, static_cast<std::uint32_t>(search_.present),
                   static_cast<std::uint32_t>(width()));
  }
  return {distances, std::span(search_.rows).subspan(first_, count)};
}

void Neighbours::add_shares(std::span<float> out) const noexcept {
  for (std::size_t i = first_; i < first_ + search_.squared.size() - 1; ++i) {
    if (search_.squared[i] == 0) continue;
    for (std::size_t j = 0; j < search_.present; ++j) {
      const std::size_t c = search_.columns[j];
      const float off = search_.query[c] - index_.value(search_.rows[i], c);
      out[c] += off * off / search_.squared[i];
    }
  }
}

std::size_t Neighbours::bytes() const noexcept {
  return sizeof(*this) + columns_.bytes() + index_.bytes() + search_.bytes();
}

}  // namespace lapwing::detect::neighbours
