// SPDX-License-Identifier: Apache-2.0
/// What other regions ask this one, and what is known of them.
#include "hub/api/handlers.hpp"
#include "hub/api/query.hpp"
#include "hub/api/rows_json.hpp"
#include "hub/exchange/lines.hpp"
#include "hub/store/exchange.hpp"

namespace lapwing::hub {

using http::Response;

Response list_regions(const Desk& desk, const Call& call) {
  const auto regions = desk.parts.store.exchange().regions(call.token.tenant);
  return regions ? fresh(call, to_json(*regions)) : refuse(call, regions.error());
}

Response list_device_regions(const Desk& desk, const Call& call) {
  const auto ledgers =
      desk.parts.store.exchange().ledgers({call.token.tenant, call.request.parameter("device")});
  return ledgers ? fresh(call, to_json(*ledgers)) : refuse(call, ledgers.error());
}

Response export_rows(const Desk& desk, const Call& call) {
  const auto& name = call.request.parameter("kind");
  const auto kind = exchange_kind(name);
  if (!kind) {
    return refuse(call, {Errc::not_found, "devices, ledgers and anomalies can be exported"});
  }
  Query query(call.request);
  const ExportRequest request{.cursor = query.text("after").value_or(""),
                              .rows_max = query.count("limit", 500, 1'000)};
  if (query.problem()) return refuse(call, *query.problem());
  const auto page = desk.parts.store.exchange().page(call.token.tenant, *kind, request);
  if (!page) return refuse(call, page.error());
  std::string body;
  for (const auto& row : page->rows) body.append(to_line(row)).append("\n");
  body.append(to_line(PageEnd{call.token.tenant, name, page->next, page->more})).append("\n");
  auto response = fresh(call, std::move(body));
  if (!response.content_type.empty()) response.content_type = "application/x-ndjson";
  return response;
}

}  // namespace lapwing::hub
