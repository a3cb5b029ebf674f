// SPDX-License-Identifier: Apache-2.0
/// All that records are handed on to.
#pragma once

#include "hub/ingest/tap.hpp"
#include "hub/sink/config.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"

#include <memory>
#include <string>
#include <vector>

namespace lapwing::hub {

/// Threads: a shared one is safe.
class Sinks final : public RecordTaps {
 public:
  /// Begins to hand on. Borrows `store` and `metrics`, which must outlive it. bad_config: a setting
  /// is not taken. A Kafka that is away is waited for.
  static Result<std::unique_ptr<Sinks>> start(const std::vector<SinkConfig>& configs, Store& store,
                                              Metrics& metrics);
  ~Sinks() override;

  std::unique_ptr<RecordTap> follow(IngestTransaction& transaction) override;
  /// What is wrong, for people.
  [[nodiscard]] std::vector<std::string> notes() const;

  struct Sink;  // of the implementation

 private:
  Sinks();
  std::vector<std::unique_ptr<Sink>> sinks_;
};

}  // namespace lapwing::hub
