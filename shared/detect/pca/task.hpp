// SPDX-License-Identifier: Apache-2.0
/// The arithmetic of one row of `pca`, the same on CPU and CUDA. Plain C++17: nvcc compiles it too.
///
/// The combined index of T^2 and Q (Yue and Qin 2001) is a quadratic form, x' F x with
/// F = sum_i weight_i p_i p_i' + rest I: `loadings` has one p_i after the other.
#pragma once

#include "shared/detect/host_device.hpp"

#include <cstddef>

namespace lapwing::detect::pca {

struct Form {
  const double* loadings = nullptr;  ///< components * width
  const double* weights = nullptr;   ///< 1 / (variance * limit of T^2) - rest
  double rest = 0;                   ///< 1 / limit of Q
  std::size_t components = 0;
  std::size_t width = 0;
};

/// The row in the components: `out` has one number each.
LAPWING_HOST_DEVICE inline void project(const Form& form, const double* row, double* out) {
  for (std::size_t i = 0; i < form.components; ++i) {
    const double* loading = form.loadings + i * form.width;
    double sum = 0;
    for (std::size_t c = 0; c < form.width; ++c) sum += loading[c] * row[c];
    out[i] = sum;
  }
}

/// T^2 / its limit + Q / its limit.
LAPWING_HOST_DEVICE inline double combined_index(const Form& form, const double* row,
                                                 const double* projected) {
  double explained = 0;
  double within = 0;
  for (std::size_t i = 0; i < form.components; ++i) {
    within += (form.weights[i] + form.rest) * projected[i] * projected[i];
    explained += projected[i] * projected[i];
  }
  double all = 0;
  for (std::size_t c = 0; c < form.width; ++c) all += row[c] * row[c];
  const double residual = all - explained;
  return within + (residual > 0 ? residual * form.rest : 0);
}

/// Column c of F x.
LAPWING_HOST_DEVICE inline double pull(const Form& form, const double* row, const double* projected,
                                       std::size_t c) {
  double sum = form.rest * row[c];
  for (std::size_t i = 0; i < form.components; ++i) {
    sum += form.weights[i] * form.loadings[i * form.width + c] * projected[i];
  }
  return sum;
}

/// F_cc, how steeply column c alone raises the index.
LAPWING_HOST_DEVICE inline double stiffness(const Form& form, std::size_t c) {
  double sum = form.rest;
  for (std::size_t i = 0; i < form.components; ++i) {
    const double loading = form.loadings[i * form.width + c];
    sum += form.weights[i] * loading * loading;
  }
  return sum > 0 ? sum : 0;
}

}  // namespace lapwing::detect::pca
