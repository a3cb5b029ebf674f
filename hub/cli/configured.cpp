// SPDX-License-Identifier: Apache-2.0
#include "hub/cli/configured.hpp"

#include "hub/store/config.hpp"
#include "shared/base/config.hpp"

#include <unistd.h>

namespace lapwing::hub {
namespace {

std::filesystem::path data_dir_of(config::Section& root) {
  return root.table({"hub", "the hub itself"})
      .path({"data_dir", "folder of database, keys and certificates"}, "data");
}

Result<void> readable(const std::filesystem::path& path) {
  if (::access(path.c_str(), R_OK) == 0) return {};
  return Error{Errc::bad_config, path.string() +
                                     ": cannot be read; name the hub's hub.toml with --config, "
                                     "or make a hub with `lapwing-hub init`"};
}

}  // namespace

Result<std::filesystem::path> configured_folder(const std::filesystem::path& path) {
  if (auto good = readable(path); !good) return good.error();
  auto document = config::Document::load(path, config::process_environment());
  auto root = document.root();
  return data_dir_of(root);
}

Result<std::unique_ptr<Store>> configured_store(const std::filesystem::path& path) {
  if (auto good = readable(path); !good) return good.error();
  auto document = config::Document::load(path, config::process_environment());
  auto root = document.root();
  const auto data_dir = data_dir_of(root);
  auto section = root.table({"store", "where and how much is kept"});
  const auto config = StoreConfig::read(section);
  const auto file = data_dir / "hub.db";
  if (config.url.empty() && ::access(file.c_str(), F_OK) != 0) {
    return Error{Errc::bad_config,
                 file.string() + ": there is no store; see [hub] data_dir in " + path.string()};
  }
  auto store = open_store(config, data_dir);
  if (!store && store.error().code == Errc::exists) {
    return Error{Errc::exists, file.string() +
                                   ": the hub is running; use its API (POST /api/v1/tokens), or "
                                   "stop the hub for the moment"};
  }
  return store;
}

}  // namespace lapwing::hub
