// SPDX-License-Identifier: Apache-2.0
#include "shared/model/train.hpp"

#include "shared/detect/detector.hpp"
#include "shared/model/model.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

namespace lapwing::model {
namespace {

constexpr std::array kShares{0.01,  0.05,  0.1,   0.2,    0.25,   0.3,   0.4,  0.5,
                             0.6,   0.7,   0.75,  0.8,    0.9,    0.95,  0.98, 0.99,
                             0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999};
constexpr std::size_t kScoredAtOnce = 1024;
constexpr double kTypical = 0.99;

/// The column's numbers, holes aside.
void measure(const detect::Table& table, std::size_t column, Sensor& sensor) {
  double sum = 0;
  std::size_t there = 0;
  sensor.least = std::numeric_limits<double>::infinity();
  sensor.greatest = -sensor.least;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const double value = table.values[row * table.width + column];
    if (!std::isfinite(value)) continue;
    ++there;
    sum += value;
    sensor.least = std::min(sensor.least, value);
    sensor.greatest = std::max(sensor.greatest, value);
  }
  sensor.missing_share =
      1 - static_cast<double>(there) / static_cast<double>(std::max<std::size_t>(table.rows(), 1));
  if (there == 0) {
    sensor.least = sensor.greatest = 0;
    return;
  }
  sensor.mean = sum / static_cast<double>(there);
  double squares = 0;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const double value = table.values[row * table.width + column];
    if (std::isfinite(value)) squares += (value - sensor.mean) * (value - sensor.mean);
  }
  sensor.deviation = std::sqrt(squares / static_cast<double>(there));
}

/// `told` hears how many are done, and says whether to go on.
Result<std::vector<float>> score_all(detect::Detector& detector, const detect::Table& table,
                                     const std::function<bool(std::size_t)>& told) {
  std::vector<float> scores(table.rows());
  for (std::size_t row = 0; row < table.rows(); row += kScoredAtOnce) {
    const std::size_t count = std::min(kScoredAtOnce, table.rows() - row);
    const detect::Batch batch{
        .values = table.values.subspan(row * table.width, count * table.width),
        .width = table.width,
        .learn = false};
    if (auto done = detector.score(batch, {.raw = std::span(scores).subspan(row, count)}); !done) {
      return done.error();
    }
    if (!told(row + count)) return Error{Errc::shutting_down, "cancelled"};
  }
  return scores;
}

/// What the table's training takes of the whole, roughly; the rest is scoring its rows.
constexpr double kTrainingShare = 0.6;

double rows_per_week(std::span<const Time> times) {
  if (times.size() < 2) return 0;
  const auto [first, last] = std::ranges::minmax(times);
  const double weeks = std::chrono::duration<double>(last - first).count() / (7 * 86'400);
  return weeks > 0 ? static_cast<double>(times.size() - 1) / weeks : 0;
}

/// Of scores in ascending order.
float at_share(const std::vector<float>& scores, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(scores.size())));
  return scores[std::clamp<std::size_t>(rank, 1, scores.size()) - 1];
}

}  // namespace

std::span<const double> spread_shares() noexcept { return kShares; }

Calibration spread_of(std::vector<float> scores, bool held_out) {
  std::ranges::sort(scores);
  Calibration spread{.rows = scores.size(), .held_out = held_out, .shares = {}, .scores = {}};
  for (const double share : kShares) {
    if ((1 - share) * static_cast<double>(scores.size()) < 1) break;
    spread.shares.push_back(share);
    spread.scores.push_back(at_share(scores, share));
  }
  spread.shares.push_back(1);
  spread.scores.push_back(scores.back());
  return spread;
}

Result<Trained> train(const TrainRequest& request) {
  const auto& all = request.table;
  if (request.sensors.size() != all.width || !(request.held_out_share >= 0) ||
      request.held_out_share > 0.9 ||
      (!request.times.empty() && request.times.size() != all.rows())) {
    return Error{Errc::bad_config,
                 "a name for each column, a time for each row, and 0 to 0.9 of the rows held out"};
  }
  auto held = static_cast<std::size_t>(static_cast<double>(all.rows()) * request.held_out_share);
  if (held < kHeldOutRowsMin) held = 0;
  const std::size_t rows = all.rows() - held;
  const detect::Table own{.values = all.values.first(rows * all.width), .width = all.width};
  const detect::Table rest{.values = all.values.subspan(rows * all.width), .width = all.width};

  Trained made;
  auto& header = made.header;
  header.kind = request.kind->name;
  header.sensors = request.sensors;
  for (std::size_t c = 0; c < all.width; ++c) measure(own, c, header.sensors[c]);
  header.parameters = request.parameters;
  header.lineage = {.data_sha256 = request.data_sha256,
                    .rows = rows,
                    .span = std::nullopt,
                    .seed = request.seed,
                    .tool = request.tool};
  if (!request.times.empty() && rows > 0) {
    const auto [first, last] = std::ranges::minmax(request.times.first(rows));
    header.lineage.span.emplace(first, last);
  }
  const detect::Settings settings{
      .width = all.width, .seed = request.seed, .parameters = request.parameters};
  const auto tell = [&](double share) { return !request.progress || request.progress(share); };
  const auto payload = request.kind->train(
      own, settings, [&](double share) { return tell(kTrainingShare * share); });
  if (!payload) return payload.error();
  const auto detector = request.kind->make(settings, {.model = *payload});
  if (!detector) return detector.error();
  const auto told = [&](std::size_t before) {
    return [&, before](std::size_t done) {
      const auto share = static_cast<double>(before + done) / static_cast<double>(all.rows());
      return tell(kTrainingShare + (1 - kTrainingShare) * share);
    };
  };
  auto own_scores = score_all(**detector, own, told(0));
  if (!own_scores) return own_scores.error();
  auto& evaluation = made.evaluation;
  evaluation.trained_rows = rows;
  evaluation.held_out_rows = held;
  const auto in_time_order = *own_scores;
  std::ranges::sort(*own_scores);
  const float typical = at_share(*own_scores, kTypical);
  evaluation.trained = spread_of(*std::move(own_scores), false);
  if (held > 0) {
    auto scores = score_all(**detector, rest, told(rows));
    if (!scores) return scores.error();
    const auto above = std::ranges::count_if(*scores, [&](float one) { return one > typical; });
    evaluation.held_out_above = static_cast<double>(above) / static_cast<double>(held);
    evaluation.alarms =
        count_alarms(in_time_order, *scores, rows_per_week(request.times), request.alarms_per_week);
    evaluation.held_out = spread_of(*std::move(scores), true);
  }
  header.calibration = evaluation.held_out.value_or(evaluation.trained);
  auto file = encode(header, *payload);
  if (!file) return file.error();
  made.file = *std::move(file);
  return made;
}

}  // namespace lapwing::model
