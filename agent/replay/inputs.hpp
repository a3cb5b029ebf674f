// SPDX-License-Identifier: Apache-2.0
/// The files a command is to read.
#pragma once

#include "shared/base/result.hpp"

#include <filesystem>
#include <span>
#include <vector>

namespace lapwing::agent {

struct InputFile {
  std::filesystem::path path;
  std::filesystem::path name;  ///< of a file in a named folder: its path from there; else its name
};

/// Files as named; of folders every `*.csv` in it and below, by name. `-` is standard input.
/// Errors: not_found (no such file, or no CSV in a folder), bad_config (two files of one name:
/// what is written for one would overwrite the other's).
Result<std::vector<InputFile>> find_inputs(std::span<const std::filesystem::path> given);

}  // namespace lapwing::agent
