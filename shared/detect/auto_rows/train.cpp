// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto_rows/auto_rows.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace lapwing::detect {
namespace {

constexpr std::size_t kRowsMin = 3;
constexpr std::size_t kRowsMax = 10'000;  // that the views learn from, beside the scales
constexpr double kVariance = 0.9;         // that the principal components hold
constexpr std::size_t kProgressRows = 256;

std::uint64_t model_tag(std::size_t width) { return frame_tag("auto_rows model", 1, width); }

/// The rows scaled, row-major, NaN where missing.
std::vector<float> with_gaps(const Table& table, std::span<const std::size_t> rows,
                             const Columns& columns) {
  std::vector<float> scaled(rows.size() * table.width);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    columns.scale(table.values.subspan(rows[i] * table.width, table.width),
                  std::span(scaled).subspan(i * table.width, table.width));
  }
  return scaled;
}

/// Scores the training rows by every view, which then tells how rare a value is.
Result<void> learn_surprises(const Table& table, std::span<const std::size_t> rows,
                             const Progress& progress, AutoRows::Model& model) {
  AutoRows detector(model, {});
  std::array<std::vector<double>, AutoRows::kViews> values;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i % kProgressRows == 0) {
      const double done = 0.5 + 0.5 * static_cast<double>(i) / static_cast<double>(rows.size());
      if (auto on = report_progress(kAutoRows, progress, done); !on) return on;
    }
    const auto views = detector.views(table.values.subspan(rows[i] * table.width, table.width));
    for (std::size_t v = 0; v < views.size(); ++v) values[v].push_back(views[v]);
  }
  for (std::size_t v = 0; v < values.size(); ++v) {
    model.surprises[v] = rows::Surprise(std::move(values[v]));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Detector>> make_auto_rows(const Settings& settings, const Context& context) {
  if (auto fine = check_settings(kAutoRows, settings); !fine) return fine.error();
  auto model = read_model<AutoRows::Model>(kAutoRows, context.model, model_tag(settings.width),
                                           settings.width);
  if (!model) return model.error();
  return std::unique_ptr<Detector>(std::make_unique<AutoRows>(std::move(*model), context.model));
}

Result<std::vector<std::byte>> train_auto_rows(const Table& table, const Settings& settings,
                                               const Progress& progress) {
  if (auto fine = begin_training(kAutoRows, table, settings, progress); !fine) return fine.error();
  auto columns = Columns::learn("auto", table, Scaling::robust);
  if (!columns) return columns.error();
  const auto drawn = draw_rows(table, kRowsMax, settings.seed);
  if (drawn.size() < kRowsMin) return Error{Errc::bad_input, "training auto: fewer than 3 rows"};
  const auto scaled = scaled_rows(table, drawn, *columns);
  auto components = pca::find_components(kAutoRows, table, drawn, *columns, kVariance, progress);
  if (!components) return components.error();
  const auto sample_rows = static_cast<std::size_t>(parameter(kAutoRows, settings, "sample_rows"));
  // The same seed draws the same rows first: the sample is among the rows learnt from.
  const auto sampled = draw_rows(table, sample_rows, settings.seed);
  AutoRows::Model trained;
  trained.sample = scaled_rows(table, sampled, *columns);
  trained.sample_rows = static_cast<std::uint32_t>(sampled.size());
  trained.forest = rows::Forest(scaled, table.width, settings.seed);
  trained.marginals = rows::Marginals(with_gaps(table, drawn, *columns), table.width);
  trained.components = std::move(*components);
  trained.columns = std::move(*columns);
  if (auto done = learn_surprises(table, drawn, progress, trained); !done) return done.error();
  return write_model(trained, model_tag(table.width));
}

}  // namespace lapwing::detect
