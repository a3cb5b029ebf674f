// SPDX-License-Identifier: Apache-2.0
#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/api/rows_json.hpp"
#include "hub/fleet/tokens.hpp"
#include "shared/base/hex.hpp"

namespace lapwing::hub {
namespace {

using http::Response;

constexpr std::int64_t kEnrolmentSeconds = 3'600;

/// Holds a secret: kept by nobody on the way.
Response secret_response(const Json& json, unsigned status) {
  auto response = http::json_response(dump(json), status);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

}  // namespace

Response list_tokens(const Desk& desk, const Call& call) {
  Query query(call.request);
  const auto page = query.page();
  if (query.problem()) return refuse(call, *query.problem());
  const auto tokens = desk.parts.store.tokens(call.token.tenant, page);
  if (!tokens) return refuse(call, tokens.error());
  auto response = http::json_response(to_json(*tokens));
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

Response make_token(const Desk& desk, const Call& call) {
  Body body(call.request);
  TokenRequest wanted{
      .tenant = call.token.tenant, .name = body.text("name"), .scopes = body.texts("scopes")};
  if (const auto seconds = body.seconds("expires_in_s")) {
    wanted.lifetime = std::chrono::seconds(*seconds);
  }
  if (body.problem()) return refuse(call, *body.problem());
  const auto made = create_token(desk.parts.store, wanted, call.token.id, now());
  if (!made) return refuse(call, made.error());
  auto json = Json::parse(to_json(made->row));
  json["token"] = made->secret.reveal();
  return secret_response(json, 201);
}

Response end_token(const Desk& desk, const Call& call) {
  const auto done = revoke_token(desk.parts.store, call.token.tenant, call.request.parameter("id"),
                                 call.token.id, now());
  if (!done) return refuse(call, done.error());
  return {.status = 204};
}

Response make_enrolment(const Desk& desk, const Call& call) {
  Body body(call.request);
  const auto device = body.text("device");
  const auto seconds = body.seconds("expires_in_s").value_or(kEnrolmentSeconds);
  if (body.problem()) return refuse(call, *body.problem());
  const auto made = desk.parts.enrolment.permit(
      {call.token.tenant, device}, std::chrono::seconds(seconds), call.token.id, now());
  if (!made) return refuse(call, made.error());
  return secret_response({{"device", made->row.device},
                          {"expires_at", to_rfc3339(made->row.expires_at)},
                          {"token", made->token.reveal()}},
                         201);
}

Response enrol(const Desk& desk, const Call& call) {
  if (desk.authenticator.blocked(call.request)) return too_many_failures(call.request.path);
  Body body(call.request);
  const auto token = body.text("token");
  const auto csr = body.text("csr");
  if (body.problem()) return refuse(call, *body.problem());
  const auto enrolled = desk.parts.enrolment.enrol(token, csr, now());
  if (!enrolled) {
    if (enrolled.error().code == Errc::denied) desk.authenticator.failed(call.request);
    return refuse(call, enrolled.error());
  }
  Json told{{"certificate", enrolled->certificate_pem},
            {"ca", enrolled->authority_pem},
            {"tenant", enrolled->key.tenant},
            {"device", enrolled->key.device},
            {"certificate_expires", to_rfc3339(enrolled->certificate_expires)},
            {"mqtt", {{"host", desk.options.mqtt_host}, {"port", desk.options.mqtt_port}}}};
  if (!enrolled->key_list.empty()) told["keys"] = hex(enrolled->key_list);
  return secret_response(told, 200);
}

}  // namespace lapwing::hub
