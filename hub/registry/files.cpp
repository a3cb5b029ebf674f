// SPDX-License-Identifier: Apache-2.0
#include "hub/registry/files.hpp"

#include "shared/model/model.hpp"
#include "shared/model/text.hpp"
#include "shared/trust/digest.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <mutex>
#include <utility>

namespace lapwing::hub {
namespace {

Result<void> each_piece(Store& store, std::string_view tenant, std::uint64_t id,
                        const std::function<void(std::string_view)>& take) {
  for (std::uint64_t offset = 0;;) {
    const auto piece = store.uploads().piece(tenant, id, offset);
    if (!piece) return piece.error();
    if (piece->empty()) return {};
    take(*piece);
    offset += piece->size();
  }
}

}  // namespace

Result<UploadRow> complete_upload(Store& store, std::string_view tenant, std::uint64_t id,
                                  std::string_view expected, Time at) {
  trust::Sha256 digest;
  auto read = each_piece(store, tenant, id, [&](std::string_view piece) { digest.add(piece); });
  if (!read) return read.error();
  const auto sha256 = digest.hex();
  if (!expected.empty() && expected != sha256) {
    return Error{Errc::denied, "what arrived has the SHA-256 " + sha256 +
                                   ", not the one that was told: send it again"};
  }
  return store.uploads().complete(tenant, id, sha256, at);
}

Result<std::string> read_upload(Store& store, std::string_view tenant, std::uint64_t id) {
  const auto upload = store.uploads().get(tenant, id);
  if (!upload) return upload.error();
  if (!upload->completed_at) {
    return Error{Errc::denied, "upload " + std::to_string(id) + " is not complete"};
  }
  std::string bytes;
  bytes.reserve(upload->bytes);
  auto read = each_piece(store, tenant, id, [&](std::string_view piece) { bytes += piece; });
  if (!read) return read.error();
  return bytes;
}

Result<ModelFileRow> take_model_file(Store& store, ModelFileRow told, std::string bytes) {
  static std::mutex one_at_a_time;
  const std::scoped_lock lock(one_at_a_time);
  const auto model = model::Model::read(std::move(bytes));
  if (!model) return model.error();
  if (const auto detector = model->make_detector(); !detector) return detector.error();
  told.sha256 = model->sha256();
  told.kind = model->header().kind;
  told.header = model::to_json(model->header())
                    .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (auto kept = store.models().add_file(told, model->file_bytes()); !kept) return kept.error();
  return store.models().file(told.tenant, told.sha256);
}

}  // namespace lapwing::hub
