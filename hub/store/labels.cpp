// SPDX-License-Identifier: Apache-2.0
#include "hub/store/labels.hpp"

#include <algorithm>
#include <cctype>

namespace lapwing::hub {
namespace {

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kLabelBytesMax &&
         std::ranges::all_of(text, [](unsigned char c) {
           return c < 0x80 &&
                  (std::isalnum(c) != 0 ||
                   std::string_view("._-/").find(static_cast<char>(c)) != std::string::npos);
         });
}

Error bad_label(std::string_view label) {
  return {Errc::bad_input, "\"" + std::string(label.substr(0, 130)) +
                               "\" is no label: key=value is wanted, each 1 to " +
                               std::to_string(kLabelBytesMax) + " letters, digits and ._-/"};
}

}  // namespace

Result<void> check_labels(const Labels& labels) {
  if (labels.size() > kLabelsMax) {
    return Error{Errc::bad_input, "at most " + std::to_string(kLabelsMax) + " labels"};
  }
  for (const auto& [key, value] : labels) {
    if (!is_word(key) || !is_word(value)) return bad_label(key + "=" + value);
  }
  return {};
}

Result<void> check_label(std::string_view label) {
  const auto equals = label.find('=');
  if (equals == std::string_view::npos || !is_word(label.substr(0, equals)) ||
      !is_word(label.substr(equals + 1))) {
    return bad_label(label);
  }
  return {};
}

std::string labels_text(const Labels& labels) {
  std::string text;
  for (const auto& [key, value] : labels) text += "|" + key + "=" + value;
  return text.empty() ? text : text + "|";
}

Labels labels_from(std::string_view text) {
  Labels labels;
  while (!text.empty()) {
    text.remove_prefix(1);
    const auto one = text.substr(0, text.find('|'));
    const auto equals = one.find('=');
    if (equals == std::string_view::npos) break;
    labels.emplace(one.substr(0, equals), one.substr(equals + 1));
    text.remove_prefix(one.size());
  }
  return labels;
}

}  // namespace lapwing::hub
