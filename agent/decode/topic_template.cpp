// SPDX-License-Identifier: Apache-2.0
#include "agent/decode/topic_template.hpp"

#include <simdjson.h>

#include <algorithm>

namespace lapwing::agent {
namespace {

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> levels;
  while (true) {
    const std::size_t slash = text.find('/');
    levels.push_back(text.substr(0, slash));
    if (slash == std::string_view::npos) return levels;
    text.remove_prefix(slash + 1);
  }
}

std::string_view take_level(std::string_view& rest, bool& more) {
  const std::size_t slash = rest.find('/');
  const std::string_view level = rest.substr(0, slash);
  more = slash != std::string_view::npos;
  rest.remove_prefix(more ? slash + 1 : rest.size());
  return level;
}

bool is_tag_word(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

}  // namespace

std::string_view stream_name_problem(std::string_view name) noexcept {
  if (name.empty()) return "the name is empty";
  if (name.size() > kStreamNameBytesMax) return "the name is longer than 512 bytes";
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "it holds a control character";
    if (c == '+' || c == '#') return "it holds `+` or `#`, which only filters may";
  }
  if (!simdjson::validate_utf8(name.data(), name.size())) return "it is not valid UTF-8";
  std::string_view rest = name;
  for (bool more = true; more;) {
    const std::string_view level = take_level(rest, more);
    if (level.empty()) return "it has an empty level (`//`, or `/` at an end)";
    if (level == "." || level == "..") return "it has a level `.` or `..`";
  }
  return {};
}

std::string_view filter_problem(std::string_view filter) noexcept {
  if (filter.empty()) return "a filter may not be empty";
  if (filter.size() > 65535) return "a filter may have at most 65535 bytes";
  if (!simdjson::validate_utf8(filter.data(), filter.size())) return "it is not valid UTF-8";
  std::string_view rest = filter;
  for (bool more = true; more;) {
    const std::string_view level = take_level(rest, more);
    if (level == "#" && more) return "`#` must be the last level";
    if (level.size() > 1 && level.find_first_of("+#") != std::string_view::npos) {
      return "`+` and `#` must stand alone in their level";
    }
  }
  return {};
}

bool filter_matches(std::string_view filter, std::string_view topic) noexcept {
  if (filter.starts_with("$share/")) {
    filter.remove_prefix(7);
    const std::size_t slash = filter.find('/');
    if (slash == std::string_view::npos) return false;
    filter.remove_prefix(slash + 1);
  }
  if (topic.starts_with('$') && !filter.starts_with('$')) return false;
  bool filter_more = true;
  bool topic_more = true;
  while (filter_more) {
    const std::string_view want = take_level(filter, filter_more);
    if (want == "#") return true;  // also the level above: a/# takes a
    if (!topic_more) return false;
    const std::string_view have = take_level(topic, topic_more);
    if (want != "+" && want != have) return false;
    if (!filter_more) return !topic_more;
  }
  return false;
}

Result<TopicTemplate> TopicTemplate::parse(std::string_view text) {
  TopicTemplate result;
  result.text_ = text;
  if (text.empty()) return result;
  for (const std::string_view word : split(text)) {
    const std::string quoted = "template `" + std::string(text) + "`: ";
    if (!result.levels_.empty() && result.levels_.back() == "#") {
      return Error{Errc::bad_config, quoted + "`#` must be the last level"};
    }
    if (word != "_" && word != "+" && word != "#") {
      if (!is_tag_word(word)) {
        return Error{Errc::bad_config,
                     quoted + "the level `" + std::string(word) +
                         "` is not a tag name (letters, digits, `_`, `-`, `.`), `_`, `+` or `#`"};
      }
      if (std::find(result.levels_.begin(), result.levels_.end(), word) != result.levels_.end()) {
        return Error{Errc::bad_config, quoted + "the tag `" + std::string(word) + "` comes twice"};
      }
    }
    result.levels_.emplace_back(word);
  }
  if (std::all_of(result.levels_.begin(), result.levels_.end(),
                  [](const std::string& level) { return level == "_"; })) {
    return Error{Errc::bad_config,
                 "template `" + std::string(text) +
                     "`: it leaves every level out, so streams would have no name"};
  }
  return result;
}

Result<TopicTemplate::Applied> TopicTemplate::apply(std::string_view topic) const {
  Applied applied;
  if (levels_.empty()) {
    applied.name = topic;
    return applied;
  }
  const auto keep = [&](std::string_view level) {
    if (!applied.name.empty()) applied.name += '/';
    applied.name += level;
  };
  bool more = true;
  for (const std::string& word : levels_) {
    if (word == "#") {
      if (more) keep(topic);
      return applied;
    }
    if (!more) {
      return Error{Errc::bad_input, "the topic has fewer levels than the template `" + text_ + "`"};
    }
    const std::string_view level = take_level(topic, more);
    if (word == "_") continue;
    keep(level);
    if (word != "+") applied.tags.push_back({word, std::string(level)});
  }
  if (more) {
    return Error{Errc::bad_input, "the topic has more levels than the template `" + text_ +
                                      "`; end it with `#` to keep the rest"};
  }
  return applied;
}

}  // namespace lapwing::agent
