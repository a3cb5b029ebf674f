// SPDX-License-Identifier: Apache-2.0
// A line each: a topic template, a filter, a topic.
#include "agent/decode/topic_template.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace lapwing;
using namespace lapwing::agent;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto made = TopicTemplate::parse(input.line());
  const std::string_view filter = input.line();
  const std::string_view topic = input.rest();
  if (filter_problem(filter).empty()) {
    if (filter_matches(filter, topic)) {
      fuzz::require(filter_matches("#", topic) || topic.starts_with('$'), "# takes all topics");
    }
  }
  const bool valid = stream_name_problem(topic).empty();
  fuzz::require(!valid || (!topic.empty() && topic.size() <= kStreamNameBytesMax),
                "names are bounded");
  if (made) {
    const auto applied = made->apply(topic);
    if (applied) fuzz::require(applied->name.size() <= topic.size(), "a name is of the topic");
  }
  return 0;
}
