// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/kinds.hpp"

#include <algorithm>

namespace lapwing::detect {

const Kind* find_kind(std::string_view name, Input input) noexcept {
  const auto* const found = std::ranges::find_if(
      kKinds, [&](const Kind& kind) { return kind.name == name && kind.input == input; });
  return found == kKinds.end() ? nullptr : found;
}

const Kind* find_live_kind(std::string_view name, Input input) noexcept {
  const Kind* kind = find_kind(name, input);
  return kind == nullptr && input == Input::group ? find_kind(name, Input::rows) : kind;
}

}  // namespace lapwing::detect
