// SPDX-License-Identifier: Apache-2.0
#include "shared/http/events.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::http {
namespace {

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  std::ranges::copy_if(value, std::back_inserter(out),
                       [](char c) { return c != '\n' && c != '\r' && c != '\0'; });
  out += '\n';
}

}  // namespace

std::string format_event(const Event& event) {
  std::string out;
  out.reserve(event.data.size() + 64);
  if (!event.id.empty()) append_field(out, "id", event.id);
  if (!event.name.empty()) append_field(out, "event", event.name);
  if (event.retry_ms) append_field(out, "retry", std::to_string(*event.retry_ms));
  if (!event.data.empty()) {
    std::string_view rest = event.data;
    for (;;) {
      const auto end = rest.find('\n');
      append_field(out, "data", rest.substr(0, end));
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
  out += '\n';
  return out;
}

std::size_t EventStream::bytes_here() const {
  return (shared_ ? shared_->size() : 0) + waiting_.size();
}

bool EventStream::append(std::string text, std::shared_ptr<const std::string> shared) {
  std::function<void()> wake;
  bool taken = true;
  {
    const MutexLock lock(mutex_);
    if (closed_) return false;
    if (bytes_here() + text.size() + (shared ? shared->size() : 0) > options_.bytes_max) {
      closed_ = true;
      overflowed_ = true;
      taken = false;
    } else if (shared && bytes_here() == 0) {
      shared_ = std::move(shared);
    } else {
      waiting_ += shared ? *shared : text;
    }
    wake = wake_;
  }
  if (wake) wake();
  return taken;
}

bool EventStream::push_shared(std::shared_ptr<const std::string> events) {
  return append({}, std::move(events));
}

bool EventStream::push(const Event& event) { return append(format_event(event), nullptr); }

bool EventStream::comment(std::string_view text) {
  std::string line;
  append_field(line, "", text);  // a line without a field's name is a comment
  line += '\n';
  return append(std::move(line), nullptr);
}

void EventStream::close() {
  std::function<void()> wake;
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    closed_ = true;
    wake = wake_;
  }
  if (wake) wake();
}

bool EventStream::closed() const {
  const MutexLock lock(mutex_);
  return closed_;
}

std::size_t EventStream::waiting_bytes() const {
  const MutexLock lock(mutex_);
  return bytes_here();
}

EventStream::Taken EventStream::take() {
  const MutexLock lock(mutex_);
  return {.shared = std::exchange(shared_, nullptr),
          .bytes = std::exchange(waiting_, {}),
          .end = closed_,
          .overflowed = overflowed_};
}

void EventStream::attach(std::function<void()> wake) {
  const MutexLock lock(mutex_);
  wake_ = std::move(wake);
}

void EventStream::drained() {
  if (options_.on_empty) options_.on_empty();
}

void EventStream::detach() {
  {
    const MutexLock lock(mutex_);
    if (std::exchange(detached_, true)) return;
    closed_ = true;
    wake_ = nullptr;
    shared_ = nullptr;
    waiting_.clear();
  }
  if (options_.on_close) options_.on_close();
}

Result<std::vector<Event>> EventParser::feed(std::string_view bytes) {
  std::vector<Event> done;
  for (const char c : bytes) {
    if (std::exchange(after_return_, c == '\r') && c == '\n') continue;
    if (c == '\n' || c == '\r') {
      take_line(line_, done);
      line_.clear();
      continue;
    }
    line_ += c;
    if (line_.size() + event_.data.size() > bytes_max_) {
      return Error{Errc::limit, "an event is longer than " + std::to_string(bytes_max_) + " bytes"};
    }
  }
  return done;
}

void EventParser::take_line(std::string_view line, std::vector<Event>& done) {
  if (line.empty()) {
    if (has_field_) {
      if (!event_.data.empty()) event_.data.pop_back();  // the last line's end
      done.push_back(std::exchange(event_, {}));
    }
    has_field_ = false;
    return;
  }
  const auto colon = line.find(':');
  if (colon == 0) return;  // a comment
  const auto name = line.substr(0, colon);
  auto value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    event_.data.append(value) += '\n';
  } else if (name == "id") {
    event_.id = value;
  } else if (name == "event") {
    event_.name = value;
  } else {
    return;
  }
  has_field_ = true;
}

}  // namespace lapwing::http
