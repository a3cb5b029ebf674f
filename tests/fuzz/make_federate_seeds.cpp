// SPDX-License-Identifier: Apache-2.0
// Writes a contribution of each kind and pass into a folder, as fuzzing's beginning:
// make_federate_seeds FOLDER
#include "tests/shared/federate/fleet.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

using namespace lapwing;
using namespace lapwing::federate;

namespace {

Rows rows_of(std::uint64_t seed, double missing) {
  detect::Random random(seed);
  Rows made{2};
  for (std::size_t i = 0; i < 2 * kRowsMin; ++i) {
    made.values.push_back(random.uniform() < missing ? std::nan("") : random.normal());
  }
  return made;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_federate_seeds FOLDER\n", stderr);
    return 2;
  }
  std::filesystem::create_directories(argv[1]);
  for (const auto kind : {Kind::pca, Kind::isolation_forest, Kind::samples}) {
    const Plan plan{.kind = kind, .sensors = sensors_of(2), .rules = {.devices_min = 3}};
    const std::vector<Rows> devices{rows_of(1, 0), rows_of(2, 0), rows_of(3, 0.2)};
    std::string candidate;
    for (std::uint32_t pass = 1; pass <= passes(kind); ++pass) {
      const Task task{.kind = kind, .pass = pass, .trees = 2, .sample = 8, .candidate = candidate};
      for (const std::size_t d : {0U, 2U}) {
        const auto told = contribute(task, devices[d].table());
        if (!told) return 1;
        const auto name = std::string(to_string(kind)) + "-" + std::to_string(pass) + "-" +
                          (d == 0 ? "whole" : "missing");
        std::ofstream(std::filesystem::path(argv[1]) / name, std::ios::binary) << encode(*told);
      }
      if (kind == Kind::samples) continue;
      auto merged = run_pass(plan, task, devices);
      if (!merged) return 1;
      candidate = merged->file;
    }
  }
  return 0;
}
