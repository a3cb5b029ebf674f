// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/auto.hpp"

#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace lapwing::detect {
namespace {

constexpr std::uint32_t kVersion = 1;
enum Statistic : std::size_t { kError, kLevel, kMean, kNoise, kPeriod };

constexpr double kValueMax = 1e150;       // beyond it differences overflow
constexpr double kUnitsMax = 1e5;         // readings further away are cut
constexpr float kSpreadMin = 1e-3F;       // in u: finer steps than this are no information
constexpr std::uint32_t kSlowest = 2000;  // rows of memory of everything learnt
constexpr float kShortMean = 1.0F / 12;
constexpr float kShortVariance = 1.0F / 16;
constexpr float kCleanBeyond = 6;           // mean errors; further ones do not enter the history
constexpr float kStrange = 4;               // raw score from which a reading teaches little,
constexpr float kStrangeShare = 1.0F / 16;  // or a slow fault would be learnt before it is found
constexpr std::uint32_t kCutRunMax = 4;
constexpr double kOriginMax = 4096;
constexpr std::uint32_t kPeriodMin = 4;
constexpr std::uint32_t kPeriodRowsMin = 64;
constexpr std::int64_t kDay = 86'400'000'000;

float square(float v) { return v * v; }

float pace(std::uint32_t learnt) {
  return 1.0F / static_cast<float>(std::clamp(learnt, 1U, kSlowest));
}

/// Spread of sorted values that a few outliers do not move; 0 only for a constant.
double robust_spread(std::span<const double> sorted, double centre) {
  const auto at = [&](double q) {
    return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
  };
  const double inner = (at(0.75) - at(0.25)) / 1.349;
  const double outer = (at(0.95) - at(0.05)) / 3.29;
  if (inner > 0 || outer > 0) return std::max(inner, outer);
  const double whole = (sorted.back() - sorted.front()) / 8;
  return whole > 0 ? whole : 1e-3 * (centre != 0 ? std::abs(centre) : 1e-3);
}

}  // namespace

Auto::Auto(const Settings& settings)
    : warmup_(settings.warmup),
      start_(std::min<std::uint32_t>(settings.warmup, kRing)),
      season_us_(settings.season ? std::max<std::int64_t>(1, settings.season->count()) : kDay) {}

Result<void> Auto::score(const Batch& batch, Scores out) {
  const std::size_t rows = batch.values.size();
  if (auto fine = check_shapes("auto", 1, batch, out); !fine) return fine;
  for (std::size_t i = 0; i < rows; ++i) {
    const Time* time = batch.times.empty() ? nullptr : &batch.times[i];
    const One one = step(batch.values[i], time, batch.learn, batch.band_score);
    out.raw[i] = one.raw;
    if (!out.bands.empty()) out.bands[i] = one.band;
    if (!out.causes.empty()) out.causes[i] = one.cause;
  }
  return {};
}

Auto::One Auto::step(double value, const Time* time, bool learn, float band_score) noexcept {
  State& s = state_;
  if (!std::isfinite(value)) {
    if (s.rows >= start_) s.predictor.shift(s.predictor.predict());
    ++s.missing;
    return {};
  }
  value = std::clamp(value, -kValueMax, kValueMax);
  ++s.rows;
  if (s.rows <= start_) {
    s.ring[s.rows - 1] = value;
    if (s.rows == start_) begin();
    return {};
  }
  const double u = std::clamp((value - s.centre) / s.scale, -kUnitsMax, kUnitsMax);
  if (s.missing >= 3) {  // what was before the hole says little about the next value
    s.predictor.fill(u);
    s.settle = Predictor::kLags;
  }
  s.missing = 0;
  const float place = time != nullptr ? place_in_season(*time) : 0;
  const float usual = time != nullptr ? s.profile.at(place) : 0;
  const View view = look(u, usual);
  One one;
  if (warm()) {
    one.raw = view.raw;
    one.cause = cause_of(view);
    one.band = band(view, usual, band_score);
  }
  if (time != nullptr && learn) {
    const float limit = 4 * s.spreads[kLevel].value();
    const auto deviation = static_cast<float>(u - s.level);
    s.profile.learn(place, std::clamp(deviation, usual - limit, usual + limit));
  }
  absorb(view, u, learn, true);
  if (learn && s.rows >= s.next_search) search_again();
  return one;
}

/// Unit, centre and period from the buffered rows; then learns from them, twice: the second time
/// each statistic also learns its tail.
void Auto::begin() noexcept {
  State& s = state_;
  std::array<double, kRing> first = s.ring;
  std::array<double, kRing> sorted = first;
  const std::span values = std::span(first).first(start_);
  std::sort(sorted.begin(), sorted.begin() + start_);
  s.centre = sorted[start_ / 2];
  s.scale = robust_spread(std::span<const double>(sorted).first(start_), s.centre);
  for (double& v : values) v = std::clamp((v - s.centre) / s.scale, -kUnitsMax, kUnitsMax);
  find_period(values);
  s.next_search = start_ < kRing ? kRing : 2 * static_cast<std::uint32_t>(kRing);
  for (const bool second : {false, true}) {
    s.predictor.fill(values.front());
    s.seen_low = s.seen_high = values.front();
    s.ring_next = 0;
    s.short_mean = 0;
    for (const double u : values) absorb(look(u, 0), u, true, second);
    s.persistence = static_cast<float>(s.predictor.persistence());
  }
}

Auto::View Auto::look(double u, float usual) const noexcept {
  const State& s = state_;
  View v;
  v.prediction = s.predictor.predict();
  v.error = static_cast<float>(u - v.prediction);
  v.deviation = static_cast<float>(u - s.level) - usual;
  // A wandering stream has shown only a part of its range so far: be as unsure as that.
  const float persistence = std::clamp(s.persistence, 0.0F, 0.9995F);
  const auto learnt = static_cast<float>(std::clamp(s.learnt, 16U, kSlowest));
  v.wander = std::sqrt(1 + 4 / (1 - persistence) / learnt);
  const auto over = [&s](Statistic which, float value) {
    return value / std::max(s.spreads[which].value(), kSpreadMin);
  };
  const float limit = kCleanBeyond * std::max(s.spreads[kError].value(), kSpreadMin);
  const float variance =
      s.short_variance +
      kShortVariance * (std::min(square(v.error), square(limit)) - s.short_variance);
  constexpr float kTiny = kSpreadMin * kSpreadMin;
  v.noise_ratio = std::log((variance + kTiny) / (s.long_variance + kTiny));
  const float mean_limit = 12 * std::max(s.spreads[kLevel].value(), kSpreadMin);
  const float mean =
      s.short_mean + kShortMean * (std::clamp(v.deviation, -mean_limit, mean_limit) - s.short_mean);
  std::array<float, kStatistics> z{};
  if (s.settle == 0) {
    z[kError] = over(kError, std::abs(v.error));
    z[kNoise] = std::abs(v.noise_ratio) / std::max(s.spreads[kNoise].value(), 0.05F);
  }
  z[kLevel] = over(kLevel, std::abs(v.deviation)) / v.wander;
  z[kMean] = over(kMean, std::abs(mean)) / v.wander;
  if (s.period != 0 && s.ring_next > s.period + 2) {
    const float now = distance_one_period_ago(u);
    z[kPeriod] = over(kPeriod, s.period_distance + (now - s.period_distance) / 4);
  }
  float sum = 0;
  for (std::size_t i = 0; i < kStatistics; ++i) {
    v.log_z[i] = TailScale::log_of(z[i]);
    v.score[i] = s.tails[i].score(v.log_z[i]);
    if (i == kPeriod && s.period_rows < kPeriodRowsMin) v.score[i] = 0;
    sum += square(v.score[i]);
  }
  v.raw = std::sqrt(sum);
  return v;
}

void Auto::absorb(const View& view, double u, bool learn, bool learn_tails) noexcept {
  State& s = state_;
  const float limit = kCleanBeyond * std::max(s.spreads[kError].value(), kSpreadMin);
  const float error = s.learnt < 16 ? view.error : std::clamp(view.error, -limit, limit);
  // One spike must not spoil the next predictions; what stays away is where the stream now is.
  s.cut_run = error != view.error ? s.cut_run + 1 : 0;
  const double cleaned = s.cut_run > kCutRunMax ? u : view.prediction + static_cast<double>(error);
  const float mean_limit = 12 * std::max(s.spreads[kLevel].value(), kSpreadMin);
  s.short_mean += kShortMean * (std::clamp(view.deviation, -mean_limit, mean_limit) - s.short_mean);
  s.short_variance +=
      kShortVariance * (std::min(square(view.error), square(limit)) - s.short_variance);
  const bool periodic = s.period != 0 && s.ring_next > s.period + 2;
  if (periodic) s.period_distance += (distance_one_period_ago(u) - s.period_distance) / 4;
  if (learn) {
    if (s.learnt < kSlowest) ++s.learnt;
    const float share = learn_tails && view.raw > kStrange ? kStrangeShare : 1.0F;
    const float rate = share * pace(s.learnt);
    if (s.settle == 0) {
      s.predictor.learn(static_cast<double>(share * error));
      s.persistence += rate * (static_cast<float>(s.predictor.persistence()) - s.persistence);
      s.spreads[kError].learn(std::abs(view.error), rate);
      s.long_variance += rate * (std::min(square(view.error), square(limit)) - s.long_variance);
      s.spreads[kNoise].learn(std::abs(view.noise_ratio), rate);
    }
    const float level_limit = 3 * std::max(s.spreads[kLevel].value(), kSpreadMin);
    s.level += rate * std::clamp(view.deviation, -level_limit, level_limit);
    s.spreads[kLevel].learn(std::abs(view.deviation), rate);
    s.spreads[kMean].learn(std::abs(s.short_mean), rate);
    if (periodic) {
      if (s.period_rows < kSlowest) ++s.period_rows;
      s.spreads[kPeriod].learn(s.period_distance, share * pace(s.period_rows));
    }
    if (learn_tails) {
      for (std::size_t i = 0; i < kStatistics; ++i) {
        const bool counts = (i != kPeriod || (periodic && s.period_rows > 16)) && s.settle == 0;
        if (counts) s.tails[i].learn(view.log_z[i], share);
      }
    }
  }
  if (s.settle > 0) --s.settle;
  s.predictor.shift(cleaned);
  s.ring[s.ring_next++ % kRing] = cleaned;
  s.seen_low += (cleaned < s.seen_low ? 1.0 : 1e-4) * (cleaned - s.seen_low);
  s.seen_high += (cleaned > s.seen_high ? 1.0 : 1e-4) * (cleaned - s.seen_high);
  if (std::abs(s.level) > kOriginMax) move_origin();
}

float Auto::distance_one_period_ago(double u) const noexcept {
  double nearest = 2 * kUnitsMax;
  for (std::uint64_t d = 0; d < 5; ++d) {
    const std::uint64_t at = state_.ring_next - state_.period + d - 2;
    nearest = std::min(nearest, std::abs(u - state_.ring[at % kRing]));
  }
  return static_cast<float>(nearest);
}

float Auto::place_in_season(Time time) const noexcept {
  const std::int64_t in = ((to_micros(time) % season_us_) + season_us_) % season_us_;
  return static_cast<float>(static_cast<double>(in) / static_cast<double>(season_us_));
}

/// The lag of the highest peak of the autocorrelation that is a clear one.
void Auto::find_period(std::span<const double> values) noexcept {
  State& s = state_;
  const std::size_t n = values.size();
  double mean = 0;
  for (const double v : values) mean += std::clamp(v, -4.0, 4.0);
  mean /= static_cast<double>(n);
  const auto centred = [&](std::size_t i) { return std::clamp(values[i], -4.0, 4.0) - mean; };
  double power = 0;
  for (std::size_t i = 0; i < n; ++i) power += centred(i) * centred(i);
  power /= static_cast<double>(n);
  std::uint32_t best = 0;
  double best_height = 0.4;
  double before = 1;
  double here = 1;
  bool dipped = false;
  for (std::size_t lag = 2; power > 0 && lag <= n * 2 / 5; ++lag) {
    double sum = 0;
    for (std::size_t i = lag; i < n; ++i) sum += centred(i) * centred(i - lag);
    const double next = sum / static_cast<double>(n - lag) / power;
    dipped = dipped || next < 0.1;
    const std::size_t peak = lag - 1;
    // A later peak must be clearly higher: multiples of the period are no better than it.
    const double needed = best == 0 ? best_height : best_height * 1.05;
    if (dipped && peak >= kPeriodMin && here > before && here >= next && here > needed) {
      best = static_cast<std::uint32_t>(peak);
      best_height = here;
    }
    before = here;
    here = next;
  }
  if (best == s.period) return;
  s.period = best;
  s.period_rows = 0;
  s.period_distance = 0;
  s.spreads[kPeriod] = Spread{};
  s.tails[kPeriod] = TailScale{};
}

/// Looks for a period again, at rows that double, as long as none is known.
void Auto::search_again() noexcept {
  State& s = state_;
  s.next_search = s.next_search < (1U << 30) ? 2 * s.next_search : ~0U;
  if (s.period != 0 || s.ring_next < kRing) return;
  std::array<double, kRing> values{};
  for (std::size_t i = 0; i < kRing; ++i) values[i] = s.ring[(s.ring_next + i) % kRing] - s.level;
  find_period(values);
}

/// Keeps readings near the origin, where numbers are finest.
void Auto::move_origin() noexcept {
  State& s = state_;
  const double by = s.level;
  s.centre += by * s.scale;
  s.level = 0;
  s.seen_low -= by;
  s.seen_high -= by;
  s.predictor.move_origin(by);
  for (double& v : s.ring) v -= by;
}

void Auto::accept_new_normal() noexcept {
  State& s = state_;
  if (s.rows < start_) return;
  if (std::abs(s.level + static_cast<double>(s.short_mean)) > kUnitsMax / 20) {
    s = State{};  // the unit itself is wrong by orders of magnitude
    return;
  }
  s.level += static_cast<double>(s.short_mean);
  s.short_mean = 0;
  s.long_variance = s.short_variance;
  s.learnt = std::min(s.learnt, 50U);
  s.predictor.relearn();
  for (TailScale& tail : s.tails) tail.relearn();
}

Cause Auto::cause_of(const View& view) noexcept {
  const auto largest = std::max_element(view.score.begin(), view.score.end());
  if (*largest < 1.5F) return Cause::none;
  switch (static_cast<Statistic>(largest - view.score.begin())) {
    case kError:
      return Cause::jump;
    case kLevel:
      return view.deviation > 0 ? Cause::high : Cause::low;
    case kMean:
      return Cause::drift;
    case kNoise:
      return view.noise_ratio > 0 ? Cause::noisier : Cause::calmer;
    case kPeriod:
      return Cause::pattern;
  }
  return Cause::none;
}

/// Where a value keeps both its prediction error and its distance from the level below the score.
Band Auto::band(const View& view, float usual, float band_score) const noexcept {
  const State& s = state_;
  const auto reach = [&s, band_score](Statistic which) {
    return s.tails[which].at(band_score) * std::max(s.spreads[which].value(), kSpreadMin);
  };
  const double level = s.level + static_cast<double>(usual);
  const double level_reach = static_cast<double>(reach(kLevel) * view.wander);
  double lower = level - level_reach;
  double upper = level + level_reach;
  if (s.settle == 0) {
    const double error_reach = static_cast<double>(reach(kError));
    const double near_lower = view.prediction - error_reach;
    const double near_upper = view.prediction + error_reach;
    if (near_lower < upper && near_upper > lower) {
      lower = std::max(lower, near_lower);
      upper = std::min(upper, near_upper);
    }
  }
  // Heavy tails make reaches of astronomic size: nobody is helped by more than the range seen
  // twice.
  const double range = 2 * (s.seen_high - s.seen_low) + 1;
  lower = std::max(lower, std::min(s.seen_low, level) - range);
  upper = std::min(upper, std::max(s.seen_high, level) + range);
  const double expected =
      std::clamp(view.prediction, std::min(lower, upper), std::max(lower, upper));
  return {.expected = s.centre + s.scale * expected,
          .lower = s.centre + s.scale * lower,
          .upper = s.centre + s.scale * upper};
}

std::uint64_t Auto::tag() const noexcept {
  return frame_tag("auto", kVersion, warmup_ ^ (static_cast<std::uint64_t>(season_us_) << 20));
}

void Auto::snapshot(std::vector<std::byte>& out) const { snapshot_state(out, tag(), state_); }

Result<void> Auto::restore(std::span<const std::byte> bytes) {
  state_ = State{};
  const auto taken = restore_state<State>(bytes, tag());
  if (!taken) return taken.error();
  const State& state = *taken;
  const bool sound = state.profile.plausible() && state.period < kRing - 2 &&
                     std::isfinite(state.centre) && std::isfinite(state.scale) && state.scale > 0 &&
                     std::isfinite(state.level);
  if (!sound) return Error{Errc::corrupt, "auto snapshot holds impossible values"};
  state_ = state;
  return {};
}

Result<std::unique_ptr<Detector>> make_auto(const Settings& settings, const Context&) {
  if (auto fine = check_settings(kAutoStream, settings); !fine) return fine.error();
  return std::unique_ptr<Detector>(std::make_unique<Auto>(settings));
}

}  // namespace lapwing::detect
