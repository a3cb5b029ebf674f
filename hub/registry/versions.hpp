// SPDX-License-Identifier: Apache-2.0
/// Versions of models as the hub takes them in: checked as a device would.
#pragma once

#include "hub/store/models.hpp"
#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <string>
#include <string_view>

namespace lapwing::hub {

/// Takes a version by its signed manifest; its file is there already. Refused is what devices
/// would refuse: a signature of no release key of the hub's newest list, that list itself when it
/// has ended, another tenant's, a file that is not what the manifest says, a number not above the
/// newest that a key of the list signed. Versions of a key that was taken out do not count: those
/// in the way go. The same version again is no error. Written to the audit log.
/// Errors: corrupt, bad_input (no manifest), denied (with the refusal's word first), not_found (the
/// file, or no key list), exists, limit, io.
Result<ModelVersionRow> take_version(Store& store, std::string_view tenant,
                                     std::string_view signed_manifest, const std::string& actor,
                                     Time at);

}  // namespace lapwing::hub
