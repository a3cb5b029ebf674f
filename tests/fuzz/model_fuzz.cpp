// SPDX-License-Identifier: Apache-2.0
// A model file's tables and its detector's bytes, behind a seal that is always right.
#include "shared/model/model.hpp"
#include "shared/model/seal.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <array>
#include <cmath>
#include <string>
#include <vector>

using namespace lapwing;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  static_cast<void>(model::Model::read(body));
  const auto read = model::Model::read(model::sealed(body));
  if (!read) return 0;
  const auto again = model::encode(read->header(), read->payload());
  fuzz::require(again.has_value(), "what was read can be written");
  fuzz::require(model::Model::read(*again).has_value(), "and read again");
  const auto detector = read->make_detector();
  if (!detector) return 0;
  const std::size_t width = read->header().sensors.size();
  const std::vector<double> row(width, 1.5);
  std::array<float, 1> score{};
  const auto scored = (*detector)->score(
      {.values = row, .times = {}, .width = width, .learn = false}, {.raw = score});
  fuzz::require(!scored || (std::isfinite(score[0]) && score[0] >= 0), "a score is a score");
  return 0;
}
