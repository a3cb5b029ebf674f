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
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::quality {
namespace {

constexpr std::uint64_t kFleetSeeds = 128;

constexpr std::size_t kDevicesMin = 3;
constexpr std::size_t kDevicesMax = 20;
constexpr std::size_t kTreeRows = 256;  ///< what a tree draws; a device keeps so many at least

/// AUROC of one way to spread a set's rows over devices.
struct Spread {
  const char* name;
  std::size_t devices = 0;
  double all = 0;
  double trees = 0;  ///< without the second pass
};

struct FleetLine {
  double central = 0;
  Spread even{"even"};  ///< each device has the rows of a tree's sample, where there are so many
  Spread sparse{"sparse"};  ///< twice as many devices, many with less than a sample
  Spread skewed{"skewed"};  ///< each device has one cluster
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

Result<void> add_fleet(const Series& table, const std::vector<federate::Rows>& devices,
                       std::uint64_t seed, Spread& to) {
  to.devices = devices.size();
  for (const auto& [passes, sum] : {std::pair{2U, &to.all}, std::pair{1U, &to.trees}}) {
    const auto one = auroc_of(table, devices, seed, passes);
    if (!one) return one.error();
    *sum += *one / kFleetSeeds;
  }
  return {};
}

Result<FleetLine> measure_fleet(const Series& table) {
  FleetLine line;
  const federate::Rows all{table.width(), table.values};
  const std::size_t few = std::min(kDevicesMax, all.count() / (2 * federate::kRowsMin));
  line.skipped = few < kDevicesMin || table.width() > federate::kWidthMax;
  if (line.skipped) return line;
  const std::size_t full = std::clamp(all.count() / kTreeRows, kDevicesMin, kDevicesMax);
  for (std::uint64_t seed = 1; seed <= kFleetSeeds; ++seed) {
    const auto payload = detect::train_isolation_forest({table.values, table.width()},
                                                        {.width = table.width(), .seed = seed}, {});
    if (!payload) return payload.error();
    const auto central = auroc_of(table, *payload);
    if (!central) return central.error();
    line.central += *central / kFleetSeeds;
    auto sparse = federate::split_evenly(all, few, seed);
    std::erase_if(sparse, [](const auto& one) { return one.count() < federate::kRowsMin; });
    const auto skewed = federate::split_by_cluster(all, few, federate::kRowsMin, seed);
    auto done = add_fleet(table, federate::split_equally(all, full, seed), seed, line.even);
    if (done) done = add_fleet(table, sparse, seed, line.sparse);
    if (done) done = add_fleet(table, skewed, seed, line.skewed);
    if (!done) return done.error();
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
  std::map<std::string, std::vector<double>> spreads;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto& l = lines[i];
    const auto* name = (*tables)[i].name.c_str();
    if (l.skipped) {
      detail("%-18s skipped: fewer than 384 rows, or more than %zu columns", name,
             federate::kWidthMax);
      continue;
    }
    central.push_back(l.central);
    detail("%-18s central %.4f", name, l.central);
    for (const auto& spread : {l.even, l.sparse, l.skewed}) {
      spreads[spread.name].push_back(spread.all);
      detail("%-18s %-7s %2zu devices %+.4f, trees alone %+.4f", "", spread.name, spread.devices,
             spread.all - l.central, spread.trees - l.central);
    }
  }
  figure_mean(options, "federated.auroc.central", central);
  for (const auto& [name, all] : spreads) figure_mean(options, "federated.auroc." + name, all);
  return {};
}

}  // namespace lapwing::quality
