// SPDX-License-Identifier: Apache-2.0
/// What operators call their devices by: `site=a`, `class=canary`. For lists, and for choosing who
/// is in a rollout.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace lapwing::hub {

using Labels = std::map<std::string, std::string, std::less<>>;

inline constexpr std::size_t kLabelsMax = 16;      ///< of a device
inline constexpr std::size_t kLabelBytesMax = 63;  ///< of a key, of a value

/// Keys and values are 1 to kLabelBytesMax letters, digits and `._-/`. Errors: bad_input.
[[nodiscard]] Result<void> check_labels(const Labels& labels);
/// One as text: `key=value`. Errors: bad_input.
[[nodiscard]] Result<void> check_label(std::string_view label);

/// As kept: `|key=value|key=value|`; empty: none. Labels that were checked.
[[nodiscard]] std::string labels_text(const Labels& labels);
[[nodiscard]] Labels labels_from(std::string_view text);

}  // namespace lapwing::hub
