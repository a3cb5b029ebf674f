// SPDX-License-Identifier: Apache-2.0
/// What every program answers to its caller; 0 is done.
#pragma once

namespace lapwing {

inline constexpr int kExitFailed = 1;   ///< failed at run time
inline constexpr int kExitUsage = 2;    ///< wrong arguments
inline constexpr int kExitConfig = 78;  ///< bad configuration (EX_CONFIG of sysexits.h)

}  // namespace lapwing
