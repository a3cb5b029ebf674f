// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/inputs.hpp"
#include "agent/replay/judge.hpp"
#include "agent/replay/replay.hpp"
#include "tests/agent/replay/support.hpp"

#include <charconv>
#include <sstream>
#include <vector>

namespace lapwing::agent {
namespace {

class Scores : public InFolder {
 protected:
  /// The lines of the scores of a file, without the header.
  std::vector<std::string> scores(ReplayOptions options) {
    options.out = folder_ / "out" / "deep" / "scores.csv";
    const auto report = replay(options);
    EXPECT_TRUE(report) << report.error().context;
    std::istringstream text(read(options.out));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    EXPECT_EQ(lines.at(0), "timestamp,value,score,anomaly_score");
    lines.erase(lines.begin());
    return lines;
  }
  ReplayOptions of(const std::string& text) {
    ReplayOptions options;
    options.file = put("data.csv", text);
    return options;
  }
};

double field(const std::string& line, int index) {
  std::size_t from = 0;
  for (int i = 0; i < index; ++i) from = line.find(',', from) + 1;
  double value = -1;
  std::from_chars(line.data() + from, line.data() + line.size(), value);
  return value;
}

TEST_F(Scores, EveryDataRowGivesOneAsItWasWritten) {
  std::string text = wave(1000, false);
  text += "yesterday,5,\n";                        // no time
  text += "1700300000,\"two, or so\"\n";           // no number
  text += "1700300300\n";                          // too few fields
  text += "1700300600,\n";                         // a hole
  text += "1700300900,19.50\n1700300900,19.50\n";  // delivered twice
  text += "2023-11-18 10:03:20, +7e1\n";
  const auto lines = scores(of(text));
  ASSERT_EQ(lines.size(), 1007U);
  EXPECT_EQ(lines[0], "1700000000,20.236456,0,0");
  EXPECT_EQ(lines[1000], "yesterday,5,0,0");
  EXPECT_EQ(lines[1001], "1700300000,,0,0");
  EXPECT_EQ(lines[1002], "1700300300,,0,0");
  EXPECT_TRUE(lines[1003].starts_with("1700300600,,"));
  EXPECT_TRUE(lines[1004].starts_with("1700300900,19.50,0."));
  EXPECT_EQ(lines[1005], "1700300900,19.50,0,0");
  EXPECT_TRUE(lines[1006].starts_with("2023-11-18 10:03:20,+7e1,"));
  EXPECT_GT(field(lines[1006], 2), 1);
}

TEST_F(Scores, AnAnomalyHasItsStrengthAtTheRowThatGaveItAwayOnly) {
  const auto lines = scores(of(wave(3000, true)));
  std::vector<std::size_t> onsets;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (field(lines[i], 3) > 0) onsets.push_back(i);
  }
  ASSERT_FALSE(onsets.empty());
  EXPECT_NE(std::find(onsets.begin(), onsets.end(), 2800U), onsets.end());
  EXPECT_LT(onsets.size(), 10U);
  EXPECT_GT(field(lines[2800], 3), 1);
  EXPECT_GT(field(lines[2801], 2), 1) << "still anomalous, no longer an onset";
  EXPECT_EQ(field(lines[2801], 3), 0);
}

TEST_F(Scores, AnOutageIsTheRowsThatCameAfterIt) {
  std::string text = wave(2000, false);
  text += std::to_string(1'700'000'000 + 300 * 2000 + 86'400) + ",20\n";
  const auto lines = scores(of(text));
  EXPECT_GT(field(lines.back(), 3), 1);
}

TEST_F(Scores, TheSameRunGivesTheSameBytes) {
  auto options = of(wave(2500, true));
  options.out = folder_ / "one.csv";
  ASSERT_TRUE(replay(options));
  options.out = folder_ / "two.csv";
  ASSERT_TRUE(replay(options));
  EXPECT_EQ(read(folder_ / "one.csv"), read(folder_ / "two.csv"));
}

TEST_F(Scores, FilesWithoutTimesGetThemAtTheInterval) {
  auto options = of("v0,label\n1.5,0\n2.5,1\n3.5,0\n");
  options.interval = std::chrono::minutes(5);
  const auto lines = scores(options);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1], "2000-01-01T00:05:00.000000Z,2.5,0,0") << "the label is not the value";
}

TEST_F(Scores, TheValueIsTheFirstNumberThatIsNeitherTimeNorLabel) {
  const auto values = [&](const std::string& text) {
    std::string all;
    for (const std::string& line : scores(of(text))) {
      const auto from = line.find(',') + 1;
      all += line.substr(from, line.find(',', from) - from) + " ";
    }
    return all;
  };
  EXPECT_EQ(values("Data,Label\n4,0\n5,1\n"), "4 5 ");
  EXPECT_EQ(values("site,date,flow,label\nnorth,2026-11-24,4,0\n"), "4 ");
  EXPECT_EQ(values("label,time,value\n1,2026-11-24,9\n"), "9 ");
  EXPECT_EQ(values("when,what\n2026-11-24,9\n"), "9 ");
}

class Inputs : public InFolder {};

TEST_F(Inputs, OfAFolderAreItsCsvFilesAtTheirPlaces) {
  put("data/b.csv", "");
  put("data/a/x.csv", "");
  put("data/readme.txt", "");
  const auto one = put("data/b.csv", "");
  const auto found = find_inputs(std::vector{folder_ / "data"});
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ((*found)[0].name, "a/x.csv");
  EXPECT_EQ((*found)[1].name, "b.csv");
  EXPECT_EQ((*find_inputs(std::vector{one}))[0].name, "b.csv");
  const auto twice = find_inputs(std::vector{folder_ / "data", one});
  ASSERT_FALSE(twice) << "one would overwrite the other";
  EXPECT_EQ(twice.error().code, Errc::bad_config);
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_FALSE(find_inputs(std::vector{folder_ / "empty"}));
}

Time at(int minutes) { return from_micros(1'700'000'000'000'000) + std::chrono::minutes(minutes); }

ReplayReport report_of(const std::vector<Window>& anomalies) {
  ReplayReport report;
  report.warm = true;
  report.scored_from = at(100);
  report.last = at(100 + 7 * 24 * 60);
  for (const Window& one : anomalies) {
    Anomaly anomaly{.found = one.start};
    anomaly.event.onset = one.start;
    anomaly.event.end = one.end;
    report.anomalies.push_back(anomaly);
  }
  return report;
}

TEST(Judge, CountsByEventNotByRow) {
  const std::vector<Window> windows = {
      {at(1000), at(1200)}, {at(3000), at(5000)}, {at(9000), at(9010)}};
  const auto report = report_of(
      {{at(1010), at(1020)}, {at(1100), at(1110)}, {at(2990), at(3005)}, {at(7000), at(7001)}});
  const Judgement j = judge(report, windows);
  EXPECT_EQ(j.windows, 3U);
  EXPECT_EQ(j.windows_found, 2U);
  EXPECT_DOUBLE_EQ(j.precision(), 0.75);
  EXPECT_NEAR(j.recall(), 2.0 / 3, 1e-12);
  EXPECT_EQ(j.delays, (std::vector<double>{600, 0})) << "open when the event began: no delay";
  const double clean = (7 * 24 * 60 - 200 - 2000 - 10) / (7.0 * 24 * 60);
  EXPECT_NEAR(j.false_alarms_per_week(), 1 / clean, 1e-9);
}

TEST(Judge, WhatWasBeforeTheFirstScoreIsCountedApart) {
  const std::vector<Window> windows = {{at(10), at(20)}, {at(90), at(110)}};
  const Judgement j = judge(report_of({{at(15), at(16)}, {at(105), at(106)}}), windows);
  EXPECT_EQ(j.windows_early, 1U);
  EXPECT_EQ(j.windows, 1U);
  EXPECT_EQ(j.anomalies, 1U);
  EXPECT_EQ(j.recall(), 1);
  ReplayReport cold;
  EXPECT_TRUE(std::isnan(judge(cold, windows).recall()));
  EXPECT_TRUE(std::isnan(judge(cold, {}).precision()));
}

class LabelFiles : public InFolder {};

TEST_F(LabelFiles, AreWindowsOrListsByFile) {
  const auto csv = Labels::read(
      put("w.csv", "start,end\n2026-11-24 08:00:00,2026-11-24 09:00:00\n1700000000,1700000300\n"));
  ASSERT_TRUE(csv) << csv.error().context;
  ASSERT_NE(csv->of("any.csv"), nullptr);
  ASSERT_EQ(csv->of("any.csv")->size(), 2U);
  EXPECT_EQ((*csv->of("any.csv"))[1].end, from_micros(1'700'000'300'000'000));
  const auto json = Labels::read(put(
      "w.json", R"({"real/a.csv": [["2014-04-10 16:15:00.000000", "2014-04-12 01:45:00.000000"]],
                    "b.csv": []})"));
  ASSERT_TRUE(json) << json.error().context;
  EXPECT_EQ(json->of("/data/nab/real/a.csv")->size(), 1U);
  EXPECT_EQ(json->of("/data/nab/unreal/a.csv"), nullptr);
  EXPECT_EQ(json->of("/data/nab/sub.csv"), nullptr);
  EXPECT_TRUE(json->of("b.csv")->empty());
}

TEST_F(LabelFiles, ThatAreWrongAreRefusedSayingWhere) {
  const auto refused = [&](const std::string& text) {
    const auto labels = Labels::read(put("w", text));
    return labels ? std::string() : labels.error().context;
  };
  EXPECT_NE(refused("start,end\n1700000300,1700000000\n").find("line 2"), std::string::npos);
  EXPECT_NE(refused("start,end\n1700000300\n").find("line 2"), std::string::npos);
  EXPECT_NE(refused("{\"a.csv\": [[1, 2]]}").find("a.csv"), std::string::npos);
  EXPECT_NE(refused("{").find("JSON"), std::string::npos);
  EXPECT_EQ(Labels::read(folder_ / "absent").error().code, Errc::not_found);
}

TEST_F(LabelFiles, OrAColumnOfTheData) {
  ReplayOptions options;
  options.file = put("d.csv", "value,label\n1,0\n2,1\n3,1\n4,0\n5,1\n");
  options.label_column = "label";
  const auto rows = read_rows(options);
  ASSERT_TRUE(rows) << rows.error().context;
  const auto windows = windows_of(*rows);
  ASSERT_EQ(windows.size(), 2U);
  EXPECT_EQ(windows[0].end - windows[0].start, std::chrono::seconds(1));
  EXPECT_EQ(windows[1].start, windows[1].end);
  options.label_column = "no_such";
  EXPECT_EQ(read_rows(options).error().code, Errc::bad_input);
}

}  // namespace
}  // namespace lapwing::agent
