// SPDX-License-Identifier: Apache-2.0
/// Takes offers of models, and brings them into use, on a thread of its own. What there is to do is
/// done by pieces with a header each: offer_intake, model_transfers, activator, model_reporter,
/// operator_wishes.
#pragma once

#include "agent/engine/engine.hpp"
#include "agent/models/activation.hpp"
#include "agent/models/config.hpp"
#include "agent/models/file_fetch.hpp"
#include "agent/models/remembered.hpp"
#include "agent/models/slots.hpp"
#include "agent/outbox/outbox.hpp"
#include "shared/wire/models.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace lapwing {
class Metrics;
}

namespace lapwing::agent {

struct ModelDeskParts {
  ModelsConfig config;
  std::filesystem::path folder;             ///< `<data_dir>/models`
  std::filesystem::path second;             ///< see ModelTrust::Files
  std::vector<detect::GroupConfig> groups;  ///< of the configuration
  std::string tenant;                       ///< who the device is to the hub; empty: no hub
  std::string device;
  std::string agent_version;
  Engine& engine;
  Outbox& outbox;
  Metrics& metrics;
  Micros tick = std::chrono::seconds(1);  ///< how often it looks at trials and wishes
};

/// One model, for status pages.
struct ModelFigures {
  std::string model;
  std::string state;  ///< last reported; empty: none was ever offered
  std::uint64_t version = 0;
  std::string detail;
  ActivationState kept;
  std::string problem;  ///< of what lies on disk; empty: nothing
};

struct ModelDeskFigures {
  std::vector<ModelFigures> models;  ///< those that groups use, by name
  std::uint64_t keys_number = 0;     ///< of the key list; 0: there is none
  bool frozen = false;  ///< nobody has told for long what to run: see release::Judge::frozen
  std::string problem;  ///< why no offer can be judged; empty: nothing
};

/// Threads: open, use, start, stop, ended_cleanly from one thread; offer and figures from any. One
/// of its own does the work: never a scoring one. Bounds: kOffersMax offers wait, further ones are
/// refused and counted (the hub sends them again).
class ModelDesk {
 public:
  static constexpr std::size_t kOffersMax = 64;

  explicit ModelDesk(ModelDeskParts parts);
  ~ModelDesk();
  ModelDesk(const ModelDesk&) = delete;
  ModelDesk& operator=(const ModelDesk&) = delete;

  /// Before Engine::start(): counts an end that was not clean, and installs what the slots hold.
  /// From now until ended_cleanly() the end of the process is no clean one. Nothing on disk
  /// keeps the agent from scoring: what is damaged is an empty slot, what cannot be written is told
  /// in the log and counted.
  void open();
  /// What gets files; borrowed until stop(), or the end of the desk, which does not call it. Before
  /// start(). Without one nothing is fetched.
  void use(FileFetch& fetch);
  void start();
  /// Ends the thread; what is under way goes on with the next start. Repeatable.
  void stop();
  /// After all else has ended.
  void ended_cleanly();

  /// From the hub. False: too many wait.
  bool offer(wire::Offer offer);
  [[nodiscard]] ModelDeskFigures figures() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::agent
