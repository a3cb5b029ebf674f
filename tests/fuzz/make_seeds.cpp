// SPDX-License-Identifier: Apache-2.0
// `make_seeds FOLDER`: the binary seeds of wire_fuzz. Run again when the schemas grow.
#include "shared/wire/codec.hpp"
#include "shared/wire/contributions.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/models.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

using namespace lapwing;
using namespace lapwing::wire;

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: make_seeds FOLDER\n", stderr), 2;
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const auto write = [&folder](const char* name, const std::string& bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
  };
  FrameWriter frames;
  const Time at = from_micros(1'700'000'000'000'000);
  AnomalyRecord anomaly;
  anomaly.id = 7;
  anomaly.stream = "plant1/pump3/vibration";
  anomaly.watch = "pumps";
  anomaly.detector = "auto";
  anomaly.onset = anomaly.peak_time = at;
  anomaly.end = at;
  anomaly.text = "higher than ever";
  anomaly.contributions = {{"a", 0.6}, {"b", 0.4}};
  anomaly.tags = {{"site", "plant1"}};
  SummaryRecord summary;
  summary.stream = anomaly.stream;
  summary.readings = 60;
  const std::string one = encode_record(anomaly);
  const std::string two = encode_record(summary);
  const std::string loss = encode_record(LossRecord{LossReason::quota, 12, 20});
  RecordBatch batch{3, "7-c", {}};
  batch.entries = {{10, 10, RecordClass::anomaly, one},
                   {11, 11, RecordClass::summary, two},
                   {12, 20, RecordClass::loss, loss}};
  Hello hello;
  hello.connection_id = "7-c";
  hello.instance_id = "i";
  hello.database_id = std::string(32, 'd');
  hello.epoch = 3;
  hello.next_seq = 21;
  hello.acked_seq = 9;
  Welcome welcome;
  welcome.connection_id = "7-c";
  welcome.epoch = 3;
  welcome.watermark = 9;
  welcome.reason = "new epoch";
  write("hello", frames.seal(encode(hello)));
  write("welcome", frames.seal(encode(welcome)));
  write("ack", encode(Ack{3, 20, "7-c"}));
  write("status", encode(Status{}));
  write("command", encode(Command{7, "reconnect", R"({"within_ms":5000})", Time(Micros(1))}));
  write("command-result", encode(CommandResult{"7-c", 7, CommandState::done, "fine"}));
  write("desired", encode(Desired{3, R"({"pace_bytes_per_second":4096})"}));
  write("batch", encode(batch));
  write("batch-framed", frames.seal(encode(batch)));
  write("anomaly", one);
  write("summary", two);
  write("loss", loss);
  write("report", encode_record(ModelReport{"m", 3, "active", "fine"}));
  ModelReport told{.model = "m", .version = 3, .state = "shadow", .offer = 2, .at = at};
  told.statistics = ModelStatistics{.since = at, .until = at, .rows = 60, .quantiles = {.1, .9}};
  write("report-statistics", encode_record(told));
  const std::string digest(64, 'a');
  write("offer", encode(Offer{.offer = 2,
                              .model = "m",
                              .number = 3,
                              .keys = {"list"},
                              .manifest = "manifest",
                              .assignment = "assignment"}));
  write("fetch", encode(Fetch{"7-c", digest, kModelBlockBytes, 4096}));
  write("chunk", encode(Chunk{digest, 0, 6, "blocks", ""}));
  write("contribution", encode(ContributionPart{7, 1, 0, 1, 500, digest, "bytes", ""}));
  write("contribution-none", encode(ContributionPart{7, 1, 0, 0, 0, "", "", "not shared"}));
  write("chunk-problem", encode(Chunk{digest, 0, 0, "", "no such file"}));
  return 0;
}
