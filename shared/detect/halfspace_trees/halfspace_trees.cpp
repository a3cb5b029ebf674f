// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/halfspace_trees/halfspace_trees.hpp"

#include "shared/detect/snapshot.hpp"
#include "shared/detect/trees/share.hpp"

#include <algorithm>
#include <cmath>

namespace lapwing::detect {

using halfspace_trees::Embedding;
using halfspace_trees::Shape;
using trees::kBlockRows;

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr double kValueMax = 1e150;  // sums of such values are still finite
constexpr float kUsualShare = 0.02F;
constexpr float kUsualPace = 0.05F;
constexpr float kStrange = 1;               // below usual, powers of 2: half as dense
constexpr float kStrangeShare = 1.0F / 16;  // or a fault of a day would be normal the next
constexpr float kNearlyFarthest = 0.8F;

float raw_of(float log_density) { return std::exp2(-log_density); }

}  // namespace

HalfspaceTrees::HalfspaceTrees(const Settings& settings, const Shape& shape, bool stream)
    : shape_(shape),
      warmup_(settings.warmup),
      stream_(stream),
      state_(shape),
      stride_(trees::row_stride(shape.width)),
      scaled_(kBlockRows * stride_),
      places_(kBlockRows * trees::tree_stride(shape.trees)),
      features_(shape.width),
      scratch_(shape.window) {}

Result<void> HalfspaceTrees::score(const Batch& batch, Scores out) {
  const std::size_t width = stream_ ? 1 : shape_.width;
  if (auto fine = check_shapes("halfspace_trees", width, batch, out); !fine) return fine;
  for (std::size_t first = 0; first < out.raw.size();) {
    const Block block = gather(batch, first);
    score_block(batch, block, out);
    first += block.count;
  }
  return {};
}

bool HalfspaceTrees::take(std::span<const double> row, std::span<double> features) noexcept {
  if (!stream_) {
    bool any = false;
    for (std::size_t i = 0; i < row.size(); ++i) {
      features[i] = row[i];
      any = any || !std::isnan(row[i]);
    }
    return any;
  }
  if (!std::isfinite(row[0])) return false;
  state_.embedding.push(std::clamp(row[0], -kValueMax, kValueMax));
  state_.embedding.features(features);
  return true;
}

/// Takes rows up to a full block, or to one after which what is known changes.
HalfspaceTrees::Block HalfspaceTrees::gather(const Batch& batch, std::size_t first) noexcept {
  const std::size_t width = batch.width;
  const std::size_t end = std::min(first + kBlockRows, batch.values.size() / width);
  Block block{.first = first, .count = 0, .rows_before = state_.rows};
  std::uint32_t due = shape_.window - state_.learnt;
  bool ends = false;
  while (!ends && first + block.count < end) {
    const std::size_t i = block.count++;
    missing_[i] = !take(batch.values.subspan((first + i) * width, width), features_);
    if (missing_[i]) {
      std::ranges::fill(features_, std::nan(""));
    } else {
      ++state_.rows;
      if (!stream_ || state_.embedding.full()) {
        std::ranges::copy(features_,
                          &state_.recent[state_.recent_rows++ % shape_.window * shape_.width]);
      }
      if (state_.begun) {
        ends = batch.learn && --due == 0;
      } else {
        ends = recent_count() == shape_.window || state_.rows == warmup_;
      }
    }
    state_.scaler.scale(features_, &scaled_[i * stride_]);
  }
  return block;
}

void HalfspaceTrees::score_block(const Batch& batch, const Block& block,
                                 const Scores& out) noexcept {
  const bool begun = state_.begun;
  if (begun) {
    trees::walk_rows(state_.mass.view(), scaled_.data(), stride_, block.count, sums_.data(),
                     places_.data());
  }
  const Band usual = out.bands.empty() || !stream_ ? Band{} : band(batch.band_score);
  std::uint64_t rows = block.rows_before;
  for (std::size_t i = 0; i < block.count; ++i) {
    const std::size_t at = block.first + i;
    const bool scored = begun && !missing_[i] && rows >= warmup_;
    const float log_density = begun ? state_.mass.log_density(sums_[i]) : 0;
    const float raw = scored ? raw_of(log_density) : 0;
    const std::span scaled(&scaled_[i * stride_], shape_.width);
    out.raw[at] = raw;
    if (!out.bands.empty()) out.bands[at] = scored ? usual : Band{};
    if (!out.causes.empty()) {
      out.causes[at] = scored && strange(log_density) ? cause(scaled) : Cause::none;
    }
    if (!out.contributions.empty()) {
      const auto shares = out.contributions.subspan(at * batch.width, batch.width);
      if (scored) {
        trees::share_out(state_.mass.view(), scaled, shares);
      } else {
        std::ranges::fill(shares, 0.0F);
      }
    }
    shares_[i] = begun && batch.learn && !missing_[i] ? learn(log_density) : 0;
    if (!missing_[i]) ++rows;
  }
  if (begun && batch.learn)
    state_.mass.count(places_.data(), std::span(shares_).first(block.count));
  if (!begun && (recent_count() == shape_.window || state_.rows == warmup_)) begin();
  if (begun && state_.learnt == shape_.window) {
    state_.mass.renew();
    renewed();
  }
}

float HalfspaceTrees::learn(float log_density) noexcept {
  const float share = strange(log_density) ? kStrangeShare : 1;
  ++state_.learnt;
  // The usual stochastic quantile: down by 1 - q, up by q, balanced at the quantile.
  state_.usual +=
      log_density < state_.usual ? kUsualPace * (kUsualShare - 1) : kUsualPace * kUsualShare;
  return share;
}

std::size_t HalfspaceTrees::recent_count() const noexcept {
  return static_cast<std::size_t>(std::min<std::uint64_t>(state_.recent_rows, shape_.window));
}

/// Unit and reference mass from the recent rows.
void HalfspaceTrees::begin() noexcept {
  const std::size_t count = recent_count();
  const std::span<const double> recent = std::span(state_.recent).first(count * shape_.width);
  state_.scaler.learn(recent, scratch_);
  state_.mass.clear();
  // Twice: the first pass gives the mass, the second how usual each of the rows is by it.
  for (const bool second : {false, true}) {
    for (std::size_t first = 0; first < count; first += kBlockRows) {
      const std::size_t rows = std::min(kBlockRows, count - first);
      for (std::size_t i = 0; i < rows; ++i) {
        state_.scaler.scale(recent.subspan((first + i) * shape_.width, shape_.width),
                            &scaled_[i * stride_]);
      }
      trees::walk_rows(state_.mass.view(), scaled_.data(), stride_, rows, sums_.data(),
                       places_.data());
      if (!second) {
        shares_.fill(1);
        state_.mass.count(places_.data(), std::span(shares_).first(rows));
        continue;
      }
      for (std::size_t i = 0; i < rows; ++i) {
        scratch_[first + i] = static_cast<double>(state_.mass.log_density(sums_[i]));
      }
    }
    if (!second) state_.mass.renew();
  }
  const auto densities = std::span(scratch_).first(count);
  std::ranges::sort(densities);
  state_.usual =
      count == 0
          ? 0.0F
          : static_cast<float>(
                densities[static_cast<std::size_t>(kUsualShare * static_cast<float>(count))]);
  state_.begun = true;
  renewed();
}

/// What follows from a new reference.
void HalfspaceTrees::renewed() noexcept {
  state_.learnt = 0;
  if (!stream_) return;
  for (std::size_t i = 0; i < kGrid; ++i) {
    for (std::size_t k = 0; k < features_.size(); ++k) {
      features_[k] = state_.scaler.value_at(k, 0);
    }
    const double u = (2 * static_cast<double>(i) + 1) / kGrid - 1;
    Embedding::follow(state_.scaler.value_at(Embedding::kValue, u), features_);
    state_.scaler.scale(features_, &scaled_[i * stride_]);
  }
  trees::walk_rows(state_.mass.view(), scaled_.data(), stride_, kGrid, sums_.data(), nullptr);
  for (std::size_t i = 0; i < kGrid; ++i) grid_[i] = raw_of(state_.mass.log_density(sums_[i]));
}

/// From the outermost places on both sides where a value that comes after usual ones would not
/// score more; expected is the densest place between them.
Band HalfspaceTrees::band(float band_score) const noexcept {
  const auto densest = static_cast<std::size_t>(std::ranges::min_element(grid_) - grid_.begin());
  std::size_t first = 0;
  std::size_t last = kGrid - 1;
  while (first < densest && grid_[first] > band_score) ++first;
  while (last > densest && grid_[last] > band_score) --last;
  const auto value = [this](std::size_t edge) {
    const double u = 2 * static_cast<double>(edge) / kGrid - 1;
    const double inside = 1 - 1.0 / kGrid;  // the ends lie infinitely far
    return state_.scaler.value_at(Embedding::kValue, std::clamp(u, -inside, inside));
  };
  const double lower = value(first);
  const double upper = value(last + 1);
  const double expected = (value(densest) + value(densest + 1)) / 2;
  return {.expected = std::clamp(expected, lower, upper), .lower = lower, .upper = upper};
}

bool HalfspaceTrees::strange(float log_density) const noexcept {
  return log_density < state_.usual - kStrange;
}

/// The first feature that is about as far from its median as any: the value before its means, which
/// vary less and so seem farther. Of a group, the side of the farthest sensor.
Cause HalfspaceTrees::cause(std::span<const float> scaled) const noexcept {
  const auto distance = [](float u) { return std::abs(u); };
  const auto farthest = std::ranges::max_element(scaled, {}, distance);
  if (!stream_) return Embedding::cause(Embedding::kValue, *farthest > 0);
  const auto first = std::ranges::find_if(
      scaled, [&](float u) { return distance(u) >= kNearlyFarthest * distance(*farthest); });
  return Embedding::cause(static_cast<std::size_t>(first - scaled.begin()), *first > 0);
}

void HalfspaceTrees::accept_new_normal() noexcept {
  if (state_.begun) begin();
}

std::size_t HalfspaceTrees::state_bytes() const noexcept {
  return sizeof(*this) + state_.scaler.bytes() + state_.mass.bytes() +
         (state_.recent.capacity() + features_.capacity() + scratch_.capacity()) * sizeof(double) +
         scaled_.capacity() * sizeof(float) + places_.capacity() * sizeof(std::uint32_t);
}

std::uint64_t HalfspaceTrees::tag() const noexcept {
  std::uint64_t shape = shape_.seed;
  for (const std::uint64_t part :
       {std::uint64_t{warmup_}, std::uint64_t{shape_.width}, std::uint64_t{shape_.trees},
        std::uint64_t{shape_.depth}, std::uint64_t{shape_.window},
        std::uint64_t{stream_ ? 1U : 0U}}) {
    shape = frame_tag("shape", static_cast<std::uint32_t>(part), shape);
  }
  return frame_tag("halfspace_trees", kVersion, shape);
}

void HalfspaceTrees::snapshot(std::vector<std::byte>& out) const {
  snapshot_state(out, tag(), state_);
}

Result<void> HalfspaceTrees::restore(std::span<const std::byte> bytes) {
  reset();
  const auto content = open_frame(bytes, tag());
  if (!content) return content.error();
  StateReader reader(*content);
  reader(state_);
  if (!reader.ok() || !reader.rest().empty() || !sound()) {
    reset();
    return Error{Errc::corrupt, "halfspace_trees snapshot holds impossible values"};
  }
  const std::uint32_t learnt = state_.learnt;
  state_.mass.refresh();
  if (state_.begun) renewed();
  state_.learnt = learnt;
  return {};
}

void HalfspaceTrees::reset() noexcept {
  state_.scaler = halfspace_trees::Scaler(shape_.width);
  state_.mass.clear();
  state_.embedding = {};
  std::ranges::fill(state_.recent, 0.0);
  state_.recent_rows = state_.rows = 0;
  state_.learnt = 0;
  state_.usual = 0;
  state_.begun = false;
}

bool HalfspaceTrees::sound() const noexcept {
  return state_.scaler.sound() && state_.mass.sound() && state_.embedding.sound() &&
         state_.learnt < shape_.window && std::isfinite(state_.usual);
}

namespace {

Result<std::unique_ptr<Detector>> make(const Kind& kind, const Settings& settings) {
  if (auto fine = check_settings(kind, settings); !fine) return fine.error();
  const auto whole = [&](std::string_view name) {
    return static_cast<std::uint32_t>(parameter(kind, settings, name));
  };
  const bool stream = kind.input == Input::stream;
  const std::size_t width = stream ? Embedding::kFeatures : settings.width;
  const Shape shape{.width = static_cast<std::uint32_t>(width),
                    .trees = whole("trees"),
                    .depth = whole("depth"),
                    .window = whole("window"),
                    .seed = settings.seed};
  return std::unique_ptr<Detector>(std::make_unique<HalfspaceTrees>(settings, shape, stream));
}

}  // namespace

Result<std::unique_ptr<Detector>> make_halfspace_trees_stream(const Settings& settings,
                                                              const Context&) {
  return make(kHalfspaceTreesStream, settings);
}

Result<std::unique_ptr<Detector>> make_halfspace_trees_group(const Settings& settings,
                                                             const Context&) {
  return make(kHalfspaceTreesGroup, settings);
}

}  // namespace lapwing::detect
