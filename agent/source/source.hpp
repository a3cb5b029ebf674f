// SPDX-License-Identifier: Apache-2.0
/// Where readings come from: brokers, files, the machine itself.
#pragma once

#include "agent/decode/quarantine.hpp"
#include "agent/decode/reading.hpp"
#include "agent/source/source_config.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing {
class Metrics;
}

namespace lapwing::agent {

enum class SourceState : std::uint8_t { stopped, starting, running, waiting, finished, failed };
/// As a word for the status API: `running`.
[[nodiscard]] std::string_view to_string(SourceState state) noexcept;

/// How a source does, for the status API.
struct SourceHealth {
  std::string name;
  std::string kind;
  SourceState state = SourceState::stopped;
  std::string detail;  ///< waiting, failed: why and the remedy; else empty
  std::uint64_t messages = 0;
  std::uint64_t readings = 0;
  std::uint64_t refused = 0;
  std::uint64_t bytes = 0;
  std::uint64_t waits = 0;  ///< times the intake held its broker back because the engine was behind
  Time last_message{};      ///< the epoch when there was none
};

/// Produces readings on threads of its own from start() to stop().
///
/// Errors: start() fails only for what waiting cannot mend (bad_config, not_found); an absent
/// broker
///   is `waiting`, not an error.
/// Threads: start() and stop() from one thread; health() and finished() from any. The readings of a
///   source are submitted from one thread.
class Source {
 public:
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  virtual Result<void> start() = 0;
  /// Idempotent; returns when no more readings will be submitted. Stop sources before the engine.
  virtual void stop() noexcept = 0;
  [[nodiscard]] virtual SourceHealth health() const = 0;
  /// True when a source that ends (a file) has handed on everything.
  [[nodiscard]] virtual bool finished() const { return false; }

 protected:
  Source() = default;
};

/// What sources need; everything outlives them.
struct SourceContext {
  StreamNamer& namer;
  ReadingSink& sink;
  Quarantine& quarantine;
  Metrics* metrics = nullptr;  ///< may be null
  std::string device_name;     ///< for default client ids; `[agent] name`
};

[[nodiscard]] std::unique_ptr<Source> make_source(const SourceConfig& config,
                                                  const SourceContext& context);
[[nodiscard]] std::unique_ptr<Source> make_mqtt_source(const SourceConfig& config,
                                                       const SourceContext& context);
[[nodiscard]] std::unique_ptr<Source> make_csv_source(const SourceConfig& config,
                                                      const SourceContext& context);
[[nodiscard]] std::unique_ptr<Source> make_host_source(const SourceConfig& config,
                                                       const SourceContext& context);

}  // namespace lapwing::agent
