// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace lapwing::agent {

/// Where a model is put to use.
enum class ModelSlot : std::uint8_t {
  active,  ///< scores its groups' rows
  shadow,  ///< scores them beside: what it finds is only counted
};

}  // namespace lapwing::agent
