// SPDX-License-Identifier: Apache-2.0
#include "agent/decode/intake.hpp"

#include "shared/base/metrics.hpp"
#include "tests/agent/decode/support.hpp"
#include "tests/support/count_allocations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapwing::agent {
namespace {

using testing::kReceived;
using testing::Namer;
using testing::Sink;

class IntakeTest : public ::testing::Test {
 protected:
  explicit IntakeTest(std::size_t streams_max = 1000000) : namer(streams_max) {}

  void make(DecodeConfig decode = {}, std::size_t cache_entries_max = 200000) {
    IntakeConfig config;
    config.source = "site";
    config.routes = {{{}, std::move(decode)}};
    config.cache_entries_max = cache_entries_max;
    intake = std::make_unique<Intake>(config, namer, sink, quarantine, &metrics);
  }
  void take(std::initializer_list<std::pair<std::string_view, std::string_view>> messages) {
    MessageBatch batch;
    for (const auto& [topic, payload] : messages) batch.add(topic, payload, kReceived);
    ASSERT_TRUE(intake->take(batch).has_value());
  }
  [[nodiscard]] std::string readings() const {
    std::string text;
    for (const Reading& reading : sink.readings) {
      text += namer.names.at(reading.stream.value) + "=" +
              std::to_string(static_cast<int>(reading.value)) + " ";
    }
    return text;
  }

  Metrics metrics;
  Namer namer;
  Sink sink;
  Quarantine quarantine{QuarantineConfig{}, &metrics};
  std::unique_ptr<Intake> intake;
};

TEST_F(IntakeTest, NamesStreamsByTopicAndField) {
  make();
  take({{"plant/pump", R"({"temperature":10,"humidity":90})"}, {"plant/door", "1"}});
  EXPECT_EQ(readings(), "plant/pump/temperature=10 plant/pump/humidity=90 plant/door=1 ");
  EXPECT_EQ(sink.calls, 1U);
  EXPECT_EQ(intake->totals().messages, 2U);
  EXPECT_EQ(intake->totals().readings, 3U);
  EXPECT_EQ(intake->totals().last_message, kReceived);
}

TEST_F(IntakeTest, AsksForAStreamOnceWhateverTheOrderOfFields) {
  make();
  for (int i = 0; i < 50; ++i) {
    take({{"t", R"({"a":1,"b":2,"c":3})"}, {"t", R"({"c":3,"a":1})"}, {"t", R"({"b":2})"}});
  }
  EXPECT_EQ(namer.asked, 3U);
  EXPECT_EQ(sink.readings.size(), 300U);
  for (const Reading& reading : sink.readings) EXPECT_EQ(reading.stream.value + 1, reading.value);
}

TEST_F(IntakeTest, FindsFieldsOfWideTopicsInAnyOrder) {
  make();
  std::string forward = "{";
  std::string backward = "{";
  for (int i = 0; i < 300; ++i) {
    forward += "\"f" + std::to_string(i) + "\":" + std::to_string(i) + ",";
    backward += "\"f" + std::to_string(299 - i) + "\":" + std::to_string(299 - i) + ",";
  }
  forward.back() = backward.back() = '}';
  take({{"t", forward}, {"t", backward}, {"t", forward}});
  EXPECT_EQ(namer.asked, 300U);
  ASSERT_EQ(sink.readings.size(), 900U);
  for (const Reading& reading : sink.readings) EXPECT_EQ(reading.stream.value, reading.value);
}

TEST_F(IntakeTest, TakesTagsFromTheTemplateAndTheLine) {
  DecodeConfig decode;
  decode.format = Format::line_protocol;
  decode.topic_template = *TopicTemplate::parse("_/site");
  make(decode);
  take({{"x/p1", "cpu,core=c0 busy=5"}});
  EXPECT_EQ(readings(), "p1/cpu,core=c0/busy=5 ");
  const std::vector<wire::Tag> expected{{"site", "p1"}, {"core", "c0"}};
  EXPECT_EQ(namer.tags.at(0), expected);
}

TEST_F(IntakeTest, ChoosesTheFirstRouteThatTakesTheTopic) {
  IntakeConfig config;
  config.source = "site";
  DecodeConfig lines;
  lines.format = Format::line_protocol;
  DecodeConfig numbers;
  numbers.format = Format::number;
  config.routes = {{{"telegraf/#"}, lines}, {{"#"}, numbers}};
  intake = std::make_unique<Intake>(config, namer, sink, quarantine, nullptr);
  take({{"telegraf/a", "m v=1"}, {"b", "2"}});
  EXPECT_EQ(readings(), "telegraf/a/m/v=1 b=2 ");
}

TEST_F(IntakeTest, QuarantinesWhatItCannotReadAndGoesOn) {
  DecodeConfig decode;
  decode.time_path = "t";
  decode.format = Format::json;
  make(decode);
  const std::string large(10'000'000, '1');
  const std::string deep = std::string(5000, '[') + "1" + std::string(5000, ']');
  take({{"a", R"({"v":1,"t":1795507100})"},
        {"a", "x"},
        {"a", ""},
        {"a", large},
        {"a", "\xff\xfe"},
        {"a", "{\"v\xff\":1}"},
        {"a", R"({"v":NaN})"},
        {"a", deep},
        {"a", R"({"v":1,"t":0})"},
        {"a", R"({"v":1,"t":4102444800})"},
        {"a", R"({"t":1795507100})"},
        {"a/+/b", R"({"v":1,"t":1795507100})"},
        {"a/#", R"({"v":1,"t":1795507100})"},
        {"a/../b", R"({"v":1,"t":1795507100})"},
        {std::string(65536, 'n'), R"({"v":1,"t":1795507100})"},
        {"n", "{\"" + std::string(65536, 'n') + "\":1,\"t\":1795507100}"},
        {"n", R"({"a#":1,"b+":2,"..":3,"c":{"":4},"t":1795507100})"},
        {"a", R"({"v":2,"t":1795507101})"}});
  EXPECT_EQ(readings(), "a/v=1 a/v=2 ");
  EXPECT_EQ(quarantine.total(Refusal::syntax), 2U);
  EXPECT_EQ(quarantine.total(Refusal::empty), 1U);
  EXPECT_EQ(quarantine.total(Refusal::too_large), 1U);
  EXPECT_EQ(quarantine.total(Refusal::utf8), 2U);
  EXPECT_EQ(quarantine.total(Refusal::depth), 1U);
  EXPECT_EQ(quarantine.total(Refusal::time), 2U);
  EXPECT_EQ(quarantine.total(Refusal::no_number), 1U);
  EXPECT_EQ(quarantine.total(Refusal::name), 9U);
  EXPECT_EQ(quarantine.total(), 19U);
  EXPECT_EQ(intake->totals().refused, 19U);
  EXPECT_NE(metrics.text().find("lapwing_quarantine_total{reason=\"too_large\"} 1"),
            std::string::npos);
}

TEST_F(IntakeTest, PassesNotANumberOnForTheQualityChecks) {
  make();
  take({{"a", "NaN"}, {"a", "inf"}});
  ASSERT_EQ(sink.readings.size(), 2U);
  EXPECT_TRUE(std::isnan(sink.readings[0].value));
  EXPECT_TRUE(std::isinf(sink.readings[1].value));
}

TEST_F(IntakeTest, ATopicThatDoesNotFitTheTemplateIsQuarantined) {
  DecodeConfig decode;
  decode.topic_template = *TopicTemplate::parse("site/device");
  make(decode);
  take({{"a", "1"}, {"a/b", "2"}, {"a/b/c", "3"}});
  EXPECT_EQ(readings(), "a/b=2 ");
  EXPECT_EQ(quarantine.total(Refusal::topic), 2U);
  EXPECT_THAT(quarantine.recent().front().detail, ::testing::HasSubstr("end it with `#`"));
}

TEST_F(IntakeTest, ForgetsTopicsAtItsBoundAndKeepsTheirStreams) {
  make({}, 16);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 40; ++i) take({{"t" + std::to_string(i), "1"}});
  }
  EXPECT_EQ(namer.ids.size(), 40U);
  EXPECT_EQ(sink.readings.size(), 120U);
  EXPECT_NE(metrics.text().find("lapwing_intake_cache_resets_total"), std::string::npos);
}

class FullIntakeTest : public IntakeTest {
 protected:
  FullIntakeTest() : IntakeTest(2) {}
};

TEST_F(FullIntakeTest, RefusesNewStreamsAtTheMaximumAndServesTheKnown) {
  make();
  for (int i = 0; i < 5; ++i) take({{"t", R"({"a":1,"b":2,"c":3})"}});
  EXPECT_EQ(sink.readings.size(), 10U);
  EXPECT_EQ(quarantine.total(Refusal::streams), 5U);
  EXPECT_EQ(namer.asked, 3U) << "a refused stream is not asked for again at once";
  EXPECT_THAT(quarantine.recent().front().detail, ::testing::HasSubstr("engine.streams_max"));
}

class ForgetfulSink final : public ReadingSink {
 public:
  Result<void> submit(std::span<const Reading> batch) override {
    count += batch.size();
    return {};
  }
  std::size_t count = 0;
};

TEST(Intake, AllocatesNothingOnceItKnowsTheTopics) {
  const std::pair<Format, std::string_view> cases[] = {
      {Format::automatic, R"({"temperature":10,"humidity":90})"},
      {Format::json, R"({"a_rather_long_name":{"of_another":[1,2,{"deep":true}]},"text":"x"})"},
      {Format::number, "21.5"},
      {Format::line_protocol, "cpu,a_rather_long_tag=x\\ y f=1i,g=2.5 1795507100000000000\nm v=1"},
      {Format::csv, "1,2,3\n4,5,\"6\"\n"}};
  for (const auto& [format, payload] : cases) {
    Namer namer;
    ForgetfulSink sink;
    Quarantine quarantine{QuarantineConfig{}};
    DecodeConfig decode;
    decode.format = format;
    Intake intake({"site", {{{}, decode}}}, namer, sink, quarantine);
    MessageBatch batch;
    for (int i = 0; i < 100; ++i) {
      batch.add("plant/line/device" + std::to_string(i) + "/state", payload, kReceived);
    }
    ASSERT_TRUE(intake.take(batch).has_value());
    const std::size_t warm = sink.count;
    const lapwing::testing::AllocationCount allocations;
    ASSERT_TRUE(intake.take(batch).has_value());
    EXPECT_EQ(allocations.since_start(), 0U) << payload;
    EXPECT_EQ(sink.count, 2 * warm);
  }
}

TEST(Quarantine, KeepsWithinItsBoundsAndCountsRepeats) {
  QuarantineConfig config;
  config.entries_max = 3;
  config.payload_bytes = 4;
  Quarantine quarantine(config);
  for (int i = 0; i < 10; ++i) {
    quarantine.add("s", "t" + std::to_string(i), "payload", Refusal::syntax, "why", kReceived);
  }
  quarantine.add("s", "t8", "other", Refusal::syntax, "why", kReceived + Micros(1));
  const auto recent = quarantine.recent();
  ASSERT_EQ(recent.size(), 3U);
  EXPECT_EQ(recent[0].topic, "t8");
  EXPECT_EQ(recent[0].count, 2U);
  EXPECT_EQ(recent[0].payload, "othe");
  EXPECT_EQ(recent[0].payload_bytes, 5U);
  EXPECT_EQ(recent[0].first, kReceived);
  EXPECT_EQ(recent[0].last, kReceived + Micros(1));
  EXPECT_EQ(recent[1].topic, "t9");
  EXPECT_EQ(quarantine.total(), 11U);
  config.entries_max = 1000;
  config.bytes_max = 4096;
  Quarantine narrow(config);
  for (int i = 0; i < 1000; ++i) {
    narrow.add("s", std::string(70000, 't') + std::to_string(i), "p", Refusal::name, "why",
               kReceived);
  }
  EXPECT_GE(narrow.recent(1000).size(), 1U);
  EXPECT_LE(narrow.recent(1000).size(), 16U);
}

TEST(MessageBatch, KeepsMessagesApartAndItsMemoryWithinBounds) {
  MessageBatch batch;
  for (int i = 0; i < 1000; ++i) batch.add("t" + std::to_string(i), std::to_string(i), kReceived);
  batch.add("", "", kReceived);
  ASSERT_EQ(batch.size(), 1001U);
  EXPECT_EQ(batch.at(0).topic, "t0");
  EXPECT_EQ(batch.at(999).topic, "t999");
  EXPECT_EQ(batch.at(999).payload, "999");
  EXPECT_EQ(batch.at(1000).payload, "");
  batch.clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.bytes(), 0U);
}

}  // namespace
}  // namespace lapwing::agent
