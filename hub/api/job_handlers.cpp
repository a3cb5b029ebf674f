// SPDX-License-Identifier: Apache-2.0
/// Work that takes long.
#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/jobs/kinds.hpp"
#include "hub/store/jobs.hpp"

#include <array>
#include <charconv>

namespace lapwing::hub {
namespace {

using http::Response;

constexpr std::size_t kArgumentsMax = 4'096;
/// A result up to this length is served as one answer; a longer one part by part.
constexpr std::uint64_t kWholeMax = std::uint64_t{16} << 20U;
constexpr std::array<std::string_view, 5> kStateNames{"queued", "running", "done", "failed",
                                                      "cancelled"};

Json to_json(const JobRow& row) {
  auto arguments = Json::parse(row.arguments, nullptr, false);
  if (!arguments.is_object()) arguments = Json::object();
  return {{"id", row.id},
          {"kind", row.kind},
          {"arguments", std::move(arguments)},
          {"state", kStateNames.at(static_cast<std::size_t>(row.state) - 1)},
          {"created_at", to_rfc3339(row.created_at)},
          {"created_by", row.actor},
          {"started_at", time_json(row.started_at)},
          {"ended_at", time_json(row.ended_at)},
          {"attempts", row.attempts},
          {"worker", row.taken_by.empty() ? Json(nullptr) : Json(row.taken_by)},
          {"heartbeat_at", time_json(row.heartbeat_at)},
          {"done", row.done},
          {"total", row.total == 0 ? Json(nullptr) : Json(row.total)},
          {"text", row.text},
          {"result_bytes", row.result_bytes},
          {"result_parts", row.result_parts}};
}

Response job_response(const Json& json, unsigned status = 200) {
  auto response = http::json_response(dump(json), status);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  // Beyond it the database has no numbers.
  return value <= (std::uint64_t{1} << 62U) ? std::optional(value) : std::nullopt;
}

/// The id in the address; 0, which no job has, when it is no number.
std::uint64_t id_of(const Call& call) {
  return whole_number(call.request.parameter("id")).value_or(0);
}

Result<void> note(const Desk& desk, const Call& call, const char* action, std::uint64_t id,
                  std::string detail) {
  return desk.parts.store.add_audit({.tenant = call.token.tenant,
                                     .at = now(),
                                     .actor = call.token.id,
                                     .action = action,
                                     .subject = "job " + std::to_string(id),
                                     .detail = std::move(detail)});
}

}  // namespace

Response list_jobs(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = desk.parts.store.jobs().list(call.token.tenant, page);
  if (!rows) return refuse(call, rows.error());
  auto items = Json::array();
  for (const auto& row : rows->items) items.push_back(to_json(row));
  return job_response(
      {{"items", std::move(items)},
       {"next_cursor", rows->next_cursor ? Json(*rows->next_cursor) : Json(nullptr)}});
}

Response make_job(const Desk& desk, const Call& call) {
  Body body(call.request);
  const auto kind_name = body.text("kind");
  const auto arguments = body.object("arguments");
  if (body.problem()) return refuse(call, *body.problem());
  if (arguments.size() > kArgumentsMax) {
    return refuse(call, {Errc::bad_input, "\"arguments\": at most 4096 bytes"});
  }
  const auto kind = find_job_kind(kind_name);
  if (!kind) return refuse(call, kind.error());
  if (auto good = (*kind)->check(arguments); !good) return refuse(call, good.error());
  const auto made = desk.parts.store.jobs().add({.tenant = call.token.tenant,
                                                 .kind = kind_name,
                                                 .arguments = arguments,
                                                 .actor = call.token.id,
                                                 .created_at = now()});
  if (!made) return refuse(call, made.error());
  if (auto noted = note(desk, call, "job.create", made->id, kind_name); !noted) {
    return refuse(call, noted.error());
  }
  auto response = job_response(to_json(*made), 201);
  response.headers.emplace_back("Location", "/api/v1/jobs/" + std::to_string(made->id));
  return response;
}

Response get_job(const Desk& desk, const Call& call) {
  const auto row = desk.parts.store.jobs().get(call.token.tenant, id_of(call));
  return row ? job_response(to_json(*row)) : refuse(call, row.error());
}

Response cancel_job(const Desk& desk, const Call& call) {
  const auto row = desk.parts.store.jobs().cancel(call.token.tenant, id_of(call), now());
  if (!row) return refuse(call, row.error());
  if (auto noted = note(desk, call, "job.cancel", row->id, ""); !noted) {
    return refuse(call, noted.error());
  }
  return job_response(to_json(*row));
}

Response get_job_result(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto wanted = query.text("part");
  std::optional<std::uint64_t> part;
  if (wanted) part = whole_number(*wanted);
  if (wanted && !part) {
    return refuse(call, {Errc::bad_input, "query parameter \"part\": a whole number is wanted"});
  }
  auto& jobs = desk.parts.store.jobs();
  const auto row = jobs.get(call.token.tenant, id_of(call));
  if (!row) return refuse(call, row.error());
  if (row->state != JobState::done) {
    return refuse(call,
                  {Errc::not_found, "job " + std::to_string(row->id) + " has no result (yet)"});
  }
  if (!part && row->result_bytes > kWholeMax) {
    return refuse(call, {Errc::bad_input, "the result has " + std::to_string(row->result_bytes) +
                                              " bytes: fetch it by ?part=0 to part=" +
                                              std::to_string(row->result_parts - 1)});
  }
  Response response{.content_type = row->content_type};
  response.headers.emplace_back("Cache-Control", "no-store");
  const auto first = part.value_or(0);
  const auto end = part ? first + 1 : row->result_parts;
  for (auto i = first; i < end; ++i) {
    const auto bytes = jobs.result_part(call.token.tenant, row->id, i);
    if (!bytes) return refuse(call, bytes.error());
    response.body += *bytes;
  }
  return response;
}

}  // namespace lapwing::hub
