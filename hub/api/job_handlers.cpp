// SPDX-License-Identifier: Apache-2.0
/// Work that takes long.
#include "hub/api/answers.hpp"
#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/jobs/kinds.hpp"
#include "hub/store/jobs.hpp"

#include <array>

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

}  // namespace

Response list_jobs(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = desk.parts.store.jobs().list(call.token.tenant, page);
  if (!rows) return refuse(call, rows.error());
  return unkept(page_json(*rows, [](const JobRow& row) { return to_json(row); }));
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
  if (auto noted = audited(desk, call, "job.create", "job " + std::to_string(made->id), kind_name);
      !noted) {
    return refuse(call, noted.error());
  }
  auto response = unkept(to_json(*made), 201);
  response.headers.emplace_back("Location", "/api/v1/jobs/" + std::to_string(made->id));
  return response;
}

Response get_job(const Desk& desk, const Call& call) {
  const auto row = desk.parts.store.jobs().get(call.token.tenant, id_of(call));
  return row ? unkept(to_json(*row)) : refuse(call, row.error());
}

Response cancel_job(const Desk& desk, const Call& call) {
  const auto row = desk.parts.store.jobs().cancel(call.token.tenant, id_of(call), now());
  if (!row) return refuse(call, row.error());
  if (auto noted = audited(desk, call, "job.cancel", "job " + std::to_string(row->id), "");
      !noted) {
    return refuse(call, noted.error());
  }
  return unkept(to_json(*row));
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
