// SPDX-License-Identifier: Apache-2.0
// Rows and ends of pages, as another region's hub sends them.
#include "hub/exchange/lines.hpp"
#include "shared/wire/topics.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <string>
#include <variant>

using namespace lapwing;
using namespace lapwing::hub;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto kind = static_cast<ExchangeKind>(input.below(kExchangeKinds.size()));
  if (const auto row = parse_line(kind, input.rest())) {
    fuzz::require(row->index() == static_cast<std::size_t>(kind), "a row is of its kind");
    const auto& device =
        std::visit([](const auto& one) -> const std::string& { return one.device; }, *row);
    fuzz::require(wire::valid_name(device), "a device has a name");
    const auto line = to_line(*row);
    const auto again = parse_line(kind, line);
    fuzz::require(again.has_value(), "what was read can be written and read");
    fuzz::require(to_line(*again) == line, "and stays the same");
  }
  if (const auto end = parse_page_end(input.rest())) {
    fuzz::require(end->next.size() <= kCursorBytesMax, "a cursor is bounded");
    fuzz::require(parse_page_end(to_line(*end)).has_value(), "an end can be written and read");
  }
  return 0;
}
