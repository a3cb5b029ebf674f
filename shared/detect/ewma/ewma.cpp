// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/ewma/ewma.hpp"

#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

namespace lapwing::detect {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kSlowest = 200;
constexpr double kOutlier = 4;       // deviations; further ones teach as much as this
constexpr double kValueMax = 1e150;  // beyond it squares overflow
constexpr double kScoreMax = 1e4;
constexpr double kRelativeFloor = 1e-6;  // of the mean: the deviation of a constant stream
constexpr double kRecent = 1.0 / 16;

/// 1/n, looked up: a division in the chain from one reading to the next would cost as much as the
/// rest.
constexpr auto kPace = [] {
  std::array<double, kSlowest + 1> table{};
  for (std::uint32_t n = 1; n <= kSlowest; ++n) table[n] = 1.0 / n;
  return table;
}();

double floor_of(double mean) {
  return std::max(std::abs(mean) * kRelativeFloor, std::numeric_limits<double>::min());
}

}  // namespace

Result<void> Ewma::score(const Batch& batch, Scores out) {
  const std::size_t rows = batch.values.size();
  if (auto fine = check_shapes("ewma", 1, batch, out); !fine) return fine;
  State s = state_;  // in registers for the loop
  for (std::size_t i = 0; i < rows; ++i) {
    double value = batch.values[i];
    float raw = 0;
    Cause cause = Cause::none;
    Band band;
    if (std::isfinite(value)) {
      value = std::clamp(value, -kValueMax, kValueMax);
      if (s.rows == 0) s.mean = s.recent = value;
      const double error = value - s.mean;
      const double deviation = std::max(std::sqrt(s.variance), floor_of(s.mean));
      if (s.rows >= warmup_) {
        raw = static_cast<float>(std::min(std::abs(error) / deviation, kScoreMax));
        cause = raw < 2 ? Cause::none : error > 0 ? Cause::high : Cause::low;
        if (!out.bands.empty()) {
          const double reach = static_cast<double>(batch.band_score) * deviation;
          band = {.expected = s.mean, .lower = s.mean - reach, .upper = s.mean + reach};
        }
      }
      ++s.rows;
      s.recent += kRecent * (value - s.recent);
      if (batch.learn) {
        s.learnt += s.learnt < kSlowest ? 1 : 0;
        const double pace = kPace[s.learnt];
        const double limit = kOutlier * deviation;
        // The first readings have no deviation to be cut to.
        const double cut = s.learnt < 16 ? error : std::clamp(error, -limit, limit);
        s.mean += pace * cut;
        s.variance += pace * ((1 - pace) * cut * cut - s.variance);
      }
    }
    out.raw[i] = raw;
    if (!out.bands.empty()) out.bands[i] = band;
    if (!out.causes.empty()) out.causes[i] = cause;
  }
  state_ = s;
  return {};
}

void Ewma::accept_new_normal() noexcept {
  state_.mean = state_.recent;
  state_.learnt = std::min(state_.learnt, 8U);  // takes the new deviation as fast as at the start
}

std::uint64_t Ewma::tag() const noexcept { return frame_tag("ewma", kVersion, warmup_); }

void Ewma::snapshot(std::vector<std::byte>& out) const { snapshot_state(out, tag(), state_); }

Result<void> Ewma::restore(std::span<const std::byte> bytes) {
  state_ = State{};
  const auto taken = restore_state<State>(bytes, tag());
  if (!taken) return taken.error();
  const State& state = *taken;
  const bool sound = std::isfinite(state.mean) && std::isfinite(state.recent) &&
                     state.variance >= 0 && state.learnt <= kSlowest;
  if (!sound) return Error{Errc::corrupt, "ewma snapshot holds impossible values"};
  state_ = state;
  return {};
}

Result<std::unique_ptr<Detector>> make_ewma(const Settings& settings, const Context&) {
  if (auto fine = check_settings(kEwma, settings); !fine) return fine.error();
  return std::unique_ptr<Detector>(std::make_unique<Ewma>(settings));
}

}  // namespace lapwing::detect
