// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/pca/pca.hpp"

#include <Eigen/Dense>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

namespace lapwing::detect {
namespace {

using Matrix = Eigen::MatrixXd;

constexpr std::size_t kRowsMin = 3;
constexpr std::size_t kRowsAtOnce = 1024;
constexpr double kQuantile = 0.99;
// The least a component may vary and a residual may be, of a column's variance: an exact relation
// between columns is one that holds to a thousandth of a deviation.
constexpr double kVarianceMin = 1e-6;

std::uint64_t model_tag(std::size_t width) { return frame_tag("pca model", 1, width); }

/// Calls `use` with the rows, scaled, up to 1024 at a time: a row of the matrix each.
template <class Use>
Result<void> for_blocks(const Table& table, std::span<const std::size_t> rows,
                        const Columns& columns, const Progress& progress, double done, Use use) {
  for (std::size_t at = 0; at < rows.size(); at += kRowsAtOnce) {
    const double part = 0.5 * static_cast<double>(at) / static_cast<double>(rows.size());
    if (auto on = report_progress(kPca, progress, done + part); !on) return on;
    const auto some = rows.subspan(at, std::min(kRowsAtOnce, rows.size() - at));
    const auto scaled = scaled_rows(table, some, columns);
    using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    use(Matrix(Eigen::Map<const RowMajor>(scaled.data(), static_cast<Eigen::Index>(some.size()),
                                          static_cast<Eigen::Index>(table.width))
                   .cast<double>()));
  }
  return {};
}

/// The components with most variance, as many as hold the share asked for.
void take_components(const Matrix& covariance, double share, Pca::Model& model) {
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(covariance);  // ascending
  const auto& values = eigen.eigenvalues();
  const double total = values.cwiseMax(0.0).sum();
  double held = 0;
  for (Eigen::Index i = values.size() - 1; i >= 0 && held < share * total; --i) {
    held += std::max(values[i], 0.0);
    model.variances.push_back(std::max(values[i], kVarianceMin));
    const auto loading = eigen.eigenvectors().col(i);
    model.loadings.insert(model.loadings.end(), loading.begin(), loading.end());
  }
  model.components = static_cast<std::uint32_t>(model.variances.size());
}

double quantile(std::vector<double>& values) {
  const auto nth = values.begin() +
                   static_cast<std::ptrdiff_t>(kQuantile * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, nth);
  return *nth;
}

/// The 99 % quantiles of T^2 and Q among the training rows.
Result<void> take_limits(const Table& table, std::span<const std::size_t> rows,
                         const Progress& progress, Pca::Model& model) {
  const auto width = static_cast<Eigen::Index>(table.width);
  const Eigen::Map<const Matrix> loadings(model.loadings.data(), width, model.components);
  const Eigen::Map<const Eigen::VectorXd> variances(model.variances.data(), model.components);
  std::vector<double> within;
  std::vector<double> beside;
  const auto measure = [&](const Matrix& block) {
    const Matrix projected = block * loadings;
    const Eigen::VectorXd explained = projected.rowwise().squaredNorm();
    const Eigen::VectorXd t2 = projected.cwiseAbs2() * variances.cwiseInverse();
    const Eigen::VectorXd q = (block.rowwise().squaredNorm() - explained).cwiseMax(0.0);
    within.insert(within.end(), t2.begin(), t2.end());
    beside.insert(beside.end(), q.begin(), q.end());
  };
  if (auto done = for_blocks(table, rows, model.columns, progress, 0.5, measure); !done)
    return done;
  model.limit_within = std::max(quantile(within), kVarianceMin);
  model.limit_beside =
      model.components == table.width ? 0 : std::max(quantile(beside), kVarianceMin);
  return {};
}

}  // namespace

Result<std::unique_ptr<Detector>> make_pca(const Settings& settings, const Context& context) {
  if (auto fine = check_settings(kPca, settings); !fine) return fine.error();
  auto bytes = context.model;
  const auto content = open_frame(bytes, model_tag(settings.width));
  if (!content) return content.error();
  StateReader reader(*content);
  Pca::Model model;
  if (!model.read(reader, settings.width)) return corrupt_model(kPca);
  return std::unique_ptr<Detector>(std::make_unique<Pca>(std::move(model), context.model));
}

Result<std::vector<std::byte>> train_pca(const Table& table, const Settings& settings,
                                         const Progress& progress) {
  if (auto fine = begin_training(kPca, table, settings, progress); !fine) return fine.error();
  auto columns = Columns::learn(kPca.name, table, Scaling::standard);
  if (!columns) return columns.error();
  const auto rows = draw_rows(table, table.rows(), settings.seed);
  if (rows.size() < kRowsMin) return Error{Errc::bad_input, "training pca: fewer than 3 rows"};
  Pca::Model trained;
  trained.columns = std::move(*columns);
  const auto width = static_cast<Eigen::Index>(table.width);
  Matrix covariance = Matrix::Zero(width, width);
  const auto add = [&](const Matrix& block) {
    covariance.selfadjointView<Eigen::Lower>().rankUpdate(block.transpose());
  };
  if (auto done = for_blocks(table, rows, trained.columns, progress, 0, add); !done) {
    return done.error();
  }
  covariance /= static_cast<double>(rows.size());
  take_components(covariance, parameter(kPca, settings, "variance"), trained);
  if (auto done = take_limits(table, rows, progress, trained); !done) return done.error();
  std::vector<std::byte> model;
  const std::size_t begun = begin_frame(model, model_tag(table.width));
  StateWriter writer(model);
  trained.write(writer);
  end_frame(model, begun);
  return model;
}

}  // namespace lapwing::detect
