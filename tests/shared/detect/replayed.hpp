// SPDX-License-Identifier: Apache-2.0
/// Readings through a pipeline as `replay` does it: each arrives at its own time.
#pragma once

#include "shared/detect/kinds.hpp"
#include "shared/detect/pipeline.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::detect {

/// For GoogleTest, which would print a kind's bytes.
inline void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

}  // namespace lapwing::detect

namespace lapwing::detect::testing {

/// What was said: a verdict a reading, and the events.
struct Replayed {
  std::vector<Verdict> verdicts;
  std::vector<Event> events;

  /// Anomalies that opened at readings [from, to).
  [[nodiscard]] std::size_t alarms(std::size_t from, std::size_t to) const {
    return static_cast<std::size_t>(std::count_if(at(from), at(to), raises));
  }
  [[nodiscard]] std::size_t alarms() const { return alarms(0, verdicts.size()); }
  [[nodiscard]] float highest(std::size_t from, std::size_t to) const {
    float highest = 0;
    for (std::size_t i = from; i < to; ++i) highest = std::max(highest, verdicts[i].score);
    return highest;
  }
  [[nodiscard]] std::size_t count(wire::Phase phase, wire::Reason reason) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        events, [&](const Event& e) { return e.phase == phase && e.reason == reason; }));
  }

 private:
  static bool raises(const Verdict& verdict) { return verdict.alarm > 0; }
  [[nodiscard]] std::vector<Verdict>::const_iterator at(std::size_t row) const {
    return verdicts.begin() + static_cast<std::ptrdiff_t>(row);
  }
};

inline std::unique_ptr<Pipeline> make_pipeline(const WatchConfig& watch) {
  auto made = Pipeline::make(watch, 42);
  EXPECT_TRUE(made) << made.error().context;
  return std::move(*made);
}

inline Replayed replay(Pipeline& pipeline, std::span<const Sample> samples) {
  Replayed out{std::vector<Verdict>(samples.size()), {}};
  for (std::size_t i = 0; i < samples.size(); ++i) {
    pipeline.push({&samples[i], 1}, samples[i].time, out.events, {&out.verdicts[i], 1});
  }
  return out;
}

inline Replayed replay(const WatchConfig& watch, std::span<const Sample> samples) {
  return replay(*make_pipeline(watch), samples);
}

/// The kinds of kKinds that take `input`.
inline std::vector<Kind> kinds_of(Input input) {
  std::vector<Kind> kinds;
  std::ranges::copy_if(kKinds, std::back_inserter(kinds),
                       [input](const Kind& kind) { return kind.input == input; });
  return kinds;
}
inline std::string kind_name(const ::testing::TestParamInfo<Kind>& one) {
  return std::string(one.param.name);
}

}  // namespace lapwing::detect::testing
