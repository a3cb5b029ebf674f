// SPDX-License-Identifier: Apache-2.0
/// What a sink counts, however it delivers.
#pragma once

#include "hub/sink/record_json.hpp"
#include "shared/base/metrics.hpp"

#include <string>

namespace lapwing::hub {

/// Threads: safe.
class SinkCounts {
 public:
  SinkCounts(Metrics& metrics, std::string sink) : metrics_(metrics), sink_(std::move(sink)) {}
  void sent(std::string_view record_class) {
    metrics_
        .counter("hub_sink_sent_total", "Messages that a sink has",
                 {{"sink", sink_}, {"class", std::string(record_class)}})
        .add();
  }
  /// `reason` is one of librdkafka's words.
  void failed(const std::string& reason) {
    metrics_
        .counter("hub_sink_failed_total", "Messages not delivered; they are sent again",
                 {{"sink", sink_}, {"reason", reason}})
        .add();
  }
  void refused(const std::string& reason) {
    metrics_
        .counter("hub_sink_refused_total", "Records that a sink does not take; told as losses",
                 {{"sink", sink_}, {"reason", reason}})
        .add();
  }

 private:
  Metrics& metrics_;
  std::string sink_;
};

}  // namespace lapwing::hub
