// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/replay/tune.hpp"

#include <cctype>
#include <ostream>

namespace lapwing::agent {
namespace {

/// A watch's name made of the file's.
std::string watch_name(const std::filesystem::path& file) {
  std::string name;
  for (const char c : file.stem().string()) {
    const auto byte = static_cast<unsigned char>(c);
    name += std::isalnum(byte) != 0 && byte < 0x80 ? static_cast<char>(std::tolower(byte)) : '-';
    if (name.size() == 64) break;
  }
  return file == "-" || name.empty() ? "stream" : name;
}

}  // namespace

int run_tune(const TuneCommand& command, std::ostream& out, std::ostream& err) {
  ReplayOptions options = command.options;
  const std::string name = watch_name(options.file);
  options.plot = command.plot.empty() ? std::filesystem::path(name + "-tune.svg") : command.plot;
  const auto tuning = tune(options);
  if (!tuning) {
    err << "lapwing-agent: " << tuning.error().context << '\n';
    return tuning.error().code == Errc::bad_config ? kExitConfig : kExitFailed;
  }
  out << to_text(*tuning, name) << "\npicture: " << options.plot.string() << '\n';
  return 0;
}

}  // namespace lapwing::agent
