// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/auto.hpp"

#include "shared/detect/period.hpp"
#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>

namespace lapwing::detect {
namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t kMemoryMax = 1000;  // rows: a longer warm-up is no reason to forget slower
constexpr double kValueMax = 1e37;          // beyond it floats overflow
constexpr double kUnitsMax = 1e6;           // readings further away are cut
constexpr std::size_t kPeriodMax = 1024;
constexpr float kPeriodUnknown = 100;
constexpr float kPeriodMin = 32;  // a period may be longer than a quarter of a shorter warm-up
constexpr double kWindowMin = 8;
constexpr double kPeriodsGrown = 6;  // codebooks grow at least as long
constexpr float kErrorMin = 1e-4F;   // u
constexpr float kErrorClip = 4;
constexpr float kErrorMax = 20;
constexpr float kErrorPace = 0.002F;
constexpr std::array kWeights = {1.0F, 1.0F, 1.0F, 0.5F, 0.3F, 1.0F, 0.7F};

/// Spread of the buffered readings; never 0.
double spread(double square, double centre) {
  const double sd = std::sqrt(std::max(0.0, square));
  const double floor = std::abs(centre) + 1e-300;
  return sd < 1e-9 * floor ? 1e-3 * floor : sd;
}

}  // namespace

Auto::Auto(const Settings& settings)
    : warmup_(settings.warmup),
      paces_(std::min(settings.warmup, kMemoryMax)),
      begin_at_(std::min(settings.warmup, std::max<std::uint32_t>(kBuffer, settings.warmup / 2))) {}

Result<void> Auto::score(const Batch& batch, Scores out) {
  if (auto fine = check_shapes("auto", 1, batch, out); !fine) return fine;
  for (std::size_t i = 0; i < batch.values.size(); ++i) {
    const One one = step(batch.values[i], batch.learn, batch.band_score);
    out.raw[i] = one.raw;
    if (!out.bands.empty()) out.bands[i] = one.band;
    if (!out.causes.empty()) out.causes[i] = one.step.cause;
    if (!out.evidence.empty()) out.evidence[i] = one.step.evidence;
  }
  return {};
}

Auto::One Auto::step(double value, bool learn, float band_departure) noexcept {
  State& s = state_;
  const bool begun = s.rows >= begin_at_;
  if (!std::isfinite(value)) {
    if (!begun) return {};
    look(s.last, false);
    s.ranges.miss();
    return {};
  }
  value = std::clamp(value, -kValueMax, kValueMax);
  ++s.rows;
  if (!begun) {
    buffer(value);
    if (s.rows == begin_at_) begin();
    return {};
  }
  const double u = std::clamp((value - s.centre) / s.scale, -kUnitsMax, kUnitsMax);
  One one;
  const bool was_warm = s.rows > warmup_;
  if (was_warm) one.band = band(band_departure);
  const float raw = look(u, learn);
  if (learn || !was_warm) {
    one.step = s.ranges.push(u, pattern(), stage(s.rows), paces_);
  } else {
    Ranges untouched = s.ranges;
    one.step = untouched.push(u, pattern(), Stage::live, paces_);
  }
  if (!was_warm) return {};
  one.raw = raw;
  return one;
}

void Auto::buffer(double value) noexcept {
  State& s = state_;
  if (s.rows == 1) s.first = value;
  const auto about = static_cast<float>(value - s.first);
  std::memcpy(&s.codes[(s.rows - 1) % kBuffer * sizeof(float)], &about, sizeof about);
}

float Auto::buffered(std::uint64_t row) const noexcept {
  float about = 0;
  std::memcpy(&about, &state_.codes[row % kBuffer * sizeof(float)], sizeof about);
  return about;
}

/// Unit, centre and period from the buffered readings, which are then learnt.
void Auto::begin() noexcept {
  State& s = state_;
  const std::size_t n = std::min<std::size_t>(begin_at_, kBuffer);
  std::array<float, kBuffer> kept;  // NOLINT: filled below
  const std::span values = std::span(kept).first(n);
  double mean = 0;
  for (std::size_t i = 0; i < n; ++i) {
    values[i] = buffered(begin_at_ - n + i);
    mean += static_cast<double>(values[i]) / static_cast<double>(n);
  }
  double square = 0;
  for (const float v : values) {
    const double about = static_cast<double>(v) - mean;
    square += about * about / static_cast<double>(n);
  }
  s.centre = s.first + mean;
  s.scale = spread(square, s.centre);
  for (float& v : values) v = static_cast<float>((static_cast<double>(v) - mean) / s.scale);

  const std::size_t found = find_period(values, kPeriodMax, PeriodRule::clear);
  s.period = std::min(found > 0 ? static_cast<float>(found) : kPeriodUnknown,
                      std::max(kPeriodMin, static_cast<float>(warmup_) / 4));
  const auto period = static_cast<double>(s.period);
  s.whole.start(std::max(kWindowMin, period));
  s.half.start(std::max(kWindowMin, period / 2));
  s.two.start(std::max(kWindowMin, 2 * period));
  s.sixteen.start(16);
  s.codes = {};
  const std::uint64_t replayed_from = begin_at_ - n;
  s.grow_until = std::max<std::uint64_t>(warmup_ - replayed_from,
                                         static_cast<std::uint64_t>(kPeriodsGrown * period));
  s.last = static_cast<double>(values.front());
  for (std::size_t i = 0; i < n; ++i) {
    const auto u = static_cast<double>(values[i]);
    look(u, true);
    s.ranges.push(u, pattern(), stage(replayed_from + i + 1), paces_);
  }
}

Stage Auto::stage(std::uint64_t row) const noexcept {
  if (row > warmup_) return Stage::live;
  return 2 * row > warmup_ ? Stage::rehearse : Stage::learn;
}

/// The statistics of the next reading, and the score they make.
float Auto::look(double u, bool learn) noexcept {
  State& s = state_;
  const bool growing = s.learnt < s.grow_until;
  const auto x = static_cast<float>(u);
  look_at_windows(x, learn);

  const double prediction = s.predictor.predict();
  const auto error = static_cast<float>(u - prediction);
  const float size = std::abs(error) / (s.error_mean + kErrorMin);
  const float smoothing = 2 / (0.4F * s.period + 2);
  s.errors += smoothing * (std::min(size, kErrorMax) - s.errors);
  const auto move = static_cast<float>(std::abs(u - s.last));
  s.step_recent += 2 / (0.5F * s.period + 2) * (move - s.step_recent);
  const auto rows = static_cast<float>(s.learnt + 1);
  const float calm =
      rows > s.period ? (s.step_mean + 1e-3F) / (s.step_recent + 0.1F * s.step_mean + 1e-4F) : 0;
  if (learn) {
    const float clip = growing ? static_cast<float>(kUnitsMax) : kErrorClip * s.error_mean;
    s.predictor.learn(static_cast<double>(std::clamp(error, -clip, clip)));
    s.error_mean +=
        std::max(kErrorPace, 1 / rows) * (std::min(std::abs(error), clip) - s.error_mean);
    s.step_mean += std::max(kErrorPace, 1 / rows) * (move - s.step_mean);
  }
  s.predictor.shift(u);
  s.last = u;

  const bool tails = learn && 2 * (s.learnt + 1) > s.grow_until;
  const auto measure = [&](Statistic which, float statistic) {
    if (statistic <= 0) {
      s.scores[which] = 0;
      return;
    }
    const float log_z = TailScale::log_of(statistic);
    s.scores[which] = s.tails[which].score(log_z);
    if (tails) s.tails[which].learn(log_z);
  };
  if (s.whole.fresh()) measure(kWhole, s.whole.score());
  if (s.half.fresh()) measure(kHalf, s.half.score());
  if (s.two.fresh()) measure(kTwo, s.two.score());
  if (s.sixteen.fresh()) measure(kSixteen, s.sixteen.score());
  measure(kError, size);
  measure(kErrors, s.errors);
  measure(kCalm, calm);
  if (learn) ++s.learnt;
  float sum = 0;
  for (std::size_t i = 0; i < kStatistics; ++i) sum += kWeights[i] * s.scores[i] * s.scores[i];
  return std::sqrt(sum);
}

void Auto::look_at_windows(float u, bool learn) noexcept {
  State& s = state_;
  const bool growing = s.learnt < s.grow_until;
  const bool renewing = s.learnt < s.renew_until;
  Growth growth = Growth::none;
  if (learn) growth = renewing ? Growth::renew : growing ? Growth::grow : Growth::settle;
  std::span<std::int8_t> codes(s.codes);
  const auto push = [&]<class Book>(Book& book) {
    book.push(codes.first(Book::kCodes), u, growth, growing);
    codes = codes.subspan(Book::kCodes);
  };
  push(s.whole);
  push(s.half);
  push(s.two);
  push(s.sixteen);
}

/// Departures from repeating windows count as evidence; where nothing repeats they are noise.
float Auto::pattern() const noexcept { return state_.whole.repeats() ? state_.whole.score() : 0; }

Band Auto::band(float departure) const noexcept {
  const State& s = state_;
  const Band reach = s.ranges.reach(s.last, s.predictor.predict(), departure);
  return {.expected = s.centre + s.scale * reach.expected,
          .lower = s.centre + s.scale * reach.lower,
          .upper = s.centre + s.scale * reach.upper};
}

void Auto::accept_new_normal() noexcept {
  State& s = state_;
  if (s.rows < begin_at_) return;
  s.ranges.accept();
  s.renew_until = s.learnt + warmup_;
}

std::uint64_t Auto::tag() const noexcept { return frame_tag("auto", kVersion, warmup_); }

void Auto::snapshot(std::vector<std::byte>& out) const { snapshot_state(out, tag(), state_); }

Result<void> Auto::restore(std::span<const std::byte> bytes) {
  state_ = State{};
  const auto taken = restore_state<State>(bytes, tag());
  if (!taken) return taken.error();
  const State& s = *taken;
  const bool sound = s.whole.plausible() && s.half.plausible() && s.two.plausible() &&
                     s.sixteen.plausible() && s.ranges.plausible() && std::isfinite(s.centre) &&
                     std::isfinite(s.scale) && s.scale > 0 && std::isfinite(s.period) &&
                     s.period >= 0;
  if (!sound) return Error{Errc::corrupt, "auto snapshot holds impossible values"};
  state_ = s;
  return {};
}

Result<std::unique_ptr<Detector>> make_auto(const Settings& settings, const Context&) {
  if (auto fine = check_settings(kAutoStream, settings); !fine) return fine.error();
  return std::unique_ptr<Detector>(std::make_unique<Auto>(settings));
}

}  // namespace lapwing::detect
