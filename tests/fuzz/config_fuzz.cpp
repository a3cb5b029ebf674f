// SPDX-License-Identifier: Apache-2.0
// A configuration file: every problem is told, nothing else happens.
#include "agent/decode/decoder.hpp"
#include "agent/outbox/config.hpp"
#include "shared/base/config.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace lapwing;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const config::Environment environment = {{"HOME", "/root"},
                                           {"LAPWING__OUTBOX__BYTES_MAX", "64MiB"}};
  auto document = config::Document::parse(text, "fuzz.toml", environment);
  auto root = document.root();
  agent::OutboxConfig::read(root.table({"outbox", "the durable queue"}));
  for (auto source : root.tables({"source", "where readings come from"})) {
    source.required_text({"name", "its name"});
    source.secret({"password", "of the broker"});
    agent::DecodeConfig::read(source, {});
  }
  for (const auto& problem : document.finish()) {
    fuzz::require(!problem.what.empty() && !problem.text().empty(), "a problem is told in words");
  }
  return 0;
}
