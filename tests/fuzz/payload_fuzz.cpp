// SPDX-License-Identifier: Apache-2.0
// Payloads in every format: the first line's bytes choose format, time and columns.
#include "agent/decode/decoder.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <string>

namespace {

using namespace lapwing;
using namespace lapwing::agent;

class Sink final : public FieldSink {
 public:
  void on_field(std::string_view name, std::span<const TagView> tags, double, Time) override {
    bytes_ += name.size();
    for (const TagView& tag : tags) bytes_ += tag.key.size() + tag.value.size();
    ++fields_;
  }
  void on_refused(Refusal, std::string_view detail, std::string_view part) override {
    bytes_ += detail.size() + part.size();
  }
  [[nodiscard]] std::size_t fields() const { return fields_; }

 private:
  std::size_t fields_ = 0;
  std::size_t bytes_ = 0;
};

DecodeConfig config_of(fuzz::Input& input) {
  DecodeConfig config;
  config.format = kFormats[input.below(kFormats.size())].format;
  config.time_unit = static_cast<TimeUnit>(input.below(6));
  config.fields_max = 1 + input.below(200);
  const std::size_t shape = input.below(8);
  if (shape % 2 == 1) config.time_path = "ts";
  if (shape >= 4) config.json.rows = "rows";
  if (shape >= 6) config.json.fields = {"a.b", "values[*].x"};
  config.csv.header = shape % 4 >= 2;
  if (shape == 5) config.csv.columns = {"1", "x"};
  return config;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const DecodeConfig config = config_of(input);
  std::string payload(input.rest());
  const std::size_t bytes = payload.size();
  payload.append(kPayloadPadding, '\0');
  Sink sink;
  const auto decoder = make_decoder(config);
  const Time received = from_micros(1'795'000'000'000'000);
  decoder->decode(std::string_view(payload).substr(0, bytes), received, sink);
  fuzz::require(sink.fields() <= config.fields_max, "no more fields than the bound");
  return 0;
}
