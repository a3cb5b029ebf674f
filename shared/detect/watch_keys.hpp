// SPDX-License-Identifier: Apache-2.0
/// The keys that `[[watch]]` and `[[group]]` share, read one way. Problems are recorded in the
/// section.
#pragma once

#include "shared/base/config.hpp"
#include "shared/detect/kind.hpp"
#include "shared/detect/watch.hpp"

namespace lapwing::detect {

void read_name(WatchConfig& watch, config::Section& section);
/// Detector, budget, warm-up, season. `input`: which kinds may be named.
void read_sensitivity(WatchConfig& watch, config::Section& section, Input input);
/// Stuck and gap.
void read_checks(WatchConfig& watch, config::Section& section);
/// When an anomaly ends.
void read_endings(WatchConfig& watch, config::Section& section);
/// The table `parameters`: whatever the detector's kind has.
void read_parameters(WatchConfig& watch, config::Section& section, Input input);

}  // namespace lapwing::detect
