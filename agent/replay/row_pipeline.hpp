// SPDX-License-Identifier: Apache-2.0
/// The pipeline of one stream or of one group, fed with rows.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/group.hpp"
#include "shared/detect/pipeline.hpp"
#include "shared/detect/watch.hpp"
#include "shared/model/live.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::agent {

/// What both pipelines have in common. Ownership: borrows nothing. Threads: one at a time.
class RowPipeline {
 public:
  /// A stream's where rows have one value, else a group's. Errors: bad_config (no such detector for
  /// rows of this width: names those there are; or it refuses its settings).
  static Result<std::unique_ptr<RowPipeline>> make(const detect::WatchConfig& watch,
                                                   std::size_t width);
  /// A group's, scored by a model. Errors: bad_config (rows of another width), and the model's.
  static Result<std::unique_ptr<RowPipeline>> make(const detect::WatchConfig& watch,
                                                   std::size_t width,
                                                   const model::LiveModel& model);
  virtual ~RowPipeline() = default;
  RowPipeline(const RowPipeline&) = delete;
  RowPipeline& operator=(const RowPipeline&) = delete;

  /// Takes the next row; NaN = missing. Of a group the verdict's band is unknown, and `alarm` the
  /// strength of the strongest anomaly that opens, of the group or of a sensor. Events of a stream
  /// have neither sensor nor parts.
  virtual detect::Verdict push(Time time, std::span<const double> row, Time now,
                               std::vector<detect::GroupEvent>& events) = 0;
  /// The sensors' shares in the last row's score; empty for a stream. Borrowed until the next push.
  [[nodiscard]] virtual std::span<const float> contributions() const noexcept = 0;
  /// Rows that were repeated or out of order.
  [[nodiscard]] virtual std::uint64_t dropped_total() const noexcept = 0;
  virtual void finish(std::vector<detect::GroupEvent>& events) = 0;

 protected:
  RowPipeline() = default;
};

}  // namespace lapwing::agent
