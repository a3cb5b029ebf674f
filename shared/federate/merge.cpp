// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/merge.hpp"

#include "shared/detect/columns.hpp"
#include "shared/detect/isolation_forest/kind.hpp"
#include "shared/detect/isolation_forest/unite.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/detect/pca/assemble.hpp"
#include "shared/federate/merge_parts.hpp"
#include "shared/model/model.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::federate {
namespace {

namespace forest = detect::isolation_forest;

detect::Settings settings_of(const Plan& plan) {
  return {.width = plan.sensors.size(), .seed = plan.seed, .parameters = plan.parameters};
}

Result<std::vector<std::byte>> pca_of(const Plan& plan, const Moments& all) {
  const std::size_t width = all.width();
  std::vector<detect::Columns::Shown> shown;
  for (std::size_t c = 0; c < width; ++c) {
    shown.push_back({all.least(c), all.greatest(c), all.mean(c), all.deviation(c)});
  }
  const auto columns = detect::Columns::standard("pca", shown);
  if (!columns) return columns.error();
  std::vector<double> covariance(width * width);
  for (std::size_t a = 0; a < width; ++a) {
    for (std::size_t b = 0; b < width; ++b) {
      covariance[a * width + b] = all.covariance(a, b) * columns->factor(a) * columns->factor(b);
    }
  }
  return detect::pca::assemble(*columns, covariance, settings_of(plan));
}

/// Trees of each in proportion to its rows, and of no more rows than the largest sample has.
Result<std::vector<std::byte>> forest_of(const Plan& plan, const Used& used) {
  std::vector<forest::Forest> forests;
  std::vector<std::uint32_t> most;
  std::uint32_t sample = 8;
  for (const auto* one : used.contributions) {
    auto read = forest::Forest::read(one->forest);
    if (!read) return read.error();
    if (read->width() != plan.sensors.size()) {
      return Error{Errc::bad_input, "a forest of rows of another width"};
    }
    sample = std::max(sample, read->sample());
    most.push_back(read->trees());
    forests.push_back(*std::move(read));
  }
  const auto wanted = static_cast<std::uint32_t>(
      detect::parameter(detect::kIsolationForest, settings_of(plan), "trees"));
  const auto given = apportion(used.weights, most, wanted);
  std::vector<forest::Share> shares;
  for (std::size_t i = 0; i < forests.size(); ++i) shares.push_back({&forests[i], given[i]});
  auto united = forest::unite(shares, sample);
  if (!united) return united.error();
  return united->write();
}

Result<std::vector<std::byte>> limited(const Plan& plan, const model::Model& candidate,
                                       const Used& used) {
  Sketch within;
  Sketch beside;
  for (std::size_t i = 0; i < used.contributions.size(); ++i) {
    const auto& one = *used.contributions[i];
    if (auto added = within.merge(one.within->weighed(used.factors[i])); !added) {
      return added.error();
    }
    if (auto added = beside.merge(one.beside->weighed(used.factors[i])); !added) {
      return added.error();
    }
  }
  return detect::pca::with_limits(
      candidate.payload(), plan.sensors.size(),
      {.within = within.quantile(0.99), .beside = beside.quantile(0.99)});
}

Result<std::vector<std::byte>> counted(const model::Model& candidate, const Used& used) {
  auto read = forest::Forest::read(candidate.payload());
  if (!read) return read.error();
  const std::size_t leaves = std::size_t{read->trees()} << read->depth();
  std::vector<double> counts(leaves);
  double rows = 0;
  for (std::size_t i = 0; i < used.contributions.size(); ++i) {
    const auto& one = used.contributions[i]->leaf_counts;
    if (one.size() != leaves) {
      return Error{Errc::bad_input, "counts of the leaves of another forest"};
    }
    for (std::size_t leaf = 0; leaf < leaves; ++leaf) counts[leaf] += one[leaf] * used.factors[i];
    rows += used.weights[i];
  }
  return forest::with_counts(*std::move(read), counts, rows).write();
}

/// Sensors' spreads; where devices had other bins or origins than the candidate tells: bad_shape.
Result<std::vector<SensorSpread>> spreads_of(const Plan& plan, const Used& used) {
  std::vector<SensorSpread> all;
  for (std::size_t c = 0; c < plan.sensors.size(); ++c) {
    Sketch sketch = used.contributions[0]->sketches[c].weighed(used.factors[0]);
    Histogram histogram = used.contributions[0]->histograms[c];
    for (std::size_t i = 1; i < used.contributions.size(); ++i) {
      const auto& one = *used.contributions[i];
      if (auto added = sketch.merge(one.sketches[c].weighed(used.factors[i])); !added) {
        return added.error();
      }
      if (auto added = histogram.merge(one.histograms[c]); !added) return added.error();
    }
    all.push_back({{sketch.quantile(0.25), sketch.quantile(0.5), sketch.quantile(0.75)},
                   std::move(histogram.counts)});
  }
  return all;
}

Merged merged_of(const Used& used, std::string file) {
  Merged made{.file = std::move(file),
              .rows = 0,
              .devices = used.devices,
              .left = used.left,
              .spreads = {}};
  for (const double rows : used.weights) made.rows += rows;
  return made;
}

}  // namespace

Result<Merged> begin(const Plan& plan, std::span<const Member> members) {
  const std::size_t width = plan.sensors.size();
  const auto used = use(plan, members, [&](const Contribution& c) {
    return c.moments && c.moments->width() == width &&
           (plan.kind == Kind::pca || (!c.forest.empty() && c.scores));
  });
  if (!used) return used.error();
  Moments all(width);
  for (std::size_t i = 0; i < used->contributions.size(); ++i) {
    const auto& one = *used->contributions[i]->moments;
    const auto added =
        used->factors[i] == 1 ? all.merge(one) : all.merge(one.weighed(used->factors[i]));
    if (!added) return added.error();
  }
  auto payload = plan.kind == Kind::pca ? pca_of(plan, all) : forest_of(plan, *used);
  if (!payload) return payload.error();
  auto file = model::encode(header_of(plan, all, used->devices.size()), *payload);
  if (!file) return file.error();
  return merged_of(*used, *std::move(file));
}

Result<Merged> refine(const Plan& plan, std::string_view candidate,
                      std::span<const Member> members) {
  const auto model = model::Model::read(std::string(candidate));
  if (!model) return model.error();
  const std::size_t width = plan.sensors.size();
  const auto used = use(plan, members, [&](const Contribution& c) {
    const bool spread = c.sketches.size() == width && c.histograms.size() == width;
    return spread && (plan.kind == Kind::pca ? c.within && c.beside : !c.leaf_counts.empty());
  });
  if (!used) return used.error();
  auto payload = plan.kind == Kind::pca ? limited(plan, *model, *used) : counted(*model, *used);
  if (!payload) return payload.error();
  auto spreads = spreads_of(plan, *used);
  if (!spreads) return spreads.error();
  auto file = model::encode(model->header(), *payload);
  if (!file) return file.error();
  auto made = merged_of(*used, *std::move(file));
  made.spreads = *std::move(spreads);
  return made;
}

Result<Merged> finish(const Plan& plan, std::string_view candidate,
                      std::span<const Member> members) {
  const auto model = model::Model::read(std::string(candidate));
  if (!model) return model.error();
  const auto used =
      use(plan, members, [](const Contribution& c) { return c.scores && c.scores->count() > 0; });
  if (!used) return used.error();
  Sketch scores;
  for (std::size_t i = 0; i < used->contributions.size(); ++i) {
    const auto added = scores.merge(used->contributions[i]->scores->weighed(used->factors[i]));
    if (!added) return added.error();
  }
  auto header = model->header();
  header.calibration = calibration_of(scores);
  auto file = model::encode(header, model->payload());
  if (!file) return file.error();
  return merged_of(*used, *std::move(file));
}

Result<Merged> merge(const Plan& plan, std::uint32_t pass, std::string_view candidate,
                     std::span<const Member> members) {
  return pass == 1   ? begin(plan, members)
         : pass == 2 ? refine(plan, candidate, members)
                     : finish(plan, candidate, members);
}

}  // namespace lapwing::federate
