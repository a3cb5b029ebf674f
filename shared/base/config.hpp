// SPDX-License-Identifier: Apache-2.0
/// Configuration in TOML: typed keys that know their range, and every problem reported at once.
///
///     auto document = config::Document::load("agent.toml", config::process_environment());
///     const auto outbox = OutboxConfig::read(document.root().table({"outbox", "the durable
///     queue"})); for (const auto& problem : document.finish()) print(problem.text());
///
/// Sources, later wins: the file; `conf.d/*.toml` beside it in name order (tables merge, arrays of
/// tables append); environment variables `LAPWING__SECTION__KEY`. In strings `${VAR}`,
/// `${VAR:-default}` and `${VAR:?message}` are replaced; `$$` is a dollar sign.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::config {

/// A key as the user writes it. `help` and `unit` feed the generated reference.
struct Key {
  std::string_view name;
  std::string_view help;
  std::string_view unit = {};
};

/// Something wrong in the configuration.
struct Problem {
  std::string place;  ///< `agent.toml:12`, or the environment variable
  std::string key;    ///< `outbox.quota`; empty for a whole file
  std::string what;   ///< what is wrong and what is allowed
  /// `agent.toml:12: outbox.quota: ...`
  [[nodiscard]] std::string text() const;
};

/// One key of the generated reference; a table has the type `table` or `tables`.
struct KeyReference {
  std::string section;  ///< `outbox`, `watch[]`, `source[].json`
  std::string key;
  std::string type;
  std::string range;
  std::string fallback;
  std::string unit;
  std::string help;
};

struct State;

/// One table. Reading never fails: what is wrong is recorded, and the fallback returned. A key that
/// no call reads is unknown.
///
/// Ownership: refers to its Document, which must outlive it. Cheap to copy.
/// Threads: a document and its sections belong to one thread.
class Section {
 public:
  std::int64_t integer(Key key, std::int64_t fallback, std::int64_t min, std::int64_t max);
  double number(Key key, double fallback, double min, double max);
  std::optional<double> optional_number(Key key, double min, double max);
  bool flag(Key key, bool fallback);
  std::string text(Key key, std::string_view fallback);
  std::string required_text(Key key);
  std::string choice(Key key, std::string_view fallback,
                     std::initializer_list<std::string_view> allowed);
  std::string choice(Key key, std::string_view fallback, std::span<const std::string_view> allowed);
  /// "250ms", "10s", "5m", "1h", "7d", "2w"; "0" is allowed where `min` is zero.
  Micros duration(Key key, Micros fallback, Micros min, Micros max);
  std::optional<Micros> optional_duration(Key key, Micros min, Micros max);
  /// "64MiB", "1GB", 4096.
  std::uint64_t bytes(Key key, std::uint64_t fallback, std::uint64_t min, std::uint64_t max);
  /// A relative path the user gave is relative to the configuration file's folder.
  std::filesystem::path path(Key key, std::filesystem::path fallback);
  /// `KEY = "..."` or `KEY_file = "path"` (its text without the line's end).
  std::optional<Secret<std::string>> secret(Key key);
  std::vector<std::string> texts(Key key, std::vector<std::string> fallback);

  [[nodiscard]] bool has(std::string_view key) const;
  /// In a reference document: everything is read so that all keys are listed.
  [[nodiscard]] bool describing() const noexcept;
  /// A table inside this one; absent: an empty one whose keys give their fallbacks.
  Section table(Key key);
  /// An array of tables, in order; absent: none. In a reference document: one.
  std::vector<Section> tables(Key key);
  /// A rule between keys is broken: recorded at this key's place.
  void problem(std::string_view key, std::string what);

 private:
  friend class Document;
  struct Range;
  Section(State* state, const void* table, std::string path)
      : state_(state), table_(table), path_(std::move(path)) {}
  const void* find(const Key& key, const Range& range);
  void wrong(std::string_view key, const void* node, std::string what);

  State* state_;
  const void* table_;  // toml::table; nullptr when absent
  std::string path_;
};

using Environment = std::vector<std::pair<std::string, std::string>>;
/// The process's variables.
[[nodiscard]] Environment process_environment();

/// A loaded configuration. Keeps its sources alive for its sections.
class Document {
 public:
  /// The file and `conf.d/*.toml` in its folder. Unreadable files and bad syntax are problems.
  static Document load(const std::filesystem::path& file, const Environment& environment);
  /// One text, as if it were a file called `name` (tests, embedded defaults).
  static Document parse(std::string_view text, std::string_view name,
                        const Environment& environment = {});
  /// Has no values and records every key that is read: the source of the reference.
  static Document reference();

  ~Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;

  [[nodiscard]] Section root();
  /// Every problem so far and every key nobody read, by file and line. Call after all modules read
  /// their sections.
  [[nodiscard]] std::vector<Problem> finish();
  /// A hash of each table or key at the top, values included: a change tells what was edited.
  [[nodiscard]] std::map<std::string, std::size_t> fingerprints() const;
  /// For a reference document: what was read, in reading order.
  [[nodiscard]] const std::vector<KeyReference>& keys() const;

 private:
  Document();
  std::unique_ptr<State> state_;
};

/// "250ms" and the like. Errors: bad_config, the text named. Shared with the command lines.
Result<Micros> parse_duration(std::string_view text);
Result<std::uint64_t> parse_bytes(std::string_view text);
[[nodiscard]] std::string format_duration(Micros duration);
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);
/// The candidate nearest to `word` by Damerau-Levenshtein distance, if near enough to be meant.
[[nodiscard]] std::optional<std::string> did_you_mean(std::string_view word,
                                                      std::span<const std::string> candidates);

}  // namespace lapwing::config
