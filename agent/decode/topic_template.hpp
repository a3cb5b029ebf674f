// SPDX-License-Identifier: Apache-2.0
/// Topic filters and templates: from a topic to a stream's name and tags.
#pragma once

#include "shared/base/result.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

inline constexpr std::size_t kStreamNameBytesMax = 512;

/// Empty when `name` may name a stream, else what is wrong with it, for people. Valid: 1 to 512
/// bytes of UTF-8, no control characters, no `+` or `#`, no empty level, no level `.` or `..`.
[[nodiscard]] std::string_view stream_name_problem(std::string_view name) noexcept;

/// True when the MQTT filter (`+`, `#`) takes the topic. `$`-topics need a filter that says so.
[[nodiscard]] bool filter_matches(std::string_view filter, std::string_view topic) noexcept;
/// Empty when usable as an MQTT filter, else what is wrong with it.
[[nodiscard]] std::string_view filter_problem(std::string_view filter) noexcept;

/// Which levels of a topic make the stream's name, and which are tags.
///
/// One word per level, joined by `/`: `_` leaves the level out, `+` keeps it in the name, any other
/// word keeps it and makes it a tag of that name, `#` (last only) keeps all that follows, even
/// nothing. `_/site/device/measurement` makes of `factory/plant1/pump3/vibration` the name
/// `plant1/pump3/vibration` with site=plant1, device=pump3, measurement=vibration. The empty
/// template (the default) keeps the whole topic and makes no tags.
class TopicTemplate {
 public:
  TopicTemplate() = default;
  /// Errors: bad_config.
  static Result<TopicTemplate> parse(std::string_view text);

  struct Applied {
    std::string name;
    std::vector<wire::Tag> tags;
  };
  /// Errors: bad_input when the number of levels differs.
  [[nodiscard]] Result<Applied> apply(std::string_view topic) const;

 private:
  std::string text_;
  std::vector<std::string> levels_;
};

}  // namespace lapwing::agent
