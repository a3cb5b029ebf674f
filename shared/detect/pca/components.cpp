// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/pca/components.hpp"

#include "shared/detect/row_detector.hpp"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cmath>

namespace lapwing::detect::pca {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

constexpr std::size_t kRowsAtOnce = 1024;

/// Calls `use` with the rows, scaled, up to 1024 at a time: a row of the matrix each.
template <class Use>
Result<void> for_blocks(const Kind& kind, const Table& table, std::span<const std::size_t> rows,
                        const Columns& columns, const Progress& progress, double done, Use use) {
  for (std::size_t at = 0; at < rows.size(); at += kRowsAtOnce) {
    const double part = 0.5 * static_cast<double>(at) / static_cast<double>(rows.size());
    if (auto on = report_progress(kind, progress, done + part); !on) return on;
    const auto some = rows.subspan(at, std::min(kRowsAtOnce, rows.size() - at));
    const auto scaled = scaled_rows(table, some, columns);
    using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    use(Matrix(Eigen::Map<const RowMajor>(scaled.data(), static_cast<Eigen::Index>(some.size()),
                                          static_cast<Eigen::Index>(table.width))
                   .cast<double>()));
  }
  return {};
}

void take(const Matrix& covariance, double share, Components& components,
          std::vector<double>* rest = nullptr) {
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(covariance);  // ascending
  const auto& values = eigen.eigenvalues();
  const double total = values.cwiseMax(0.0).sum();
  double held = 0;
  Eigen::Index i = values.size() - 1;
  for (; i >= 0 && held < share * total; --i) {
    held += std::max(values[i], 0.0);
    components.variances.push_back(std::max(values[i], kVarianceMin));
    const auto loading = eigen.eigenvectors().col(i);
    components.loadings.insert(components.loadings.end(), loading.begin(), loading.end());
  }
  for (; rest != nullptr && i >= 0; --i) rest->push_back(std::max(values[i], 0.0));
}

}  // namespace

void Components::resize(std::size_t count, std::size_t width) {
  centre.resize(width);
  variances.resize(count);
  loadings.resize(count * width);
}

bool Components::sound() const noexcept {
  const auto near = [](double v) { return std::abs(v) <= 1e13; };
  const auto variance = [](double v) { return v >= kVarianceMin && v <= 1e30; };
  const auto cosine = [](double v) { return std::abs(v) <= 1.001; };
  return std::ranges::all_of(centre, near) && std::ranges::all_of(variances, variance) &&
         std::ranges::all_of(loadings, cosine);
}

Result<Components> find_components(const Kind& kind, const Table& table,
                                   std::span<const std::size_t> rows, const Columns& columns,
                                   double share, const Progress& progress) {
  const auto width = static_cast<Eigen::Index>(table.width);
  const auto n = static_cast<double>(rows.size());
  Vector sum = Vector::Zero(width);
  Matrix products = Matrix::Zero(width, width);
  const auto add = [&](const Matrix& block) {
    sum += block.colwise().sum().transpose();
    products.selfadjointView<Eigen::Lower>().rankUpdate(block.transpose());
  };
  if (auto done = for_blocks(kind, table, rows, columns, progress, 0, add); !done) {
    return done.error();
  }
  const Vector mean = sum / n;
  products.selfadjointView<Eigen::Lower>().rankUpdate(mean, -n);
  Components components;
  components.centre.assign(mean.begin(), mean.end());
  take(products / n, share, components);
  return components;
}

Components components_of(std::span<const double> covariance, double share,
                         std::vector<double>& rest) {
  const auto width = static_cast<Eigen::Index>(std::sqrt(static_cast<double>(covariance.size())));
  Components components;
  take(Eigen::Map<const Matrix>(covariance.data(), width, width), share, components, &rest);
  return components;
}

Result<Distances> measure(const Kind& kind, const Table& table, std::span<const std::size_t> rows,
                          const Columns& columns, const Components& components,
                          const Progress& progress) {
  const auto width = static_cast<Eigen::Index>(table.width);
  const auto count = static_cast<Eigen::Index>(components.count());
  const Eigen::Map<const Vector> centre(components.centre.data(), width);
  const Eigen::Map<const Matrix> loadings(components.loadings.data(), width, count);
  const Eigen::Map<const Vector> variances(components.variances.data(), count);
  Distances distances;
  const auto add = [&](Matrix block) {
    block.rowwise() -= centre.transpose();
    const Matrix projected = block * loadings;
    const Vector explained = projected.rowwise().squaredNorm();
    const Vector within = projected.cwiseAbs2() * variances.cwiseInverse();
    const Vector beside = (block.rowwise().squaredNorm() - explained).cwiseMax(0.0);
    distances.within.insert(distances.within.end(), within.begin(), within.end());
    distances.beside.insert(distances.beside.end(), beside.begin(), beside.end());
  };
  if (auto done = for_blocks(kind, table, rows, columns, progress, 0.5, add); !done) {
    return done.error();
  }
  return distances;
}

}  // namespace lapwing::detect::pca
