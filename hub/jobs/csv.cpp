// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/csv.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace lapwing::hub {

void CsvLine::next() {
  if (!std::exchange(first_, false)) line_ += ',';
}

CsvLine& CsvLine::text(std::string_view value) {
  next();
  if (value.find_first_of(",\"\r\n") == std::string_view::npos) {
    line_ += value;
    return *this;
  }
  line_ += '"';
  for (const char c : value) {
    if (c == '"') line_ += '"';
    line_ += c;
  }
  line_ += '"';
  return *this;
}

CsvLine& CsvLine::number(double value) {
  next();
  if (std::isnan(value)) return *this;
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  line_.append(text.data(), end);
  return *this;
}

CsvLine& CsvLine::count(std::uint64_t value) {
  next();
  line_ += std::to_string(value);
  return *this;
}

CsvLine& CsvLine::time(std::optional<Time> value) {
  next();
  if (value) line_ += to_rfc3339(*value);
  return *this;
}

std::string CsvLine::end() {
  line_ += "\r\n";
  first_ = true;
  return std::exchange(line_, {});
}

}  // namespace lapwing::hub
