// SPDX-License-Identifier: Apache-2.0
#include "shared/model/parameters.hpp"

#include "shared/csv/fields.hpp"

#include <optional>
#include <string_view>

namespace lapwing::model {

Result<std::map<std::string, double, std::less<>>> read_parameters(
    const std::vector<std::string>& set) {
  std::map<std::string, double, std::less<>> parameters;
  for (const std::string& one : set) {
    const auto equals = one.find('=');
    const auto value = equals == std::string::npos
                           ? std::nullopt
                           : csv::parse_number(std::string_view(one).substr(equals + 1));
    if (!value) return Error{Errc::bad_config, "--set " + one + ": NAME=NUMBER is needed"};
    parameters[one.substr(0, equals)] = *value;
  }
  return parameters;
}

}  // namespace lapwing::model
