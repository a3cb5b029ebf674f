// SPDX-License-Identifier: Apache-2.0
// What a device tells in a federated round: summaries, and the forest among them.
#include "shared/detect/isolation_forest/forest.hpp"
#include "shared/federate/merge.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <string>
#include <string_view>
#include <vector>

using namespace lapwing;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = federate::decode({reinterpret_cast<const char*>(data), size});
  if (!read) return 0;
  const auto bytes = federate::encode(*read);
  const auto again = federate::decode(bytes);
  fuzz::require(again.has_value(), "what was read can be written and read again");
  fuzz::require(federate::encode(*again) == bytes, "the same");
  // Three devices that say the same, and a model of it, if there can be one.
  const std::vector<federate::Member> members{{"a", &*read}, {"b", &*read}, {"c", &*read}};
  for (const auto kind : {federate::Kind::pca, federate::Kind::isolation_forest}) {
    federate::Plan plan{.kind = kind, .rules = {.devices_min = 3}};
    if (!read->moments || read->moments->width() > 8) continue;
    for (std::size_t c = 0; c < read->moments->width(); ++c) {
      plan.sensors.push_back({.name = std::to_string(c)});
    }
    static_cast<void>(federate::begin(plan, members));
  }
  return 0;
}
