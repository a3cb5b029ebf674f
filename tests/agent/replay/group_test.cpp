// SPDX-License-Identifier: Apache-2.0
// Several value columns are one group: what is read, scored, said and drawn of it.
#include "agent/replay/group_picture.hpp"
#include "agent/replay/judge.hpp"
#include "agent/replay/replay.hpp"
#include "agent/replay/report.hpp"
#include "agent/replay/tune.hpp"
#include "tests/agent/replay/support.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <string>
#include <vector>

namespace lapwing::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::size_t kRows = 1500;
constexpr std::size_t kFaultBegin = 1000;  // the pressure no longer answers the flow
constexpr std::size_t kFaultEnd = 1100;
constexpr std::size_t kOutageBegin = 1300;  // of the flow
constexpr std::size_t kOutageEnd = 1380;
constexpr int kFirstShare = 7;  // field of the scores

/// Three sensors that follow one load, every ten seconds; beside them text and labels.
std::string machine() {
  std::string text = "timestamp,flow,pressure,site,\"motor, A\",label\n";
  std::uint32_t random = 1;
  const auto noise = [&random] {
    random = random * 1664525U + 1013904223U;
    return random / 4294967296.0 - 0.5;
  };
  for (std::size_t i = 0; i < kRows; ++i) {
    const double load = std::sin(static_cast<double>(i) / 15) + noise();
    const bool fault = i >= kFaultBegin && i < kFaultEnd;
    const bool outage = i >= kOutageBegin && i < kOutageEnd;
    text += std::to_string(1'700'000'000 + 10 * i) + ',' +
            (outage ? "" : std::to_string(20 + 4 * load + noise())) + ',' +
            std::to_string(4 - (fault ? -1 : 1) * load + 0.2 * noise()) + ",north," +
            std::to_string(8 + load + 0.2 * noise()) + (fault ? ",1\n" : ",0\n");
  }
  return text;
}

Time at(std::size_t row) {
  return from_micros((1'700'000'000LL + 10 * static_cast<std::int64_t>(row)) * 1'000'000);
}

class Groups : public InFolder {
 protected:
  [[nodiscard]] ReplayOptions of(const std::string& text) const {
    ReplayOptions options;
    options.file = put("data.csv", text);
    options.value_columns = {"*"};
    options.watch.warmup = 400;
    return options;
  }
  /// The names of the columns that are taken, or what was said instead.
  [[nodiscard]] std::vector<std::string> names(const std::string& text,
                                               std::vector<std::string> columns) const {
    ReplayOptions options = of(text);
    options.value_columns = std::move(columns);
    const auto rows = read_rows(options);
    return rows ? rows->names : std::vector<std::string>{rows.error().context};
  }
};

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> fields_of(const std::string& line) {
  std::istringstream in(line + ",");
  std::vector<std::string> fields;
  for (std::string field; std::getline(in, field, ',');) fields.push_back(field);
  return fields;
}

double number(const std::string& text) {
  double value = -1;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

TEST_F(Groups, EveryRowHasItsScoreAndTheSensorsShares) {
  auto options = of(machine());
  options.out = folder_ / "scores.csv";
  const auto report = replay(options);
  ASSERT_TRUE(report) << report.error().context;
  const auto lines = lines_of(read(options.out));
  ASSERT_EQ(lines.size(), kRows + 1);
  EXPECT_EQ(lines[0],
            "timestamp,flow,pressure,\"motor, A\",score,anomaly_score,contribution:flow,"
            "contribution:pressure,\"contribution:motor, A\"");
  const auto input = lines_of(machine());
  std::size_t scored = 0;
  for (std::size_t i = 0; i < kRows; ++i) {
    const auto fields = fields_of(lines[i + 1]);
    ASSERT_EQ(fields.size(), 9U) << lines[i + 1];
    const auto given = fields_of(input[i + 1]);
    EXPECT_THAT(std::vector(fields.begin(), fields.begin() + 4),
                ElementsAre(given[0], given[1], given[2], given[4]))
        << "as written";
    double total = 0;
    for (std::size_t c = 6; c < 9; ++c) total += number(fields[c]);
    const bool has_score = fields[4] != "0";
    EXPECT_NEAR(total, has_score ? 1 : 0, 1e-5) << i;
    scored += has_score ? 1 : 0;
  }
  EXPECT_EQ(scored, kRows - options.watch.warmup);

  const auto onset = std::ranges::find_if(report->anomalies, [](const Anomaly& one) {
    return !one.sensor && one.found >= at(kFaultBegin) && one.found < at(kFaultEnd);
  });
  ASSERT_NE(onset, report->anomalies.end());
  const auto row = static_cast<std::size_t>((onset->found - at(0)) / std::chrono::seconds(10));
  const auto fields = fields_of(lines[row + 1]);
  EXPECT_GT(number(fields[4]), 1);
  EXPECT_GT(number(fields[5]), 1);
  EXPECT_GT(number(fields[kFirstShare]), 0.5) << "the pressure's";
  EXPECT_EQ(fields_of(lines[row + 2])[5], "0") << "at the onset only";
}

TEST_F(Groups, TheSameRunGivesTheSameBytes) {
  auto options = of(machine());
  options.out = folder_ / "one.csv";
  options.plot = folder_ / "one.svg";
  ASSERT_TRUE(replay(options));
  options.out = folder_ / "two.csv";
  options.plot = folder_ / "two.svg";
  ASSERT_TRUE(replay(options));
  EXPECT_EQ(read(folder_ / "one.csv"), read(folder_ / "two.csv"));
  EXPECT_EQ(read(folder_ / "one.svg"), read(folder_ / "two.svg"));
}

TEST_F(Groups, TheReportSaysWhichSensors) {
  auto options = of(machine());
  options.label_column = "label";
  const auto report = replay(options);
  ASSERT_TRUE(report) << report.error().context;
  EXPECT_THAT(report->sensors, ElementsAre("flow", "pressure", "motor, A"));
  const auto fault = std::ranges::find_if(report->anomalies, [](const Anomaly& one) {
    return !one.sensor && one.found >= at(kFaultBegin) && one.found < at(kFaultEnd);
  });
  ASSERT_NE(fault, report->anomalies.end());
  ASSERT_FALSE(fault->parts.empty());
  EXPECT_EQ(fault->parts[0].sensor, 1) << "the pressure";
  EXPECT_THAT(fault->text, HasSubstr("unlike their past together: pressure "));
  const auto outage = std::ranges::find_if(
      report->anomalies, [](const Anomaly& one) { return one.event.reason == wire::Reason::gap; });
  ASSERT_NE(outage, report->anomalies.end());
  EXPECT_EQ(outage->sensor, 0U) << "the flow";
  EXPECT_EQ(outage->event.onset, at(kOutageBegin - 1));
  EXPECT_THAT(outage->parts, IsEmpty());
  const std::string text = to_text(*report);
  EXPECT_THAT(text, HasSubstr("sensor  "));
  EXPECT_THAT(text, HasSubstr("flow    gap      no reading for "));
  EXPECT_THAT(text, HasSubstr("all     unusual  " + fault->text));
  EXPECT_THAT(text, HasSubstr("3 sensors: flow, pressure, motor, A\n1500 rows from "));
  ASSERT_TRUE(report->labelled);
  EXPECT_EQ(judge(*report, *report->labelled).windows_found, 1U);
}

TEST_F(Groups, AFieldThatIsNoNumberIsMissingAndItsRowCounted) {
  auto lines = lines_of(machine());
  lines[600] = "1700005990,oops,4,north,8,0";
  lines[601] = "1700006000,,,north,,0";
  lines[602] = "1700006010,a,b,north,c,0";
  lines[603] = "1700006020,20,4,north";
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  auto options = of(text);
  const auto rows = read_rows(options);
  ASSERT_TRUE(rows) << rows.error().context;
  ASSERT_EQ(rows->width(), 3U);
  EXPECT_TRUE(rows->rows[599].readable);
  EXPECT_TRUE(std::isnan(rows->numbers_of(599)[0]));
  EXPECT_EQ(rows->numbers_of(599)[1], 4);
  EXPECT_TRUE(rows->rows[600].readable) << "holes are no errors";
  EXPECT_FALSE(rows->rows[601].readable) << "nothing in it can be read";
  EXPECT_FALSE(rows->rows[602].readable);
  EXPECT_EQ(rows->bad_total, 3U);
  const auto report = replay(options);
  ASSERT_TRUE(report) << report.error().context;
  EXPECT_EQ(report->readings, kRows - 2);
  EXPECT_THAT(to_text(*report), HasSubstr("3 rows could not be read in full:\n"
                                          "  line 601: flow: \"oops\" is not a number\n"));
}

TEST_F(Groups, ColumnsAreThoseNamedOrAllOfNumbers) {
  const std::string text =
      "site,date,flow,pressure,note,anomaly\n"
      "north,2026-11-24,,4,5 bar,0\n"
      "north,2026-11-25,3,4,5 bar,0\n";
  EXPECT_THAT(names(text, {"*"}), ElementsAre("flow", "pressure")) << "a hole comes first";
  EXPECT_THAT(names(text, {"pressure", "3"}), ElementsAre("pressure", "flow"));
  EXPECT_THAT(names("1700000000,1,x,2\n1700000001,1,x,2\n", {"*"}), ElementsAre("2", "4"));
  EXPECT_THAT(names("a,,b\n1,2,3\n", {"*"}), ElementsAre("a", "2", "b"));
  EXPECT_THAT(names(text, {"flow", "3"}), ElementsAre(HasSubstr("named twice")));
  EXPECT_THAT(names(text, {"flow", "temperature"}),
              ElementsAre(HasSubstr("no column \"temperature\": it has site, date, flow")));
  EXPECT_THAT(names("when,what\n2026-11-24,x\n", {"*"}),
              ElementsAre(HasSubstr("no column of numbers")));
  auto labelled = of("a,b,faulty\n1,2,0\n");
  labelled.label_column = "faulty";
  EXPECT_THAT(read_rows(labelled)->names, ElementsAre("a", "b"));
}

TEST_F(Groups, OneColumnOfNumbersIsAStream) {
  auto options = of(wave(1000, true));
  options.out = folder_ / "scores.csv";
  const auto report = replay(options);
  ASSERT_TRUE(report) << report.error().context;
  EXPECT_THAT(report->sensors, IsEmpty());
  EXPECT_TRUE(read(options.out).starts_with("timestamp,value,score,anomaly_score\n"));
}

TEST_F(Groups, DetectorsOfOtherInputsAreRefusedNamingTheRightOnes) {
  auto options = of(machine());
  for (const auto* right : {"halfspace_trees", "pca"}) {
    options.watch.detector = right;
    EXPECT_TRUE(replay(options)) << right;
  }
  for (const auto* wrong : {"seasonal", "ewma", "nonsense"}) {
    options.watch.detector = wrong;
    const auto report = replay(options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Errc::bad_config);
    EXPECT_EQ(report.error().context, "no detector \"" + std::string(wrong) +
                                          "\" for a group (several value columns); there are: "
                                          "auto, halfspace_trees, isolation_forest, knn, "
                                          "local_outlier_factor, one_class_svm, pca");
  }
  options.value_columns = {"flow"};
  options.watch.detector = "pca";
  EXPECT_THAT(replay(options).error().context, HasSubstr("a stream (one value column)"));
  options.value_columns = {"*"};
  EXPECT_THAT(tune(options).error().context, HasSubstr("one value column"));
}

TEST_F(Groups, ThePictureHasALaneForEachSensor) {
  auto options = of(machine());
  options.label_column = "label";
  options.plot = folder_ / "out.svg";
  ASSERT_TRUE(replay(options));
  const std::string svg = read(options.plot);
  EXPECT_TRUE(svg.starts_with("<svg"));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  for (const std::string_view part :
       {">flow</text>", ">pressure</text>", ">motor, A</text>", "data.csv", "class=\"label\"",
        "<title>unlike their past together: pressure", "<title>no reading for"}) {
    EXPECT_THAT(svg, HasSubstr(part));
  }
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
  EXPECT_THAT(svg, Not(HasSubstr("not drawn")));
}

Anomaly of_group(std::vector<detect::Part> parts) {
  Anomaly anomaly;
  anomaly.parts = std::move(parts);
  return anomaly;
}

TEST(GroupPicture, ShowsTheLargestContributorsFirstAndSaysWhatIsLeftOut) {
  Rows rows;
  ReplayReport report;
  for (int i = 0; i < 20; ++i) report.sensors.push_back("s" + std::to_string(i));
  report.first = at(0);
  report.last = at(10);
  EXPECT_THAT(lanes_of(report), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  report.anomalies.push_back(of_group({{17, 0.6F}, {3, 0.3F}}));
  report.anomalies.push_back(of_group({{3, 0.5F}, {16, 0.2F}}));
  report.anomalies.emplace_back().sensor = 19;
  EXPECT_THAT(lanes_of(report), ElementsAre(19, 3, 17, 16, 0, 1, 2, 4, 5, 6, 7, 8));

  rows.names = report.sensors;
  rows.rows.resize(2);
  rows.rows[0] = {.timestamp = {}, .time = at(0), .readable = true};
  rows.rows[1] = {.timestamp = {}, .time = at(10), .readable = true};
  rows.numbers.assign(40, std::numeric_limits<double>::quiet_NaN());
  rows.numbers[19] = 1e30;
  rows.numbers[39] = -1e30;
  const std::string svg = group_picture("t", rows, std::vector<RowScore>(2), report);
  EXPECT_THAT(svg, HasSubstr(">s19</text>"));
  EXPECT_THAT(svg, Not(HasSubstr(">s18</text>")));
  EXPECT_THAT(svg, HasSubstr("8 of 20 sensors are not drawn"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

}  // namespace
}  // namespace lapwing::agent
