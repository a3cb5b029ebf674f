// SPDX-License-Identifier: Apache-2.0
/// Numbers that are only ever one kind of thing.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace lapwing {

/// A number with a kind: ids of different kinds do not mix, nor become plain numbers by accident.
template <class Tag, class Rep>
struct Strong {
  Rep value{};
  friend auto operator<=>(const Strong&, const Strong&) = default;
};

/// A stream inside one agent process: dense from 0, an index into the stream registry.
using StreamId = Strong<struct StreamIdTag, std::uint32_t>;

}  // namespace lapwing

template <class Tag, class Rep>
struct std::hash<lapwing::Strong<Tag, Rep>> {
  std::size_t operator()(const lapwing::Strong<Tag, Rep>& id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};
