// SPDX-License-Identifier: Apache-2.0
/// `[store]` of hub.toml, and the store it asks for.
#pragma once

#include "hub/store/retention.hpp"
#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace lapwing::hub {

struct StoreConfig {
  std::string url;  ///< of a PostgreSQL database; empty: SQLite in the data folder
  std::optional<Secret<std::string>> password;
  std::size_t readers = 4;                          ///< [1, 64]
  Micros query_timeout = std::chrono::seconds(30);  ///< [1 s, 10 min]; of PostgreSQL
  std::size_t lanes = 2;                            ///< [1, 16]; of PostgreSQL
  std::uint64_t cache_bytes = 64 << 20;             ///< SQLite's page cache
  Retention retention;

  static StoreConfig read(config::Section& section);
};

/// Opens or makes the store, `data_dir`/hub.db without a URL. Errors: as of the engine's own.
Result<std::unique_ptr<Store>> open_store(const StoreConfig& config,
                                          const std::filesystem::path& data_dir);

}  // namespace lapwing::hub
