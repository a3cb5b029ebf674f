// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/collections.hpp"
#include "tests/quality/measures.hpp"

namespace lapwing::quality {

Result<void> measure_skab(const Options& options) {
  const auto list = read_skab(options.data);
  if (!list) return list.error();
  return Error{Errc::not_found, "groups have no pipeline yet"};
}

}  // namespace lapwing::quality
