// SPDX-License-Identifier: Apache-2.0
/// What the model desk counts.
#pragma once

#include "agent/models/activation.hpp"
#include "shared/base/metrics.hpp"

#include <map>
#include <string>
#include <string_view>

namespace lapwing::agent {

/// Threads: one at a time.
class ModelMeters {
 public:
  /// Borrows the metrics.
  explicit ModelMeters(Metrics& metrics)
      : dropped(metrics.counter("model_offers_dropped_total",
                                "Offers of models beyond the desk's bound; they come again")),
        fetch_failures(
            metrics.counter("model_fetch_failures_total", "Model files that could not be fetched")),
        keep_failures(metrics.counter("model_keep_failures_total",
                                      "Times the state of a model could not be written")),
        frozen(
            metrics.gauge("models_frozen", "1 while nobody has told for long what models to run")),
        metrics_(metrics) {}

  /// By the first word of the reason: `rollback: ...`; anything else is `other`.
  void refused(std::string_view why);
  void reported(std::string_view state);
  /// `model_info`: 1 for what is in a slot.
  void slots(const std::string& model, const ActivationState& state);

  Counter& dropped;
  Counter& fetch_failures;
  Counter& keep_failures;
  Gauge& frozen;

 private:
  Metrics& metrics_;
  std::map<std::string, std::uint64_t> shown_;  ///< by model and slot: the version that is 1
};

}  // namespace lapwing::agent
