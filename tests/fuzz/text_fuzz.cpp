// SPDX-License-Identifier: Apache-2.0
// CSV rows, times and numbers in text.
#include "agent/decode/decoder.hpp"
#include "agent/decode/time_rule.hpp"
#include "shared/base/time.hpp"
#include "shared/csv/split.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace lapwing;
using namespace lapwing::agent;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  constexpr std::string_view kDelimiters = ",;\t|";
  const char delimiter = kDelimiters[input.below(kDelimiters.size())];
  const auto unit = static_cast<TimeUnit>(input.below(6));
  const TimeRule rule(unit);
  const Time received = from_micros(1'795'000'000'000'000);
  csv::Splitter rows(input.rest(), delimiter);
  std::size_t taken = 0;
  while (rows.next()) {
    fuzz::require(rows.fields().size() <= csv::kFieldsMax, "a row's fields are bounded");
    taken += rows.text().size();
    for (const std::string_view field : rows.fields()) {
      double number = 0;
      if (parse_number(field, number)) rule.from_number(number, received);
      if (const auto time = from_rfc3339(field)) {
        fuzz::require(from_rfc3339(to_rfc3339(*time)).has_value(),
                      "a time can be written and read");
      }
      if (const auto time = rule.from_text(field, received)) {
        fuzz::require(*time <= received + std::chrono::hours(24), "no time is far ahead");
      }
    }
  }
  fuzz::require(taken <= input.rest().size(), "rows are parts of the text");
  return 0;
}
