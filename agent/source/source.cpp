// SPDX-License-Identifier: Apache-2.0
#include "agent/source/source.hpp"

#include <array>

namespace lapwing::agent {

std::string_view to_string(SourceState state) noexcept {
  constexpr std::array<std::string_view, 6> kNames{"stopped", "starting", "running",
                                                   "waiting", "finished", "failed"};
  return kNames[static_cast<std::size_t>(state)];
}

std::unique_ptr<Source> make_source(const SourceConfig& config, const SourceContext& context) {
  switch (config.kind) {
    case SourceKind::csv:
      return make_csv_source(config, context);
    case SourceKind::host:
      return make_host_source(config, context);
    default:
      return make_mqtt_source(config, context);
  }
}

}  // namespace lapwing::agent
