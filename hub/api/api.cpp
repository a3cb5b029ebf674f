// SPDX-License-Identifier: Apache-2.0
#include "hub/api/api.hpp"

#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/api/rows_json.hpp"
#include "hub/store/uploads.hpp"
#include "shared/base/metrics.hpp"

#include <nlohmann/json.hpp>

namespace lapwing::hub {

std::string_view openapi_text();  // embedded

namespace {

using http::Method;
using http::Response;

struct Entry {
  Operation operation;
  Operate operate;
};

/// The only list of operations: routes, openapi_test and the middleware read it.
const std::vector<Entry>& entries() {
  static const std::vector<Entry> kEntries{
      {{Method::get, "/api/v1/devices", "read", {"region", "label", "limit", "cursor"}},
       &list_devices},
      {{Method::get, "/api/v1/devices/{device}", "read", {}}, &get_device},
      {{Method::post, "/api/v1/devices/{device}/revoke", "admin", {}}, &revoke_device},
      {{Method::post, "/api/v1/devices/{device}/release", "admin", {}}, &release_device},
      {{Method::put, "/api/v1/devices/{device}/labels", "admin", {}}, &label_device},
      {{Method::get, "/api/v1/devices/{device}/regions", "read", {}}, &list_device_regions},
      {{Method::get, "/api/v1/devices/{device}/losses", "read", {"limit", "cursor"}}, &list_losses},
      {{Method::get, "/api/v1/devices/{device}/streams", "read", {"limit", "cursor"}},
       &list_streams},
      {{Method::get,
        "/api/v1/devices/{device}/history",
        "read",
        {"stream", "watch", "from", "to", "limit"}},
       &get_history},
      {{Method::get, "/api/v1/devices/{device}/commands", "read", {"limit", "cursor"}},
       &list_commands},
      {{Method::post, "/api/v1/devices/{device}/commands", "admin", {}}, &make_command},
      {{Method::get, "/api/v1/devices/{device}/desired", "read", {}}, &get_desired},
      {{Method::put, "/api/v1/devices/{device}/desired", "admin", {}}, &put_desired},
      {{Method::get, "/api/v1/targets", "read", {"device", "model", "rollout", "limit", "cursor"}},
       &list_targets},
      {{Method::get, "/api/v1/devices/{device}/models", "read", {"limit", "cursor"}},
       &list_device_models},
      {{Method::put, "/api/v1/devices/{device}/models/{model}", "admin", {}}, &put_device_model},
      {{Method::get, "/api/v1/jobs", "read", {"limit", "cursor"}}, &list_jobs},
      {{Method::post, "/api/v1/jobs", "admin", {}}, &make_job},
      {{Method::get, "/api/v1/jobs/{id}", "read", {}}, &get_job},
      {{Method::del, "/api/v1/jobs/{id}", "admin", {}}, &cancel_job},
      {{Method::get, "/api/v1/jobs/{id}/result", "read", {"part"}}, &get_job_result},
      {{Method::get, "/api/v1/rollouts", "read", {"limit", "cursor"}}, &list_rollouts},
      {{Method::post, "/api/v1/rollouts", "admin", {}}, &make_rollout},
      {{Method::get, "/api/v1/rollouts/{id}", "read", {}}, &get_rollout},
      {{Method::get, "/api/v1/rollouts/{id}/devices", "read", {"stage", "limit", "cursor"}},
       &list_rollout_devices},
      {{Method::get, "/api/v1/rollouts/{id}/decisions", "read", {"limit", "cursor"}},
       &list_rollout_decisions},
      {{Method::post, "/api/v1/rollouts/{id}/pause", "admin", {}}, &pause_rollout},
      {{Method::post, "/api/v1/rollouts/{id}/resume", "admin", {}}, &resume_rollout},
      {{Method::post, "/api/v1/rollouts/{id}/abort", "admin", {}}, &abort_rollout},
      {{Method::get, "/api/v1/uploads", "read", {"limit", "cursor"}}, &list_uploads},
      {{Method::post, "/api/v1/uploads", "admin", {}}, &make_upload},
      {{Method::get, "/api/v1/uploads/{id}", "read", {}}, &get_upload},
      {{Method::put,
        "/api/v1/uploads/{id}/content",
        "admin",
        {"offset"},
        false,
        Uploads::kPieceBytesMax},
       &append_upload},
      {{Method::post, "/api/v1/uploads/{id}/complete", "admin", {}}, &end_upload},
      {{Method::del, "/api/v1/uploads/{id}", "admin", {}}, &drop_upload},
      {{Method::get, "/api/v1/models", "read", {"limit", "cursor"}}, &list_models},
      {{Method::get, "/api/v1/models/{model}/versions", "read", {"limit", "cursor"}},
       &list_versions},
      {{Method::post, "/api/v1/models/{model}/versions", "admin", {}}, &add_version},
      {{Method::get, "/api/v1/models/{model}/versions/{number}/manifest", "read", {}},
       &get_manifest},
      {{Method::get, "/api/v1/model-files", "read", {"limit", "cursor"}}, &list_model_files},
      {{Method::post, "/api/v1/model-files", "admin", {}}, &add_model_file},
      {{Method::get, "/api/v1/model-files/{sha256}", "read", {}}, &get_model_file},
      {{Method::get, "/api/v1/model-files/{sha256}/content", "read", {"offset"}},
       &get_model_content},
      {{Method::get, "/api/v1/model-files/{sha256}/picture.svg", "read", {}}, &get_model_picture},
      {{Method::del, "/api/v1/model-files/{sha256}", "admin", {}}, &drop_model_file},
      {{Method::get, "/api/v1/keys", "read", {}}, &list_keys},
      {{Method::post, "/api/v1/keys", "admin", {}}, &add_keys},
      {{Method::get, "/api/v1/rounds", "read", {"limit", "cursor"}}, &list_rounds},
      {{Method::post, "/api/v1/rounds", "admin", {}}, &start_round},
      {{Method::get, "/api/v1/rounds/{id}", "read", {}}, &get_round},
      {{Method::del, "/api/v1/rounds/{id}", "admin", {}}, &cancel_round},
      {{Method::get, "/api/v1/rounds/{id}/devices", "read", {"limit", "cursor"}},
       &list_round_devices},
      {{Method::get,
        "/api/v1/anomalies",
        "read",
        {"device", "stream", "state", "severity", "reason", "region", "from", "to", "limit",
         "cursor"}},
       &list_anomalies},
      {{Method::get, "/api/v1/anomalies/{device}/{id}", "read", {}}, &get_anomaly},
      {{Method::get, "/api/v1/feed", "read", {"device"}}, &follow_feed},
      {{Method::get, "/api/v1/regions", "read", {}}, &list_regions},
      {{Method::get, "/api/v1/export/{kind}", "export", {"after", "limit"}}, &export_rows},
      {{Method::get, "/api/v1/tokens", "admin", {"limit", "cursor"}}, &list_tokens},
      {{Method::post, "/api/v1/tokens", "admin", {}}, &make_token},
      {{Method::del, "/api/v1/tokens/{id}", "admin", {}}, &end_token},
      {{Method::post, "/api/v1/enrolments", "enrol", {}}, &make_enrolment},
      {{Method::post, "/api/v1/enrol", "", {}}, &enrol},
      {{Method::get, "/api/v1/audit", "admin", {"limit", "cursor"}}, &list_audit},
      {{Method::get, "/api/v1/dead-letters", "admin", {"limit", "cursor"}}, &list_dead_letters},
      {{Method::get, "/api/v1/openapi.json", "", {}}, &get_openapi},
      {{Method::get, "/health/live", "", {}, true}, &health_live},
      {{Method::get, "/health/ready", "", {}, true}, &health_ready},
      {{Method::get, "/metrics", "", {}, true}, &metrics},
  };
  return kEntries;
}

std::string texts(const std::vector<std::string>& list) {
  return nlohmann::json(list).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Response health(std::string_view status, const std::vector<std::string_view>& reasons,
                const std::string& more = {}) {
  std::string body = "{\"status\":\"" + std::string(status) + "\",\"reasons\":[";
  for (const auto reason : reasons) {
    if (body.back() != '[') body += ',';
    body.append("\"").append(reason).append("\"");
  }
  auto response = http::json_response(body + "]" + more + "}", reasons.empty() ? 200 : 503);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

Response ready(const Readiness& readiness, const std::string& more = {}) {
  std::vector<std::string_view> reasons;
  if (readiness.draining && readiness.draining()) reasons.emplace_back("draining");
  if (!readiness.store.answers()) reasons.emplace_back("the store does not answer");
  if (readiness.ingest && !readiness.ingest()) {
    reasons.emplace_back("ingest is not connected to the broker, or the store refuses records");
  }
  return health(reasons.empty() ? "ready" : "not ready", reasons, more);
}

Response metrics_text(const Metrics& metrics) {
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics.text()};
}

}  // namespace

Response get_openapi(const Desk&, const Call& call) {
  auto response = http::json_response(std::string(openapi_document()));
  response.headers.emplace_back("Cache-Control", "no-cache");
  return with_etag(call.request, std::move(response));
}

Response health_live(const Desk&, const Call&) { return health("live", {}); }

Response health_ready(const Desk& desk, const Call&) {
  return ready(desk.parts.readiness,
               (desk.parts.peers ? ",\"regions\":" + to_json(desk.parts.peers()) : "") +
                   (desk.parts.notes ? ",\"notes\":" + texts(desk.parts.notes()) : ""));
}

Response metrics(const Desk& desk, const Call&) { return metrics_text(desk.parts.metrics); }

void add_service_routes(http::Router& router, Readiness readiness, Metrics& metrics) {
  router.add_quick(Method::get, "/health/live",
                   [](const http::Request&) { return health("live", {}); });
  router.add_quick(
      Method::get, "/health/ready",
      [readiness = std::move(readiness)](const http::Request&) { return ready(readiness); });
  router.add_quick(Method::get, "/metrics",
                   [&metrics](const http::Request&) { return metrics_text(metrics); });
  router.otherwise([](const http::Request& request) {
    return http::problem(404,
                         "this process serves health and metrics only: it runs without the role "
                         "\"api\"; ask a hub that has it",
                         request.path);
  });
}

const std::vector<Operation>& operations() {
  static const std::vector<Operation> kOperations = [] {
    std::vector<Operation> list;
    for (const auto& entry : entries()) list.push_back(entry.operation);
    return list;
  }();
  return kOperations;
}

std::string_view openapi_document() { return openapi_text(); }

class Api::Impl {
 public:
  Impl(const ApiParts& parts, const ApiOptions& options)
      : parts_(parts),
        options_(options),
        authenticator_(parts.store, options.failures_max),
        pump_(parts.store, parts.feed, parts.metrics) {}

  Response answer(const Entry& entry, const http::Request& request) {
    const Desk desk{parts_, options_, authenticator_, pump_};
    TokenRow token;
    if (!entry.operation.scope.empty()) {
      auto admitted = authenticator_.admit(request, entry.operation.scope);
      if (auto* refusal = std::get_if<Response>(&admitted)) return std::move(*refusal);
      token = std::get<TokenRow>(std::move(admitted));
    }
    Query query(request);
    query.only(entry.operation.query);
    if (query.problem()) return http::problem(*query.problem(), request.path);
    return entry.operate(desk, {request, token});
  }

  void end_feeds() { pump_.end(); }

 private:
  const ApiParts parts_;
  const ApiOptions options_;
  Authenticator authenticator_;
  FeedPump pump_;
};

Api::Api(const ApiParts& parts, const ApiOptions& options)
    : impl_(std::make_unique<Impl>(parts, options)) {}
Api::~Api() = default;
void Api::end_feeds() { impl_->end_feeds(); }

void Api::add_routes(http::Router& router) {
  for (const auto& entry : entries()) {
    const auto add = entry.operation.quick ? &http::Router::add_quick : &http::Router::add;
    (router.*add)(entry.operation.method, entry.operation.pattern,
                  [impl = impl_.get(), &entry](const http::Request& request) {
                    return impl->answer(entry, request);
                  });
    if (entry.operation.body_bytes > 0) {
      router.allow_body(entry.operation.method, entry.operation.pattern,
                        entry.operation.body_bytes);
    }
  }
}

}  // namespace lapwing::hub
