// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/synthetic/stream.hpp"

#include "tests/quality/synthetic/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace lapwing::synthetic {
namespace {

constexpr Time kStart = from_micros(1'700'000'000'000'000);

struct FaultRow {
  std::string_view name;
  double strength_min;
  double strength_max;
  std::size_t rows_min;
  std::size_t rows_max;
};

/// In the order of Fault.
constexpr FaultRow kTable[] = {
    {"none", 0, 0, 0, 0},
    {"level", 3, 7, 80, 250},
    {"spike", 6, 14, 1, 3},
    {"dropout", 1.5, 3.5, 15, 60},
    {"missing", 0, 0, 15, 60},
    {"stuck", 0, 0, 100, 250},
    {"drift", 4.5, 10, 250, 400},
    {"noise", 2, 4, 80, 250},
    {"frequency", 2, 4, 250, 400},
    {"phase", 0.25, 0.5, kDay, 2 * kDay},
    {"amplitude", 2, 4, kDay, 2 * kDay},
};

const FaultRow& row_of(Fault fault) { return kTable[static_cast<std::size_t>(fault)]; }

/// How a week of readings looked.
struct Past {
  double mean = 0;
  double sd = 1;
  double lowest = 0;
};

Past past_of(std::span<const double> values) {
  Past past;
  if (values.empty()) return past;
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  past.mean = sum / count;
  double square = 0;
  for (const double value : values) square += (value - past.mean) * (value - past.mean);
  if (square > 0) past.sd = std::sqrt(square / count);
  past.lowest = std::ranges::min(values);
  return past;
}

/// Rows of the healthy stream that the fault reads past its own.
std::size_t rows_ahead(const StreamSpec& spec) {
  if (spec.fault == Fault::phase) {
    return static_cast<std::size_t>(spec.strength * static_cast<double>(kDay));
  }
  if (spec.fault == Fault::frequency) {
    return static_cast<std::size_t>(spec.strength * static_cast<double>(spec.fault_rows));
  }
  return 0;
}

/// Changes the rows of the fault in `values`, which also holds the healthy rows ahead.
void inject(const StreamSpec& spec, std::span<double> values) {
  const std::size_t from = std::min(spec.fault_at, spec.readings);
  const std::size_t to = std::min(spec.fault_at + spec.fault_rows, spec.readings);
  const std::size_t week = std::min(from, kWeek);
  const Past past = past_of(values.subspan(from - week, week));
  Random random(~spec.seed);
  const double shift = random.sign() * spec.strength * past.sd;
  for (std::size_t i = from; i < to; ++i) {
    const auto into = static_cast<double>(i - from);
    double& value = values[i];
    switch (spec.fault) {
      case Fault::none:
        break;
      case Fault::level:
      case Fault::spike:
        value += shift;
        break;
      case Fault::dropout:
        value = past.lowest - spec.strength * past.sd;
        break;
      case Fault::missing:
        value = std::numeric_limits<double>::quiet_NaN();
        break;
      case Fault::stuck:
        value = values[from == 0 ? 0 : from - 1];
        break;
      case Fault::drift:
        value += shift * (into + 1) / static_cast<double>(spec.fault_rows);
        break;
      case Fault::noise:
        value += spec.strength * past.sd * random.normal();
        break;
      case Fault::frequency:
        value = values[from + static_cast<std::size_t>(into * spec.strength)];
        break;
      case Fault::phase:
        value = values[i + rows_ahead(spec)];
        break;
      case Fault::amplitude:
        value = past.mean + spec.strength * (value - past.mean);
        break;
    }
  }
}

}  // namespace

std::string_view name(Fault fault) noexcept { return row_of(fault).name; }

bool shows(Fault fault, Normal normal) noexcept {
  const bool daily = normal == Normal::season || normal == Normal::season_drift;
  switch (fault) {
    case Fault::phase:
    case Fault::amplitude:
      return daily;
    case Fault::frequency:
      return daily || normal == Normal::cycles;
    case Fault::stuck:
      return normal != Normal::boolean && normal != Normal::steps;
    default:
      return true;
  }
}

void choose_strength(StreamSpec& spec) {
  Random random(spec.seed ^ 0x5EED);
  const FaultRow& row = row_of(spec.fault);
  spec.fault_rows = random.whole(row.rows_min, row.rows_max);
  spec.strength = random.uniform(row.strength_min, row.strength_max);
}

std::vector<double> make_values(const StreamSpec& spec) {
  std::vector<double> values(spec.readings + rows_ahead(spec));
  fill(spec.normal, spec.seed, values);
  inject(spec, values);
  values.resize(spec.readings);
  for (double& value : values) value = spec.scale * (spec.offset + value);
  return values;
}

std::vector<detect::Sample> make_stream(const StreamSpec& spec) {
  const auto values = make_values(spec);
  std::vector<detect::Sample> samples;
  samples.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) continue;
    samples.push_back({kStart + static_cast<std::int64_t>(i) * spec.interval, values[i]});
  }
  return samples;
}

}  // namespace lapwing::synthetic
