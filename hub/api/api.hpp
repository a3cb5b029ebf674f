// SPDX-License-Identifier: Apache-2.0
/// The hub's HTTP API: what people, the page and programs ask. Described by openapi.json.
#pragma once

#include "hub/api/store_watch.hpp"
#include "hub/exchange/peer_state.hpp"
#include "hub/fleet/enrolment.hpp"
#include "hub/store/feed.hpp"
#include "hub/store/store.hpp"
#include "shared/http/router.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing {
class Metrics;
}

namespace lapwing::hub {

struct ApiOptions {
  /// Where devices reach the broker; told to them at enrolment.
  std::string mqtt_host;
  std::uint16_t mqtt_port = 8883;
  /// Failed credentials of one address within a minute; then it gets 429 until a minute has passed.
  std::uint32_t failures_max = 30;
  /// False: offers of models cannot be signed here, so no rollout is begun.
  bool can_assign = true;
};

/// What `/health/ready` tells; none of it may block.
struct Readiness {
  const StoreWatch& store;
  /// Whether records are taken in: connected to the broker, store working. Empty: not here.
  std::function<bool()> ingest = nullptr;
  /// Whether the hub is about to end and others should be asked. May be empty.
  std::function<bool()> draining = nullptr;
};

/// What the API stands on; borrowed, must outlive it.
struct ApiParts {
  Store& store;
  Feed& feed;
  Enrolment& enrolment;
  Metrics& metrics;
  Readiness readiness;
  /// The regions whose rows are taken; may be empty.
  std::function<std::vector<PeerState>()> peers = nullptr;
  /// What is wrong and stops no device, for people who ask for the health. May be empty.
  std::function<std::vector<std::string>()> notes = nullptr;
};

/// For a process that serves no API: health and metrics, and on every other path word of that.
/// Everything borrowed must outlive the router.
void add_service_routes(http::Router& router, Readiness readiness, Metrics& metrics);

/// One operation of the API, as the router and the OpenAPI document know it.
struct Operation {
  http::Method method = http::Method::get;
  std::string_view pattern;
  std::string_view scope;               ///< what the token must allow; empty: no token
  std::vector<std::string_view> query;  ///< the parameters it understands; others are refused
  bool quick = false;                   ///< never blocks, asks no token
  std::uint64_t body_bytes = 0;         ///< 0: as every request's
};
/// Every operation.
[[nodiscard]] const std::vector<Operation>& operations();
/// The OpenAPI 3.1 document, as served.
[[nodiscard]] std::string_view openapi_document();

/// Answers for one hub. Its handlers block on the store: give the server workers.
/// Ownership: the server whose router it filled must be stopped before it ends.
/// Threads: handlers may run on any number of threads.
class Api {
 public:
  Api(const ApiParts& parts, const ApiOptions& options);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  void add_routes(http::Router& router);
  /// Ends the live feeds: each follower gets what was pushed and word to connect again soon, which
  /// a balancer leads elsewhere. New ones are refused from now on.
  void end_feeds();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::hub
