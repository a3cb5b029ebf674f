// SPDX-License-Identifier: Apache-2.0
/// Inside of hub/api: one function per operation, called after token and query names were checked.
#pragma once

#include "hub/api/api.hpp"
#include "hub/api/auth.hpp"
#include "hub/api/feed_pump.hpp"
#include "shared/http/message.hpp"

#include <string>

namespace lapwing::hub {

/// What handlers share. Borrowed.
struct Desk {
  const ApiParts& parts;
  const ApiOptions& options;
  Authenticator& authenticator;
  FeedPump& pump;
};

/// One request with what the middleware found. `token` is empty where none is needed.
struct Call {
  const http::Request& request;
  const TokenRow& token;
};

/// The answer to a request that failed.
inline http::Response refuse(const Call& call, const Error& error) {
  return http::problem(error, call.request.path);
}

/// Browsers and proxies keep nothing without asking; asking costs a 304.
http::Response fresh(const Call& call, std::string body);

/// The device that the address names.
inline DeviceKey device_of(const Call& call) {
  return {call.token.tenant, call.request.parameter("device")};
}

using Operate = http::Response (*)(const Desk&, const Call&);

http::Response list_devices(const Desk& desk, const Call& call);
http::Response get_device(const Desk& desk, const Call& call);
http::Response revoke_device(const Desk& desk, const Call& call);
http::Response label_device(const Desk& desk, const Call& call);
http::Response release_device(const Desk& desk, const Call& call);
http::Response list_device_regions(const Desk& desk, const Call& call);
http::Response list_losses(const Desk& desk, const Call& call);
http::Response list_streams(const Desk& desk, const Call& call);
http::Response get_history(const Desk& desk, const Call& call);
http::Response list_anomalies(const Desk& desk, const Call& call);
http::Response get_anomaly(const Desk& desk, const Call& call);
http::Response follow_feed(const Desk& desk, const Call& call);

http::Response list_regions(const Desk& desk, const Call& call);
http::Response export_rows(const Desk& desk, const Call& call);

http::Response list_commands(const Desk& desk, const Call& call);
http::Response make_command(const Desk& desk, const Call& call);
http::Response get_desired(const Desk& desk, const Call& call);
http::Response put_desired(const Desk& desk, const Call& call);

http::Response list_targets(const Desk& desk, const Call& call);
http::Response list_device_models(const Desk& desk, const Call& call);
http::Response put_device_model(const Desk& desk, const Call& call);

http::Response list_jobs(const Desk& desk, const Call& call);
http::Response make_job(const Desk& desk, const Call& call);
http::Response get_job(const Desk& desk, const Call& call);
http::Response cancel_job(const Desk& desk, const Call& call);
http::Response get_job_result(const Desk& desk, const Call& call);

http::Response list_rollouts(const Desk& desk, const Call& call);
http::Response make_rollout(const Desk& desk, const Call& call);
http::Response get_rollout(const Desk& desk, const Call& call);
http::Response list_rollout_devices(const Desk& desk, const Call& call);
http::Response list_rollout_decisions(const Desk& desk, const Call& call);
http::Response pause_rollout(const Desk& desk, const Call& call);
http::Response resume_rollout(const Desk& desk, const Call& call);
http::Response abort_rollout(const Desk& desk, const Call& call);

http::Response list_uploads(const Desk& desk, const Call& call);
http::Response make_upload(const Desk& desk, const Call& call);
http::Response get_upload(const Desk& desk, const Call& call);
http::Response append_upload(const Desk& desk, const Call& call);
http::Response end_upload(const Desk& desk, const Call& call);
http::Response drop_upload(const Desk& desk, const Call& call);

http::Response list_models(const Desk& desk, const Call& call);
http::Response list_versions(const Desk& desk, const Call& call);
http::Response add_version(const Desk& desk, const Call& call);
http::Response get_manifest(const Desk& desk, const Call& call);
http::Response list_model_files(const Desk& desk, const Call& call);
http::Response add_model_file(const Desk& desk, const Call& call);
http::Response get_model_file(const Desk& desk, const Call& call);
http::Response get_model_content(const Desk& desk, const Call& call);
http::Response get_model_picture(const Desk& desk, const Call& call);
http::Response drop_model_file(const Desk& desk, const Call& call);
http::Response list_keys(const Desk& desk, const Call& call);
http::Response add_keys(const Desk& desk, const Call& call);

http::Response list_rounds(const Desk& desk, const Call& call);
http::Response start_round(const Desk& desk, const Call& call);
http::Response get_round(const Desk& desk, const Call& call);
http::Response cancel_round(const Desk& desk, const Call& call);
http::Response list_round_devices(const Desk& desk, const Call& call);

http::Response list_audit(const Desk& desk, const Call& call);
http::Response list_dead_letters(const Desk& desk, const Call& call);

http::Response list_tokens(const Desk& desk, const Call& call);
http::Response make_token(const Desk& desk, const Call& call);
http::Response end_token(const Desk& desk, const Call& call);
http::Response make_enrolment(const Desk& desk, const Call& call);
http::Response enrol(const Desk& desk, const Call& call);

http::Response get_openapi(const Desk& desk, const Call& call);
http::Response health_live(const Desk& desk, const Call& call);
http::Response health_ready(const Desk& desk, const Call& call);
http::Response metrics(const Desk& desk, const Call& call);

}  // namespace lapwing::hub
