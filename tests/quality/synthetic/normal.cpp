// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/synthetic/normal.hpp"

#include "tests/quality/synthetic/random.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace lapwing::synthetic {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

/// An AR(1) process of variance 1.
class Autoregressive {
 public:
  Autoregressive(Random& random, double memory)
      : memory_(memory), fresh_(std::sqrt(1 - memory * memory)), value_(random.normal()) {}
  double next(Random& random) { return next(random.normal()); }
  double next(double noise) { return value_ = memory_ * value_ + fresh_ * noise; }

 private:
  double memory_;
  double fresh_;
  double value_;
};

double in_days(std::size_t row) { return static_cast<double>(row) / static_cast<double>(kDay); }

void noise(Random& random, std::span<double> out, double memory) {
  Autoregressive process(random, memory);
  for (double& value : out) value = process.next(random);
}

void white(Random& random, std::span<double> out) { noise(random, out, 0); }
void autoregressive(Random& random, std::span<double> out) { noise(random, out, 0.5); }
void slow(Random& random, std::span<double> out) { noise(random, out, 0.95); }

void heavy_tails(Random& random, std::span<double> out) {
  Autoregressive process(random, random.chance(0.5) ? 0 : 0.5);
  for (double& value : out) value = process.next(random.student3());
}

void season(Random& random, std::span<double> out) {
  const double height = random.uniform(1, 4);
  const double phase = random.uniform(0, kTurn);
  const double weekend = random.uniform(0, 0.5);
  Autoregressive modulation(random, 0.9995);
  Autoregressive process(random, random.uniform(0, 0.9));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double angle = kTurn * in_days(i);
    const bool is_weekend = i % kWeek >= 5 * kDay;
    const double scale =
        height * (1 + 0.15 * modulation.next(random)) * (is_weekend ? 1 - weekend : 1);
    const double shape = std::sin(angle + phase) + 0.35 * std::sin(2 * (angle + phase));
    out[i] = scale * shape + 0.3 * process.next(random) * (1 + 0.3 * std::sin(angle));
  }
}

void level_drift(Random& random, std::span<double> out) {
  const double creep = random.uniform(-1.5e-4, 1.5e-4);
  const double wander = random.uniform(0.003, 0.015);
  Autoregressive process(random, 0.4);
  double level = 0;
  for (double& value : out) {
    level += creep + wander * random.normal();
    value = level + process.next(random);
  }
}

void variance_drift(Random& random, std::span<double> out) {
  Autoregressive log_spread(random, 1 - 1 / random.uniform(3000, 12000));
  const double depth = random.uniform(0.3, 0.7);
  Autoregressive process(random, 0.4);
  for (double& value : out) {
    value = process.next(random) * std::exp(depth * log_spread.next(random));
  }
}

void regimes(Random& random, std::span<double> out) {
  struct Regime {
    double level;
    double spread;
  };
  std::array<Regime, 3> list{};
  for (auto& regime : list) regime = {random.uniform(-5, 5), std::exp(random.uniform(-0.7, 0.7))};
  Autoregressive process(random, 0.5);
  std::size_t at = 0;
  double level = list[0].level;
  for (double& value : out) {
    if (random.chance(1 / 900.0)) at = (at + random.whole(1, 2)) % list.size();
    level += 0.1 * (list[at].level - level);
    value = level + list[at].spread * process.next(random);
  }
}

void counts(Random& random, std::span<double> out) {
  const double mean = std::exp(random.uniform(1, 4));
  const double rhythm = random.uniform(0, 0.8);
  double burst = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    burst *= 0.9;
    if (random.chance(0.01)) burst += random.exponential();
    const double now = mean * (1 + rhythm * std::sin(kTurn * in_days(i))) * (1 + burst);
    out[i] = random.poisson(now * random.gamma8());
  }
}

void quantised(Random& random, std::span<double> out) {
  const double step = random.uniform(0.5, 1.5);
  Autoregressive process(random, 0.8);
  for (double& value : out) value = std::round(process.next(random) / step) * step;
}

void boolean(Random& random, std::span<double> out) {
  const double rise = random.uniform(0.002, 0.05);
  const double fall = random.uniform(0.02, 0.3);
  bool on = false;
  for (double& value : out) {
    if (random.chance(on ? fall : rise)) on = !on;
    value = on ? 1 : 0;
  }
}

void noise_steps(Random& random, std::span<double> out) {
  Autoregressive process(random, 0.3);
  double spread = 1;
  auto next = random.uniform(2000, 9000);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (static_cast<double>(i) > next) {
      const double factor = random.uniform(1.3, 2);
      spread = std::clamp(random.chance(0.5) ? spread * factor : spread / factor, 0.33, 3.0);
      next += random.uniform(4000, 16000);
    }
    out[i] = spread * process.next(random) + 2 * std::sin(kTurn * in_days(i));
  }
}

void cycles(Random& random, std::span<double> out) {
  double period = random.uniform(40, 200);
  double height = random.uniform(2, 5);
  double phase = 0;
  for (double& value : out) {
    phase += (1 + 0.1 * random.normal()) / period;
    if (phase >= 1) {
      phase -= 1;
      height = std::clamp(height + 0.15 * random.normal(), 1.0, 6.0);
      period = std::clamp(period * (1 + 0.02 * random.normal()), 30.0, 250.0);
    }
    const double stroke = phase < 0.6 ? phase / 0.6 : (1 - phase) / 0.4;
    const double valve = phase > 0.25 && phase < 0.4 ? 1.5 : 0;
    value = height * stroke + valve + 0.15 * random.normal();
  }
}

void season_drift(Random& random, std::span<double> out) {
  Random drift(random.next());  // of its own, so that a longer stream begins as a shorter one
  season(random, out);
  const double creep = drift.uniform(-1e-4, 1e-4);
  const double wander = drift.uniform(0.002, 0.006);
  Autoregressive log_spread(drift, 1 - 1 / drift.uniform(3000, 12000));
  double level = 0;
  for (double& value : out) {
    level += creep + wander * drift.normal();
    value += level + 0.3 * drift.normal() * std::exp(0.5 * log_spread.next(drift));
  }
}

void steps(Random& random, std::span<double> out) {
  double level = 0;
  for (double& value : out) {
    if (random.chance(0.01)) level = static_cast<double>(random.whole(0, 4));
    value = level;
  }
}

struct Family {
  std::string_view name;
  void (*fill)(Random&, std::span<double>);
};

/// In the order of Normal.
constexpr Family kFamilies[] = {
    {"white", &white},
    {"autoregressive", &autoregressive},
    {"slow", &slow},
    {"heavy_tails", &heavy_tails},
    {"season", &season},
    {"level_drift", &level_drift},
    {"variance_drift", &variance_drift},
    {"regimes", &regimes},
    {"counts", &counts},
    {"quantised", &quantised},
    {"boolean", &boolean},
    {"noise_steps", &noise_steps},
    {"cycles", &cycles},
    {"season_drift", &season_drift},
    {"steps", &steps},
};

}  // namespace

std::string_view name(Normal normal) noexcept {
  return kFamilies[static_cast<std::size_t>(normal)].name;
}

void fill(Normal normal, std::uint64_t seed, std::span<double> out) {
  Random random(seed * std::size(kFamilies) + static_cast<std::uint64_t>(normal));
  kFamilies[static_cast<std::size_t>(normal)].fill(random, out);
}

}  // namespace lapwing::synthetic
