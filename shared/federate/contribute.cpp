// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/contribute.hpp"

#include "shared/detect/columns.hpp"
#include "shared/detect/isolation_forest/kind.hpp"
#include "shared/detect/isolation_forest/unite.hpp"
#include "shared/detect/pca/assemble.hpp"
#include "shared/model/model.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace lapwing::federate {
namespace {

namespace forest = detect::isolation_forest;

constexpr std::array<std::string_view, 3> kNames{"pca", "isolation_forest", "samples"};

template <class Numbers>
Sketch sketch_of(const Numbers& numbers) {
  Sketch sketch;
  for (const auto number : numbers) sketch.add(static_cast<double>(number));
  return sketch;
}

Result<Sketch> scores_of(detect::Detector& detector, const detect::Table& table) {
  std::vector<float> scores(table.rows());
  const auto done = detector.score({.values = table.values, .width = table.width, .learn = false},
                                   {.raw = scores});
  if (!done) return done.error();
  return sketch_of(scores);
}

/// The forest's bytes with columns scaled by the moments, which are told anyway, and not by a
/// median and a farthest value, which are numbers of rows.
Result<std::vector<std::byte>> rescaled(std::span<const std::byte> bytes, const Moments& moments) {
  const auto grown = forest::Forest::read(bytes);
  if (!grown) return grown.error();
  std::vector<forest::Column> columns;
  for (std::size_t c = 0; c < moments.width(); ++c) {
    const double reach =
        std::max(moments.greatest(c) - moments.mean(c), moments.mean(c) - moments.least(c));
    const bool varies = grown->column(c).factor > 0 && reach > 0;
    columns.push_back(varies ? forest::Column{.centre = moments.mean(c), .factor = 1 / reach}
                             : forest::Column{});
  }
  const forest::Share all{&*grown, grown->trees()};
  const auto made = forest::unite({&all, 1}, grown->sample(), columns);
  if (!made) return made.error();
  return made->write();
}

/// Trees of the device's own, and how they score its rows. After the moments.
Result<void> grow(const Task& task, const detect::Table& table, Contribution& made) {
  const detect::Settings settings{.width = table.width,
                                  .seed = task.seed,
                                  .parameters = {{"trees", static_cast<double>(task.trees)},
                                                 {"sample", static_cast<double>(task.sample)}}};
  auto bytes = detect::train_isolation_forest(table, settings, {});
  if (bytes) bytes = rescaled(*bytes, *made.moments);
  if (!bytes) return bytes.error();
  const auto detector = detect::make_isolation_forest(settings, {.model = *bytes});
  if (!detector) return detector.error();
  auto scores = scores_of(**detector, table);
  if (!scores) return scores.error();
  made.scores = *std::move(scores);
  made.forest = *std::move(bytes);
  return {};
}

/// How each sensor is spread around the candidate's mean, in the bins that its reach tells.
void spread(const model::Model& candidate, std::size_t bins, const detect::Table& table,
            Contribution& made) {
  for (std::size_t c = 0; c < table.width; ++c) {
    const auto& sensor = candidate.header().sensors[c];
    Sketch sketch(sensor.mean);
    const double reach = sensor.greatest - sensor.least;
    auto histogram =
        Histogram::of(sensor.least, reach > 0 ? sensor.greatest : sensor.least + 1, bins);
    for (std::size_t row = 0; row < table.rows(); ++row) {
      const double value = table.values[row * table.width + c];
      sketch.add(value);
      histogram.add(value);
    }
    made.sketches.push_back(std::move(sketch));
    made.histograms.push_back(std::move(histogram));
  }
}

Result<void> weigh(const Task& task, const model::Model& candidate, const detect::Table& table,
                   Contribution& made) {
  spread(candidate, task.bins, table, made);
  if (task.kind == Kind::pca) {
    const auto distances = detect::pca::distances(candidate.payload(), table);
    if (!distances) return distances.error();
    made.within = sketch_of(distances->within);
    made.beside = sketch_of(distances->beside);
    return {};
  }
  const auto read = forest::Forest::read(candidate.payload());
  if (!read) return read.error();
  for (const double count : forest::leaf_counts(*read, table)) {
    made.leaf_counts.push_back(static_cast<std::uint32_t>(count));
  }
  return {};
}

void draw(const Task& task, const detect::Table& table, Contribution& made) {
  made.width = table.width;
  for (const auto row : detect::draw_rows(table, task.rows_max, task.seed)) {
    const auto values = table.values.subspan(row * table.width, table.width);
    made.samples.insert(made.samples.end(), values.begin(), values.end());
  }
}

bool possible(const Task& task) {
  return task.pass >= 1 && task.pass <= passes(task.kind) && task.trees >= 1 && task.trees <= 100 &&
         task.sample >= 8 && task.sample <= 256 && task.bins >= 1 && task.bins <= 64 &&
         task.rows_max >= kRowsMin && task.rows_max <= 4096;
}

Result<model::Model> read_candidate(const Task& task, std::size_t width) {
  auto candidate = model::Model::read(std::string(task.candidate));
  if (!candidate) return within("candidate", candidate.error());
  if (candidate->kind().name != to_string(task.kind) ||
      candidate->header().sensors.size() != width) {
    return Error{Errc::bad_input, "the candidate is not for these rows"};
  }
  return candidate;
}

}  // namespace

std::string_view to_string(Kind kind) noexcept {
  return kNames[static_cast<std::size_t>(kind) - 1];
}

Result<Kind> parse_kind(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Kind>(i + 1);
  }
  return Error{Errc::bad_input, "kind of round \"" + std::string(name.substr(0, 64)) +
                                    "\": pca, isolation_forest and samples are known"};
}

std::uint32_t passes(Kind kind) noexcept { return kind == Kind::samples ? 1 : 3; }

Result<Contribution> contribute(const Task& task, const detect::Table& table) {
  if (!possible(task)) return Error{Errc::bad_config, "a task that no round gives"};
  if (table.width > kWidthMax) {
    return Error{Errc::limit, "rows of " + std::to_string(table.width) + " sensors: rounds take " +
                                  std::to_string(kWidthMax)};
  }
  if (table.rows() < kRowsMin) {
    return Error{Errc::bad_input, "only " + std::to_string(table.rows()) + " rows; from " +
                                      std::to_string(kRowsMin) + " on they may be told of"};
  }
  Contribution made;
  made.rows = table.rows();
  if (task.kind == Kind::samples) {
    draw(task, table, made);
    return made;
  }
  if (task.pass == 1) {
    made.moments = Moments::of(table);
    made.moments->blur_extremes();
    if (task.kind == Kind::pca) return made;
    if (auto grown = grow(task, table, made); !grown) return grown.error();
    return made;
  }
  const auto candidate = read_candidate(task, table.width);
  if (!candidate) return candidate.error();
  if (task.pass == 2) {
    if (auto done = weigh(task, *candidate, table, made); !done) return done.error();
    return made;
  }
  const auto detector = candidate->make_detector();
  if (!detector) return detector.error();
  auto scores = scores_of(**detector, table);
  if (!scores) return scores.error();
  made.scores = *std::move(scores);
  return made;
}

}  // namespace lapwing::federate
