// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/pca/components.hpp"
#include "shared/detect/pca/pca.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

namespace lapwing::detect {
namespace {

using pca::model_tag;

constexpr std::size_t kRowsMin = 3;
constexpr double kQuantile = 0.99;

double quantile(std::vector<double>& values) {
  const auto nth = values.begin() +
                   static_cast<std::ptrdiff_t>(kQuantile * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, nth);
  return *nth;
}

}  // namespace

Result<std::unique_ptr<Detector>> make_pca(const Settings& settings, const Context& context) {
  if (auto fine = check_settings(kPca, settings); !fine) return fine.error();
  auto model =
      read_model<Pca::Model>(kPca, context.model, model_tag(settings.width), settings.width);
  if (!model) return model.error();
  return std::unique_ptr<Detector>(std::make_unique<Pca>(std::move(*model), context.model));
}

Result<std::vector<std::byte>> train_pca(const Table& table, const Settings& settings,
                                         const Progress& progress) {
  if (auto fine = begin_training(kPca, table, settings, progress); !fine) return fine.error();
  auto columns = Columns::learn(kPca.name, table, Scaling::standard);
  if (!columns) return columns.error();
  const auto rows = draw_rows(table, table.rows(), settings.seed);
  if (rows.size() < kRowsMin) return Error{Errc::bad_input, "training pca: fewer than 3 rows"};
  auto components = pca::find_components(kPca, table, rows, *columns,
                                         parameter(kPca, settings, "variance"), progress);
  if (!components) return components.error();
  auto distances = pca::measure(kPca, table, rows, *columns, *components, progress);
  if (!distances) return distances.error();
  const Pca::Model trained{
      .columns = std::move(*columns),
      .limit_within = std::max(quantile(distances->within), pca::kVarianceMin),
      .limit_beside = components->count() == table.width
                          ? 0
                          : std::max(quantile(distances->beside), pca::kVarianceMin),
      .components = std::move(*components)};
  return write_model(trained, model_tag(table.width));
}

}  // namespace lapwing::detect
