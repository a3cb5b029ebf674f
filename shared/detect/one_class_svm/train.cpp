// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/one_class_svm/cuda.hpp"
#include "shared/detect/one_class_svm/features.hpp"
#include "shared/detect/one_class_svm/one_class_svm.hpp"
#include "shared/detect/one_class_svm/solve.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::detect {
namespace {

constexpr std::size_t kRowsMin = 3;
constexpr double kGammaMax = 1e12;  // squared distances times this stay finite

std::uint64_t model_tag(std::size_t width) { return frame_tag("one_class_svm model", 1, width); }

/// One over the width and the variance of all numbers together, as scikit-learn's "scale".
double scale_gamma(std::span<const float> rows, const Columns& columns) {
  const std::size_t width = columns.width();
  const auto n = static_cast<double>(rows.size());
  const auto value = [&](std::size_t i) {
    return static_cast<double>(rows[i]) - columns.origin(i % width);
  };
  double mean = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) mean += value(i) / n;
  double variance = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    variance += (value(i) - mean) * (value(i) - mean) / n;
  }
  return 1 / (static_cast<double>(width) * std::max(variance, 1e-12));
}

OneClassSvm::Model keep_support(const svm::Solution& solution, std::span<const float> rows,
                                std::size_t width) {
  OneClassSvm::Model model;
  double total = 0;
  for (const float alpha : solution.alphas) total += static_cast<double>(alpha);
  for (std::size_t i = 0; i < solution.alphas.size(); ++i) {
    if (solution.alphas[i] <= 0) continue;
    model.weights.push_back(static_cast<float>(static_cast<double>(solution.alphas[i]) / total));
    const auto row = rows.subspan(i * width, width);
    model.vectors.insert(model.vectors.end(), row.begin(), row.end());
  }
  model.count = static_cast<std::uint32_t>(model.weights.size());
  model.rho = solution.rho / total;
  return model;
}

std::uint64_t feature_tag(std::size_t width) {
  return frame_tag("one_class_svm features", 1, width);
}

/// The detector of a model with support vectors or features.
template <class Svm>
Result<std::unique_ptr<Detector>> make(const Settings& settings, const Context& context,
                                       std::uint64_t tag) {
  const auto model =
      read_model<typename Svm::Model>(kOneClassSvm, context.model, tag, settings.width);
  if (!model) return model.error();
  std::unique_ptr<RowsOnDevice> device;
  if (settings.device == Device::cuda) {
    auto scorer = svm::make_cuda_scorer(model->task());
    if (!scorer) return within(kOneClassSvm.name, scorer.error());
    device = std::make_unique<RowsOnDevice>(kOneClassSvm.name, model->columns, std::move(*scorer));
  }
  return std::unique_ptr<Detector>(std::make_unique<Svm>(*model, context.model, std::move(device)));
}

}  // namespace

Result<std::unique_ptr<Detector>> make_one_class_svm(const Settings& settings,
                                                     const Context& context) {
  if (auto fine = check_settings(kOneClassSvm, settings); !fine) return fine.error();
  auto exact = make<OneClassSvm>(settings, context, model_tag(settings.width));
  if (exact || exact.error().code != Errc::unsupported) return exact;
  return make<FeatureSvm>(settings, context, feature_tag(settings.width));
}

Result<std::vector<std::byte>> train_one_class_svm(const Table& table, const Settings& settings,
                                                   const Progress& progress) {
  if (auto fine = begin_training(kOneClassSvm, table, settings, progress); !fine) {
    return fine.error();
  }
  const auto value = [&](std::string_view name) { return parameter(kOneClassSvm, settings, name); };
  const auto columns = Columns::learn(
      kOneClassSvm.name, table, value("standardize") > 0 ? Scaling::standard : Scaling::common);
  if (!columns) return columns.error();
  const auto drawn = draw_rows(table, static_cast<std::size_t>(value("rows_max")), settings.seed);
  if (drawn.size() < kRowsMin) {
    return Error{Errc::bad_input, "training one_class_svm: fewer than 3 rows"};
  }
  const auto rows = scaled_rows(table, drawn, *columns);
  const double given = value("gamma") * columns->unit() * columns->unit();
  const double gamma = std::min(given > 0 ? given : scale_gamma(rows, *columns), kGammaMax);
  const auto go_on = [&progress] { return !progress || progress(0.5); };
  const auto solution =
      svm::solve(neighbours::PackedRows(rows, table.width), value("nu"), gamma, go_on);
  if (!solution) return Error{Errc::shutting_down, "training one_class_svm was cancelled"};
  OneClassSvm::Model trained = keep_support(*solution, rows, table.width);
  trained.columns = *columns;
  trained.gamma = gamma;
  const auto features = static_cast<std::size_t>(value("features"));
  if (features == 0) return write_model(trained, model_tag(table.width));
  return write_model(FeatureSvm::replace(trained, features, settings.seed),
                     feature_tag(table.width));
}

}  // namespace lapwing::detect
