// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/inputs.hpp"

#include <algorithm>

namespace lapwing::agent {
namespace {

namespace fs = std::filesystem;

Result<std::vector<InputFile>> files_below(const fs::path& folder) {
  std::vector<InputFile> files;
  std::error_code failed;
  for (auto at = fs::recursive_directory_iterator(folder, failed);
       !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
    if (at->is_regular_file(failed) && at->path().extension() == ".csv") {
      files.push_back({at->path(), at->path().lexically_relative(folder)});
    }
  }
  if (failed) return Error{Errc::io, "cannot look into " + folder.string()};
  if (files.empty()) return Error{Errc::not_found, folder.string() + " holds no .csv file"};
  std::ranges::sort(files, {}, &InputFile::name);
  return files;
}

}  // namespace

Result<std::vector<InputFile>> find_inputs(std::span<const fs::path> given) {
  std::vector<InputFile> files;
  for (const fs::path& path : given) {
    std::error_code failed;
    if (path != "-" && fs::is_directory(path, failed)) {
      auto below = files_below(path);
      if (!below) return below.error();
      files.insert(files.end(), below->begin(), below->end());
    } else {
      files.push_back({path, path == "-" ? fs::path("stdin.csv") : path.filename()});
    }
  }
  auto sorted = files;
  std::ranges::sort(sorted, {}, &InputFile::name);
  const auto twice = std::ranges::adjacent_find(sorted, {}, &InputFile::name);
  if (twice != sorted.end()) {
    return Error{Errc::bad_config, "two files are called " + twice->name.string() +
                                       ": name the folder they are in instead"};
  }
  return files;
}

}  // namespace lapwing::agent
