// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::hub {

/// One line of CSV (RFC 4180) after the other: text with commas, quotes or line breaks is quoted,
/// what is not known is empty.
class CsvLine {
 public:
  CsvLine& text(std::string_view value);
  CsvLine& number(double value);  ///< so that it reads back the same; NaN is empty
  CsvLine& count(std::uint64_t value);
  CsvLine& time(std::optional<Time> value);  ///< RFC 3339
  /// Ends the line and hands it out.
  std::string end();

 private:
  void next();
  std::string line_;
  bool first_ = true;
};

}  // namespace lapwing::hub
