// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto_group/auto_group.hpp"

#include "shared/detect/random.hpp"
#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <cmath>

namespace lapwing::detect {
namespace {

constexpr std::uint32_t kVersion = 1;
// Of the logarithm of the score. The dynamics see first what changes between sensors; the shape
// keeps a say for switches and for courses that every step of is ordinary.
constexpr float kShapeShare = 1.0F / 8;
constexpr double kUnitQuantile = 0.99;
constexpr float kShapeUnitMin = 0.05F;
constexpr float kDynamicsUnitMin = 1e-6F;
constexpr float kScoreMax = 1e6F;
constexpr float kLoud = 1.5F;  // score of a row that keeps `adapt` from learning

/// The quantile of values[from..]; reorders `scratch`.
float quantile(std::span<const float> values, std::span<float> scratch) {
  std::ranges::copy(values, scratch.begin());
  const auto at = static_cast<std::ptrdiff_t>(
      std::lround(kUnitQuantile * static_cast<double>(values.size() - 1)));
  const auto end = scratch.begin() + static_cast<std::ptrdiff_t>(values.size());
  std::nth_element(scratch.begin(), scratch.begin() + at, end);
  return scratch[static_cast<std::size_t>(at)];
}

}  // namespace

AutoGroup::State::State(const Settings& settings)
    : history(group::History::rows_for(settings.warmup, settings.width), settings.width),
      channels(settings.width),
      shape(settings.width, history.capacity()),
      dynamics(settings.width, history.capacity()) {}

AutoGroup::AutoGroup(const Settings& settings)
    : settings_(settings),
      warmup_(settings.warmup),
      adapt_(static_cast<std::uint64_t>(parameter(kAutoGroup, settings, "adapt"))),
      state_(settings),
      column_(state_.history.capacity()),
      honest_(state_.history.capacity()),
      honest_dynamics_(state_.history.capacity()) {}

Result<void> AutoGroup::score(const Batch& batch, Scores out) {
  const std::size_t width = settings_.width;
  if (auto fine = check_shapes("auto", width, batch, out); !fine) return fine;
  const std::size_t rows = batch.values.size() / width;
  for (std::size_t i = 0; i < rows; ++i) {
    const float raw = score_row(batch.values.subspan(i * width, width), batch.learn);
    out.raw[i] = raw;
    if (!out.bands.empty()) out.bands[i] = {};
    if (!out.causes.empty()) out.causes[i] = raw > 1 ? Cause::pattern : Cause::none;
    if (!out.contributions.empty()) contribute(out.contributions.subspan(i * width, width));
  }
  return {};
}

float AutoGroup::score_row(std::span<const double> row, bool learn) noexcept {
  if (!warm()) {
    if (!learn) return 0;
    state_.history.push(row);
    if (++state_.rows == warmup_) this->learn();
    return 0;
  }
  state_.history.push(row);
  ++state_.rows;
  state_.channels.push(row, learn);
  state_.shape.push(state_.channels.standard());
  state_.dynamics.push(state_.channels);
  const float raw = joined(strangeness(), state_.dynamics.distance());
  if (!learn || raw > kLoud) state_.loud_at = state_.rows;
  if (adapt_ > 0 && state_.rows - state_.learnt_at >= adapt_ &&
      state_.rows - state_.loud_at >= state_.history.capacity()) {
    this->learn();
  }
  return raw;
}

/// Mean over the sensors, by weight.
float AutoGroup::strangeness() const noexcept {
  float sum = 0;
  float weights = 0;
  const auto strange = state_.shape.strangeness();
  const auto weight = state_.channels.weights();
  for (std::size_t c = 0; c < weight.size(); ++c) {
    sum += weight[c] * strange[c];
    weights += weight[c];
  }
  return weights > 0 ? sum / weights : 0;
}

float AutoGroup::joined(float shape, float dynamics) const noexcept {
  const float p = shape / state_.shape_unit;
  if (!state_.dynamics.any()) return std::min(p, kScoreMax);
  const float v = dynamics / state_.dynamics_unit;
  static_assert(kShapeShare == 1.0F / 8, "three square roots");
  return std::min(std::sqrt(std::sqrt(std::sqrt(p * v) * v) * v), kScoreMax);
}

void AutoGroup::contribute(std::span<float> out) const noexcept {
  std::ranges::fill(out, 0.0F);
  if (!warm()) return;
  const auto strange = state_.shape.strangeness();
  const auto weight = state_.channels.weights();
  float sum = 0;
  for (std::size_t c = 0; c < out.size(); ++c) sum += out[c] = weight[c] * strange[c];
  const float share = state_.dynamics.any() ? kShapeShare : 1;
  for (float& one : out) one = sum > 0 ? share * one / sum : 0;
  state_.dynamics.contribute(1 - kShapeShare, out);
  float total = 0;
  for (const float one : out) total += one;
  for (float& one : out) one = total > 0 ? one / total : 0;
}

void AutoGroup::learn() noexcept {
  const std::size_t rows = state_.history.rows();
  state_.channels.learn(state_.history);
  std::ranges::fill(honest_, 0.0F);
  float weights = 0;
  for (std::size_t c = 0; c < settings_.width; ++c) weights += state_.channels.weight(c);
  for (std::size_t c = 0; c < settings_.width; ++c) {
    const std::span column(column_.data(), rows);
    state_.channels.column(state_.history, c, column);
    const float weight = weights > 0 ? state_.channels.weight(c) / weights : 0;
    state_.shape.learn(c, column, settings_.seed, weight, std::span(honest_).first(rows));
  }
  state_.dynamics.learn(state_.channels, state_.history, std::span(honest_dynamics_).first(rows));
  honest_from_ = std::min(
      std::max(state_.shape.first(), group::Dynamics::kMean + group::Dynamics::kLags), rows / 2);
  const auto from = [this, rows](const std::vector<float>& values) {
    return std::span(values).subspan(honest_from_, rows - honest_from_);
  };
  state_.shape_unit = std::max(kShapeUnitMin, quantile(from(honest_), column_));
  state_.dynamics_unit = std::max(kDynamicsUnitMin, quantile(from(honest_dynamics_), column_));
  for (std::size_t t = 0; t < rows; ++t) honest_[t] = joined(honest_[t], honest_dynamics_[t]);
  state_.learnt_at = state_.rows;
  replay();
}

/// The windows of the new model, filled with the rows it was learnt from.
void AutoGroup::replay() noexcept {
  state_.shape.restart();
  state_.dynamics.restart();
  for (std::size_t t = 0; t < state_.history.rows(); ++t) {
    state_.channels.push(state_.history.row(t), false);
    state_.shape.push(state_.channels.standard());
    state_.dynamics.push(state_.channels);
  }
}

std::span<const float> AutoGroup::warmup_scores() const noexcept {
  if (!warm() || honest_from_ == 0) return {};
  return std::span(honest_).subspan(honest_from_, state_.history.rows() - honest_from_);
}

void AutoGroup::accept_new_normal() noexcept {
  if (warm()) learn();
}

std::size_t AutoGroup::state_bytes() const noexcept {
  return sizeof(*this) + state_.history.bytes() + state_.channels.bytes() + state_.shape.bytes() +
         state_.dynamics.bytes() +
         (column_.size() + honest_.size() + honest_dynamics_.size()) * sizeof(float);
}

std::uint64_t AutoGroup::tag() const noexcept {
  return frame_tag("auto_group", kVersion, mixed(mixed(settings_.width) + mixed(warmup_ + adapt_)));
}

void AutoGroup::snapshot(std::vector<std::byte>& out) const { snapshot_state(out, tag(), state_); }

Result<void> AutoGroup::restore(std::span<const std::byte> bytes) {
  const auto anew = [this](Error why) -> Error {
    state_ = State(settings_);
    return why;
  };
  auto content = open_frame(bytes, tag());
  if (!content) return anew(content.error());
  StateReader reader(*content);
  reader(state_);
  honest_from_ = 0;
  if (!reader.ok() || !reader.rest().empty() || !plausible()) {
    return anew({Errc::corrupt, "auto snapshot holds impossible values"});
  }
  return {};
}

bool AutoGroup::plausible() const noexcept {
  const auto unit = [](float v) { return std::isfinite(v) && v > 0; };
  return unit(state_.shape_unit) && unit(state_.dynamics_unit) && state_.learnt_at <= state_.rows &&
         state_.loud_at <= state_.rows && state_.history.plausible() &&
         (!warm() || state_.history.rows() > 0) && state_.channels.plausible() &&
         state_.shape.plausible() && state_.dynamics.plausible();
}

Result<std::unique_ptr<Detector>> make_auto_group(const Settings& settings, const Context&) {
  if (auto fine = check_settings(kAutoGroup, settings); !fine) return fine.error();
  return std::unique_ptr<Detector>(std::make_unique<AutoGroup>(settings));
}

}  // namespace lapwing::detect
