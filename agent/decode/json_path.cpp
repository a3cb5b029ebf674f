// SPDX-License-Identifier: Apache-2.0
#include "agent/decode/json_path.hpp"

#include <algorithm>
#include <charconv>

namespace lapwing::agent {
namespace {

JsonPathPart part_of(const std::string& word, bool escaped) {
  JsonPathPart part;
  part.every = word == "*" && !escaped;
  const bool digits =
      !word.empty() && word.size() < 9 &&
      std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (digits && !escaped) {
    part.is_index = true;
    std::from_chars(word.data(), word.data() + word.size(), part.index);
  }
  part.key = word;
  return part;
}

}  // namespace

Result<std::vector<JsonPathPart>> parse_json_path(std::string_view text) {
  std::vector<JsonPathPart> parts;
  if (text == ".") return parts;
  const auto bad = [&](std::string_view what) {
    return Error{Errc::bad_config, "JSON path `" + std::string(text) + "`: " + std::string(what)};
  };
  std::size_t at = 0;
  bool part_must_follow = true;
  while (at < text.size() || part_must_follow) {
    std::string word;
    bool escaped = false;
    if (at < text.size() && text[at] == '[') {
      const std::size_t close = text.find(']', at);
      if (close == std::string_view::npos) return bad("`[` without `]`");
      word = text.substr(at + 1, close - at - 1);
      if (word != "*" && (word.empty() || word.find_first_not_of("0123456789") != word.npos)) {
        return bad("between `[` and `]` stands `*` or an index");
      }
      at = close + 1;
    } else {
      while (at < text.size() && text[at] != '.' && text[at] != '[') {
        if (text[at] == '\\' && at + 1 < text.size()) {
          escaped = true;
          ++at;
        }
        word += text[at++];
      }
      if (word.empty()) return bad("an empty part");
    }
    parts.push_back(part_of(word, escaped));
    part_must_follow = false;
    if (at < text.size() && text[at] == '.') {
      ++at;
      part_must_follow = true;
    } else if (at < text.size() && text[at] != '[') {
      return bad("after `]` comes `.` or `[`");
    }
  }
  return parts;
}

std::string json_path_name(const std::vector<JsonPathPart>& parts) {
  std::string name;
  for (const JsonPathPart& part : parts) {
    if (!name.empty()) name += '/';
    name += part.key;
  }
  return name;
}

}  // namespace lapwing::agent
