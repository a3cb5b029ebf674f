// SPDX-License-Identifier: Apache-2.0
#include "hub/exchange/lines.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lapwing::hub {
namespace {

ExchangedAnomaly anomaly() {
  ExchangedAnomaly a;
  a.device = "edge-1";
  a.epoch = 3;
  a.seq = (std::uint64_t{1} << 61U) + 1;
  auto& r = a.record;
  r.id = 0xfedcba9876543210ULL;
  r.phase = wire::Phase::closed;
  r.severity = wire::Severity::critical;
  r.reason = wire::Reason::not_a_number;
  r.stream = "plant/ü \"x\"";
  r.watch = "w";
  r.detector = "auto";
  r.onset = from_micros(1'790'000'000'123'456);
  r.peak_time = from_micros(1'790'000'001'000'001);
  r.end = from_micros(1'790'000'002'000'002);
  r.peak_score = 0.1 + 0.2;
  r.peak_value = -std::numeric_limits<double>::infinity();
  r.band = {1.0 / 3, wire::kUnknown, 5e-324};
  r.text = "line\nbreak";
  r.contributions = {{"a", 0.7}, {"b", wire::kUnknown}};
  r.tags = {{"site", "north"}, {"site", "south"}};
  a.received_at = from_micros(1'790'000'003'000'003);
  a.updated_at = from_micros(1'790'000'004'000'004);
  return a;
}

TEST(ExchangeLines, KeepEveryFieldOfAnAnomaly) {
  const auto want = anomaly();
  const auto line = to_line(ExchangedRow(want));
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto row = parse_line(ExchangeKind::anomalies, line);
  ASSERT_TRUE(row) << row.error().context;
  const auto& got = std::get<ExchangedAnomaly>(*row);
  EXPECT_EQ(got.device, want.device);
  EXPECT_EQ(got.epoch, want.epoch);
  EXPECT_EQ(got.seq, want.seq);
  EXPECT_EQ(got.received_at, want.received_at);
  EXPECT_EQ(got.updated_at, want.updated_at);
  const auto& g = got.record;
  const auto& w = want.record;
  EXPECT_EQ(g.id, w.id);
  EXPECT_EQ(g.phase, w.phase);
  EXPECT_EQ(g.severity, w.severity);
  EXPECT_EQ(g.reason, w.reason);
  EXPECT_EQ(g.stream, w.stream);
  EXPECT_EQ(g.watch, w.watch);
  EXPECT_EQ(g.detector, w.detector);
  EXPECT_EQ(g.onset, w.onset);
  EXPECT_EQ(g.peak_time, w.peak_time);
  EXPECT_EQ(g.end, w.end);
  EXPECT_EQ(g.peak_score, w.peak_score);
  EXPECT_EQ(g.peak_value, w.peak_value);
  EXPECT_EQ(g.band.expected, w.band.expected);
  EXPECT_TRUE(std::isnan(g.band.lower));
  EXPECT_EQ(g.band.upper, w.band.upper);
  EXPECT_EQ(g.text, w.text);
  ASSERT_EQ(g.contributions.size(), 2U);
  EXPECT_EQ(g.contributions[0].share, 0.7);
  EXPECT_TRUE(std::isnan(g.contributions[1].share));
  EXPECT_EQ(g.tags, w.tags);
}

TEST(ExchangeLines, KeepDevicesAndLedgers) {
  const ExchangedDevice device{"edge-1", from_micros(1), "0a", std::nullopt, from_micros(2)};
  const auto read = parse_line(ExchangeKind::devices, to_line(ExchangedRow(device)));
  ASSERT_TRUE(read) << read.error().context;
  EXPECT_EQ(std::get<ExchangedDevice>(*read), device);
  ExchangedLedger ledger;
  ledger.device = "edge-1";
  ledger.status = DeviceStatus::quarantined;
  ledger.ledger = {10, 5, {1, 0, 2, 0}, 2};
  ledger.epoch = 4;
  const auto told = parse_line(ExchangeKind::ledgers, to_line(ExchangedRow(ledger)));
  ASSERT_TRUE(told) << told.error().context;
  const auto& got = std::get<ExchangedLedger>(*told);
  EXPECT_EQ(got.status, DeviceStatus::quarantined);
  EXPECT_EQ(got.ledger.produced, 10U);
  EXPECT_EQ(got.ledger.lost, ledger.ledger.lost);
  EXPECT_FALSE(got.last_seen);
}

TEST(ExchangeLines, RefuseWhatIsNotARow) {
  const auto good = to_line(ExchangedRow(anomaly()));
  const auto with = [&](const std::string& from, const std::string& to) {
    auto line = good;
    const auto at = line.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    line.replace(at, from.size(), to);
    return line;
  };
  for (const auto& line : {
           std::string(),
           std::string("{}"),
           std::string("[1]"),
           std::string("null"),
           good.substr(0, good.size() - 1),
           std::string(kLineBytesMax + 1, ' '),
           with("\"edge-1\"", "\"../edge\""),
           with("\"edge-1\"", "7"),
           with("\"closed\"", "\"reopened\""),
           with("\"seq\":2305843009213693953", "\"seq\":-1"),
           with("\"seq\":2305843009213693953", "\"seq\":9305843009213693953"),
           with("line\\nbreak", "nul\\u0000"),
           with("fedcba9876543210", "fedcba987654321g"),
           with("[{\"stream\"", "[7,{\"stream\""),
           with("2026-", "2O26-"),
           with("\"-inf\"", "\"much\""),
           with("north", std::string(600, 'n')),
       }) {
    EXPECT_FALSE(parse_line(ExchangeKind::anomalies, line)) << line.substr(0, 200);
  }
  EXPECT_FALSE(parse_line(ExchangeKind::devices, good));
  EXPECT_TRUE(parse_line(ExchangeKind::anomalies, with("{", "{\"later\":[1],")))
      << "a newer hub may tell more";
}

TEST(ExchangeLines, TheEndOfAPageTellsWhoseItIs) {
  const auto end = parse_page_end(to_line(PageEnd{"acme", "anomalies", "x00-x01", true}));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->tenant, "acme");
  EXPECT_EQ(end->kind, "anomalies");
  EXPECT_EQ(end->next, "x00-x01");
  EXPECT_TRUE(end->more);
  EXPECT_FALSE(parse_page_end(to_line(ExchangedRow(anomaly()))));
  EXPECT_FALSE(parse_page_end("{\"next\":\"\",\"more\":1,\"kind\":\"a\",\"tenant\":\"t\"}"));
}

}  // namespace
}  // namespace lapwing::hub
