// SPDX-License-Identifier: Apache-2.0
/// Short lists inside one column: tags, contributions, scopes, as JSON text.
#pragma once

#include "shared/wire/messages.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// Bytes that are not UTF-8 are replaced. An empty list is the empty text.
[[nodiscard]] std::string tags_text(const std::vector<wire::Tag>& tags);
[[nodiscard]] std::string contributions_text(const std::vector<wire::Contribution>& contributions);
[[nodiscard]] std::string words_text(const std::vector<std::string>& words);
/// What the functions above wrote; anything else gives an empty list.
[[nodiscard]] std::vector<wire::Tag> tags_from(std::string_view text);
[[nodiscard]] std::vector<wire::Contribution> contributions_from(std::string_view text);
[[nodiscard]] std::vector<std::string> words_from(std::string_view text);

}  // namespace lapwing::hub
