// SPDX-License-Identifier: Apache-2.0
/// agent.toml: everything the agent is told. Each module reads its own tables; here they meet.
#pragma once

#include "agent/decode/quarantine.hpp"
#include "agent/engine/config.hpp"
#include "agent/models/config.hpp"
#include "agent/outbox/config.hpp"
#include "agent/source/source_config.hpp"
#include "agent/status/status.hpp"
#include "agent/uplink/config.hpp"
#include "shared/base/config.hpp"
#include "shared/base/log.hpp"
#include "shared/detect/group.hpp"
#include "shared/detect/watch.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lapwing::agent {

/// `[log]`.
struct LogConfig {
  log::Level level = log::Level::info;
  log::Format format = log::Format::logfmt;
  static LogConfig read(config::Section section);
};

/// All of agent.toml. Plain data.
struct AgentConfig {
  std::string name;                ///< `[agent] name`; default: the machine's name
  std::filesystem::path data_dir;  ///< outbox and snapshots; default `data` beside agent.toml
  LogConfig log;
  std::vector<SourceConfig> sources;         ///< at least one
  std::vector<detect::WatchConfig> watches;  ///< none given: one, `default`, on every stream
  std::vector<detect::GroupConfig> groups;
  QuarantineConfig quarantine;
  EngineConfig engine;
  OutboxConfig outbox;
  UplinkConfig uplink;
  ModelsConfig models;
  StatusConfig status;

  /// `folder` is the configuration file's. Problems are recorded in the document.
  static AgentConfig read(config::Section root, const std::filesystem::path& folder);
};

/// A configuration file, read whole.
struct LoadedConfig {
  AgentConfig config;
  std::vector<config::Problem> problems;            ///< not empty: `config` must not be used to run
  std::map<std::string, std::size_t> fingerprints;  ///< of each table: which ones were edited
};

/// The file, `conf.d/*.toml` beside it and the process's environment.
[[nodiscard]] LoadedConfig load_config(const std::filesystem::path& file);

/// Every key with unit, range and default, as Markdown: docs/reference/configuration.md.
[[nodiscard]] std::string configuration_reference();

}  // namespace lapwing::agent
