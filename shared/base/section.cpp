// SPDX-License-Identifier: Apache-2.0
#include "shared/base/config_state.hpp"
#include "shared/base/files.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lapwing::config {
namespace {

std::string dotted(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : std::string(path) + "." + std::string(key);
}

std::string plain(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", number);
  return text;
}

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::string kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "the text " + in_quotes(node.as_string()->get());
    case toml::node_type::integer:
      return "the number " + std::to_string(node.as_integer()->get());
    case toml::node_type::floating_point:
      return "the number " + plain(node.as_floating_point()->get());
    case toml::node_type::boolean:
      return node.as_boolean()->get() ? "true" : "false";
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    default:
      return "a date or time";
  }
}

std::string between(const std::string& min, const std::string& max) {
  return "from " + min + " to " + max;
}

const toml::node* as_node(const void* pointer) { return static_cast<const toml::node*>(pointer); }

}  // namespace

/// What a key accepts, for the reference.
struct Section::Range {
  std::string_view type;
  std::string range;
  std::string fallback;
};

const void* Section::find(const Key& key, const Range& range) {
  state_->known[table_].emplace_back(key.name);
  if (state_->describing) {
    state_->keys.push_back({path_, std::string(key.name), std::string(range.type), range.range,
                            range.fallback, std::string(key.unit), std::string(key.help)});
  }
  if (table_ == nullptr) return nullptr;
  return static_cast<const toml::table*>(table_)->get(key.name);
}

void Section::wrong(std::string_view key, const void* node, std::string what) {
  state_->problems.push_back(
      {place_of(*state_, *as_node(node)), dotted(path_, key), std::move(what)});
}

std::int64_t Section::integer(Key key, std::int64_t fallback, std::int64_t min, std::int64_t max) {
  const std::string allowed = between(std::to_string(min), std::to_string(max));
  const void* found = find(key, {"whole number", allowed, std::to_string(fallback)});
  if (found == nullptr) return fallback;
  const auto* value = as_node(found)->as_integer();
  if (value == nullptr || value->get() < min || value->get() > max) {
    wrong(key.name, found,
          "is " + kind_of(*as_node(found)) + "; allowed: a whole number " + allowed);
    return fallback;
  }
  return value->get();
}

std::optional<double> Section::optional_number(Key key, double min, double max) {
  const std::string allowed = between(plain(min), plain(max));
  const void* found = find(key, {"number", allowed, "none"});
  if (found == nullptr) return std::nullopt;
  const auto value = as_node(found)->is_number() ? as_node(found)->value<double>() : std::nullopt;
  if (!value || !std::isfinite(*value) || *value < min || *value > max) {
    wrong(key.name, found, "is " + kind_of(*as_node(found)) + "; allowed: a number " + allowed);
    return std::nullopt;
  }
  return value;
}

double Section::number(Key key, double fallback, double min, double max) {
  const std::size_t at = state_->keys.size();
  const auto value = optional_number(key, min, max);
  if (state_->describing) state_->keys[at].fallback = plain(fallback);
  return value.value_or(fallback);
}

bool Section::flag(Key key, bool fallback) {
  const void* found = find(key, {"true or false", "", fallback ? "true" : "false"});
  if (found == nullptr) return fallback;
  const auto* value = as_node(found)->as_boolean();
  if (value == nullptr) {
    wrong(key.name, found, "is " + kind_of(*as_node(found)) + "; allowed: true or false");
    return fallback;
  }
  return value->get();
}

std::string Section::text(Key key, std::string_view fallback) {
  const void* found = find(key, {"text", "", fallback.empty() ? "" : in_quotes(fallback)});
  if (found == nullptr) return std::string(fallback);
  if (const auto* value = as_node(found)->as_string()) return value->get();
  const auto raw = state_->environment.find(as_node(found));
  if (raw != state_->environment.end()) return raw->second.second;
  wrong(key.name, found, "is " + kind_of(*as_node(found)) + "; allowed: text in quotes");
  return std::string(fallback);
}

std::string Section::required_text(Key key) {
  const std::size_t at = state_->keys.size();
  std::string value = text(key, "");
  if (state_->describing) {
    state_->keys[at].fallback = "required";
  } else if (value.empty() && !has(key.name)) {
    problem(key.name, "is missing; it is required: " + std::string(key.help));
  }
  return value;
}

std::string Section::choice(Key key, std::string_view fallback,
                            std::initializer_list<std::string_view> allowed) {
  return choice(key, fallback, std::span(allowed.begin(), allowed.size()));
}

std::string Section::choice(Key key, std::string_view fallback,
                            std::span<const std::string_view> allowed) {
  std::string list;
  for (const auto option : allowed) list += (list.empty() ? "" : ", ") + std::string(option);
  const std::size_t at = state_->keys.size();
  std::string value = text(key, fallback);
  if (state_->describing) {
    state_->keys[at].type = "one of";
    state_->keys[at].range = list;
    return value;
  }
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end() || value == fallback) {
    return value;
  }
  const std::vector<std::string> options(allowed.begin(), allowed.end());
  const auto meant = did_you_mean(value, options);
  problem(key.name, "is " + in_quotes(value) + "; allowed: " + list +
                        (meant ? "; did you mean " + in_quotes(*meant) + "?" : ""));
  return std::string(fallback);
}

std::optional<Micros> Section::optional_duration(Key key, Micros min, Micros max) {
  const std::string allowed = between(format_duration(min), format_duration(max));
  const void* found = find(key, {"duration", allowed, "none"});
  if (found == nullptr) return std::nullopt;
  const auto* value = as_node(found)->as_string();
  if (value == nullptr) {
    const auto* zero = as_node(found)->as_integer();
    if (zero != nullptr && zero->get() == 0 && min <= Micros(0)) return Micros(0);
    wrong(key.name, found,
          "is " + kind_of(*as_node(found)) + "; allowed: a duration " + allowed +
              ", in quotes and with its unit, such as \"10s\"");
    return std::nullopt;
  }
  const auto parsed = parse_duration(value->get());
  if (!parsed || *parsed < min || *parsed > max) {
    wrong(key.name, found,
          "is " + in_quotes(value->get()) + "; allowed: a duration " + allowed +
              " (units us, ms, s, m, h, d, w)");
    return std::nullopt;
  }
  return *parsed;
}

Micros Section::duration(Key key, Micros fallback, Micros min, Micros max) {
  const std::size_t at = state_->keys.size();
  const auto value = optional_duration(key, min, max);
  if (state_->describing) state_->keys[at].fallback = in_quotes(format_duration(fallback));
  return value.value_or(fallback);
}

std::uint64_t Section::bytes(Key key, std::uint64_t fallback, std::uint64_t min,
                             std::uint64_t max) {
  const std::string allowed = between(format_bytes(min), format_bytes(max));
  const void* found = find(key, {"size", allowed, in_quotes(format_bytes(fallback))});
  if (found == nullptr) return fallback;
  std::optional<std::uint64_t> value;
  if (const auto* number = as_node(found)->as_integer(); number != nullptr && number->get() >= 0) {
    value = static_cast<std::uint64_t>(number->get());
  } else if (const auto* written = as_node(found)->as_string()) {
    if (auto parsed = parse_bytes(written->get())) value = *parsed;
  }
  if (!value || *value < min || *value > max) {
    wrong(
        key.name, found,
        "is " + kind_of(*as_node(found)) + "; allowed: a size " + allowed + ", such as \"64MiB\"");
    return fallback;
  }
  return *value;
}

std::filesystem::path Section::path(Key key, std::filesystem::path fallback) {
  const std::size_t at = state_->keys.size();
  const std::string value = text(key, fallback.string());
  if (state_->describing) state_->keys[at].type = "path";
  if (!has(key.name) || value.empty()) return fallback;
  const std::filesystem::path given(value);
  return given.is_absolute() ? given : state_->folder / given;
}

std::optional<Secret<std::string>> Section::secret(Key key) {
  const std::string file_name = std::string(key.name) + "_file";
  const void* direct = find(key, {"secret", "", "none"});
  const void* file =
      find({file_name, "the same, read from a file (preferred)"}, {"path", "", "none"});
  const void* found = file != nullptr ? file : direct;
  if (found == nullptr) return std::nullopt;
  if (file != nullptr && direct != nullptr) {
    wrong(key.name, direct, "is given twice; keep " + file_name + " and remove this one");
  }
  const auto* value = as_node(found)->as_string();
  if (value == nullptr) {  // the value is not shown: it may be the secret itself
    wrong(file != nullptr ? std::string_view(file_name) : key.name, found,
          "must be text in quotes");
    return std::nullopt;
  }
  if (file == nullptr) return Secret<std::string>(value->get());
  const std::filesystem::path given(value->get());
  auto contents = read_secret(given.is_absolute() ? given : state_->folder / given);
  if (!contents) {
    wrong(file_name, found, contents.error().context);
    return std::nullopt;
  }
  return *std::move(contents);
}

std::vector<std::string> Section::texts(Key key, std::vector<std::string> fallback) {
  std::string shown = "[";
  for (const auto& entry : fallback) shown += (shown.size() > 1 ? ", " : "") + in_quotes(entry);
  const void* found = find(key, {"list of text", "", shown + "]"});
  if (found == nullptr) return fallback;
  const auto* array = as_node(found)->as_array();
  std::vector<std::string> values;
  if (array != nullptr) {
    for (const auto& entry : *array) {
      const auto* value = entry.as_string();
      if (value == nullptr) {
        array = nullptr;
        break;
      }
      values.push_back(value->get());
    }
  }
  if (array == nullptr) {
    wrong(key.name, found,
          "is " + kind_of(*as_node(found)) + "; allowed: a list of text, such as [\"a\", \"b\"]");
    return fallback;
  }
  return values;
}

bool Section::has(std::string_view key) const {
  return table_ != nullptr && static_cast<const toml::table*>(table_)->contains(key);
}

bool Section::describing() const noexcept { return state_->describing; }

Section Section::table(Key key) {
  state_->known[table_].emplace_back(key.name);
  const std::string inner = dotted(path_, key.name);
  if (state_->describing) {
    state_->keys.push_back({inner, "", "table", "", "", "", std::string(key.help)});
  }
  const toml::node* found =
      table_ == nullptr ? nullptr : static_cast<const toml::table*>(table_)->get(key.name);
  if (found != nullptr && !found->is_table()) {
    wrong(key.name, found, "is " + kind_of(*found) + "; a table [" + inner + "] is expected");
    found = nullptr;
  }
  return {state_, found == nullptr ? nullptr : found->as_table(), inner};
}

std::vector<Section> Section::tables(Key key) {
  state_->known[table_].emplace_back(key.name);
  const std::string inner = dotted(path_, key.name);
  if (state_->describing) {
    state_->keys.push_back({inner + "[]", "", "tables", "", "", "", std::string(key.help)});
    return {Section(state_, nullptr, inner + "[]")};
  }
  const toml::node* found =
      table_ == nullptr ? nullptr : static_cast<const toml::table*>(table_)->get(key.name);
  if (found == nullptr) return {};
  const auto* array = found->as_array();
  std::vector<Section> sections;
  bool good = array != nullptr;
  for (std::size_t i = 0; good && i < array->size(); ++i) {
    const auto* entry = array->get(i)->as_table();
    good = entry != nullptr;
    if (good) sections.push_back({state_, entry, inner + "[" + std::to_string(i) + "]"});
  }
  if (!good) {
    wrong(key.name, found, "is " + kind_of(*found) + "; tables [[" + inner + "]] are expected");
    return {};
  }
  return sections;
}

void Section::problem(std::string_view key, std::string what) {
  const auto* table = static_cast<const toml::table*>(table_);
  const toml::node* node = table == nullptr ? nullptr : table->get(key);
  if (node == nullptr) node = table;
  std::string place =
      node == nullptr || node == &state_->root ? state_->file : place_of(*state_, *node);
  state_->problems.push_back({std::move(place), dotted(path_, key), std::move(what)});
}

}  // namespace lapwing::config
