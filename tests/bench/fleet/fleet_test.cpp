// SPDX-License-Identifier: Apache-2.0
/// The parts of the load generator that its figures rest on.
#include "shared/wire/codec.hpp"
#include "tests/bench/fleet/histogram.hpp"
#include "tests/bench/fleet/mqtt5.hpp"
#include "tests/bench/fleet/records.hpp"

#include <gtest/gtest.h>

#include <map>

namespace lapwing::fleet {
namespace {

TEST(Histogram, TellsPercentilesWithinThreePercent) {
  Histogram histogram;
  for (int us = 1; us <= 100'000; ++us) histogram.add(Micros(us));
  const Counts counts = histogram.read();
  EXPECT_EQ(counts.total(), 100'000U);
  EXPECT_NEAR(static_cast<double>(counts.at(0.5).count()), 50'000, 50'000 * 0.032);
  EXPECT_NEAR(static_cast<double>(counts.at(0.99).count()), 99'000, 99'000 * 0.032);
  EXPECT_NEAR(static_cast<double>(counts.greatest().count()), 100'000, 100'000 * 0.032);
  EXPECT_EQ(Counts{}.at(0.5).count(), 0);
}

TEST(Histogram, HoldsWhatIsBeyondItsEnd) {
  Histogram histogram;
  histogram.add(std::chrono::hours(24), 3);
  histogram.add(Micros(-5));
  EXPECT_EQ(histogram.read().total(), 4U);
  for (std::size_t i = 1; i < Buckets::kCount; ++i) {
    EXPECT_GT(Buckets::upper(i), Buckets::upper(i - 1));
    EXPECT_EQ(Buckets::of(Buckets::upper(i)), i);
  }
}

TEST(Histogram, TellsWhatCameBetweenTwoReadings) {
  Histogram histogram;
  histogram.add(Micros(10), 5);
  const Counts before = histogram.read();
  histogram.add(Micros(2000), 2);
  Counts between = histogram.read();
  between -= before;
  EXPECT_EQ(between.total(), 2U);
  EXPECT_GE(between.at(0), Micros(2000));
}

TEST(Records, AreTheSameEachTime) {
  const RecordShape shape{.base = from_micros(1'700'000'000'000'000), .streams = 50};
  const Records one(shape);
  const Records other(shape);
  for (std::uint64_t seq = 1; seq < 500; ++seq) {
    EXPECT_EQ(one.entry(3, seq), other.entry(3, seq));
    EXPECT_EQ(one.hash(3, seq), wire::record_hash(one.entry(3, seq).payload));
  }
  EXPECT_NE(one.hash(3, 7), one.hash(4, 7));
  EXPECT_NE(one.hash(3, 7), one.hash(3, 57));
}

TEST(Records, OpenAndCloseOneAnomalyInAHundredRecordsInTurn) {
  const Records records({.streams = 30});
  for (const std::uint64_t device : {0, 1, 42, 99, 100, 4999}) {
    std::map<std::uint64_t, wire::AnomalyRecord> open;
    std::uint64_t steps = 0;
    for (std::uint64_t seq = 1; seq <= 5000; ++seq) {
      const auto body = wire::decode_record(records.entry(device, seq).payload);
      ASSERT_TRUE(body) << body.error().context;
      const auto* anomaly = std::get_if<wire::AnomalyRecord>(&*body);
      if (anomaly == nullptr) continue;
      ++steps;
      if (anomaly->phase == wire::Phase::opened) {
        EXPECT_TRUE(open.empty());
        open[anomaly->id] = *anomaly;
      } else {
        ASSERT_TRUE(open.contains(anomaly->id));
        EXPECT_EQ(open[anomaly->id].stream, anomaly->stream);
        EXPECT_EQ(open[anomaly->id].onset, anomaly->onset);
        open.clear();
      }
    }
    EXPECT_NEAR(static_cast<double>(steps), 50, 1);
    EXPECT_EQ(records.anomaly_steps(device, 5000), steps);
  }
}

TEST(Mqtt5, ReadsPacketsAsTheirBytesArrive) {
  std::string bytes;
  mqtt5::append_publish(bytes, 7, "lapwing/v1/a/b/down/ack", std::string(300, 'x'));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto part = mqtt5::read(std::string_view(bytes).substr(0, size));
    ASSERT_TRUE(part);
    EXPECT_FALSE(part->has_value()) << size;
  }
  bytes += "\xd0";
  const auto whole = mqtt5::read(bytes);
  ASSERT_TRUE(whole && *whole);
  EXPECT_EQ((*whole)->type, mqtt5::Type::publish);
  EXPECT_EQ((*whole)->packet_id, 7);
  EXPECT_EQ((*whole)->topic, "lapwing/v1/a/b/down/ack");
  EXPECT_EQ((*whole)->payload, std::string(300, 'x'));
  EXPECT_EQ((*whole)->bytes, bytes.size() - 1);
}

TEST(Mqtt5, ReadsWhatABrokerPromisesAtConnecting) {
  // Session present 0, success; topic alias maximum 10, receive maximum 20.
  const std::string bytes("\x20\x09\x00\x00\x06\x22\x00\x0a\x21\x00\x14", 11);
  const auto packet = mqtt5::read(bytes);
  ASSERT_TRUE(packet && *packet);
  EXPECT_EQ((*packet)->type, mqtt5::Type::connack);
  EXPECT_EQ((*packet)->reason, 0);
  EXPECT_EQ((*packet)->receive_max, 20);
}

TEST(Mqtt5, RefusesWhatIsNotMqtt) {
  EXPECT_FALSE(mqtt5::read(std::string("\xf0\x00", 2)));  // a type that nothing here uses
  EXPECT_FALSE(mqtt5::read(std::string("\x30\xff\xff\xff\xff\x01", 6)));
  EXPECT_FALSE(mqtt5::read(std::string("\x40\x01\x00", 3)));  // a PUBACK without its whole id
}

}  // namespace
}  // namespace lapwing::fleet
