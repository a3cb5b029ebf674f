// SPDX-License-Identifier: Apache-2.0
#include "shared/base/log.hpp"

#include "shared/base/mutex.hpp"
#include "shared/base/time.hpp"
#include "shared/base/utf8.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <unordered_map>

namespace lapwing::log {
namespace {

constexpr std::size_t kMessagesMax = 1000;  // distinct messages whose repeats are counted

/// Inside double quotes, for JSON and logfmt alike: control characters and bad bytes are escaped.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0) {
      out += "\xEF\xBF\xBD";  // U+FFFD
      ++at;
      continue;
    }
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[at];
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      out += text.substr(at, length);
    }
    at += length;
  }
  out += '"';
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == '"' || byte == '=' || byte == '\\' || byte >= 0x7F) return true;
  }
  return false;
}

std::string_view name(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
  }
  return "info";
}

void append_field(std::string& out, Format format, std::string_view key, std::string_view value,
                  bool quoted) {
  if (format == Format::json) {
    if (out.size() > 1) out += ',';
    append_quoted(out, key);
    out += ':';
    if (quoted) {
      append_quoted(out, value);
    } else {
      out += value;
    }
    return;
  }
  if (!out.empty()) out += ' ';
  out += key;
  out += '=';
  if (quoted && needs_quotes(value)) {
    append_quoted(out, value);
  } else {
    out += value;
  }
}

struct Repeats {
  Ticks window_start{};
  int written = 0;
  std::uint64_t suppressed = 0;
};

struct State {
  std::atomic<Level> level{Level::info};
  std::atomic<Format> format{Format::logfmt};
  Mutex mutex;
  Level configured LAPWING_GUARDED_BY(mutex) = Level::info;
  std::optional<Level> overriding LAPWING_GUARDED_BY(mutex);
  std::unordered_map<std::string, Repeats> repeats LAPWING_GUARDED_BY(mutex);
  std::shared_ptr<spdlog::logger> logger;

  State()
      : logger(std::make_shared<spdlog::logger>(
            "lapwing", std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
  }

  /// Whether this message may be written now; `suppressed` gets what was held back before it.
  bool admit(std::string_view message, Ticks at, std::uint64_t& suppressed) {
    const MutexLock lock(mutex);
    std::string key(message);
    if (repeats.size() >= kMessagesMax && !repeats.contains(key)) key.clear();
    Repeats& known = repeats[key];
    if (at - known.window_start >= std::chrono::seconds(kRepeatWindowSeconds)) {
      known.window_start = at;
      known.written = 0;
    }
    if (known.written >= kRepeatsMax) {
      ++known.suppressed;
      return false;
    }
    ++known.written;
    suppressed = std::exchange(known.suppressed, 0);
    return true;
  }
};

State& state() {
  static State* const instance = new State;  // never destroyed: threads may log until the very end
  return *instance;
}

}  // namespace

Field::Field(std::string_view name, double number) : key(name), quoted(!std::isfinite(number)) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", number);
  value = text;
}

void configure(Level level, Format format) {
  State& log = state();
  log.format = format;
  const MutexLock lock(log.mutex);
  log.configured = level;
  log.level = log.overriding.value_or(level);
}

void override_level(std::optional<Level> level) {
  State& log = state();
  const MutexLock lock(log.mutex);
  log.overriding = level;
  log.level = level.value_or(log.configured);
}

Result<Level> level_from(std::string_view text) {
  for (const Level level : {Level::debug, Level::info, Level::warn, Level::error}) {
    if (text == name(level)) return level;
  }
  return Error{Errc::bad_config,
               "log level \"" + std::string(text) + "\" is none of debug, info, warn, error"};
}

Result<Format> format_from(std::string_view text) {
  if (text == "logfmt") return Format::logfmt;
  if (text == "json") return Format::json;
  return Error{Errc::bad_config,
               "log format \"" + std::string(text) + "\" is neither logfmt nor json"};
}

std::string format_line(Format format, Level level, std::string_view time, std::string_view message,
                        std::initializer_list<Field> fields, std::uint64_t suppressed) {
  std::string line = format == Format::json ? "{" : "";
  append_field(line, format, "time", time, true);
  append_field(line, format, "level", name(level), true);
  append_field(line, format, "msg", message, true);
  for (const Field& field : fields)
    append_field(line, format, field.key, field.value, field.quoted);
  if (suppressed > 0) {
    append_field(line, format, "suppressed", std::to_string(suppressed), false);
  }
  if (format == Format::json) line += '}';
  return line;
}

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  State& log = state();
  if (level < log.level.load(std::memory_order_relaxed)) return;
  std::uint64_t suppressed = 0;
  if (!log.admit(message, ticks_now(), suppressed)) return;
  log.logger->log(spdlog::level::info, "{}",
                  format_line(log.format.load(std::memory_order_relaxed), level, to_rfc3339(now()),
                              message, fields, suppressed));
}

}  // namespace lapwing::log
