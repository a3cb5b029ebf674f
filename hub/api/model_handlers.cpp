// SPDX-License-Identifier: Apache-2.0
/// Model files and their versions, and who may sign them.
#include "hub/api/answers.hpp"
#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/registry/files.hpp"
#include "hub/registry/keys.hpp"
#include "hub/registry/versions.hpp"
#include "shared/release/signed.hpp"

#include <charconv>
#include <utility>

namespace lapwing::hub {
namespace {

using http::Response;

constexpr std::size_t kKeyListsShown = 100;
/// Of a file's content in one answer; a longer file is fetched from offset to offset.
constexpr std::uint64_t kContentMax = std::uint64_t{4} << 20U;

Json object_json(std::string_view text) {
  auto json = Json::parse(text, nullptr, false);
  return json.is_object() ? json : Json(nullptr);
}

Json to_json(const ModelFileRow& row) {
  return {{"sha256", row.sha256},
          {"length", row.length},
          {"kind", row.kind},
          {"job", row.job == 0 ? Json(nullptr) : Json(row.job)},
          {"created_at", to_rfc3339(row.created_at)},
          {"created_by", row.actor}};
}

Json to_json(const ModelVersionRow& row) {
  return {{"model", row.model},
          {"number", row.number},
          {"sha256", row.sha256},
          {"device_class", row.device_class.empty() ? Json(nullptr) : Json(row.device_class)},
          {"created_at", to_rfc3339(row.created_at)},
          {"created_by", row.actor}};
}

/// What is wrong with what was brought is for whoever brought it, not for the hub's operators.
Response refuse_brought(const Call& call, const Error& error) {
  switch (error.code) {
    case Errc::corrupt:
    case Errc::unsupported:
    case Errc::bad_config:
    case Errc::limit:
      return refuse(call, {Errc::bad_input, error.context});
    default:
      return refuse(call, error);
  }
}

}  // namespace

Response list_models(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = desk.parts.store.models().models(call.token.tenant, page);
  if (!rows) return refuse(call, rows.error());
  return fresh(call, dump(page_json(*rows, [](const ModelRow& row) {
                 return Json{{"model", row.newest.model},
                             {"versions", row.versions},
                             {"newest", to_json(row.newest)}};
               })));
}

Response list_versions(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows =
      desk.parts.store.models().versions(call.token.tenant, call.request.parameter("model"), page);
  if (!rows) return refuse(call, rows.error());
  return fresh(call,
               dump(page_json(*rows, [](const ModelVersionRow& row) { return to_json(row); })));
}

Response add_version(const Desk& desk, const Call& call) {
  const auto document = release::Signed::decode(call.request.body);
  if (!document) return refuse(call, {Errc::bad_input, document.error().context});
  const auto* const manifest = std::get_if<release::Manifest>(&document->document());
  if (manifest != nullptr && manifest->model != call.request.parameter("model")) {
    return refuse(call, {Errc::bad_input, "the manifest is of " + manifest->model});
  }
  const auto row =
      take_version(desk.parts.store, call.token.tenant, call.request.body, call.token.id, now());
  return row ? unkept(to_json(*row), 201) : refuse_brought(call, row.error());
}

Response get_manifest(const Desk& desk, const Call& call) {
  const auto row =
      desk.parts.store.models().version(call.token.tenant, call.request.parameter("model"),
                                        whole_number(call.request.parameter("number")).value_or(0));
  if (!row) return refuse(call, row.error());
  return {.content_type = "application/octet-stream", .body = row->manifest};
}

Response list_model_files(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = desk.parts.store.models().files(call.token.tenant, page);
  if (!rows) return refuse(call, rows.error());
  return fresh(call, dump(page_json(*rows, [](const ModelFileRow& row) { return to_json(row); })));
}

Response add_model_file(const Desk& desk, const Call& call) {
  Body body(call.request);
  const auto upload = body.whole("upload");
  if (body.problem()) return refuse(call, *body.problem());
  auto& store = desk.parts.store;
  const auto brought = store.uploads().get(call.token.tenant, upload);
  if (!brought) return refuse(call, brought.error());
  auto bytes = read_upload(store, call.token.tenant, upload);
  if (!bytes) return refuse(call, bytes.error());
  const auto row = take_model_file(
      store, {.tenant = call.token.tenant, .actor = call.token.id, .created_at = now()},
      *std::move(bytes));
  if (!row) return refuse_brought(call, row.error());
  if (auto gone = store.uploads().drop(call.token.tenant, upload); !gone) {
    return refuse(call, gone.error());
  }
  if (auto noted = audited(desk, call, "model.file", row->sha256, brought->name); !noted) {
    return refuse(call, noted.error());
  }
  return unkept(to_json(*row), 201);
}

Response get_model_file(const Desk& desk, const Call& call) {
  const auto row =
      desk.parts.store.models().file(call.token.tenant, call.request.parameter("sha256"));
  if (!row) return refuse(call, row.error());
  auto json = to_json(*row);
  json["header"] = object_json(row->header);
  json["report"] = object_json(row->report);
  json["picture"] = !row->picture.empty();
  return fresh(call, dump(json));
}

Response get_model_content(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto wanted = query.text("offset");
  const auto offset = wanted ? whole_number(*wanted) : std::optional<std::uint64_t>(0);
  if (!offset) {
    return refuse(call, {Errc::bad_input, "query parameter \"offset\": a whole number is wanted"});
  }
  auto& models = desk.parts.store.models();
  const auto& sha256 = call.request.parameter("sha256");
  const auto row = models.file(call.token.tenant, sha256);
  if (!row) return refuse(call, row.error());
  if (*offset > row->length || (!wanted && row->length > kContentMax)) {
    return refuse(call,
                  {Errc::bad_input, "the file has " + std::to_string(row->length) +
                                        " bytes: fetch it from ?offset=0, and on by what comes"});
  }
  Response response{.content_type = "application/octet-stream"};
  response.headers.emplace_back("Cache-Control", "no-store");
  auto at = *offset;
  const auto end = std::min(row->length, at + kContentMax);
  while (at < end) {
    const auto part = models.part(call.token.tenant, sha256, at / Models::kPartBytes);
    if (!part) return refuse(call, part.error());
    if (part->size() <= at % Models::kPartBytes) {
      return refuse(call, {Errc::corrupt, "a stored part of " + sha256 + " is cut short"});
    }
    const auto piece = std::string_view(*part).substr(at % Models::kPartBytes);
    response.body += piece.substr(0, end - at);
    at += std::min<std::uint64_t>(piece.size(), end - at);
  }
  return response;
}

Response get_model_picture(const Desk& desk, const Call& call) {
  const auto row =
      desk.parts.store.models().file(call.token.tenant, call.request.parameter("sha256"));
  if (!row) return refuse(call, row.error());
  if (row->picture.empty()) return refuse(call, {Errc::not_found, "it has no picture"});
  return with_etag(call.request, {.content_type = "image/svg+xml", .body = row->picture});
}

Response drop_model_file(const Desk& desk, const Call& call) {
  const auto& sha256 = call.request.parameter("sha256");
  auto gone = desk.parts.store.models().drop_file(call.token.tenant, sha256);
  if (!gone) return refuse(call, gone.error());
  if (auto noted = audited(desk, call, "model.delete", sha256, ""); !noted) {
    return refuse(call, noted.error());
  }
  return {.status = 204};
}

namespace {

Json to_json(const release::KeyList& list) {
  const auto ids = [](const std::vector<std::string>& keys) {
    auto all = Json::array();
    for (const auto& key : keys) all.push_back(release::key_id(key));
    return all;
  };
  return {{"number", list.number},    {"threshold", list.threshold},
          {"roots", ids(list.roots)}, {"releases", ids(list.releases)},
          {"hubs", ids(list.hubs)},   {"expires_at", to_rfc3339(list.expires)}};
}

}  // namespace

Response add_keys(const Desk& desk, const Call& call) {
  auto& store = desk.parts.store;
  const auto known = known_keys(store);
  if (!known) return refuse(call, known.error());
  if (!*known) {
    // Nobody vouches for it but itself, and it speaks for all tenants: whoever has the hub decides.
    return refuse(call, {Errc::denied,
                         "the hub has no key list yet: the first is given to it where it runs, "
                         "with `lapwing-hub keys import`"});
  }
  const auto list = take_keys(store, call.request.body, call.token.tenant, call.token.id, now());
  return list ? unkept(to_json(*list), 201) : refuse_brought(call, list.error());
}

Response list_keys(const Desk& desk, const Call& call) {
  const auto lists = desk.parts.store.models().keys_after(0, kKeyListsShown);
  if (!lists) return refuse(call, lists.error());
  auto items = Json::array();
  for (const auto& bytes : *lists) {
    const auto document = release::Signed::decode(bytes);
    if (!document) return refuse(call, {Errc::corrupt, document.error().context});
    const auto* const list = std::get_if<release::KeyList>(&document->document());
    if (list == nullptr) continue;
    items.push_back(to_json(*list));
  }
  return fresh(call, dump({{"items", std::move(items)}, {"next_cursor", nullptr}}));
}

}  // namespace lapwing::hub
