// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sync_text.hpp"

#include <nlohmann/json.hpp>

namespace lapwing::hub {

using Json = nlohmann::json;

std::string sync_text(const sync::DeviceSyncState& state) {
  const Json json{{"epoch", state.epoch},
                  {"base", state.base},
                  {"watermark", state.watermark},
                  {"live_through", state.live_through},
                  {"granted", state.granted},
                  {"before_grant", state.before_grant},
                  {"database", state.database_id},
                  {"connection", state.connection_id},
                  {"instance", state.instance_id},
                  {"superseded", state.superseded},
                  {"left", state.left},
                  {"returns", state.returns},
                  {"returns_since", to_micros(state.returns_since)},
                  {"unheard", state.unheard},
                  {"quarantine", state.quarantine}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<sync::DeviceSyncState> sync_from(std::string_view text) {
  sync::DeviceSyncState state;
  if (text.empty()) return state;
  try {
    const auto json = Json::parse(text);
    state.epoch = json.at("epoch");
    state.base = json.at("base");
    state.watermark = json.at("watermark");
    state.live_through = json.value("live_through", std::uint64_t{0});
    state.granted = json.value("granted", std::uint64_t{0});
    state.before_grant = json.value("before_grant", std::uint64_t{0});
    state.database_id = json.at("database");
    state.connection_id = json.at("connection");
    state.instance_id = json.at("instance");
    state.superseded = json.at("superseded").get<std::vector<std::string>>();
    state.left = json.value("left", std::vector<std::string>());
    state.returns = json.at("returns");
    state.returns_since = from_micros(json.at("returns_since"));
    state.unheard = json.value("unheard", std::string());
    state.quarantine = json.at("quarantine");
  } catch (const Json::exception& e) {
    return Error{Errc::corrupt, std::string("stored sync state: ") + e.what()};
  }
  return state;
}

}  // namespace lapwing::hub
