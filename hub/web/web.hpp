// SPDX-License-Identifier: Apache-2.0
/// The page's files, inside the program.
#pragma once

#include "shared/http/router.hpp"

#include <span>

namespace lapwing::hub {

/// Every file of hub/web/static, at its path from there. Data lives as long as the process.
[[nodiscard]] std::span<const http::StaticFile> web_files();

}  // namespace lapwing::hub
