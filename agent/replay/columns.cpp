// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/columns.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string>

namespace lapwing::agent {
namespace {

using Fields = std::span<const std::string_view>;

constexpr std::array<std::string_view, 4> kTimeNames = {"time", "datetime", "date", "ts"};
constexpr std::array<std::string_view, 5> kLabelNames = {"label", "labels", "is_anomaly", "anomaly",
                                                         "changepoint"};

std::optional<std::size_t> position_of(std::string_view column) {
  std::size_t position = 0;
  const auto [end, error] = std::from_chars(column.data(), column.data() + column.size(), position);
  if (error != std::errc{} || end != column.data() + column.size() || position == 0)
    return std::nullopt;
  return position - 1;
}

std::string joined(Fields names) {
  std::string out;
  for (const auto name : names) {
    if (out.size() > 200) return out + ", ...";
    out += (out.empty() ? "" : ", ") + std::string(trimmed(name));
  }
  return out;
}

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  const auto same = [&](std::string_view other) {
    return std::ranges::equal(trimmed(name), other, [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) == b;
    });
  };
  return std::ranges::any_of(names, same);
}

class Finder {
 public:
  Finder(Fields first, Fields second, const ReadOptions& options)
      : first_(first), second_(second), options_(options) {
    header_ = std::ranges::none_of(
        first, [](std::string_view field) { return parse_number(field).has_value(); });
  }

  Result<Columns> find() const {
    Columns columns;
    columns.header = header_;
    columns.time = time();
    if (!columns.time && !times_by_default()) return missing(options_.timestamp_column);
    const auto value = this->value(columns.time);
    if (!value) return missing(options_.value_columns.front());
    columns.value = *value;
    if (columns.time == columns.value) columns.time.reset();
    if (!options_.label_column.empty()) {
      columns.label = named(options_.label_column);
      if (!columns.label) return missing(options_.label_column);
    }
    return columns;
  }

 private:
  [[nodiscard]] bool times_by_default() const {
    return options_.timestamp_column == kTimestampColumn;
  }
  [[nodiscard]] bool is_label(std::size_t i) const {
    return header_ &&
           (is_one_of(first_[i], kLabelNames) || trimmed(first_[i]) == options_.label_column);
  }
  [[nodiscard]] std::optional<std::size_t> named(std::string_view name) const {
    for (std::size_t i = 0; header_ && i < first_.size(); ++i) {
      if (trimmed(first_[i]) == name) return i;
    }
    const auto position = position_of(name);
    return position && *position < first_.size() ? position : std::nullopt;
  }

  [[nodiscard]] std::optional<std::size_t> time() const {
    if (const auto found = named(options_.timestamp_column)) return found;
    if (!times_by_default()) return std::nullopt;
    if (!header_) return first_.size() > 1 ? std::optional<std::size_t>(0) : std::nullopt;
    for (std::size_t i = 0; i < first_.size(); ++i) {
      if (is_one_of(first_[i], kTimeNames)) return i;
    }
    const bool pair = first_.size() == 2 && !is_label(0) && !is_label(1);
    return pair ? std::optional<std::size_t>(0) : std::nullopt;
  }

  [[nodiscard]] std::optional<std::size_t> value(std::optional<std::size_t> time) const {
    const std::string& name = options_.value_columns.front();
    if (const auto found = named(name)) return found;
    if (name != kValueColumn) return std::nullopt;
    if (!header_) return first_.size() == 1 ? 0 : 1;
    for (std::size_t i = 0; i < first_.size(); ++i) {
      const bool other = time == i || is_label(i);
      if (!other && i < second_.size() && parse_number(second_[i])) return i;
    }
    return std::nullopt;
  }

  [[nodiscard]] Error missing(std::string_view what) const {
    return {Errc::bad_input, options_.file.string() + " has no column \"" + std::string(what) +
                                 "\": it has " + joined(first_)};
  }

  Fields first_;
  Fields second_;
  const ReadOptions& options_;
  bool header_ = false;
};

}  // namespace

std::size_t Columns::needed() const {
  return 1 + std::max({value, time.value_or(0), label.value_or(0)});
}

Result<Columns> find_columns(Fields first, Fields second, const ReadOptions& options) {
  return Finder(first, second, options).find();
}

std::string_view trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

std::optional<double> parse_number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::nullopt;
  return value;
}

}  // namespace lapwing::agent
