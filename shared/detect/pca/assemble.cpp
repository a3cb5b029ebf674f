// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/pca/assemble.hpp"

#include "shared/detect/pca/pca.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace lapwing::detect::pca {
namespace {

constexpr double kNormal99 = 2.3263478740408408;  // 99 % quantile of the normal

/// 99 % quantile of the chi-squared (Wilson and Hilferty 1931: within 1 % from 1 degree on).
double chi_squared99(std::size_t degrees) {
  const double part = 2.0 / (9 * static_cast<double>(degrees));
  return static_cast<double>(degrees) * std::pow(1 - part + kNormal99 * std::sqrt(part), 3);
}

/// Jackson and Mudholkar's limit of Q from the variances beside the components.
double beside99(std::span<const double> variances) {
  std::array<double, 3> sums{};
  for (const double v : variances) {
    sums[0] += v;
    sums[1] += v * v;
    sums[2] += v * v * v;
  }
  if (!(sums[1] > 0)) return 0;
  const double h = std::max(1 - 2 * sums[0] * sums[2] / (3 * sums[1] * sums[1]), 1e-3);
  const double base = 1 + kNormal99 * std::sqrt(2 * sums[1] * h * h) / sums[0] +
                      sums[1] * h * (h - 1) / (sums[0] * sums[0]);
  return sums[0] * std::pow(std::max(base, 1e-3), 1 / h);
}

Result<Pca::Model> read(std::span<const std::byte> bytes, std::size_t width) {
  return read_model<Pca::Model>(kPca, bytes, model_tag(width), width);
}

}  // namespace

Result<std::vector<std::byte>> assemble(const Columns& columns, std::span<const double> covariance,
                                        const Settings& settings) {
  if (auto fine = check_settings(kPca, settings); !fine) return fine.error();
  const std::size_t width = columns.width();
  if (settings.width != width || covariance.size() != width * width) {
    return Error{Errc::bad_config,
                 "detector pca: columns, settings and covariance differ in width"};
  }
  std::vector<double> rest;
  auto components = components_of(covariance, parameter(kPca, settings, "variance"), rest);
  if (components.count() == 0) {
    return Error{Errc::bad_input, "training pca: no column varies"};
  }
  components.centre.assign(width, 0.0);
  const std::size_t count = components.count();
  const Pca::Model made{.columns = columns,
                        .limit_within = std::max(chi_squared99(count), kVarianceMin),
                        .limit_beside = count == width ? 0 : std::max(beside99(rest), kVarianceMin),
                        .components = std::move(components)};
  return write_model(made, model_tag(width));
}

Result<std::vector<std::byte>> with_limits(std::span<const std::byte> model, std::size_t width,
                                           Limits limits) {
  auto made = read(model, width);
  if (!made) return made.error();
  made->limit_within = std::max(limits.within, kVarianceMin);
  made->limit_beside =
      made->components.count() == width ? 0 : std::max(limits.beside, kVarianceMin);
  return write_model(*made, model_tag(width));
}

Result<Distances> distances(std::span<const std::byte> model, const Table& table) {
  const auto made = read(model, table.width);
  if (!made) return made.error();
  const auto rows = draw_rows(table, table.rows(), 1);
  return measure(kPca, table, rows, made->columns, made->components, {});
}

}  // namespace lapwing::detect::pca
