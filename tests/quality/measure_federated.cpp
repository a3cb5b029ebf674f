// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/kinds.hpp"
#include "shared/model/model.hpp"
#include "tests/quality/auroc.hpp"
#include "tests/quality/collections.hpp"
#include "tests/quality/measures.hpp"
#include "tests/quality/report.hpp"
#include "tests/shared/federate/fleet.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace lapwing::quality {
namespace {

constexpr std::uint64_t kFleetSeeds = 32;

struct FleetLine {
  std::size_t even_devices = 0;
  std::size_t skewed_devices = 0;
  double central = 0;
  double even = 0;
  double skewed = 0;
  double even_trees = 0;    ///< without the second pass
  double skewed_trees = 0;  ///< likewise
  bool skipped = false;
};

Result<double> auroc_of(const Series& table, std::span<const std::byte> payload) {
  const auto detector = detect::make_isolation_forest({.width = table.width()}, {.model = payload});
  if (!detector) return detector.error();
  std::vector<float> raw(table.rows());
  const auto done = (*detector)->score(
      {.values = table.values, .width = table.width(), .learn = false}, {.raw = raw});
  if (!done) return done.error();
  return auroc(table.labels, raw);
}

Result<double> auroc_of(const Series& table, const std::vector<federate::Rows>& devices,
                        std::uint64_t seed, std::uint32_t passes) {
  federate::Plan plan{.kind = federate::Kind::isolation_forest,
                      .sensors = federate::sensors_of(table.width()),
                      .seed = seed,
                      .rules = {.devices_min = 3, .share_max = 1, .far = 1e30}};
  const auto file = federate::run_round(plan, devices, passes);
  if (!file) return file.error();
  const auto model = model::Model::read(*file);
  if (!model) return model.error();
  return auroc_of(table, model->payload());
}

Result<FleetLine> measure_fleet(const Series& table) {
  FleetLine line;
  const federate::Rows all{table.width(), table.values};
  const std::size_t devices = std::min<std::size_t>(20, all.count() / (2 * federate::kRowsMin));
  line.skipped = devices < 3 || table.width() > federate::kWidthMax;
  if (line.skipped) return line;
  for (std::uint64_t seed = 1; seed <= kFleetSeeds; ++seed) {
    const auto payload = detect::train_isolation_forest({table.values, table.width()},
                                                        {.width = table.width(), .seed = seed}, {});
    if (!payload) return payload.error();
    const auto central = auroc_of(table, *payload);
    auto even = federate::split_evenly(all, devices, seed);
    std::erase_if(even, [](const auto& one) { return one.count() < federate::kRowsMin; });
    const auto skewed = federate::split_by_cluster(all, devices, federate::kRowsMin, seed);
    line.even_devices = even.size();
    line.skewed_devices = skewed.size();
    if (!central) return central.error();
    line.central += *central / kFleetSeeds;
    struct Run {
      const std::vector<federate::Rows>& split;
      std::uint32_t passes;
      double& sum;
    };
    const Run runs[] = {{even, 2, line.even},
                        {even, 1, line.even_trees},
                        {skewed, 2, line.skewed},
                        {skewed, 1, line.skewed_trees}};
    for (const auto& run : runs) {
      const auto one = auroc_of(table, run.split, seed, run.passes);
      if (!one) return one.error();
      run.sum += *one / kFleetSeeds;
    }
  }
  return line;
}

}  // namespace

Result<void> measure_federated(const Options& options) {
  const auto tables = read_adbench(options.data);
  if (!tables) return tables.error();
  std::vector<FleetLine> lines(tables->size());
  const auto done = try_each(tables->size(), [&](std::size_t i) -> Result<void> {
    const auto line = measure_fleet((*tables)[i]);
    if (!line) return within((*tables)[i].name, line.error());
    lines[i] = *line;
    return {};
  });
  if (!done) return done;
  std::vector<double> central;
  std::vector<double> even;
  std::vector<double> skewed;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto& l = lines[i];
    const auto* name = (*tables)[i].name.c_str();
    if (l.skipped) {
      detail("%-18s skipped: fewer than 384 rows, or more than %zu columns", name,
             federate::kWidthMax);
      continue;
    }
    central.push_back(l.central);
    even.push_back(l.even);
    skewed.push_back(l.skewed);
    detail(
        "%-18s central %.4f | even, %2zu devices %+.4f, trees alone %+.4f | skewed, %2zu devices"
        " %+.4f, trees alone %+.4f",
        name, l.central, l.even_devices, l.even - l.central, l.even_trees - l.central,
        l.skewed_devices, l.skewed - l.central, l.skewed_trees - l.central);
  }
  figure_mean(options, "federated.auroc.central", central);
  figure_mean(options, "federated.auroc.even", even);
  figure_mean(options, "federated.auroc.skewed", skewed);
  return {};
}

}  // namespace lapwing::quality
