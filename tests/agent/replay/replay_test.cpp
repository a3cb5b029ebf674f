// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/replay.hpp"

#include "agent/replay/plot.hpp"
#include "agent/replay/report.hpp"
#include "shared/csv/fields.hpp"
#include "tests/agent/replay/support.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace lapwing::agent {
namespace {

class Replay : public InFolder {
 protected:
  [[nodiscard]] ReplayOptions options(const std::string& text) const {
    ReplayOptions options;
    options.file = put("data.csv", text);
    return options;
  }
};

TEST_F(Replay, FindsTheFaultAndDrawsIt) {
  auto given = options(wave(3000, true));
  given.plot = folder_ / "out.svg";
  const auto report = replay(given);
  ASSERT_TRUE(report) << report.error().context;
  EXPECT_EQ(report->rows, 3000U);
  EXPECT_EQ(report->readings, 3000U);
  EXPECT_EQ(report->rows_bad, 0U);
  EXPECT_TRUE(report->warm);
  const Time onset = from_micros((1'700'000'000LL + 300 * 2800) * 1'000'000);
  bool found = false;
  for (const auto& anomaly : report->anomalies) {
    found = found || anomaly.event.onset == onset;
    EXPECT_GE(anomaly.event.end, anomaly.event.onset) << "each as it ended";
  }
  EXPECT_TRUE(found);
  const std::string text = to_text(*report);
  for (const std::string_view part : {"onset", "above the expected", "critical", "3000 readings"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  const std::string svg = read(given.plot);
  EXPECT_TRUE(svg.starts_with("<svg"));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  for (const std::string_view part :
       {"class=\"band\"", "class=\"value\"", "class=\"score\"", "data.csv"}) {
    EXPECT_NE(svg.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST_F(Replay, IsFastAndItsPictureStaysSmall) {
  auto given = options(wave(22'000, true));
  given.plot = folder_ / "out.svg";
  const auto report = replay(given);
  ASSERT_TRUE(report);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  EXPECT_LT(report->seconds, 10);
#else
  EXPECT_LT(report->seconds, 1);
#endif
  EXPECT_LT(std::filesystem::file_size(given.plot), 400'000U);
}

TEST_F(Replay, IsRepeatable) {
  auto given = options(wave(2000, true));
  given.plot = folder_ / "out.svg";
  const auto first = replay(given);
  const std::string picture = read(given.plot);
  const auto second = replay(given);
  ASSERT_TRUE(first && second);
  ASSERT_EQ(first->anomalies.size(), second->anomalies.size());
  EXPECT_EQ(read(given.plot), picture);
}

TEST_F(Replay, CountsBadRowsAndNamesTheirLines) {
  const auto report =
      replay(options("timestamp,value,site\n"
                     "2026-11-24 08:00:00,1.5,north\n"
                     "yesterday,1,north\n"
                     "2026-11-24T08:00:01Z,two,north\n"
                     "\n"
                     "2026-11-24T08:00:02+01:00\n"
                     "2026-11-24 08:00:03,4,north\n"));
  ASSERT_TRUE(report) << report.error().context;
  EXPECT_EQ(report->rows, 5U);
  EXPECT_EQ(report->readings, 2U);
  EXPECT_EQ(report->rows_bad, 3U);
  ASSERT_EQ(report->bad.size(), 3U);
  EXPECT_EQ(report->bad[0].line, 3U);
  EXPECT_EQ(report->bad[1].line, 4U);
  EXPECT_EQ(report->bad[2].line, 6U);
  EXPECT_NE(to_text(*report).find("line 4: \"two\" is not a number"), std::string::npos);
  EXPECT_FALSE(report->warm);
}

TEST_F(Replay, TakesFilesWithoutHeaderTimesOrWithOtherColumns) {
  EXPECT_EQ(replay(options("1700000000,1\n1700000001,2\n"))->readings, 2U);
  const auto bare = replay(options("value\n1\n2\n3\n"));
  ASSERT_TRUE(bare);
  EXPECT_TRUE(bare->times_made_up);
  EXPECT_EQ(bare->readings, 3U);
  EXPECT_EQ(replay(options("1\n2\n"))->readings, 2U);
  auto other = options("a;when;b;x\n1;2026-11-24;3;7.5\n");
  other.delimiter = ';';
  other.timestamp_column = "when";
  other.value_columns = {"x"};
  EXPECT_EQ(replay(other)->readings, 1U);
  other.value_columns = {"4"};
  EXPECT_EQ(replay(other)->readings, 1U);
  other.value_columns = {"y"};
  const auto missing = replay(other);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::bad_input);
  EXPECT_NE(missing.error().context.find("\"y\""), std::string::npos);
}

TEST_F(Replay, RefusesWhatIsNoSuchFile) {
  ReplayOptions given;
  given.file = folder_ / "absent.csv";
  EXPECT_EQ(replay(given).error().code, Errc::io);
  given.file = folder_;
  EXPECT_EQ(replay(given).error().code, Errc::io);
  EXPECT_EQ(replay(options("")).error().code, Errc::bad_input);
  auto large = options(wave(100, false));
  large.file_bytes_max = 1000;
  EXPECT_EQ(replay(large).error().code, Errc::limit);
  auto unwritable = options(wave(100, false));
  unwritable.plot = folder_ / "no" / "such" / "out.svg";
  EXPECT_EQ(replay(unwritable).error().code, Errc::io);
}

TEST(CsvTime, TellsUnitsApartBySize) {
  const Time wanted = from_micros(1'700'000'000'500'000);
  for (const std::string_view text :
       {"1700000000.5", "1700000000500", "1700000000500000", "1700000000500000000",
        "2023-11-14T22:13:20.5Z", "2023-11-14 22:13:20.5", " 2023-11-14T23:13:20.5+01:00 "}) {
    const auto time = csv::parse_time(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(*time, wanted) << text;
  }
  EXPECT_TRUE(csv::parse_time("2026-11-24"));
  for (const std::string_view bad : {"", "x", "2026-13-45 00:00:00", "1e300", "nan", "inf"}) {
    EXPECT_FALSE(csv::parse_time(bad)) << bad;
  }
}

TEST(Plot, DrawsAnythingIntoAWellFormedPicture) {
  const Time start = from_micros(1'700'000'000'000'000);
  for (const double scale : {0.0, 1e-30, 1.0, 1e30}) {
    Plot plot(start, start);
    for (int i = 0; i < 50; ++i) plot.add({start, scale * i}, {});
    const std::string svg = plot.svg("<script>&\"\x01\xff", {});
    EXPECT_EQ(svg.find("<script"), std::string::npos);
    EXPECT_EQ(svg.find("nan"), std::string::npos) << scale;
    EXPECT_EQ(svg.find("inf"), std::string::npos) << scale;
  }
  Plot empty(start, start + std::chrono::hours(1));
  const Window label{start - std::chrono::hours(1), start + std::chrono::minutes(30)};
  EXPECT_NE(empty.svg("labelled", {}, {&label, 1})
                .find("class=\"label\" x=\"80.0\" y=\"519.0\" width=\"520.0\""),
            std::string::npos)
      << "from the left edge to the middle";
  EXPECT_TRUE(empty.svg("nothing", {}).ends_with("</svg>\n"));
}

}  // namespace
}  // namespace lapwing::agent
