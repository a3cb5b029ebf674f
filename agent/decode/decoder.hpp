// SPDX-License-Identifier: Apache-2.0
/// Payload formats: one decoder per format, chosen from the table kFormats.
#pragma once

#include "agent/decode/refusal.hpp"
#include "agent/decode/time_rule.hpp"
#include "agent/decode/topic_template.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::config {
class Section;
}

namespace lapwing::agent {

/// `automatic`: `{` or `[` starts JSON, anything else is read as a number.
enum class Format : std::uint8_t { automatic, number, json, line_protocol, csv };

/// `[source.json]`.
struct JsonConfig {
  /// Paths wanted: `a.b`, `values.0`, `values[*].x`; a dot inside a key is written `\.`. Empty:
  /// every number and boolean in the document. A field's name is its path with `/` between the
  /// parts.
  std::vector<std::string> fields;
  /// Path of an array whose elements are decoded as documents of their own, each with its time;
  /// `.` is the document itself. Empty: the document is one row.
  std::string rows;
  std::size_t depth_max = 16;  ///< levels, [1, 64]
};

/// `[source.line]`: InfluxDB line protocol.
struct LineConfig {
  /// Tags that become part of the name; the default, every tag, keeps series apart.
  std::vector<std::string> name_tags;
  bool all_name_tags = true;
};

/// `[source.csv]`.
struct CsvConfig {
  char delimiter = ',';
  bool header = false;               ///< the first row holds the columns' names
  std::vector<std::string> names;    ///< the columns' names where there is no header
  std::vector<std::string> columns;  ///< wanted, by name or number from 0; empty: all but the time
};

/// How the payloads of a topic become readings.
struct DecodeConfig {
  Format format = Format::automatic;
  TopicTemplate topic_template;
  bool receive_time = false;  ///< `time = "receive"`: the payload's time is not looked at
  std::string time_path;      ///< JSON path or CSV column of the time; empty: none
  TimeUnit time_unit = TimeUnit::automatic;
  std::size_t payload_bytes_max = std::size_t{1} << 20U;  ///< bytes, [1, 64 MiB]
  std::size_t fields_max = 4096;                          ///< numbers in one payload, [1, 1000000]
  JsonConfig json;
  LineConfig line;
  CsvConfig csv;
  /// Reads the keys of one `[[source]]` or `[[source.route]]`; `base` gives what is absent.
  static DecodeConfig read(config::Section& section, const DecodeConfig& base);
};

/// One name and value of a line-protocol tag.
struct TagView {
  std::string_view key;
  std::string_view value;
};

/// Takes what a decoder finds. Views are borrowed for the call only.
class FieldSink {
 public:
  /// `name` is what follows the topic in the stream's name (`temperature`, `motor/rpm`), empty when
  /// the payload as a whole is the value.
  virtual void on_field(std::string_view name, std::span<const TagView> tags, double value,
                        Time time) = 0;
  /// A row of the payload could not be read; the decoder goes on with the next. `part` is the row's
  /// text, empty where it has none of its own.
  virtual void on_refused(Refusal reason, std::string_view detail, std::string_view part) = 0;

 protected:
  ~FieldSink() = default;
};

/// What decode() found of the payload as a whole. `detail` is static text.
struct Outcome {
  bool refused = false;
  Refusal reason = Refusal::syntax;
  std::string_view detail;
};

/// Bytes after a payload that must be readable (not part of it; any value).
inline constexpr std::size_t kPayloadPadding = 64;

/// Turns payloads of one format into fields.
///
/// Ownership: borrows the payload for the call; `payload.data()[payload.size() .. +
/// kPayloadPadding)`
///   must be readable.
/// Errors: a refused payload's fields that were already given to the sink do not count: the caller
///   drops them. NaN and infinities are values, not errors.
/// Threads: distinct objects are safe; one object is used from one thread at a time.
/// Cost: no allocation once warm for payloads up to 64 KiB.
class Decoder {
 public:
  virtual ~Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  virtual Outcome decode(std::string_view payload, Time received, FieldSink& sink) = 0;

 protected:
  Decoder() = default;
};

using MakeDecoder = std::unique_ptr<Decoder> (*)(const DecodeConfig&);
std::unique_ptr<Decoder> make_automatic_decoder(const DecodeConfig& config);
std::unique_ptr<Decoder> make_number_decoder(const DecodeConfig& config);
std::unique_ptr<Decoder> make_json_decoder(const DecodeConfig& config);
std::unique_ptr<Decoder> make_line_protocol_decoder(const DecodeConfig& config);
std::unique_ptr<Decoder> make_csv_decoder(const DecodeConfig& config);

struct FormatKind {
  std::string_view name;  ///< `format` in the configuration
  Format format;
  MakeDecoder make;
};
/// The only list of formats.
inline constexpr std::array kFormats{
    FormatKind{"auto", Format::automatic, &make_automatic_decoder},
    FormatKind{"number", Format::number, &make_number_decoder},
    FormatKind{"json", Format::json, &make_json_decoder},
    FormatKind{"line", Format::line_protocol, &make_line_protocol_decoder},
    FormatKind{"csv", Format::csv, &make_csv_decoder},
};
[[nodiscard]] std::unique_ptr<Decoder> make_decoder(const DecodeConfig& config);

/// Reads a whole text as a number (spaces around it allowed; `nan`, `inf`, `true`, `false` too).
[[nodiscard]] bool parse_number(std::string_view text, double& value) noexcept;

}  // namespace lapwing::agent
