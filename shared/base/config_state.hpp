// SPDX-License-Identifier: Apache-2.0
/// Inside of the configuration module: what document.cpp and section.cpp share. Not for others.
#pragma once

#include "shared/base/config.hpp"

#include <toml++/toml.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::config {

struct State {
  toml::table root;
  std::string file;              ///< the main file, as the user named it
  std::filesystem::path folder;  ///< of the main file: relative paths start here
  bool describing = false;
  std::vector<Problem> problems;
  std::vector<KeyReference> keys;
  /// Nodes that variables set: the variable's name and its text as it was.
  std::map<const toml::node*, std::pair<std::string, std::string>> environment;
  std::map<const void*, std::vector<std::string>> known;  ///< keys read, by table
};

/// `agent.toml:12`, or the variable that set the node.
[[nodiscard]] std::string place_of(const State& state, const toml::node& node);

}  // namespace lapwing::config
