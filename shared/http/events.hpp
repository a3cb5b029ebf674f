// SPDX-License-Identifier: Apache-2.0
/// Server-sent events (HTML standard, section 9.2): the publisher's end, and reading them.
#pragma once

#include "shared/base/mutex.hpp"
#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::http {

/// One event. Empty parts are not sent; an event without data carries its id only.
struct Event {
  std::string id;
  std::string name;  ///< the `event:` field
  std::string data;
  /// How long the reader is to wait before it connects again, in milliseconds.
  std::optional<std::uint32_t> retry_ms = std::nullopt;
};
/// As it goes over the line, empty line included. Line breaks in `data` are kept, elsewhere
/// dropped.
[[nodiscard]] std::string format_event(const Event& event);

/// What a handler hands back to keep a connection open: events pushed into it reach the client.
///
/// Bound: `bytes_max` of events not yet written; a push beyond it ends the stream (the client
///   resumes with Last-Event-ID), as does a client that takes nothing for Limits::event_write; the
///   server counts both (lapwing_http_event_streams_dropped_total).
/// Ownership: shared by the publisher and the connection, whichever ends last.
/// Threads: shared objects are safe. `on_empty` and `on_close` are called on the server's thread
///   without a lock held: they must only post or notify.
class EventStream {
 public:
  struct Options {
    std::size_t bytes_max = std::size_t{1} << 20U;
    /// Everything pushed so far was handed to the socket: room for more.
    std::function<void()> on_empty = nullptr;
    /// The client went away, or close() was called: once, the last call.
    std::function<void()> on_close = nullptr;
  };
  explicit EventStream(Options options) : options_(std::move(options)) {}

  /// False: the stream has ended.
  bool push(const Event& event);
  /// Any number of whole events, as format_event makes them, one behind the other: at once, and
  /// without a copy for each stream where nothing else waits.
  bool push_shared(std::shared_ptr<const std::string> events);
  /// A line the client's parser skips.
  bool comment(std::string_view text);
  /// Ends the stream after what was pushed. Repeatable.
  void close();
  [[nodiscard]] bool closed() const;
  [[nodiscard]] std::size_t waiting_bytes() const;

  // --- the connection's end
  // -----------------------------------------------------------------------
  struct Taken {
    std::shared_ptr<const std::string> shared;  ///< before `bytes`; may be null
    std::string bytes;
    bool end = false;
    bool overflowed = false;
  };
  /// Everything waiting.
  [[nodiscard]] Taken take();
  /// `wake` is called, from any thread, when there is something to take.
  void attach(std::function<void()> wake);
  /// The connection took the last bytes and waits for more.
  void drained();
  /// The connection is gone.
  void detach();

 private:
  bool append(std::string text, std::shared_ptr<const std::string> shared);
  [[nodiscard]] std::size_t bytes_here() const LAPWING_REQUIRES(mutex_);

  Options options_;
  mutable Mutex mutex_;
  std::shared_ptr<const std::string> shared_ LAPWING_GUARDED_BY(mutex_);
  std::string waiting_ LAPWING_GUARDED_BY(mutex_);  ///< after `shared_`
  std::function<void()> wake_ LAPWING_GUARDED_BY(mutex_);
  bool closed_ LAPWING_GUARDED_BY(mutex_) = false;
  bool overflowed_ LAPWING_GUARDED_BY(mutex_) = false;
  bool detached_ LAPWING_GUARDED_BY(mutex_) = false;
};

/// Turns the bytes of a response into events.
/// Bound: an event of more than `bytes_max` is `limit`, and the parser is of no more use.
class EventParser {
 public:
  explicit EventParser(std::size_t bytes_max = std::size_t{1} << 20U) : bytes_max_(bytes_max) {}

  /// Events that these bytes complete, in order, those with only an id too.
  Result<std::vector<Event>> feed(std::string_view bytes);

 private:
  void take_line(std::string_view line, std::vector<Event>& done);

  std::size_t bytes_max_;
  std::string line_;
  bool after_return_ = false;  ///< a line feed now belongs to the carriage return before it
  bool has_field_ = false;
  Event event_;
};

}  // namespace lapwing::http
