// SPDX-License-Identifier: Apache-2.0
#include "shared/base/config_state.hpp"
#include "shared/base/files.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>
#include <sstream>

extern char** environ;  // NOLINT: POSIX names it

namespace lapwing::config {
namespace {

constexpr std::uint64_t kFileBytesMax = std::uint64_t{4} << 20;
constexpr std::string_view kPrefix = "LAPWING__";

/// Moves `from` into `into`: tables merge, arrays of tables append, other values replace. Nodes are
/// moved, not copied, because only a moved node keeps its place in its file.
void merge(toml::table& into, toml::table&& from) {
  for (auto&& [key, node] : from) {
    toml::node* there = into.get(key);
    if (there != nullptr && there->is_table() && node.is_table()) {
      merge(*there->as_table(), std::move(*node.as_table()));
    } else if (there != nullptr && there->is_array_of_tables() && node.is_array_of_tables()) {
      for (auto& entry : *node.as_array()) {
        there->as_array()->push_back(std::move(*entry.as_table()));
      }
    } else {
      node.visit([&, name = key](auto& value) { into.insert_or_assign(name, std::move(value)); });
    }
  }
}

const std::string* lookup(const Environment& environment, std::string_view name) {
  for (const auto& [key, value] : environment) {
    if (key == name) return &value;
  }
  return nullptr;
}

/// Replaces `${...}` and `$$`. The problem, when there is one, is returned in `what`.
std::string expand(std::string_view text, const Environment& environment, std::string& what) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '$' || at + 1 >= text.size()) {
      out += text[at++];
      continue;
    }
    if (text[at + 1] == '$') {
      out += '$';
      at += 2;
      continue;
    }
    const std::size_t end = text[at + 1] == '{' ? text.find('}', at) : std::string_view::npos;
    if (end == std::string_view::npos) {
      out += text[at++];
      continue;
    }
    const std::string_view inside = text.substr(at + 2, end - at - 2);
    const std::size_t colon = inside.find(':');
    const std::string_view name = inside.substr(0, colon);
    const std::string_view form =
        colon == std::string_view::npos ? std::string_view() : inside.substr(colon + 1);
    const std::string* value = lookup(environment, name);
    if (value != nullptr && (form.empty() || !value->empty())) {
      out += *value;
    } else if (form.starts_with('-')) {
      out += form.substr(1);
    } else {
      what = "${" + std::string(name) + "} is not set" +
             (form.starts_with('?')
                  ? ": " + std::string(form.substr(1))
                  : "; set the variable, or write ${" + std::string(name) + ":-a default}");
    }
    at = end + 1;
  }
  return out;
}

void expand_all(State& state, toml::node& node, const std::string& path,
                const Environment& environment) {
  if (auto* table = node.as_table()) {
    for (auto&& [key, value] : *table) {
      expand_all(state, value,
                 path.empty() ? std::string(key.str()) : path + "." + std::string(key.str()),
                 environment);
    }
  } else if (auto* array = node.as_array()) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      expand_all(state, *array->get(i), path + "[" + std::to_string(i) + "]", environment);
    }
  } else if (auto* text = node.as_string()) {
    if (text->get().find('$') == std::string::npos) return;
    std::string what;
    std::string expanded = expand(text->get(), environment, what);
    if (!what.empty()) state.problems.push_back({place_of(state, node), path, what});
    text->get() = std::move(expanded);
  }
}

void parse_into(State& state, std::string_view text, const std::string& name,
                const Environment& environment) {
  try {
    toml::table parsed = toml::parse(text, std::string_view(name));
    expand_all(state, parsed, "", environment);
    merge(state.root, std::move(parsed));
  } catch (const toml::parse_error& error) {
    state.problems.push_back({name + ":" + std::to_string(error.source().begin.line), "",
                              "is not TOML: " + std::string(error.description())});
  }
}

void read_into(State& state, const std::filesystem::path& file, const Environment& environment) {
  auto text = read_file(file, kFileBytesMax);
  if (text) {
    parse_into(state, *text, file.string(), environment);
    return;
  }
  state.problems.push_back({file.string(), "",
                            text.error().code == Errc::not_found
                                ? "there is no such file; create it, or name another with --config"
                                : text.error().context});
}

toml::node* insert_parsed(toml::table& into, const std::string& key, const std::string& value,
                          const std::string& place) {
  try {
    toml::table parsed = toml::parse("value = " + value, std::string_view(place));
    if (parsed.size() == 1) {  // more would be an injected second line
      parsed.begin()->second.visit(
          [&](auto& node) { into.insert_or_assign(key, std::move(node)); });
      return into.get(key);
    }
  } catch (const toml::parse_error&) {
    // not a TOML value: it is taken as text, below
  }
  into.insert_or_assign(key, value);
  return into.get(key);
}

/// LAPWING__OUTBOX__QUOTA=1GiB sets outbox.quota; LAPWING__WATCH__0__MIN=1 the first watch's min.
void override_from(State& state, const Environment& environment) {
  for (const auto& [name, value] : environment) {
    if (!name.starts_with(kPrefix)) continue;
    std::vector<std::string> words(1);
    for (std::size_t at = kPrefix.size(); at < name.size(); ++at) {
      if (name.compare(at, 2, "__") == 0) {
        words.emplace_back();
        ++at;
      } else {
        words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(name[at])));
      }
    }
    toml::table* table = &state.root;
    bool reachable = !words.back().empty();
    for (std::size_t i = 0; reachable && i + 1 < words.size(); ++i) {
      toml::node* inner = table->get(words[i]);
      if (inner == nullptr) {
        table->insert(words[i], toml::table{});
        inner = table->get(words[i]);
      }
      if (auto* array = inner->as_array(); array != nullptr && i + 2 < words.size()) {
        const auto index = parse_bytes(words[++i]);  // a plain whole number
        inner = index && *index < array->size() ? array->get(*index) : nullptr;
      }
      table = inner == nullptr ? nullptr : inner->as_table();
      reachable = table != nullptr;
    }
    if (!reachable) {
      state.problems.push_back(
          {"environment variable " + name, "", "names no table of the configuration"});
      continue;
    }
    const toml::node* node =
        insert_parsed(*table, words.back(), value, "environment variable " + name);
    state.environment[node] = {name, value};
  }
}

void report_unknown(State& state, const toml::table& table, const std::string& path) {
  const auto& known = state.known[&table];
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const std::string full = path.empty() ? name : path + "." + name;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      const auto meant = did_you_mean(name, known);
      state.problems.push_back(
          {place_of(state, node), full,
           "is not a key of this section" + (meant ? "; did you mean \"" + *meant + "\"?" : ".")});
      continue;
    }
    if (const auto* inner = node.as_table(); inner != nullptr && state.known.contains(inner)) {
      report_unknown(state, *inner, full);
    } else if (const auto* array = node.as_array()) {
      for (std::size_t i = 0; i < array->size(); ++i) {
        const auto* entry = array->get(i)->as_table();
        if (entry != nullptr && state.known.contains(entry)) {
          report_unknown(state, *entry, full + "[" + std::to_string(i) + "]");
        }
      }
    }
  }
}

/// File and line of a place, to sort by.
std::pair<std::string_view, std::uint64_t> order_of(std::string_view place) {
  const std::size_t colon = place.rfind(':');
  std::uint64_t line = 0;
  if (colon != std::string_view::npos) {
    std::from_chars(place.data() + colon + 1, place.data() + place.size(), line);
  }
  return {place.substr(0, line == 0 ? std::string_view::npos : colon), line};
}

}  // namespace

std::string place_of(const State& state, const toml::node& node) {
  const auto variable = state.environment.find(&node);
  if (variable != state.environment.end()) return "environment variable " + variable->second.first;
  const auto& source = node.source();
  if (!source.path) return state.file;
  if (source.path->starts_with("environment variable")) return *source.path;
  return source.begin.line == 0 ? *source.path
                                : *source.path + ":" + std::to_string(source.begin.line);
}

std::string Problem::text() const { return place + ": " + (key.empty() ? "" : key + ": ") + what; }

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view pair(*entry);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return environment;
}

Document::Document() : state_(std::make_unique<State>()) {}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

Document Document::load(const std::filesystem::path& file, const Environment& environment) {
  Document document;
  State& state = *document.state_;
  state.file = file.string();
  state.folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  read_into(state, file, environment);
  std::error_code ignored;
  std::vector<std::filesystem::path> more;
  for (std::filesystem::directory_iterator at(state.folder / "conf.d", ignored), end;
       !ignored && at != end; at.increment(ignored)) {
    if (at->path().extension() == ".toml") more.push_back(at->path());
  }
  std::sort(more.begin(), more.end());
  for (const auto& path : more) read_into(state, path, environment);
  override_from(state, environment);
  return document;
}

Document Document::parse(std::string_view text, std::string_view name,
                         const Environment& environment) {
  Document document;
  document.state_->file = name;
  document.state_->folder = ".";
  parse_into(*document.state_, text, std::string(name), environment);
  override_from(*document.state_, environment);
  return document;
}

Document Document::reference() {
  Document document;
  document.state_->describing = true;
  return document;
}

Section Document::root() {
  return {state_.get(), state_->describing ? nullptr : &state_->root, ""};
}

std::vector<Problem> Document::finish() {
  if (!state_->describing) report_unknown(*state_, state_->root, "");
  auto problems = std::exchange(state_->problems, {});
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return order_of(a.place) < order_of(b.place);
  });
  return problems;
}

std::map<std::string, std::size_t> Document::fingerprints() const {
  std::map<std::string, std::size_t> prints;
  for (const auto& [key, node] : state_->root) {
    std::ostringstream text;
    node.visit([&](const auto& value) { text << value; });
    prints[std::string(key.str())] = std::hash<std::string>{}(text.str());
  }
  return prints;
}

const std::vector<KeyReference>& Document::keys() const { return state_->keys; }

}  // namespace lapwing::config
