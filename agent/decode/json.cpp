// SPDX-License-Identifier: Apache-2.0
/// Format `json`, on simdjson's DOM: it checks the whole document before the first field is taken,
/// so that a payload is read wholly or not at all.
#include "agent/decode/decoder.hpp"
#include "agent/decode/json_path.hpp"

#include <simdjson.h>

#include <charconv>
#include <cmath>

namespace lapwing::agent {
namespace {

namespace dom = simdjson::dom;
using Path = std::vector<JsonPathPart>;

/// Larger payloads are parsed with a parser of their own, so that one of them does not hold memory
/// (about thirteen bytes per payload byte) for ever.
constexpr std::size_t kKeptParserBytes = std::size_t{1} << 16U;
/// What a document of scalars needs at least; grows up to kKeptParserBytes.
constexpr std::size_t kFirstParserBytes = 1024;

Path path_of(std::string_view text) {
  auto path = parse_json_path(text);
  return path ? std::move(path).value() : Path{};  // checked when the configuration was read
}

/// The type was looked at before: what a failure would give is never seen.
dom::array array_of(dom::element element) {
  dom::array array;
  if (element.get(array) != simdjson::SUCCESS) array = {};
  return array;
}
dom::object object_of(dom::element element) {
  dom::object object;
  if (element.get(object) != simdjson::SUCCESS) object = {};
  return object;
}

Outcome outcome_of(simdjson::error_code error) {
  switch (error) {
    case simdjson::EMPTY:
      return {true, Refusal::empty, "the payload is empty"};
    case simdjson::UTF8_ERROR:
      return {true, Refusal::utf8, "the payload is not valid UTF-8"};
    case simdjson::DEPTH_ERROR:
      return {true, Refusal::depth, "the JSON is nested deeper than json.depth_max"};
    case simdjson::CAPACITY:
    case simdjson::MEMALLOC:
      return {true, Refusal::too_large, "no memory to read the JSON"};
    case simdjson::NUMBER_ERROR:
      return {true, Refusal::syntax, "a number in the JSON is malformed or out of range"};
    default:
      return {true, Refusal::syntax, "the payload is not valid JSON"};
  }
}

class JsonDecoder final : public Decoder {
 public:
  explicit JsonDecoder(const DecodeConfig& config)
      : depth_max_(config.json.depth_max),
        fields_max_(config.fields_max),
        times_(config.time_unit),
        has_time_(!config.receive_time && !config.time_path.empty()) {
    for (const std::string& field : config.json.fields) wanted_.push_back(path_of(field));
    if (has_time_) {
      time_path_ = path_of(config.time_path);
      time_name_ = json_path_name(time_path_);
    }
    has_rows_ = !config.json.rows.empty();
    if (has_rows_) rows_path_ = path_of(config.json.rows);
  }

  Outcome decode(std::string_view payload, Time received, FieldSink& sink) override {
    sink_ = &sink;
    emitted_ = 0;
    if (payload.size() > kKeptParserBytes) {
      dom::parser parser;
      return decode_with(parser, payload, received);
    }
    return decode_with(kept_, payload, received);
  }

 private:
  Outcome decode_with(dom::parser& parser, std::string_view payload, Time received) {
    if (parser.capacity() < payload.size() || parser.max_depth() != depth_max_ + 1) {
      const std::size_t bytes = std::max(
          {payload.size(), std::min(parser.capacity() * 2, kKeptParserBytes), kFirstParserBytes});
      if (const auto error = parser.allocate(bytes, depth_max_ + 1)) return outcome_of(error);
    }
    dom::element document;
    // The padding is promised by the caller: no copy.
    if (const auto error = parser.parse(payload.data(), payload.size(), false).get(document)) {
      return outcome_of(error);
    }
    if (!has_rows_) return take_row(document, received);
    return take_rows(document, received);
  }

  Outcome take_rows(dom::element document, Time received) {
    for (const JsonPathPart& part : rows_path_) {
      if (!step(document, part, document)) {
        return {true, Refusal::no_number, "there is nothing at json.rows"};
      }
    }
    dom::array rows;
    if (document.get(rows) != simdjson::SUCCESS) {
      return {true, Refusal::no_number, "what stands at json.rows is not an array"};
    }
    for (const dom::element row : rows) {
      const Outcome outcome = take_row(row, received);
      if (outcome.refused && outcome.reason == Refusal::fields) return outcome;
      if (outcome.refused) sink_->on_refused(outcome.reason, outcome.detail, {});
    }
    return {};
  }

  Outcome take_row(dom::element row, Time received) {
    time_ = received;
    if (has_time_ && !read_time(row, received)) {
      return {true, Refusal::time,
              "no plausible time at time_path (between 2000 and a day ahead); "
              "time = \"receive\" takes the time of arrival instead"};
    }
    const std::size_t before = emitted_;
    name_.clear();
    bool fits = true;
    if (wanted_.empty()) {
      fits = flatten(row);
    } else {
      for (std::size_t i = 0; i < wanted_.size() && fits; ++i) fits = walk(row, wanted_[i], 0);
    }
    if (!fits) return {true, Refusal::fields, "more numbers in one payload than fields_max"};
    if (emitted_ == before) {
      return {true, Refusal::no_number,
              wanted_.empty() ? std::string_view("the JSON holds no number")
                              : std::string_view("none of json.fields is there as a number")};
    }
    return {};
  }

  static bool step(dom::element from, const JsonPathPart& part, dom::element& to) {
    if (from.is_object()) return from.get_object().at_key(part.key).get(to) == simdjson::SUCCESS;
    if (!part.is_index || !from.is_array()) return false;
    return from.get_array().at(part.index).get(to) == simdjson::SUCCESS;
  }

  bool read_time(dom::element row, Time received) {
    for (const JsonPathPart& part : time_path_) {
      if (!step(row, part, row)) return false;
    }
    std::optional<Time> time;
    if (row.is_int64()) {
      time = times_.from_integer(row.get_int64().value_unsafe(), received);
    } else if (row.is_double()) {
      time = times_.from_number(row.get_double().value_unsafe(), received);
    } else if (row.is_string()) {
      time = times_.from_text(row.get_string().value_unsafe(), received);
    }
    if (!time) return false;
    time_ = *time;
    return true;
  }

  /// Adds a part to the name for a scope.
  class Named {
   public:
    Named(std::string& name, std::string_view part) : name_(name), size_(name.size()) {
      if (size_ != 0) name_ += '/';
      name_ += part;
    }
    Named(std::string& name, std::size_t index) : name_(name), size_(name.size()) {
      char digits[24];
      const auto end = std::to_chars(digits, digits + sizeof digits, index).ptr;
      if (size_ != 0) name_ += '/';
      name_.append(digits, end);
    }
    ~Named() { name_.resize(size_); }
    Named(const Named&) = delete;
    Named& operator=(const Named&) = delete;

   private:
    std::string& name_;
    std::size_t size_;
  };

  /// False when fields_max is reached.
  bool walk(dom::element from, const Path& path, std::size_t at) {
    if (at == path.size()) return take_wanted(from);
    const JsonPathPart& part = path[at];
    if (!part.every) {
      dom::element to;
      if (!step(from, part, to)) return true;
      const Named named(name_, part.key);
      return walk(to, path, at + 1);
    }
    if (from.is_array()) {
      std::size_t index = 0;
      for (const dom::element element : array_of(from)) {
        const Named named(name_, index++);
        if (!walk(element, path, at + 1)) return false;
      }
    } else if (from.is_object()) {
      for (const auto [key, element] : object_of(from)) {
        const Named named(name_, key);
        if (!walk(element, path, at + 1)) return false;
      }
    }
    return true;
  }

  /// A wanted value may also be a number written as text; a wanted container gives all it holds.
  bool take_wanted(dom::element value) {
    double number = 0;
    if (value.is_string() && parse_number(value.get_string().value_unsafe(), number)) {
      return emit(number);
    }
    return flatten(value);
  }

  bool flatten(dom::element value) {
    switch (value.type()) {
      case dom::element_type::INT64:
        return emit(static_cast<double>(value.get_int64().value_unsafe()));
      case dom::element_type::UINT64:
        return emit(static_cast<double>(value.get_uint64().value_unsafe()));
      case dom::element_type::DOUBLE:
        return emit(value.get_double().value_unsafe());
      case dom::element_type::BOOL:
        return emit(value.get_bool().value_unsafe() ? 1 : 0);
      case dom::element_type::OBJECT:
        for (const auto [key, member] : object_of(value)) {
          const Named named(name_, key);
          if (!flatten(member)) return false;
        }
        return true;
      case dom::element_type::ARRAY: {
        std::size_t index = 0;
        for (const dom::element element : array_of(value)) {
          const Named named(name_, index++);
          if (!flatten(element)) return false;
        }
        return true;
      }
      default:
        return true;
    }
  }

  bool emit(double value) {
    if (has_time_ && wanted_.empty() && name_ == time_name_) return true;
    if (++emitted_ > fields_max_) return false;
    sink_->on_field(name_, {}, value, time_);
    return true;
  }

  std::size_t depth_max_;
  std::size_t fields_max_;
  TimeRule times_;
  bool has_time_;
  bool has_rows_ = false;
  std::vector<Path> wanted_;
  Path time_path_;
  Path rows_path_;
  std::string time_name_;

  dom::parser kept_;
  FieldSink* sink_ = nullptr;  ///< of the running call
  std::size_t emitted_ = 0;
  Time time_{};
  std::string name_;
};

}  // namespace

std::unique_ptr<Decoder> make_json_decoder(const DecodeConfig& config) {
  return std::make_unique<JsonDecoder>(config);
}

}  // namespace lapwing::agent
