// SPDX-License-Identifier: Apache-2.0
/// What decoding hands to the engine, and the two things it needs from it.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/strong.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <span>
#include <string_view>

namespace lapwing::agent {

/// One value of one sensor at one time.
struct Reading {
  StreamId stream;
  Time time{};  ///< event time: the payload's, else the receive time
  double value =
      0;  ///< in the sensor's own unit; may be NaN or infinite (a quality check reports it)
};

/// Gives every stream name its id; the engine's registry implements it.
///
/// Ownership: borrows its arguments for the call only.
/// Errors: `limit` when the maximum number of streams is reached (the caller counts the reading as
///   refused and goes on, and asks again at a later message, at most about once a second a name);
///   `shutting_down`.
/// Threads: shared objects are safe.
/// Cost: may lock, hash and allocate: callers keep the answer per topic and field.
/// Repeatable: one name has one id for the life of the process; tags of the first call stay.
class StreamNamer {
 public:
  virtual ~StreamNamer() = default;
  virtual Result<StreamId> stream_for(std::string_view name, std::span<const wire::Tag> tags) = 0;
};

/// Takes readings in the order in which they arrived; the engine implements it.
///
/// Ownership: borrows the batch for the call only.
/// Bound: waits while a queue is full, which slows the source down (back-pressure); it returns
/// early
///   with `shutting_down` when a stop is requested.
/// Threads: shared objects are safe; the order of one stream is the order of one thread's calls.
/// Cost: no allocation after warm-up; one hand-over per batch and shard.
class ReadingSink {
 public:
  virtual ~ReadingSink() = default;
  virtual Result<void> submit(std::span<const Reading> readings) = 0;
  /// Whether readings wait because scoring waits for the outbox, and so maybe for the hub: that can
  /// take hours. A source that waits on a thread which others need lets it go.
  [[nodiscard]] virtual bool held_up() const { return false; }
};

}  // namespace lapwing::agent
