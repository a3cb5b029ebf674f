// SPDX-License-Identifier: Apache-2.0
/// What operators want of devices.
#include "hub/api/answers.hpp"
#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/fleet/command_kinds.hpp"
#include "hub/store/commands.hpp"
#include "shared/wire/codec.hpp"
#include "shared/wire/settings.hpp"

#include <array>
#include <charconv>

namespace lapwing::hub {
namespace {

using http::Response;

constexpr std::int64_t kExpiresSeconds = 24 * 3'600;
constexpr std::int64_t kExpiresSecondsMax = std::int64_t{30} * 24 * 3'600;
constexpr std::array<std::string_view, 5> kStatusNames{"pending", "sent", "done", "failed",
                                                       "expired"};

Json object_json(std::string_view text) {
  auto json = Json::parse(text, nullptr, false);
  return json.is_object() ? json : Json::object();
}

Json to_json(const CommandRow& row) {
  return {{"id", row.id},
          {"kind", row.kind},
          {"arguments", object_json(row.arguments)},
          {"state", kStatusNames.at(static_cast<std::size_t>(row.status) - 1)},
          {"created_at", to_rfc3339(row.created_at)},
          {"created_by", row.actor},
          {"expires_at", to_rfc3339(row.expires_at)},
          {"sent_at", time_json(row.sent_at)},
          {"ended_at", time_json(row.ended_at)},
          {"result", row.ended_at ? Json(row.result) : Json(nullptr)}};
}

Response desired_response(const DesiredRow& row) {
  auto response =
      unkept({{"version", row.version},
              {"settings", object_json(row.document)},
              {"changed_at", time_json(row.changed_at)},
              {"changed_by", row.changed_at ? Json(row.actor) : Json(nullptr)},
              {"reported_version", row.reported_version},
              {"reported_problem",
               row.reported_problem.empty() ? Json(nullptr) : Json(row.reported_problem)},
              {"converged", row.reported_version == row.version}});
  response.headers.emplace_back("ETag", "\"" + std::to_string(row.version) + "\"");
  return response;
}

/// The version that If-Match asks for; absent: any. bad_input: it names none.
Result<std::optional<std::uint64_t>> expected_version(const http::Request& request) {
  using Expected = std::optional<std::uint64_t>;
  const auto header = request.header("if-match");
  if (!header || *header == "*") return Expected();
  std::uint64_t version = 0;
  const bool quoted = header->size() > 2 && header->front() == '"' && header->back() == '"';
  if (quoted) {
    const auto digits = header->substr(1, header->size() - 2);
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
    if (ec == std::errc{} && end == digits.data() + digits.size()) return Expected(version);
  }
  return Error{Errc::bad_input, "If-Match: the ETag of the settings that were read is wanted"};
}

Result<void> note(const Desk& desk, const Call& call, const char* action, std::string detail) {
  return desk.parts.store.add_audit({.tenant = call.token.tenant,
                                     .at = now(),
                                     .actor = call.token.id,
                                     .action = action,
                                     .subject = call.request.parameter("device"),
                                     .detail = std::move(detail)});
}

}  // namespace

Response list_commands(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto rows = desk.parts.store.commands().list(device_of(call), page);
  if (!rows) return refuse(call, rows.error());
  return unkept(page_json(*rows, [](const CommandRow& row) { return to_json(row); }));
}

Response make_command(const Desk& desk, const Call& call) {
  Body body(call.request);
  const auto kind = body.text("kind");
  const auto arguments = body.object("arguments");
  const auto seconds = body.seconds("expires_in_s").value_or(kExpiresSeconds);
  if (body.problem()) return refuse(call, *body.problem());
  if (seconds > kExpiresSecondsMax) {
    return refuse(call, {Errc::bad_input, "\"expires_in_s\": at most 30 days"});
  }
  if (arguments.size() > wire::kTextBytesMax) {
    return refuse(call, {Errc::bad_input, "\"arguments\": at most 4096 bytes"});
  }
  if (auto good = check_command(kind, arguments); !good) return refuse(call, good.error());
  const auto at = now();
  const auto made =
      desk.parts.store.commands().add({.key = device_of(call),
                                       .kind = kind,
                                       .arguments = arguments,
                                       .actor = call.token.id,
                                       .created_at = at,
                                       .expires_at = at + std::chrono::seconds(seconds)});
  if (!made) return refuse(call, made.error());
  const auto noted = note(desk, call, "command.create", kind + " " + std::to_string(made->id));
  if (!noted) return refuse(call, noted.error());
  return unkept(to_json(*made), 201);
}

Response get_desired(const Desk& desk, const Call& call) {
  const auto row = desk.parts.store.commands().desired(device_of(call));
  return row ? desired_response(*row) : refuse(call, row.error());
}

Response put_desired(const Desk& desk, const Call& call) {
  const auto expected = expected_version(call.request);
  if (!expected) return refuse(call, expected.error());
  const auto& document = call.request.body;
  if (document.size() > wire::kTextBytesMax) {
    return refuse(call, {Errc::bad_input, "the settings are longer than 4096 bytes"});
  }
  if (const auto read = wire::read_settings(document); !read.problem.empty()) {
    return refuse(call, {Errc::bad_input, read.problem});
  }
  const auto row = desk.parts.store.commands().desire(device_of(call), dump(object_json(document)),
                                                      *expected, call.token.id, now());
  if (!row && row.error().code == Errc::exists) {
    return http::problem(412, row.error().context, call.request.path);
  }
  if (!row) return refuse(call, row.error());
  if (auto noted = note(desk, call, "desired.change", "version " + std::to_string(row->version));
      !noted) {
    return refuse(call, noted.error());
  }
  return desired_response(*row);
}

}  // namespace lapwing::hub
