// SPDX-License-Identifier: Apache-2.0
#include "shared/csv/columns.hpp"

#include "shared/csv/fields.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string>

namespace lapwing::csv {
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
  Finder(Fields first, std::span<const std::string> below, const ReadOptions& options)
      : first_(first), below_(below), options_(options) {
    header_ = std::ranges::none_of(
        first, [](std::string_view field) { return parse_number(field).has_value(); });
  }

  Result<Columns> find() const {
    Columns columns;
    columns.header = header_;
    columns.time = time();
    if (!columns.time && !times_by_default()) return missing(options_.timestamp_column);
    if (!options_.label_column.empty()) {
      columns.label = named(options_.label_column);
      if (!columns.label) return missing(options_.label_column);
    }
    auto values = this->values(columns);
    if (!values) return values.error();
    columns.values = std::move(*values);
    if (columns.time && std::ranges::count(columns.values, *columns.time) > 0) columns.time.reset();
    for (const std::size_t i : columns.values) columns.names.push_back(name_of(i));
    return columns;
  }

 private:
  [[nodiscard]] bool times_by_default() const {
    return options_.timestamp_column == kTimestampColumn;
  }
  [[nodiscard]] bool is_label(std::size_t i) const {
    if (!header_) return false;
    const std::string_view name = trimmed(first_[i]);
    return is_one_of(name, kLabelNames) || (!name.empty() && name == options_.label_column);
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

  [[nodiscard]] Result<std::vector<std::size_t>> values(const Columns& columns) const {
    const auto& names = options_.value_columns;
    if (names.size() == 1 && names.front() == kEveryColumn) return every(columns);
    std::vector<std::size_t> values;
    for (const std::string& name : names) {
      auto found = named(name);
      if (!found && names.size() == 1) found = value_by_default(columns);
      if (!found) return missing(name);
      if (std::ranges::count(values, *found) > 0) {
        return Error{Errc::bad_config, "the value column \"" + name + "\" is named twice"};
      }
      values.push_back(*found);
    }
    return values;
  }

  /// Whether the field is the first of numbers that are neither times nor labels.
  [[nodiscard]] bool begins_numbers(std::size_t i, const Columns& columns) const {
    if (columns.time == i || columns.label == i || is_label(i)) return false;
    const bool in_first = !header_ && !trimmed(first_[i]).empty();
    return in_first ? parse_number(first_[i]).has_value()
                    : i < below_.size() && parse_number(below_[i]);
  }

  [[nodiscard]] Result<std::vector<std::size_t>> every(const Columns& columns) const {
    std::vector<std::size_t> values;
    for (std::size_t i = 0; i < first_.size(); ++i) {
      if (begins_numbers(i, columns)) values.push_back(i);
    }
    if (values.empty()) {
      return Error{Errc::bad_input,
                   options_.file.string() +
                       " has no column of numbers besides time and label: it has " +
                       joined(first_)};
    }
    return values;
  }

  [[nodiscard]] std::optional<std::size_t> value_by_default(const Columns& columns) const {
    if (options_.value_columns.front() != kValueColumn) return std::nullopt;
    if (!header_) return first_.size() == 1 ? 0 : 1;
    for (std::size_t i = 0; i < first_.size(); ++i) {
      if (begins_numbers(i, columns)) return i;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::string name_of(std::size_t i) const {
    const std::string_view name = header_ ? trimmed(first_[i]) : std::string_view();
    return name.empty() ? std::to_string(i + 1) : std::string(name);
  }

  [[nodiscard]] Error missing(std::string_view what) const {
    return {Errc::bad_input, options_.file.string() + " has no column \"" + std::string(what) +
                                 "\": it has " + joined(first_)};
  }

  Fields first_;
  std::span<const std::string> below_;
  const ReadOptions& options_;
  bool header_ = false;
};

}  // namespace

std::size_t Columns::needed() const {
  const std::size_t value = values.empty() ? 0 : std::ranges::max(values);
  return 1 + std::max({value, time.value_or(0), label.value_or(0)});
}

Result<Columns> find_columns(Fields first, std::span<const std::string> below,
                             const ReadOptions& options) {
  return Finder(first, below, options).find();
}

}  // namespace lapwing::csv
