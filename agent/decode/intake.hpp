// SPDX-License-Identifier: Apache-2.0
/// From raw messages to readings: the hot path of a source.
#pragma once

#include "agent/decode/decoder.hpp"
#include "agent/decode/message_batch.hpp"
#include "agent/decode/quarantine.hpp"
#include "agent/decode/reading.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing {
class Metrics;
}

namespace lapwing::agent {

/// Topics that are decoded in one way. The first route with a matching filter takes a message.
struct Route {
  std::vector<std::string> filters;  ///< MQTT filters; empty takes every topic
  DecodeConfig decode;
};

struct IntakeConfig {
  std::string source;         ///< name of the [[source]], for quarantine and metrics
  std::vector<Route> routes;  ///< at least one
  /// Topics and fields remembered; at the bound all are forgotten and learnt again
  /// (lapwing_intake_cache_resets_total). Count, [16, 10000000].
  std::size_t cache_entries_max = 200000;
};

/// Decodes the messages of one source and hands the readings on in batches.
///
/// Names: the stream of a field is the topic (through the route's template) plus `/` plus the
/// field's
///   name. What cannot be read, named or placed goes to the quarantine, the rest goes on.
/// Errors: shutting_down from the sink (what was not handed on is dropped: the engine is stopping).
/// Threads: distinct objects are safe; one object is used from one thread at a time.
/// Cost: one hash and one comparison per message, one comparison per field; no allocation once the
///   topics and shapes are known.
class Intake {
 public:
  /// `namer`, `sink`, `quarantine` and `metrics` (may be null) must outlive the object.
  Intake(IntakeConfig config, StreamNamer& namer, ReadingSink& sink, Quarantine& quarantine,
         Metrics* metrics = nullptr);
  ~Intake();
  Intake(const Intake&) = delete;
  Intake& operator=(const Intake&) = delete;

  Result<void> take(const MessageBatch& batch);

  struct Totals {
    std::uint64_t messages = 0;
    std::uint64_t readings = 0;
    std::uint64_t refused = 0;  ///< payloads, rows or fields in the quarantine
    std::uint64_t bytes = 0;    ///< of payloads
    Time last_message{};
  };
  /// Threads: may be called from any thread.
  [[nodiscard]] Totals totals() const;

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace lapwing::agent
