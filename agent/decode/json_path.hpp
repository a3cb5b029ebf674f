// SPDX-License-Identifier: Apache-2.0
/// Paths into JSON documents as users write them: `a.b`, `values.0`, `values[*].x`.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

struct JsonPathPart {
  bool every = false;     ///< `[*]` or `*`: each element of an array or member of an object
  std::string key;        ///< of an object
  bool is_index = false;  ///< digits: an index where the value is an array
  std::size_t index = 0;
};

/// Errors: bad_config. `.` alone is the document: no parts.
[[nodiscard]] Result<std::vector<JsonPathPart>> parse_json_path(std::string_view text);
/// The parts joined by `/`: what the stream's name ends with.
[[nodiscard]] std::string json_path_name(const std::vector<JsonPathPart>& parts);

}  // namespace lapwing::agent
