// SPDX-License-Identifier: Apache-2.0
/// The dual problem of the one-class support vector machine, solved exactly.
#pragma once

#include "shared/detect/neighbours/distances.hpp"

#include <functional>
#include <optional>
#include <vector>

namespace lapwing::detect::svm {

struct Solution {
  std::vector<float> alphas;  ///< one per row, [0, 1], adding up to nu * rows; 0: no support vector
  double rho = 0;             ///< the kernel sum on the border of the region
};

/// Minimises 1/2 a'Ka over 0 <= a <= 1, sum a = nu n (Schoelkopf et al. 2001), by sequential
/// minimal optimisation with second-order choice of the pair (Fan, Chen and Lin 2005), until the
/// gradients agree within 1e-3. `go_on` is asked now and then; nothing when it says no.
/// Cost: a pair costs two kernel rows and O(rows); rows are kept up to 256 MiB.
std::optional<Solution> solve(const neighbours::PackedRows& rows, double nu, double gamma,
                              const std::function<bool()>& go_on);

}  // namespace lapwing::detect::svm
