// SPDX-License-Identifier: Apache-2.0
/// A detector's parameters on a command line: `--set name=value`.
#pragma once

#include "shared/base/result.hpp"

#include <map>
#include <string>
#include <vector>

namespace lapwing::model {

/// Errors: bad_config (one is not NAME=NUMBER).
Result<std::map<std::string, double, std::less<>>> read_parameters(
    const std::vector<std::string>& set);

}  // namespace lapwing::model
