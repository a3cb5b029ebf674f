// SPDX-License-Identifier: Apache-2.0
/// Format `line`: InfluxDB line protocol, `measurement,tag=v field=1.5,other=3i
/// 1732435426000000000`.
///
/// A field's name is `measurement,tag=v/field`: the series key as it is written is one level of the
/// stream's name, so that series never mix. `/` in a tag's value becomes `_`. Text fields are left
/// out.
#include "agent/decode/decoder.hpp"

#include <algorithm>

namespace lapwing::agent {
namespace {

/// Takes text up to an unescaped byte of `stops`, which stays in `rest`. Copies into `scratch` only
/// when there is an escape; scratch has room for the whole payload, so earlier views stay valid.
std::string_view take_until(std::string_view& rest, std::string_view stops, std::string& scratch) {
  std::size_t at = 0;
  bool escapes = false;
  while (at < rest.size() && stops.find(rest[at]) == std::string_view::npos) {
    if (rest[at] == '\\' && at + 1 < rest.size()) {
      escapes = true;
      ++at;
    }
    ++at;
  }
  const std::string_view raw = rest.substr(0, at);
  rest.remove_prefix(at);
  if (!escapes) return raw;
  const std::size_t begin = scratch.size();
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const bool escape = raw[i] == '\\' && i + 1 < raw.size() &&
                        std::string_view(",= \\").find(raw[i + 1]) != std::string_view::npos;
    if (escape) ++i;
    scratch += raw[i];
  }
  return std::string_view(scratch).substr(begin);
}

bool take(std::string_view& rest, char c) {
  if (!rest.starts_with(c)) return false;
  rest.remove_prefix(1);
  return true;
}

enum class Value : std::uint8_t { number, text, malformed };

Value take_value(std::string_view& rest, double& number) {
  if (take(rest, '"')) {
    std::size_t at = 0;
    while (at < rest.size() && rest[at] != '"') at += rest[at] == '\\' ? 2 : 1;
    if (at >= rest.size()) return Value::malformed;
    rest.remove_prefix(at + 1);
    return Value::text;
  }
  std::string_view word = rest.substr(0, rest.find_first_of(", "));
  rest.remove_prefix(word.size());
  if (word == "t" || word == "T" || word == "true" || word == "True" || word == "TRUE") {
    number = 1;
    return Value::number;
  }
  if (word == "f" || word == "F" || word == "false" || word == "False" || word == "FALSE") {
    number = 0;
    return Value::number;
  }
  if (word.size() > 1 && (word.back() == 'i' || word.back() == 'u')) word.remove_suffix(1);
  return parse_number(word, number) ? Value::number : Value::malformed;
}

class LineProtocolDecoder final : public Decoder {
 public:
  explicit LineProtocolDecoder(const DecodeConfig& config)
      : fields_max_(config.fields_max),
        receive_time_(config.receive_time),
        times_(config.time_unit),
        line_(config.line) {}

  Outcome decode(std::string_view payload, Time received, FieldSink& sink) override {
    bool any = false;
    emitted_ = 0;
    while (!payload.empty()) {
      std::string_view line = take_line(payload);
      while (line.starts_with(' ')) line.remove_prefix(1);
      if (line.empty() || line.starts_with('#')) continue;
      any = true;
      const Outcome outcome = take_point(line, received, sink);
      if (outcome.refused && outcome.reason == Refusal::fields) return outcome;
      if (outcome.refused) sink.on_refused(outcome.reason, outcome.detail, line);
    }
    if (!any) return {true, Refusal::empty, "the payload holds no line"};
    return {};
  }

 private:
  struct Field {
    std::string_view key;
    double value;
  };

  /// A newline inside a quoted text belongs to the text.
  static std::string_view take_line(std::string_view& rest) {
    bool quoted = false;
    std::size_t at = 0;
    for (; at < rest.size() && (quoted || rest[at] != '\n'); ++at) {
      if (rest[at] == '\\') {
        ++at;
      } else if (rest[at] == '"') {
        quoted = !quoted;
      }
    }
    if (quoted) at = rest.find('\n');  // never closed: only this line is lost
    std::string_view line = rest.substr(0, at);
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

  Outcome take_point(std::string_view line, Time received, FieldSink& sink) {
    constexpr Outcome kMalformed{true, Refusal::syntax,
                                 "a line is not `measurement[,tag=value…] field=value[,…] [time]`"};
    scratch_.clear();
    if (scratch_.capacity() < line.size()) scratch_.reserve(line.size());
    tags_.clear();
    fields_.clear();
    const std::string_view measurement = take_until(line, ", ", scratch_);
    if (measurement.empty()) return kMalformed;
    while (take(line, ',')) {
      const std::string_view key = take_until(line, "=, ", scratch_);
      if (key.empty() || !take(line, '=')) return kMalformed;
      const std::string_view value = take_until(line, ", ", scratch_);
      if (value.empty()) return kMalformed;
      tags_.push_back({key, value});
    }
    if (!take(line, ' ')) return kMalformed;
    while (take(line, ' ')) {
    }
    bool texts = false;
    do {
      const std::string_view key = take_until(line, "=, ", scratch_);
      double number = 0;
      if (key.empty() || !take(line, '=')) return kMalformed;
      const Value value = take_value(line, number);
      if (value == Value::malformed) return kMalformed;
      if (value == Value::number) fields_.push_back({key, number});
      texts = texts || value == Value::text;
    } while (take(line, ','));
    Time time = received;
    if (!line.empty() && !take_time(line, received, time)) {
      return {true, Refusal::time,
              "a line's time is not plausible (between 2000 and a day ahead) or not in time_unit; "
              "time = \"receive\" takes the time of arrival instead"};
    }
    if (fields_.empty() && texts) {
      return {true, Refusal::no_number, "a line holds only text fields"};
    }
    return emit(measurement, time, sink);
  }

  bool take_time(std::string_view text, Time received, Time& time) const {
    if (text.front() != ' ') return false;
    if (receive_time_ || text.find_first_not_of(' ') == std::string_view::npos) return true;
    const auto found = times_.from_text(text, received);
    if (!found) return false;
    time = *found;
    return true;
  }

  Outcome emit(std::string_view measurement, Time time, FieldSink& sink) {
    name_ = measurement;
    for (const TagView& tag : tags_) {
      const auto& wanted = line_.name_tags;
      if (!line_.all_name_tags &&
          std::find(wanted.begin(), wanted.end(), tag.key) == wanted.end()) {
        continue;
      }
      name_ += ',';
      name_ += tag.key;
      name_ += '=';
      const std::size_t begin = name_.size();
      name_ += tag.value;
      std::replace(name_.begin() + static_cast<std::ptrdiff_t>(begin), name_.end(), '/', '_');
    }
    name_ += '/';
    const std::size_t series = name_.size();
    for (const Field& field : fields_) {
      if (++emitted_ > fields_max_) {
        return {true, Refusal::fields, "more numbers in one payload than fields_max"};
      }
      name_.resize(series);
      name_ += field.key;
      sink.on_field(name_, tags_, field.value, time);
    }
    return {};
  }

  std::size_t fields_max_;
  bool receive_time_;
  TimeRule times_;
  LineConfig line_;
  std::size_t emitted_ = 0;
  std::string scratch_;
  std::string name_;
  std::vector<TagView> tags_;
  std::vector<Field> fields_;
};

}  // namespace

std::unique_ptr<Decoder> make_line_protocol_decoder(const DecodeConfig& config) {
  return std::make_unique<LineProtocolDecoder>(config);
}

}  // namespace lapwing::agent
