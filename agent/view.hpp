// SPDX-License-Identifier: Apache-2.0
/// What the agent's parts know about themselves, for its status server and for the hub.
#pragma once

#include "agent/config.hpp"
#include "agent/engine/engine.hpp"
#include "agent/models/desk.hpp"
#include "agent/outbox/outbox.hpp"
#include "agent/source/source.hpp"
#include "agent/status/status.hpp"
#include "agent/uplink/uplink.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

/// Everything the view looks at; all of it outlives the view. `uplink` is null without a hub,
/// `desk` where nobody asks for models.
struct ViewedParts {
  std::string name;
  std::size_t streams_max = 0;
  const Outbox& outbox;
  Engine& engine;
  const std::vector<std::unique_ptr<Source>>& sources;
  const Quarantine& quarantine;
  const Uplink* uplink = nullptr;
  const ModelDesk* desk = nullptr;
};

class AgentView final : public StatusView {
 public:
  explicit AgentView(ViewedParts parts);

  std::vector<std::string> not_ready() override;
  AgentStatus status() override;
  Result<StreamPage> streams(std::size_t limit, std::string_view cursor) override;
  std::vector<QuarantineEntry> quarantine(std::size_t limit) override;
  Result<void> take(std::string_view stream, detect::Feedback feedback) override;

  /// What the device reports to the hub, besides the outbox's figures, which the uplink knows.
  void fill(wire::Status& status) const;

 private:
  ViewedParts parts_;
  Time started_;
};

}  // namespace lapwing::agent
