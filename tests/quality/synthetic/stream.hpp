// SPDX-License-Identifier: Apache-2.0
/// Seeded streams with known faults.
#pragma once

#include "shared/base/time.hpp"
#include "shared/detect/pipeline.hpp"
#include "tests/quality/synthetic/normal.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace lapwing::synthetic {

/// What goes wrong. `sd`: standard deviation of the readings in the week before the fault.
enum class Fault : std::uint8_t {
  none,
  level,      ///< the level is off by `strength` sd, up or down
  spike,      ///< the same, meant for one to three readings
  dropout,    ///< the lowest reading of the week before less `strength` sd, again and again
  missing,    ///< no readings at all
  stuck,      ///< the reading before the fault repeats
  drift,      ///< the level creeps away, by `strength` sd at the end
  noise,      ///< noise of `strength` sd on top
  frequency,  ///< the stream runs `strength` times as fast
  phase,      ///< the stream is `strength` days ahead
  amplitude,  ///< deviations from the week's mean are `strength` times as large
};

/// Those that the figures are measured on.
inline constexpr Fault kFaults[] = {Fault::level, Fault::spike,    Fault::dropout, Fault::missing,
                                    Fault::stuck, Fault::drift,    Fault::noise,   Fault::frequency,
                                    Fault::phase, Fault::amplitude};

[[nodiscard]] std::string_view name(Fault fault) noexcept;

/// Whether the fault can be seen in such a stream: noise run twice as fast is noise.
[[nodiscard]] bool shows(Fault fault, Normal normal) noexcept;

/// One stream with at most one fault.
struct StreamSpec {
  Normal normal = Normal::white;
  Fault fault = Fault::none;
  std::uint64_t seed = 1;
  std::size_t readings = 4000;
  std::size_t fault_at = 2500;   ///< row of the fault's first reading
  std::size_t fault_rows = 200;  ///< the fault is in [fault_at, fault_at + fault_rows)
  double strength = 8;           ///< in the fault's own unit
  Micros interval = std::chrono::minutes(5);
  double offset = 20;  ///< a reading is scale * (offset + family's value)
  double scale = 1;
};

/// Chooses length and strength of the fault at random, within what a person would call a fault:
/// level 3 to 7 sd for 80 to 250 readings, spike 6 to 14 sd for 1 to 3, dropout 1.5 to 3.5 sd and
/// missing for 15 to 60, stuck for 100 to 250, drift to 4.5 to 10 sd in 250 to 400, noise 2 to 4 sd
/// for 80 to 250, frequency 2 to 4 times for 250 to 400, phase a quarter to half a day and
/// amplitude 2 to 4 times for one to two days. The same seed gives the same.
void choose_strength(StreamSpec& spec);

/// One value a row; NaN where the reading is missing.
[[nodiscard]] std::vector<double> make_values(const StreamSpec& spec);

/// The readings, one each interval; missing ones are left out.
[[nodiscard]] std::vector<detect::Sample> make_stream(const StreamSpec& spec);

}  // namespace lapwing::synthetic
