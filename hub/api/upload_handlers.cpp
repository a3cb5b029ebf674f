// SPDX-License-Identifier: Apache-2.0
/// Bytes that are brought piece by piece.
#include "hub/api/answers.hpp"
#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/registry/files.hpp"

#include <utility>

namespace lapwing::hub {
namespace {

using http::Response;

constexpr std::size_t kUploadNameMax = 200;

Json to_json(const UploadRow& row) {
  return {{"id", row.id},
          {"name", row.name},
          {"bytes", row.bytes},
          {"sha256", row.sha256.empty() ? Json(nullptr) : Json(row.sha256)},
          {"created_at", to_rfc3339(row.created_at)},
          {"created_by", row.actor},
          {"completed_at", time_json(row.completed_at)}};
}

}  // namespace

Response list_uploads(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = desk.parts.store.uploads().list(call.token.tenant, page);
  if (!rows) return refuse(call, rows.error());
  return unkept(page_json(*rows, [](const UploadRow& row) { return to_json(row); }));
}

Response make_upload(const Desk& desk, const Call& call) {
  Body body(call.request);
  const auto name = body.text("name");
  if (body.problem()) return refuse(call, *body.problem());
  if (name.empty() || name.size() > kUploadNameMax) {
    return refuse(call, {Errc::bad_input, "\"name\": 1 to 200 bytes are wanted"});
  }
  const auto made = desk.parts.store.uploads().add({.tenant = call.token.tenant,
                                                    .name = name,
                                                    .actor = call.token.id,
                                                    .created_at = now(),
                                                    .completed_at = std::nullopt});
  if (!made) return refuse(call, made.error());
  auto noted = audited(desk, call, "upload.create", "upload " + std::to_string(made->id), name);
  if (!noted) return refuse(call, noted.error());
  auto response = unkept(to_json(*made), 201);
  response.headers.emplace_back("Location", "/api/v1/uploads/" + std::to_string(made->id));
  return response;
}

Response get_upload(const Desk& desk, const Call& call) {
  const auto row = desk.parts.store.uploads().get(call.token.tenant, id_of(call));
  return row ? unkept(to_json(*row)) : refuse(call, row.error());
}

Response append_upload(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto offset = whole_number(query.required_text("offset"));
  if (query.problem()) return refuse(call, *query.problem());
  if (!offset) {
    return refuse(call, {Errc::bad_input, "query parameter \"offset\": a whole number is wanted"});
  }
  const auto row =
      desk.parts.store.uploads().append(call.token.tenant, id_of(call), *offset, call.request.body);
  return row ? unkept(to_json(*row)) : refuse(call, row.error());
}

Response end_upload(const Desk& desk, const Call& call) {
  std::string expected;
  if (!call.request.body.empty()) {
    Body body(call.request);
    expected = body.text("sha256");
    if (body.problem()) return refuse(call, *body.problem());
  }
  const auto row =
      complete_upload(desk.parts.store, call.token.tenant, id_of(call), expected, now());
  return row ? unkept(to_json(*row)) : refuse(call, row.error());
}

Response drop_upload(const Desk& desk, const Call& call) {
  const auto id = id_of(call);
  auto gone = desk.parts.store.uploads().drop(call.token.tenant, id);
  if (!gone) return refuse(call, gone.error());
  auto noted = audited(desk, call, "upload.delete", "upload " + std::to_string(id), "");
  if (!noted) return refuse(call, noted.error());
  return {.status = 204};
}

}  // namespace lapwing::hub
