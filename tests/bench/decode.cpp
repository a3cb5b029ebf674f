// SPDX-License-Identifier: Apache-2.0
/// Cost of decoding alone: messages in memory to readings, one thread.
#include "agent/decode/intake.hpp"
#include "tests/bench/support.hpp"

#include <memory>
#include <unordered_map>

namespace lapwing::agent {
namespace {

class Namer final : public StreamNamer {
 public:
  Result<StreamId> stream_for(std::string_view name, std::span<const wire::Tag> /*tags*/) override {
    return ids_.try_emplace(std::string(name), StreamId{static_cast<std::uint32_t>(ids_.size())})
        .first->second;
  }

 private:
  std::unordered_map<std::string, StreamId> ids_;
};

class CountingSink final : public ReadingSink {
 public:
  Result<void> submit(std::span<const Reading> readings) override {
    count += readings.size();
    return {};
  }
  std::size_t count = 0;
};

double nanoseconds_per_message(Format format, std::string_view payload) {
  Namer namer;
  CountingSink sink;
  Quarantine quarantine{QuarantineConfig{}};
  DecodeConfig decode;
  decode.format = format;
  Intake intake({"bench", {{{}, decode}}}, namer, sink, quarantine);
  MessageBatch batch;
  constexpr int kTopics = 1000;
  constexpr int kRounds = 400;
  for (int i = 0; i < kTopics; ++i) {
    batch.add("bench/site/device" + std::to_string(i) + "/state", payload, now());
  }
  static_cast<void>(intake.take(batch));
  std::vector<double> times;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const double begin = bench::thread_seconds();
    for (int round = 0; round < kRounds; ++round) static_cast<void>(intake.take(batch));
    times.push_back((bench::thread_seconds() - begin) * 1e9 / kTopics / kRounds);
  }
  if (sink.count == 0) bench::give_up("nothing was decoded");
  return bench::median(times);
}

}  // namespace
}  // namespace lapwing::agent

int main() {
  using lapwing::agent::Format;
  const auto print = [](const char* name, double ns, bool has_target) {
    lapwing::bench::row(std::string("decode one message, ") + name, has_target ? "<= 500 ns" : "-",
                        lapwing::bench::format("%.0f ns", ns), !has_target || ns <= 500);
  };
  using lapwing::agent::nanoseconds_per_message;
  print("JSON {\"temperature\":10,\"humidity\":90}",
        nanoseconds_per_message(Format::automatic, R"({"temperature":10,"humidity":90})"), true);
  print("number", nanoseconds_per_message(Format::number, "21.5"), false);
  print("line protocol, 2 tags, 3 fields, time",
        nanoseconds_per_message(Format::line_protocol,
                                "pump,site=p1,unit=7 rpm=1500i,temp=21.5,ok=t 1795507100250001999"),
        false);
  print("CSV, 4 columns", nanoseconds_per_message(Format::csv, "20.5,1500,0.25,7\n"), false);
}
