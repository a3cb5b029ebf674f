// SPDX-License-Identifier: Apache-2.0
#include "lapwing/settings.hpp"

#include "shared/base/config.hpp"
#include "shared/base/files.hpp"

#include <toml++/toml.h>

#include <cstdlib>
#include <sstream>
#include <system_error>

namespace lapwing::cli {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Result<fs::path> settings_file() {
  if (const auto file = environment("LAPWING_CONFIG"); !file.empty()) return fs::path(file);
  if (const auto base = environment("XDG_CONFIG_HOME"); !base.empty()) {
    return fs::path(base) / "lapwing" / "config.toml";
  }
  if (const auto home = environment("HOME"); !home.empty()) {
    return fs::path(home) / ".config" / "lapwing" / "config.toml";
  }
  return Error{Errc::bad_config,
               "neither LAPWING_CONFIG nor HOME is set: where is the login kept?"};
}

Result<Settings> load_settings(const fs::path& file) {
  std::error_code ec;
  if (!fs::exists(file, ec)) {
    return Error{Errc::not_found, "not logged in (no " + file.string() +
                                      "); run lapwing login --hub URL --token TOKEN"};
  }
  auto document = config::Document::load(file, {});
  auto root = document.root();
  Settings settings;
  settings.hub = root.required_text({"hub", "address of the hub"});
  settings.ca_file = root.path({"ca_file", "authority of the hub's certificate (PEM)"}, "");
  settings.token = root.secret({"token", "API token"}).value_or(Secret<std::string>());
  std::string problems;
  for (const auto& problem : document.finish()) problems += problem.text() + "\n";
  if (problems.empty()) return settings;
  problems.pop_back();
  return Error{Errc::bad_config, problems};
}

Result<void> save_settings(const fs::path& file, const Settings& settings) {
  std::error_code ec;
  const auto folder = file.parent_path();
  if (!folder.empty() && !fs::exists(folder, ec)) {
    fs::create_directories(folder, ec);
    if (ec) return Error{Errc::io, folder.string() + ": cannot be made: " + ec.message()};
    fs::permissions(folder, fs::perms::owner_all, ec);
  }
  toml::table table{{"hub", settings.hub}, {"token", settings.token.reveal()}};
  if (!settings.ca_file.empty()) table.insert("ca_file", settings.ca_file.string());
  std::ostringstream text;
  text << "# Written by lapwing login.\n" << table << '\n';
  return write_file_atomic(file, text.str(), 0600);
}

}  // namespace lapwing::cli
