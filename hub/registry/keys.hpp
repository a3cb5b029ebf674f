// SPDX-License-Identifier: Apache-2.0
/// Who may sign models, as far as this hub knows.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/release/documents.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace lapwing::hub {

/// The newest key list; absent: nobody has given one. Errors: io, corrupt.
Result<std::optional<release::KeyList>> known_keys(Store& store);

/// Takes a signed key list. The first is trusted as it is, as long as enough of its own root keys
/// signed it; a later one as a device would take it (release::Judge::take_keys). The newest again
/// is no error. Written to the audit log of `tenant`.
/// Errors: corrupt, bad_input (no key list), denied (a refusal, in words), exists, limit, io.
Result<release::KeyList> take_keys(Store& store, std::string_view signed_list,
                                   const std::string& tenant, const std::string& actor, Time at);

}  // namespace lapwing::hub
