// SPDX-License-Identifier: Apache-2.0
/// Structured log to stderr: logfmt or JSON lines. Repeats of a message are rate-limited and
/// counted.
#pragma once

#include "shared/base/result.hpp"

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::log {

enum class Level : std::uint8_t { debug, info, warn, error };
enum class Format : std::uint8_t { logfmt, json };

/// A name and its value. Never a secret, never a payload.
struct Field {
  std::string_view key;
  std::string value;
  bool quoted = true;  ///< false: a number or bool, bare in JSON

  Field(std::string_view name, std::string_view text) : key(name), value(text) {}
  Field(std::string_view name, const char* text) : key(name), value(text) {}
  Field(std::string_view name, const std::string& text) : key(name), value(text) {}
  Field(std::string_view name, const std::filesystem::path& path)
      : key(name), value(path.string()) {}
  Field(std::string_view name, bool flag)
      : key(name), value(flag ? "true" : "false"), quoted(false) {}
  Field(std::string_view name, double number);
  template <std::integral T>
  requires(!std::same_as<T, bool>) Field(std::string_view name, T number)
      : key(name), value(std::to_string(number)), quoted(false) {}
  Field(const Error& error) : key("error"), value(error.context) {}  // NOLINT: implicit
};

/// Sets level and format for the whole process. Before the first call: info, logfmt.
/// Threads: safe at any time.
void configure(Level level, Format format);
/// Another level than the configured one, until nullopt is given; configure() does not end it.
/// Threads: safe at any time.
void override_level(std::optional<Level> level);
/// `debug`, `info`, `warn` or `error`. Errors: bad_config.
Result<Level> level_from(std::string_view text);
Result<Format> format_from(std::string_view text);

/// Writes one line. At most kRepeatsMax lines of one message per kRepeatWindow; what was held back
/// is told with the next line of that message (suppressed=N). Threads: safe. Cost: a system call;
/// not for the hot path.
void write(Level level, std::string_view message, std::initializer_list<Field> fields = {});

inline constexpr int kRepeatsMax = 5;
inline constexpr int kRepeatWindowSeconds = 10;

inline void debug(std::string_view message, std::initializer_list<Field> fields = {}) {
  write(Level::debug, message, fields);
}
inline void info(std::string_view message, std::initializer_list<Field> fields = {}) {
  write(Level::info, message, fields);
}
inline void warn(std::string_view message, std::initializer_list<Field> fields = {}) {
  write(Level::warn, message, fields);
}
inline void error(std::string_view message, std::initializer_list<Field> fields = {}) {
  write(Level::error, message, fields);
}

/// The line without its end, as `write` would print it; for tests.
[[nodiscard]] std::string format_line(Format format, Level level, std::string_view time,
                                      std::string_view message, std::initializer_list<Field> fields,
                                      std::uint64_t suppressed = 0);

}  // namespace lapwing::log
