// SPDX-License-Identifier: Apache-2.0
/// Model files as the hub takes them in, and uploads as a whole.
#pragma once

#include "hub/store/models.hpp"
#include "hub/store/store.hpp"
#include "hub/store/uploads.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace lapwing::hub {

/// No more comes: what is there is digested. `expected`: its SHA-256, as whoever brought it knows
/// it; empty: unknown. Errors: denied (another digest; the upload stays open), and of Uploads.
Result<UploadRow> complete_upload(Store& store, std::string_view tenant, std::uint64_t id,
                                  std::string_view expected, Time at);

/// All bytes of a complete upload. Errors: denied (not complete), and of Uploads.
Result<std::string> read_upload(Store& store, std::string_view tenant, std::uint64_t id);

/// Keeps a model file that was verified whole: seal, header, and the payload by its kind, of which
/// a detector is made. Of `told` count tenant, report, picture, job, actor and created_at. The same
/// file again is no error and keeps what was told first. The row as it is then.
/// Errors: those of model::Model::read, of its make_detector, and of Models::add_file.
/// Cost: one file at a time in a process, so that memory is bounded by one.
Result<ModelFileRow> take_model_file(Store& store, ModelFileRow told, std::string bytes);

}  // namespace lapwing::hub
