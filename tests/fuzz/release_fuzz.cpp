// SPDX-License-Identifier: Apache-2.0
// Signed documents of a release, and the documents alone.
#include "shared/release/signed.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <string>
#include <string_view>

using namespace lapwing;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto document = release::decode(bytes)) {
    const auto again = release::decode(release::encode(*document));
    fuzz::require(again && *again == *document, "a document is written and read as it was");
  }
  if (const auto signed_one = release::Signed::decode(bytes)) {
    const auto again = release::Signed::decode(signed_one->encode());
    fuzz::require(again.has_value(), "what is signed is written and read");
    fuzz::require(again->body() == signed_one->body(), "with the bytes that were signed");
  }
  return 0;
}
