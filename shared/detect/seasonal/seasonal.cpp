// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/seasonal/seasonal.hpp"

#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lapwing::detect {
namespace {

constexpr std::uint32_t kVersion = 2;
constexpr double kValueMax = 1e150;  // beyond it differences overflow
constexpr double kUnitsMax = 1e5;    // readings further away are cut
constexpr float kSpreadMin = 1e-3F;  // in u: finer steps than this are no information
constexpr float kScoreMax = 1e6F;
constexpr float kSigma = 1.2533F;        // standard deviation over mean absolute value, normal
constexpr float kMeanPace = 1.0F / 24;   // of the recent mean
constexpr float kNoisePace = 1.0F / 16;  // of the recent variance
constexpr float kNoiseFloor = 0.2F;      // spread of the noise's logarithm
constexpr float kClip = 2.5F;            // standard deviations; further errors teach as much
constexpr float kSpreadClip = 4;
constexpr float kCarryClip = 6;
constexpr std::uint32_t kDaysBeforeWeek = 7;
constexpr std::uint32_t kShiftBins = 288 / 24;
constexpr float kShiftPace =
    1.0F / 288;  // a day: an hour alone, as a holiday's first, proves nothing
constexpr float kShiftGain = 0.5F;
constexpr float kShiftMatters = 2;
constexpr std::uint32_t kShiftRest = 288;  // bins
constexpr std::int64_t kHour = 3'600'000'000;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kWeek = 7 * kDay;

float square(float v) { return v * v; }

float place_in(std::int64_t time_us, std::int64_t season_us) {
  std::int64_t in = time_us % season_us;
  if (in < 0) in += season_us;
  return static_cast<float>(static_cast<double>(in) / static_cast<double>(season_us));
}

}  // namespace

Seasonal::Seasonal(const Settings& settings)
    : warmup_(settings.warmup),
      first_(std::min(settings.warmup, kFirst)),
      memory_(static_cast<std::uint32_t>(parameter(kSeasonal, settings, "memory"))),
      season_us_(settings.season ? settings.season->count() : 0) {
  if (season_us_ == kDay || season_us_ == kWeek || season_us_ < 0) season_us_ = 0;
}

Result<void> Seasonal::score(const Batch& batch, Scores out) {
  if (auto fine = check_shapes(kSeasonal.name, 1, batch, out); !fine) return fine;
  State& s = state_;
  for (std::size_t i = 0; i < batch.values.size(); ++i) {
    Row row{.value = batch.values[i], .timed = !batch.times.empty(), .learn = batch.learn};
    if (row.timed) row.time = batch.times[i];
    float raw = 0;
    Cause cause = Cause::none;
    Band band_here;
    if (std::isfinite(row.value)) {
      row.value = std::clamp(row.value, -kValueMax, kValueMax);
      ++s.rows;
      if (s.rows <= first_) {
        s.timed = row.timed;
        s.first_values[s.rows - 1] = row.value;
        s.first_times[s.rows - 1] = row.time;
        if (s.rows == first_) begin();
      } else {
        const double u = std::clamp((row.value - s.centre) / s.scale, -kUnitsMax, kUnitsMax);
        const View view = look(u, row);
        if (warm()) {
          raw = *std::ranges::max_element(view.z);
          cause = cause_of(view);
          if (!out.bands.empty()) band_here = band(view, batch.band_score);
        }
        absorb(view, u, row);
      }
    }
    out.raw[i] = raw;
    if (!out.bands.empty()) out.bands[i] = band_here;
    if (!out.causes.empty()) out.causes[i] = cause;
  }
  return {};
}

/// The unit from the first rows, which are then learnt from.
void Seasonal::begin() noexcept {
  State& s = state_;
  std::array<double, kFirst> sorted = s.first_values;
  std::sort(sorted.begin(), sorted.begin() + first_);
  s.centre = sorted[first_ / 2];
  double sum = 0;
  for (std::uint32_t i = 0; i < first_; ++i) sum += std::abs(sorted[i] - s.centre);
  s.scale = sum / first_;
  const double least = 1e-9 * std::abs(s.centre);
  if (s.scale <= least) s.scale = s.centre != 0 ? 1e-3 * std::abs(s.centre) : 1e-6;
  s.scale = std::max(s.scale, std::numeric_limits<double>::min());
  for (std::uint32_t i = 0; i < first_; ++i) {
    const Row row{.value = s.first_values[i], .time = s.first_times[i], .timed = s.timed};
    const double u = std::clamp((row.value - s.centre) / s.scale, -kUnitsMax, kUnitsMax);
    absorb(look(u, row), u, row);
  }
}

Seasonal::Places Seasonal::places(Time time) const noexcept {
  const std::int64_t clock = to_micros(time) - state_.hours * kHour;
  return {.day = place_in(clock, kDay),
          .week = place_in(clock, kWeek),
          .named = season_us_ == 0 ? 0 : place_in(to_micros(time), season_us_)};
}

/// Usual intervals since the last row.
double Seasonal::elapsed(const Row& row) const noexcept {
  const State& s = state_;
  if (!row.timed || s.intervals < 2 || s.interval <= 0) return 1;
  const auto since = static_cast<double>((row.time - s.last_time).count());
  return std::clamp(since / static_cast<double>(s.interval), 0.0, static_cast<double>(memory_));
}

float Seasonal::autocorrelation() const noexcept {
  const State& s = state_;
  return s.power > 0 ? std::clamp(s.product / s.power, 0.0F, 0.999F) : 0;
}

float Seasonal::pace() const noexcept {
  return 1.0F / static_cast<float>(std::clamp(state_.learnt, 1U, memory_));
}

Seasonal::View Seasonal::look(double u, const Row& row) const noexcept {
  const State& s = state_;
  View v;
  if (row.timed) {
    const Places at = places(row.time);
    v.day = s.day.at(at.day);
    v.week = s.week.at(at.week);
    if (season_us_ != 0) v.named = s.named.at(at.named);
  }
  v.ratio = std::max({v.day.ratio, v.week.ratio, v.named.ratio});
  const double steps = elapsed(row);
  const float phi = autocorrelation();
  v.carry = steps < 1.5 ? phi : std::pow(phi, static_cast<float>(steps));
  v.expected =
      s.level + s.slope * steps + static_cast<double>(v.day.usual + v.week.usual + v.named.usual);
  v.prediction = v.expected + static_cast<double>(v.carry * s.last_deviation);
  v.error = static_cast<float>(u - v.prediction) / v.ratio;
  v.deviation = static_cast<float>(u - v.expected) / v.ratio;
  // A wandering stream has shown only a part of its range so far: be as unsure as that.
  v.wander = std::sqrt(1 + 4 / (1 - std::min(phi, 0.995F)) /
                               static_cast<float>(std::clamp(s.learnt, 16U, memory_)));
  const auto spread = [&s](Statistic which, float least) {
    return kSigma * std::max(s.spreads[which], least);
  };
  const float mean_limit = 12 * spread(kDeviation, kSpreadMin);
  v.mean = s.recent_mean +
           kMeanPace * (std::clamp(v.deviation, -mean_limit, mean_limit) - s.recent_mean);
  // An unruly hour that for once is as calm as the others is not calmer than usual.
  const float sigma = spread(kError, kSpreadMin);
  const float error = std::abs(v.error);
  const float noise =
      std::min(std::max(error, std::min(error * v.ratio, sigma)), kCarryClip * sigma);
  v.variance = s.recent_variance + kNoisePace * (square(noise) - s.recent_variance);
  constexpr float kTiny = kSpreadMin * kSpreadMin;
  v.noise = std::log((v.variance + kTiny) / (s.usual_variance + kTiny));
  v.z[kError] = std::abs(v.error) / spread(kError, kSpreadMin);
  v.z[kDeviation] = std::abs(v.deviation) / spread(kDeviation, kSpreadMin) / v.wander;
  v.z[kMean] = std::abs(v.mean) / spread(kMean, kSpreadMin) / v.wander;
  v.z[kNoise] = std::abs(v.noise) / spread(kNoise, kNoiseFloor);
  for (float& z : v.z) z = std::min(z, kScoreMax);
  return v;
}

void Seasonal::absorb(const View& view, double u, const Row& row) noexcept {
  State& s = state_;
  const double steps = elapsed(row);
  const float sigma = kSigma * std::max(s.spreads[kDeviation], kSpreadMin);
  const auto clip = [](float value, float limit) { return std::clamp(value, -limit, limit); };
  if (row.timed) learn_seasons(view, u, row);
  s.level += s.slope * steps;
  s.recent_mean = view.mean;
  s.recent_off += static_cast<double>(kMeanPace) * (u - view.expected - s.recent_off);
  s.recent_variance = view.variance;
  if (row.learn) {
    if (s.learnt < memory_) ++s.learnt;
    const float rate = pace();
    const float step = clip(view.deviation, kClip * sigma);
    s.level += static_cast<double>(rate * step);
    // A trend is believed once the level has its full memory: critically damped, so that both
    // settle without swinging.
    if (s.learnt == memory_) s.slope += static_cast<double>(0.25F * rate * rate * step);
    const float now = clip(view.deviation * view.ratio, kCarryClip * sigma);
    if (steps < 1.5) {
      s.product += rate * (now * s.last_deviation - s.product);
      s.power += rate * (square(s.last_deviation) - s.power);
    }
    const std::array<float, kStatistics> values = {view.error, view.deviation, view.mean,
                                                   view.noise};
    for (std::size_t i = 0; i < kStatistics; ++i) {
      float& spread = s.spreads[i];
      const float seen = std::min(std::abs(values[i]), kSpreadClip * spread + kSpreadMin);
      spread += rate * (seen - spread);
    }
    s.usual_variance += rate * (view.variance - s.usual_variance);
  }
  // One spike must not spoil the next prediction.
  s.last_deviation = clip(view.deviation, kCarryClip * sigma) * view.ratio;
  s.seen_low += (u < s.seen_low ? 1.0 : 1e-4) * (u - s.seen_low);
  s.seen_high += (u > s.seen_high ? 1.0 : 1e-4) * (u - s.seen_high);
  if (!row.timed) return;
  if (s.timed && s.last_time < row.time && s.last_time != Time{}) {
    const auto since = static_cast<float>((row.time - s.last_time).count());
    if (s.intervals < 64) ++s.intervals;
    const float seen = s.intervals < 4 ? since : std::min(since, 3 * s.interval);
    s.interval += (seen - s.interval) / static_cast<float>(s.intervals);
  }
  s.last_time = row.time;
  s.timed = true;
}

/// Backfitting: each season learns what the level and the means of the others leave, believed or
/// not. The week begins when the day has been seen on every day of one: only then is what is common
/// to all days known, and both do not learn the same.
void Seasonal::learn_seasons(const View& view, double u, const Row& row) noexcept {
  State& s = state_;
  if (row.learn) {
    s.unlearnt = false;
  } else if (!s.unlearnt) {
    s.unlearnt = true;
    s.unlearnt_since = row.time;
  }
  const std::int64_t unlearnt = s.unlearnt ? (row.time - s.unlearnt_since).count() : 0;
  const Places at = places(row.time);
  const SeasonView& day = view.day;
  const SeasonView& week = view.week;
  const SeasonView& named = view.named;
  const float doubted = day.mean - day.usual + week.mean - week.usual + named.mean - named.usual;
  const float rest = static_cast<float>(u - view.expected) - doubted;
  const float scale = kSigma * std::max(s.spreads[kError], kSpreadMin);
  if (unlearnt <= kDay / 4 && s.day.learn(at.day, rest + day.mean, scale)) follow_clock();
  if (unlearnt <= kWeek / 4 && day.passes >= kDaysBeforeWeek) {
    s.week.learn(at.week, rest + week.mean, scale);
  }
  if (season_us_ != 0 && unlearnt <= season_us_ / 4) {
    s.named.learn(at.named, rest + named.mean, scale);
  }
}

/// Takes the day's pattern to be an hour earlier or later once that explains it far better.
void Seasonal::follow_clock() noexcept {
  State& s = state_;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto bins = (1 - static_cast<std::ptrdiff_t>(i)) * std::ptrdiff_t{kShiftBins};
    s.shift_errors[i] += kShiftPace * (s.day.error_if_shifted(bins) - s.shift_errors[i]);
  }
  if (s.shift_rest > 0) {
    --s.shift_rest;
    return;
  }
  const float now = s.shift_errors[1];
  for (const std::size_t i : {0UL, 2UL}) {
    if (now < kShiftMatters || s.shift_errors[i] > kShiftGain * now) continue;
    s.hours = (s.hours + (i == 0 ? -1 : 1)) % 24;
    s.shift_errors.fill(s.shift_errors[i]);
    s.shift_rest = kShiftRest;
    return;
  }
}

void Seasonal::accept_new_normal() noexcept {
  State& s = state_;
  if (s.rows < first_) return;
  if (std::abs(s.level + s.recent_off) > kUnitsMax / 20) {
    s = State{};  // the unit itself is wrong by orders of magnitude
    return;
  }
  s.level += s.recent_off;
  s.recent_off = 0;
  s.recent_mean = 0;
  s.last_deviation = 0;
  s.usual_variance = s.recent_variance;
  s.spreads[kError] = std::max(s.spreads[kError], std::sqrt(s.recent_variance) / kSigma);
  s.learnt = std::min(s.learnt, 50U);
}

Cause Seasonal::cause_of(const View& view) noexcept {
  const auto largest = std::ranges::max_element(view.z);
  if (*largest < 2) return Cause::none;
  switch (static_cast<Statistic>(largest - view.z.begin())) {
    case kError:
      return Cause::jump;
    case kDeviation:
      return view.deviation > 0 ? Cause::high : Cause::low;
    case kMean:
      return Cause::drift;
    case kNoise:
      return view.noise > 0 ? Cause::noisier : Cause::calmer;
    case kStatistics:
      break;
  }
  return Cause::none;
}

/// Where a value keeps both its error and its deviation below the score.
Band Seasonal::band(const View& view, float band_score) const noexcept {
  const State& s = state_;
  const auto reach = [&](Statistic which) {
    return static_cast<double>(band_score * view.ratio * kSigma *
                               std::max(s.spreads[which], kSpreadMin));
  };
  const double far = reach(kDeviation) * static_cast<double>(view.wander);
  double lower = view.expected - far;
  double upper = view.expected + far;
  const double near = reach(kError);
  if (view.prediction - near < upper && view.prediction + near > lower) {
    lower = std::max(lower, view.prediction - near);
    upper = std::min(upper, view.prediction + near);
  }
  // A very strict budget asks for a reach of astronomic size: nobody is helped by more than the
  // range seen twice.
  const double range = 2 * (s.seen_high - s.seen_low) + 1;
  lower = std::max(lower, std::min(s.seen_low, view.expected) - range);
  upper = std::min(upper, std::max(s.seen_high, view.expected) + range);
  const double expected =
      std::clamp(view.prediction, std::min(lower, upper), std::max(lower, upper));
  return {.expected = s.centre + s.scale * expected,
          .lower = s.centre + s.scale * lower,
          .upper = s.centre + s.scale * upper};
}

std::uint64_t Seasonal::tag() const noexcept {
  return frame_tag(
      kSeasonal.name, kVersion,
      frame_tag("shape", warmup_, memory_ ^ (static_cast<std::uint64_t>(season_us_) << 20)));
}

void Seasonal::snapshot(std::vector<std::byte>& out) const { snapshot_state(out, tag(), state_); }

Result<void> Seasonal::restore(std::span<const std::byte> bytes) {
  state_ = State{};
  const auto taken = restore_state<State>(bytes, tag());
  if (!taken) return taken.error();
  const State& state = *taken;
  const auto finite = [](auto v) { return std::isfinite(v); };
  const bool sound =
      state.day.plausible() && state.week.plausible() && state.named.plausible() &&
      std::ranges::all_of(state.spreads, finite) && finite(state.centre) && finite(state.scale) &&
      state.scale > 0 && finite(state.level) && finite(state.slope) &&
      finite(state.last_deviation) && finite(state.recent_off) && finite(state.recent_mean) &&
      state.recent_variance >= 0 && state.usual_variance >= 0 && state.interval >= 0 &&
      state.intervals <= 64 && state.learnt <= memory_ && std::abs(state.hours) < 24;
  if (!sound) return Error{Errc::corrupt, "seasonal snapshot holds impossible values"};
  state_ = state;
  return {};
}

Result<std::unique_ptr<Detector>> make_seasonal(const Settings& settings, const Context&) {
  if (auto fine = check_settings(kSeasonal, settings); !fine) return fine.error();
  return std::unique_ptr<Detector>(std::make_unique<Seasonal>(settings));
}

}  // namespace lapwing::detect
