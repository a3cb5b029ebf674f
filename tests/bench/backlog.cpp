// SPDX-License-Identifier: Apache-2.0
// Fills an outbox with what a long outage leaves behind: a summary a stream and second, up to now.
//   bench_backlog FOLDER RECORDS STREAMS
#include "agent/outbox/database.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/codec.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using namespace lapwing;

constexpr std::uint64_t kCommit = 50'000;

wire::SummaryRecord summary(std::uint64_t stream, Time end, std::uint64_t second) {
  const double wave = std::sin(static_cast<double>(second) / 700 + static_cast<double>(stream));
  const double value = 20 + 3 * wave;
  return {.stream = "site/line" + std::to_string(stream / 50) + "/machine" +
                    std::to_string(stream / 5 % 10) + "/sensor" + std::to_string(stream % 5),
          .watch = "everything",
          .begin = end - std::chrono::seconds(1),
          .end = end,
          .readings = 10,
          .value_min = value - 0.2,
          .value_mean = value,
          .value_max = value + 0.2,
          .score_mean = 0.2 + 0.1 * wave,
          .score_max = 0.4 + 0.1 * wave,
          .band = {value, value - 1, value + 1}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_backlog FOLDER RECORDS STREAMS\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const std::uint64_t records = std::strtoull(argv[2], nullptr, 10);
  const std::uint64_t streams = std::max<std::uint64_t>(1, std::strtoull(argv[3], nullptr, 10));
  agent::OpenReport report;
  auto database = agent::OutboxDatabase::open(folder, report);
  if (!database) {
    std::fprintf(stderr, "%s\n", database.error().context.c_str());
    return 1;
  }
  const Time began = now() - std::chrono::seconds(records / streams + 1);
  const auto started = std::chrono::steady_clock::now();
  std::vector<agent::OutboxRecord> batch;
  for (std::uint64_t i = 0; i < records; ++i) {
    const std::uint64_t second = i / streams;
    const Time end = began + std::chrono::seconds(second);
    batch.push_back(
        {wire::RecordClass::summary, end, wire::encode_record(summary(i % streams, end, second))});
    if (batch.size() < kCommit && i + 1 < records) continue;
    (*database)->begin();
    (*database)->append(batch);
    auto done = (*database)->commit();
    if (done) done = (*database)->write_mark();
    if (!done) {
      std::fprintf(stderr, "%s\n", done.error().context.c_str());
      return 1;
    }
    batch.clear();
    if ((i / kCommit) % 100 == 0) {
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
      std::fprintf(stderr, "  %.1f of %.1f million records, %.0f s\n", static_cast<double>(i) / 1e6,
                   static_cast<double>(records) / 1e6, took.count());
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::printf("%llu %.3f %llu\n", static_cast<unsigned long long>(records), took.count(),
              static_cast<unsigned long long>((*database)->bytes()));
  return 0;
}
