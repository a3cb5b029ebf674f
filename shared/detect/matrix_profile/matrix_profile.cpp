// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/matrix_profile/matrix_profile.hpp"

#include "shared/detect/matrix_profile/kernels.hpp"
#include "shared/detect/matrix_profile/task.hpp"
#include "shared/detect/period.hpp"
#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace lapwing::detect {
namespace {

using profile::BestLag;
using profile::Lags;

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kWindowUsual = 32;
constexpr std::uint32_t kSlowest = 2000;  // rows of memory of the scales
constexpr std::uint32_t kSettled = 16;    // rows until outliers are cut
constexpr double kValueMax = 1e150;
constexpr double kUnitsMax = 1e6;
constexpr double kOriginMax = 1024;  // u; further away floats are too coarse for shapes
constexpr double kReachMin = 8;      // u; how far beyond the range seen a reading may be
constexpr float kQuiet = 0.05F;      // u; what is smaller is no shape
constexpr float kErrorMin = 1e-3F;   // u
constexpr float kAsGood = 0.02F;     // less correlation
constexpr float kStrayMin = 0.02F;
constexpr float kSigma = 1.2533F;  // standard deviation over mean absolute value, normal
constexpr float kClip = 4;
constexpr float kScoreMax = 1e6F;
constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

}  // namespace

void MatrixProfile::Usual::learn(float value) noexcept {
  if (count < kSlowest) ++count;
  const float rate = 1.0F / static_cast<float>(count);
  const float limit = count < kSettled ? kScoreMax : kClip * std::max(stray, kErrorMin);
  const float off = std::clamp(value - mean, -limit, limit);
  mean += rate * off;
  stray += rate * (std::abs(off) - stray);
}

MatrixProfile::MatrixProfile(const Settings& settings)
    : window_wanted_(static_cast<std::uint32_t>(parameter(kMatrixProfile, settings, "window"))),
      history_(static_cast<std::uint32_t>(parameter(kMatrixProfile, settings, "history"))),
      warmup_(std::max(settings.warmup, 3 * window_wanted_)),
      first_(std::min({warmup_, kFirstMax, history_})),
      first_values_(first_),
      values_(history_),
      change_(history_),
      sum_(history_),
      inverse_(history_, kNone),
      covariance_(history_) {}

std::size_t MatrixProfile::state_bytes() const noexcept {
  return sizeof(*this) + first_values_.size() * sizeof(double) + 5 * values_.size() * sizeof(float);
}

Result<void> MatrixProfile::score(const Batch& batch, Scores out) {
  if (auto fine = check_shapes(kMatrixProfile.name, 1, batch, out); !fine) return fine;
  for (std::size_t i = 0; i < batch.values.size(); ++i) {
    const View view = step(batch.values[i], batch.learn, batch.band_score);
    out.raw[i] = view.raw;
    if (!out.bands.empty()) out.bands[i] = view.band;
    if (!out.causes.empty()) out.causes[i] = view.cause;
  }
  return {};
}

MatrixProfile::View MatrixProfile::step(double value, bool learn, float band_score) noexcept {
  State& s = state_;
  if (!std::isfinite(value)) {
    if (s.window != 0) put(s.expected, false);
    s.filled = std::min(s.filled + 1, s.window);
    return {};
  }
  value = std::clamp(value, -kValueMax, kValueMax);
  ++s.rows;
  if (s.window == 0) {
    first_values_[s.rows - 1] = value;
    if (s.rows == first_) begin();
    return {};
  }
  const double u = std::clamp((value - s.centre) / s.scale, -kUnitsMax, kUnitsMax);
  const double error = u - s.expected;
  const bool scored = warm() && 2 * s.filled <= s.window;
  View view;
  if (scored) view.band = band(band_score);
  const float strange =
      std::min(static_cast<float>(std::abs(error)) / (kSigma * std::max(s.error.mean, kErrorMin)),
               kScoreMax);
  put(within_reach(u), learn);
  s.filled -= s.filled > 0 ? 1 : 0;
  const float apart = std::sqrt(std::max(0.0F, 1 - s.correlation));
  const bool known = s.pattern.count > 0 && lag_max() >= s.window;
  const float unlike =
      known ? (apart - s.pattern.mean) / (kSigma * std::max(s.pattern.stray, kStrayMin)) : 0;
  if (scored) {
    view.raw = std::max(strange, unlike);
    const Cause side = error > 0 ? Cause::high : Cause::low;
    if (view.raw >= 2) view.cause = unlike >= strange ? Cause::pattern : side;
  }
  if (learn) {
    s.error.learn(static_cast<float>(std::abs(error)));
    if (s.nearest != 0) s.pattern.learn(apart);
  }
  if (std::abs(s.mean) > kOriginMax) move_origin();
  return view;
}

/// Unit, centre and window from the first rows, which are then put into the rings.
void MatrixProfile::begin() noexcept {
  State& s = state_;
  std::array<double, kFirstMax> scratch{};
  const std::span<double> values(scratch.data(), first_);
  std::ranges::copy(first_values_, values.begin());
  std::ranges::sort(values);
  s.centre = values[first_ / 2];
  double sum = 0;
  for (const double v : values) sum += std::abs(v - s.centre) / first_;
  s.scale = sum > 1e-9 * std::abs(s.centre) ? sum
            : s.centre != 0                 ? 1e-3 * std::abs(s.centre)
                                            : 1e-6;
  s.scale = std::max(s.scale, std::numeric_limits<double>::min());
  const auto unit = [&s](double v) {
    return std::clamp((v - s.centre) / s.scale, -kUnitsMax, kUnitsMax);
  };
  std::ranges::transform(first_values_, values.begin(), unit);
  const auto [low, high] = std::ranges::minmax(values);
  s.seen_low = static_cast<float>(low);
  s.seen_high = static_cast<float>(high);
  std::array<float, kFirstMax> narrow{};
  std::ranges::transform(values, narrow.begin(), [](double v) { return static_cast<float>(v); });
  const std::size_t lag_end = first_ * 2 / 5;  // a period must come two and a half times
  const auto found = static_cast<std::uint32_t>(
      find_period(std::span(narrow).first(first_), lag_end, PeriodRule::clear));
  const std::uint32_t period = window_wanted_ != 0 ? window_wanted_ : found;
  const std::uint32_t most = std::min(first_ / 3, history_ / kHistoryMin);
  s.window = std::clamp(period == 0 ? kWindowUsual : period, kWindowMin, most);
  for (const double v : first_values_) {
    const double u = unit(v);
    const double error = u - s.expected;
    put(u, true);
    if (lag_max() >= s.window) s.error.learn(static_cast<float>(std::abs(error)));
    if (s.nearest != 0) s.pattern.learn(std::sqrt(std::max(0.0F, 1 - s.correlation)));
  }
}

std::size_t MatrixProfile::place(std::uint32_t lag) const noexcept {
  return (state_.newest + lag) % history_;
}

/// The longest lag at which a whole window is held; 0: none.
std::uint32_t MatrixProfile::lag_max() const noexcept {
  return state_.held > state_.window ? state_.held - state_.window : 0;
}

std::span<const double> MatrixProfile::window_at(std::uint32_t lag, Scratch& out) const noexcept {
  std::size_t at = place(lag);
  for (std::uint32_t i = 0; i < state_.window; ++i) {
    out[i] = static_cast<double>(values_[at]);
    at = at + 1 == history_ ? 0 : at + 1;
  }
  return std::span(out).first(state_.window);
}

/// A window's norm; with it every window gets the same small part.
float MatrixProfile::spread_of(double squares) const noexcept {
  constexpr double kCommon = static_cast<double>(kQuiet) * static_cast<double>(kQuiet);
  return static_cast<float>(std::sqrt(squares + kCommon * state_.window));
}

/// A reading enters the rings, and its window is compared with all others.
void MatrixProfile::put(double u, bool learn) noexcept {
  State& s = state_;
  s.newest = s.newest == 0 ? history_ - 1 : s.newest - 1;
  s.held = std::min(s.held + 1, history_);
  const auto value = static_cast<float>(u);
  values_[s.newest] = value;
  change_[s.newest] = 0;
  sum_[s.newest] = 0;
  inverse_[s.newest] = kNone;
  s.seen_low += (value < s.seen_low ? 1.0F : 1e-4F) * (value - s.seen_low);
  s.seen_high += (value > s.seen_high ? 1.0F : 1e-4F) * (value - s.seen_high);
  const std::uint32_t followed = s.nearest;
  s.nearest = 0;
  s.correlation = 0;
  s.expected = static_cast<double>(value);
  if (s.held < s.window) return;
  Scratch scratch;
  const auto newest = window_at(0, scratch);
  const auto moments = profile::moments_of<double>(newest.data(), s.window);
  const double before = s.mean;
  s.mean = moments.mean;
  const float spread = spread_of(moments.squares);
  inverse_[s.newest] = learn ? 1 / spread : kNone;
  const std::uint32_t longest = lag_max();
  if (longest == 0) return;
  const auto went = static_cast<double>(values_[place(s.window)]);
  const auto step = profile::step_of(static_cast<double>(value), went, moments.mean, before);
  const auto change = static_cast<float>(step.change);
  const auto sum = static_cast<float>(step.sum);
  search(change, sum, spread);
  change_[s.newest] = change;
  sum_[s.newest] = sum;
  // One lag anew, in turn, and the longest, which may be new.
  s.renewed = s.renewed % longest + 1;
  for (const std::uint32_t lag : {s.renewed, longest}) {
    Scratch other_scratch;
    const auto other = window_at(lag, other_scratch);
    const double mean = profile::moments_of<double>(other.data(), s.window).mean;
    covariance_[lag] = static_cast<float>(
        profile::covariance_of(newest.data(), moments.mean, other.data(), mean, s.window));
  }
  if (s.nearest != 0) foresee(followed, spread);
}

/// Moves all covariances on and finds the nearest neighbour. The rings are cut in two where they
/// begin again, and where lags become long enough not to overlap.
void MatrixProfile::search(float change, float sum, float spread) noexcept {
  State& s = state_;
  const std::uint32_t end = lag_max() + 1;
  const std::uint32_t wrap = history_ - s.newest;  // the lag at place 0
  BestLag best{-std::numeric_limits<float>::max(), 0};
  const auto common = static_cast<float>(s.window) * kQuiet * kQuiet;
  for (std::uint32_t lag = 1; lag < end;) {
    const bool counts = lag >= s.window;
    std::uint32_t until = counts ? end : std::min(end, s.window);
    if (lag < wrap) until = std::min(until, wrap);
    const std::size_t at = place(lag);
    const Lags lags{.covariance = &covariance_[lag],
                    .change = &change_[at],
                    .sum = &sum_[at],
                    .inverse = &inverse_[at],
                    .count = until - lag};
    if (counts) {
      const BestLag found = profile::advance_and_search(lags, change, sum, common);
      if (found.correlation > best.correlation) best = {found.correlation, lag + found.at};
    } else {
      profile::advance(lags, change, sum);
    }
    lag = until;
  }
  if (best.at == 0) return;
  s.nearest = static_cast<std::uint32_t>(best.at);
  s.correlation = std::clamp(best.correlation / spread, -1.0F, 1.0F);
}

/// The next reading: what followed the nearest neighbour, at this window's level and size, and as
/// far from the mean as the two correlate. The past followed so far is followed on while it is as
/// good as the nearest: where many windows are alike, as in a rest, the others know less of where
/// in the pattern the stream is.
void MatrixProfile::foresee(std::uint32_t followed, float spread) noexcept {
  State& s = state_;
  float correlation = s.correlation;
  if (followed >= s.window && followed <= lag_max()) {
    const auto common = static_cast<float>(s.window) * kQuiet * kQuiet;
    const float still = (covariance_[followed] + common) * inverse_[place(followed)] / spread;
    if (still >= correlation - kAsGood) {
      correlation = std::min(still, 1.0F);
      s.nearest = followed;
    }
  }
  Scratch scratch;
  const auto other = window_at(s.nearest, scratch);
  const double mean = profile::moments_of<double>(other.data(), s.window).mean;
  const auto next = static_cast<double>(values_[place(s.nearest - 1)]);
  const float size = std::clamp(spread * inverse_[place(s.nearest)], 0.0F, 2.0F);
  s.expected = s.mean + static_cast<double>(std::max(0.0F, correlation) * size) * (next - mean);
}

/// Within the range seen and as much again: one wild reading must not make all others look alike,
/// and what stays is in range soon.
double MatrixProfile::within_reach(double u) const noexcept {
  const auto low = static_cast<double>(state_.seen_low);
  const auto high = static_cast<double>(state_.seen_high);
  const double reach = std::max(high - low, kReachMin);
  return std::clamp(u, low - reach, high + reach);
}

/// What each window adds to the recurrence, from the readings held.
void MatrixProfile::renew_steps() noexcept {
  Scratch scratch;
  double before = 0;
  for (std::uint32_t lag = lag_max() + 1; lag-- > 0;) {
    const auto window = window_at(lag, scratch);
    const double mean = profile::moments_of<double>(window.data(), state_.window).mean;
    const std::size_t at = place(lag);
    change_[at] = 0;
    sum_[at] = 0;
    if (lag < lag_max()) {
      const auto went = static_cast<double>(values_[place(lag + state_.window)]);
      const auto step = profile::step_of(window[0], went, mean, before);
      change_[at] = static_cast<float>(step.change);
      sum_[at] = static_cast<float>(step.sum);
    }
    before = mean;
  }
  state_.mean = before;
}

/// Keeps readings near the origin, where numbers are finest.
void MatrixProfile::move_origin() noexcept {
  State& s = state_;
  const double by = s.mean;
  s.centre += by * s.scale;
  s.expected -= by;
  s.seen_low -= static_cast<float>(by);
  s.seen_high -= static_cast<float>(by);
  for (float& v : values_) v = static_cast<float>(static_cast<double>(v) - by);
  renew_steps();
}

void MatrixProfile::accept_new_normal() noexcept {
  State& s = state_;
  if (s.window == 0) return;
  if (static_cast<double>(s.seen_high - s.seen_low) > kUnitsMax / 20) {
    reset();  // the unit itself is wrong by orders of magnitude
    return;
  }
  Scratch scratch;
  for (std::uint32_t lag = 0; lag <= lag_max() && s.held >= s.window; ++lag) {
    const auto window = window_at(lag, scratch);
    const auto moments = profile::moments_of<double>(window.data(), s.window);
    inverse_[place(lag)] = 1 / spread_of(moments.squares);
  }
  s.error.count = std::min(s.error.count, 50U);
  s.pattern.count = std::min(s.pattern.count, 50U);
}

void MatrixProfile::reset() noexcept {
  state_ = State{};
  std::ranges::fill(first_values_, 0.0);
  for (auto* ring : {&values_, &change_, &sum_, &covariance_}) std::ranges::fill(*ring, 0.0F);
  std::ranges::fill(inverse_, kNone);
}

Band MatrixProfile::band(float band_score) const noexcept {
  const State& s = state_;
  const auto range = static_cast<double>(s.seen_high - s.seen_low);
  const double reach =
      std::min(static_cast<double>(band_score * kSigma * std::max(s.error.mean, kErrorMin)),
               3 * range + 1);  // nobody is helped by more
  return {.expected = s.centre + s.scale * s.expected,
          .lower = s.centre + s.scale * (s.expected - reach),
          .upper = s.centre + s.scale * (s.expected + reach)};
}

std::uint64_t MatrixProfile::tag() const noexcept {
  return frame_tag(kMatrixProfile.name, kVersion,
                   warmup_ | static_cast<std::uint64_t>(history_) << 20 |
                       static_cast<std::uint64_t>(window_wanted_) << 40);
}

/// The rings' parts that cannot be computed from others, or before that the first values.
template <class A>
void MatrixProfile::contents(A& archive) {
  archive(state_);
  if (state_.window == 0) {
    archive(first_values_);
  } else {
    archive(values_, inverse_, covariance_);
  }
}

void MatrixProfile::snapshot(std::vector<std::byte>& out) const {
  const std::size_t begun = begin_frame(out, tag());
  StateWriter writer(out);
  const_cast<MatrixProfile*>(this)->contents(writer);  // only reads when given a writer
  end_frame(out, begun);
}

Result<void> MatrixProfile::restore(std::span<const std::byte> bytes) {
  reset();
  const auto content = open_frame(bytes, tag());
  if (!content) return content.error();
  StateReader reader(*content);
  contents(reader);
  if (!reader.ok() || !reader.rest().empty() || !plausible()) {
    reset();
    return Error{Errc::corrupt, "matrix_profile snapshot holds impossible values"};
  }
  if (state_.held >= state_.window && state_.window != 0) renew_steps();
  return {};
}

bool MatrixProfile::plausible() const noexcept {
  const State& s = state_;
  const auto finite = [](auto v) { return std::isfinite(v); };
  const bool numbers =
      finite(s.centre) && finite(s.scale) && s.scale > 0 && finite(s.mean) && finite(s.expected) &&
      finite(s.seen_low) && finite(s.seen_high) && finite(s.correlation) && finite(s.error.mean) &&
      finite(s.pattern.mean) && finite(s.pattern.stray) && finite(s.error.stray) &&
      std::ranges::all_of(first_values_, finite) && std::ranges::all_of(values_, finite) &&
      std::ranges::all_of(covariance_, finite) &&
      std::ranges::none_of(inverse_, [](float v) { return v < 0; });
  if (s.window == 0) return numbers && s.rows < first_ && s.held == 0 && s.newest == 0;
  return numbers && s.window >= kWindowMin && s.window <= kWindowMax &&
         s.window <= history_ / kHistoryMin && s.newest < history_ && s.held <= history_ &&
         s.nearest <= lag_max() && s.renewed <= lag_max() && s.filled <= s.window &&
         s.rows >= first_;
}

Result<std::unique_ptr<Detector>> make_matrix_profile(const Settings& settings, const Context&) {
  if (auto fine = check_settings(kMatrixProfile, settings); !fine) return fine.error();
  const double window = parameter(kMatrixProfile, settings, "window");
  const double history = parameter(kMatrixProfile, settings, "history");
  if (window != 0 && window < MatrixProfile::kWindowMin) {
    return Error{Errc::bad_config, "detector matrix_profile: window is 0, or 8 to 512 readings"};
  }
  if (window * MatrixProfile::kHistoryMin > history) {
    return Error{Errc::bad_config,
                 "detector matrix_profile: history is at least four times the window"};
  }
  return std::unique_ptr<Detector>(std::make_unique<MatrixProfile>(settings));
}

}  // namespace lapwing::detect
