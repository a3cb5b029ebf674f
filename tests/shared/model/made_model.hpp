// SPDX-License-Identifier: Apache-2.0
/// A small table of two sensors that go together, and a model trained on it.
#pragma once

#include "shared/detect/kinds.hpp"
#include "shared/model/train.hpp"

#include <cmath>
#include <string>
#include <vector>

namespace lapwing::model {

struct Made {
  static constexpr std::size_t kRows = 600;
  std::vector<double> values;
  std::vector<Time> times;

  Made() {
    for (std::size_t i = 0; i < kRows; ++i) {
      const auto x = static_cast<double>(i);
      values.push_back(20 + std::sin(x * 0.7) + 0.1 * std::cos(x * 17.3));
      values.push_back(3 - std::sin(x * 0.7) + 0.1 * std::sin(x * 11.1));
      times.push_back(
          from_micros(1'790'000'000'000'000 + static_cast<std::int64_t>(i) * 1'000'000));
    }
  }

  [[nodiscard]] TrainRequest request(std::string_view kind = "isolation_forest") const {
    TrainRequest request;
    request.kind = detect::find_kind(kind, detect::Input::rows);
    request.table = {.values = values, .width = 2};
    request.times = times;
    request.sensors = {{.name = "temperature", .unit = "°C"}, {.name = "pressure", .unit = "bar"}};
    request.data_sha256 = std::string(64, 'a');
    request.tool = "test 1";
    return request;
  }
};

}  // namespace lapwing::model
