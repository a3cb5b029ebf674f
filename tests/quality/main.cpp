// SPDX-License-Identifier: Apache-2.0
/// Measures the detectors on benchmark collections and synthetic streams; one line a figure.
#include "shared/detect/kinds.hpp"
#include "tests/quality/measures.hpp"
#include "tests/quality/pages.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

namespace lapwing::quality {
namespace {

struct Row {
  const char* name;
  Measure run;
};
constexpr Row kMeasures[] = {
    {"nab", &measure_nab},
    {"tsb_u", &measure_tsb_u},
    {"tsb_m", &measure_tsb_m},
    {"skab", &measure_skab},
    {"adbench", &measure_adbench},
    {"federated", &measure_federated},
    {"budget", &measure_budget},
    {"budget_real", &measure_budget_real},
    {"synthetic", &measure_synthetic},
};

std::vector<std::string> names() {
  std::vector<std::string> list;
  for (const auto& measure : kMeasures) list.emplace_back(measure.name);
  return list;
}

/// A collection or kind that is absent is no failure.
int run(const Options& options) {
  if (detect::find_kind(options.detector) == nullptr) {
    std::fprintf(stderr, "no kind \"%s\" for streams\n", options.detector.c_str());
    return 2;
  }
  int code = 0;
  for (const auto& measure : kMeasures) {
    if (!options.only.empty() &&
        std::ranges::find(options.only, measure.name) == options.only.end()) {
      continue;
    }
    const auto done = measure.run(options);
    if (done) continue;
    const bool absent = done.error().code == Errc::not_found;
    std::printf("%s: %s: %s\n", measure.name, absent ? "skipped" : "failed",
                done.error().context.c_str());
    if (!absent) code = 1;
  }
  write_index(options);
  return code;
}

}  // namespace
}  // namespace lapwing::quality

int main(int argc, char** argv) {
  CLI::App app("Measures Lapwing's detectors on benchmark collections and synthetic streams");
  lapwing::quality::Options options;
  app.add_option("--data", options.data, "Folder with nab/, tsb-u/, ...")->required();
  app.add_option("--only", options.only, "These measures only")
      ->check(CLI::IsMember(lapwing::quality::names()));
  app.add_option("--detector", options.detector, "Kind for streams")->capture_default_str();
  app.add_option("--group-detector", options.group_detector, "Kind for groups")
      ->capture_default_str();
  app.add_option("--alarms-per-week", options.alarms_per_week)->capture_default_str();
  app.add_option("--out", options.out, "Folder for scores and plots of every file");
  app.add_flag("--per-file", options.per_file, "A line a file, family or set too");
  app.add_flag("--intervals", options.intervals, "How far figures move with the choice of files");
  CLI11_PARSE(app, argc, argv);
  return lapwing::quality::run(options);
}
