// SPDX-License-Identifier: Apache-2.0
#include "agent/config.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <unistd.h>
#include <utility>

namespace lapwing::agent {
namespace {

std::string machine_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "agent";
  return name.data();
}

bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

void read_agent(AgentConfig& c, config::Section section, const std::filesystem::path& folder) {
  c.name = section.text(
      {"name",
       "seen in status and client ids; absent: the machine's name. Who the agent is to the "
       "hub, its certificate says"},
      "");
  if (!section.has("name")) {
    c.name = machine_name();
  } else if (!good_name(c.name)) {
    section.problem("name",
                    "is \"" + c.name + "\"; allowed: 1 to 64 letters, digits, `_`, `-` or `.`");
  }
  c.data_dir = section.path({"data_dir",
                             "folder of the outbox and of what the detectors learnt; "
                             "relative to agent.toml"},
                            "data");
  if (!section.has("data_dir")) c.data_dir = folder / "data";
}

bool same_sensors(const detect::GroupConfig& a, const detect::GroupConfig& b) {
  if (a.watch.streams.size() != b.watch.streams.size()) return false;
  for (std::size_t i = 0; i < a.watch.streams.size(); ++i) {
    if (a.sensor_name(i) != b.sensor_name(i) || a.unit(i) != b.unit(i)) return false;
  }
  return true;
}

void read_watches(AgentConfig& c, config::Section root) {
  std::set<std::string> names;
  const auto unique = [&](config::Section& section, const std::string& name) {
    if (names.insert(name).second) return;
    section.problem(
        "name", "\"" + name + "\" is the name of another watch or group too; names must differ");
  };
  for (auto& section : root.tables({"watch",
                                    "Which streams are watched, and how. The first watch "
                                    "that takes a stream has it; no watch at all is one "
                                    "called default, on every stream"})) {
    c.watches.push_back(detect::WatchConfig::read(section));
    unique(section, c.watches.back().name);
  }
  std::map<std::string, std::size_t> first_with;  // by the model's name: the first group's place
  for (auto& section : root.tables({"group",
                                    "Sensors that are judged together. The first group that takes "
                                    "a stream has it, and no watch does"})) {
    c.groups.push_back(detect::GroupConfig::read(section));
    unique(section, c.groups.back().watch.name);
    const auto& group = c.groups.back();
    if (group.model.empty()) continue;
    const auto& first =
        c.groups[first_with.try_emplace(group.model, c.groups.size() - 1).first->second];
    if (!same_sensors(first, group)) {
      section.problem("model", "\"" + group.model + "\" is group " + first.watch.name +
                                   "'s model too, which has other sensors: a model has one set of "
                                   "sensor_names and units, in one order");
    }
  }
  if (c.watches.empty()) c.watches.emplace_back();
}

/// Makes text safe inside a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string code(std::string_view text) { return text.empty() ? "" : "`" + cell(text) + "`"; }

/// `watch[]` as the user writes it: `[[watch]]`; `source[].json`: `[source.json]`.
std::string heading(std::string_view section) {
  const bool array = section.ends_with("[]");
  std::string plain;
  for (const char c : section) {
    if (c != '[' && c != ']') plain += c;
  }
  return array ? "[[" + plain + "]]" : "[" + plain + "]";
}

std::string row(const config::KeyReference& key) {
  std::string type = key.type;
  if (!key.range.empty()) type += (type == "one of" ? " " : ", ") + key.range;
  if (!key.unit.empty()) type += " (" + key.unit + ")";
  const bool word = key.fallback == "none" || key.fallback == "required" || key.fallback.empty();
  return "| " + code(key.key) + " | " + cell(type) + " | " +
         (word ? key.fallback : code(key.fallback)) + " | " + cell(key.help) + " |\n";
}

}  // namespace

LogConfig LogConfig::read(config::Section section) {
  LogConfig c;
  const auto level = log::level_from(
      section.choice({"level", "least level written"}, "info", {"debug", "info", "warn", "error"}));
  const auto format = log::format_from(
      section.choice({"format", "how a line is written"}, "logfmt", {"logfmt", "json"}));
  if (level) c.level = *level;
  if (format) c.format = *format;
  return c;
}

AgentConfig AgentConfig::read(config::Section root, const std::filesystem::path& folder) {
  AgentConfig c;
  read_agent(c, root.table({"agent", "The agent itself"}), folder);
  c.log = LogConfig::read(root.table({"log", "What goes to stderr"}));
  c.sources = read_sources(root);
  if (c.sources.empty()) {
    root.problem("source",
                 "is missing: nothing would be watched; add a [[source]], for example "
                 "kind = \"mqtt\" or kind = \"host\"");
  }
  read_watches(c, root);
  c.engine = EngineConfig::read(root.table({"engine", "Scoring: threads, bounds, how often"}));
  c.outbox = OutboxConfig::read(root.table({"outbox", "The durable queue of records"}));
  c.uplink = UplinkConfig::read(root.table({"uplink", "The hub; `lapwing-agent enrol` writes it"}));
  c.models = ModelsConfig::read(
      root.table({"models", "Models that the hub sends; which group uses which, [[group]] says"}),
      c.uplink.certificate_file);
  auto quarantine = root.table({"quarantine", "What could not be read, kept to be looked at"});
  c.quarantine = QuarantineConfig::read(quarantine);
  auto status = root.table({"status", "The agent's own HTTP: health, metrics, streams"});
  c.status = StatusConfig::read(status);
  return c;
}

LoadedConfig load_config(const std::filesystem::path& file) {
  auto document = config::Document::load(file, config::process_environment());
  auto config = AgentConfig::read(
      document.root(), file.has_parent_path() ? file.parent_path() : std::filesystem::path("."));
  LoadedConfig loaded{.config = std::move(config), .problems = document.finish()};
  loaded.fingerprints = document.fingerprints();
  const auto whole_file = [](const config::Problem& problem) { return problem.key.empty(); };
  if (std::any_of(loaded.problems.begin(), loaded.problems.end(), whole_file)) {
    // What a file that cannot be read would have said is not known: no guesses about keys.
    std::erase_if(loaded.problems, std::not_fn(whole_file));
  }
  return loaded;
}

std::string configuration_reference() {
  auto document = config::Document::reference();
  static_cast<void>(AgentConfig::read(document.root(), "."));
  std::vector<std::string> order;
  std::map<std::string, std::string> helps;
  std::map<std::string, std::string> rows;
  std::set<std::pair<std::string, std::string>> seen;
  for (const auto& key : document.keys()) {
    const bool table = key.type == "table" || key.type == "tables";
    if (!seen.emplace(key.section, key.key).second) continue;
    if (!rows.contains(key.section)) order.push_back(key.section);
    rows[key.section] += table ? "" : row(key);
    if (table) helps[key.section] = key.help;
  }
  std::string out =
      "<!-- Made by `lapwing-agent check-config --reference`; do not edit. -->\n\n"
      "# The agent's configuration: every key\n\n"
      "How files, variables and overrides work together: [configure](../configure.md).\n";
  for (const auto& section : order) {
    out += "\n## `" + heading(section) + "`\n\n";
    if (!helps[section].empty()) out += helps[section] + ".\n\n";
    out += "| key | value | default | meaning |\n| --- | --- | --- | --- |\n" + rows[section];
  }
  return out;
}

}  // namespace lapwing::agent
