// SPDX-License-Identifier: Apache-2.0
#include "agent/decode/json_path.hpp"
#include "agent/decode/topic_template.hpp"
#include "shared/csv/split.hpp"
#include "tests/agent/decode/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace lapwing::agent {
namespace {

using testing::decode;
using testing::kReceived;

DecodeConfig json(std::vector<std::string> fields = {}) {
  DecodeConfig config;
  config.format = Format::json;
  config.json.fields = std::move(fields);
  return config;
}

TEST(NumberFormat, ReadsWholeTextsOnly) {
  DecodeConfig config;
  config.format = Format::number;
  EXPECT_EQ(decode(config, "21.5").text(), "=21.5");
  EXPECT_EQ(decode(config, " +7\r\n").text(), "=7");
  EXPECT_EQ(decode(config, "-1e3").text(), "=-1000");
  EXPECT_EQ(decode(config, "true").text(), "=1");
  EXPECT_EQ(decode(config, "5").text(), "=5");
  EXPECT_EQ(decode(config, "").text(), "!empty");
  EXPECT_EQ(decode(config, " \n").text(), "!empty");
  EXPECT_EQ(decode(config, "21.5 C").text(), "!syntax");
  EXPECT_EQ(decode(config, "+-1").text(), "!syntax");
  EXPECT_EQ(decode(config, std::string("1\0", 2)).text(), "!syntax");
  EXPECT_EQ(decode(config, "\xff\xfe\x01").text(), "!syntax");
  EXPECT_EQ(decode(config, "1e999").text(), "!syntax");
  EXPECT_TRUE(std::isnan(decode(config, "NaN").found.fields.at(0).value));
  EXPECT_TRUE(std::isinf(decode(config, "-inf").found.fields.at(0).value));
  EXPECT_EQ(decode(config, "3").found.fields.at(0).time, kReceived);
}

TEST(AutomaticFormat, TellsJsonAndNumbersApart) {
  const DecodeConfig config;
  EXPECT_EQ(decode(config, " {\"a\":1}").text(), "a=1");
  EXPECT_EQ(decode(config, "[1,2]").text(), "0=1 1=2");
  EXPECT_EQ(decode(config, "7").text(), "=7");
  EXPECT_EQ(decode(config, "open").text(), "!syntax");
  EXPECT_EQ(decode(config, "").text(), "!empty");
}

TEST(JsonFormat, TakesEveryNumberAndBooleanWhenNoneIsNamed) {
  EXPECT_EQ(decode(json(), R"({"temperature":10,"humidity":90})").text(),
            "temperature=10 humidity=90");
  EXPECT_EQ(decode(json(), R"({"motor":{"rpm":1500,"on":true},"v":[1,{"x":2.5}],"s":"7","n":null})")
                .text(),
            "motor/rpm=1500 motor/on=1 v/0=1 v/1/x=2.5");
  EXPECT_EQ(decode(json(), "42").text(), "=42");
  EXPECT_EQ(decode(json(), "{}").text(), "!no_number");
  EXPECT_EQ(decode(json(), R"({"s":"text"})").text(), "!no_number");
  EXPECT_EQ(decode(json(), R"({"big":18446744073709551615})").text(), "big=18446744073709551616");
}

TEST(JsonFormat, FollowsPaths) {
  const std::string text = R"({"a":{"b":3},"values":[5,6],"list":[{"x":1},{"x":2}],"t":"4.5",
                              "k.d":8,"0":9})";
  EXPECT_EQ(decode(json({"a.b"}), text).text(), "a/b=3");
  EXPECT_EQ(decode(json({"values.0", "values[1]"}), text).text(), "values/0=5 values/1=6");
  EXPECT_EQ(decode(json({"list[*].x"}), text).text(), "list/0/x=1 list/1/x=2");
  EXPECT_EQ(decode(json({"a"}), text).text(), "a/b=3");
  EXPECT_EQ(decode(json({"t", R"(k\.d)", "0"}), text).text(), "t=4.5 k.d=8 0=9");
  EXPECT_EQ(decode(json({"nothing", "a.b"}), text).text(), "a/b=3");
  EXPECT_EQ(decode(json({"nothing"}), text).text(), "!no_number");
  EXPECT_EQ(decode(json({"values[9]"}), text).text(), "!no_number");
}

TEST(JsonFormat, RefusesWhatItCannotReadAndSaysWhy) {
  EXPECT_EQ(decode(json(), "").text(), "!empty");
  EXPECT_EQ(decode(json(), "{").text(), "!syntax");
  EXPECT_EQ(decode(json(), R"({"a":NaN})").text(), "!syntax");
  EXPECT_EQ(decode(json(), R"({"a":1e999})").text(), "!syntax");
  EXPECT_EQ(decode(json(), "{\"a\":\"\xff\",\"b\":1}").text(), "!utf8");
  EXPECT_EQ(decode(json(), R"({"a":1,"b":})").text(), "!syntax");
  EXPECT_EQ(decode(json(), std::string("\x00\x01\x02\x03", 4)).text(), "!syntax");
}

TEST(JsonFormat, BoundsDepthAndFields) {
  const auto nested = [](std::size_t levels) {
    return std::string(levels, '[') + "1" + std::string(levels, ']');
  };
  EXPECT_FALSE(decode(json(), nested(16)).outcome.refused);
  EXPECT_EQ(decode(json(), nested(17)).text(), "!depth");
  EXPECT_EQ(decode(json(), nested(100000)).text(), "!depth");
  EXPECT_EQ(decode(json(), std::string(100000, '[')).text(), "!syntax");
  DecodeConfig config = json();
  config.fields_max = 3;
  EXPECT_EQ(decode(config, "[1,2,3]").text(), "0=1 1=2 2=3");
  EXPECT_EQ(decode(config, "[1,2,3,4]").text(), "!fields");
}

TEST(JsonFormat, ReadsOneMegabyteOnceAndSmallPayloadsAfterIt) {
  DecodeConfig config = json({"last"});
  std::string text = "{\"filler\":\"" + std::string(1 << 20, 'x') + "\",\"last\":7}";
  const auto decoder = make_decoder(config);
  for (const std::string& payload :
       {std::string(R"({"last":1})"), text, std::string(R"({"last":2})")}) {
    const testing::Padded padded(payload);
    testing::Collector found;
    EXPECT_FALSE(decoder->decode(padded.view(), kReceived, found).refused);
    EXPECT_EQ(found.fields.size(), 1U);
  }
}

TEST(JsonFormat, TakesRowsWithTimesOfTheirOwn) {
  DecodeConfig config = json({"v"});
  config.json.rows = "samples";
  config.time_path = "t";
  const auto decoded = decode(config, R"({"samples":[{"t":1795507100,"v":1},{"v":2},{"t":0,"v":3},
                                        {"t":1795507101.5,"v":4},{"t":1795507102}]})");
  EXPECT_EQ(decoded.text(), "v=1 v=4 !time !time !no_number");
  EXPECT_EQ(to_micros(decoded.found.fields[1].time), 1'795'507'101'500'000);
  EXPECT_EQ(decode(config, R"({"samples":3})").text(), "!no_number");
  config.json.rows = ".";
  EXPECT_EQ(decode(config, R"([{"t":1795507100,"v":1},{"t":1795507101,"v":2}])").text(), "v=1 v=2");
}

struct TimeCase {
  std::string_view json;
  TimeUnit unit;
  std::int64_t micros;  ///< 0: refused
};

TEST(PayloadTime, ComesInEveryUnitAndIsLeftOutOfTheFields) {
  const TimeCase cases[] = {
      {"1795507100", TimeUnit::automatic, 1'795'507'100'000'000},
      {"1795507100.25", TimeUnit::automatic, 1'795'507'100'250'000},
      {"1795507100250", TimeUnit::automatic, 1'795'507'100'250'000},
      {"1795507100250001", TimeUnit::automatic, 1'795'507'100'250'001},
      {"1795507100250001999", TimeUnit::automatic, 1'795'507'100'250'001},
      {"\"2026-11-24T07:58:20Z\"", TimeUnit::automatic, 1'795'507'100'000'000},
      {"\"2026-11-24T08:58:20.5+01:00\"", TimeUnit::rfc3339, 1'795'507'100'500'000},
      {"\"2026-11-24 07:58:20\"", TimeUnit::automatic, 1'795'507'100'000'000},
      {"\"1795507100\"", TimeUnit::s, 1'795'507'100'000'000},
      {"1795507100", TimeUnit::s, 1'795'507'100'000'000},
      {"1795507100250", TimeUnit::ms, 1'795'507'100'250'000},
      {"1795507100250001", TimeUnit::us, 1'795'507'100'250'001},
      {"1795507100250001999", TimeUnit::ns, 1'795'507'100'250'001},
      {"1795507100250", TimeUnit::s, 0},
      {"1795507100", TimeUnit::ms, 0},
      {"0", TimeUnit::automatic, 0},
      {"-5", TimeUnit::automatic, 0},
      {"86400", TimeUnit::s, 0},                           // 1970
      {"946684799", TimeUnit::s, 0},                       // the second before 2000
      {"946684800", TimeUnit::s, 946'684'800'000'000},     // 2000
      {"4102444800", TimeUnit::s, 0},                      // 2100
      {"1795593600", TimeUnit::s, 1'795'593'600'000'000},  // a day ahead
      {"1795593601", TimeUnit::s, 0},                      // more than a day ahead
      {"1e300", TimeUnit::s, 0},
      {"9223372036854775807", TimeUnit::s, 0},
      {"18446744073709551615", TimeUnit::ns, 0},
      {"\"yesterday\"", TimeUnit::automatic, 0},
      {"\"\"", TimeUnit::automatic, 0},
      {"null", TimeUnit::automatic, 0},
      {"1795507100", TimeUnit::rfc3339, 0},
  };
  for (const TimeCase& c : cases) {
    DecodeConfig config = json();
    config.time_path = "t";
    config.time_unit = c.unit;
    const auto decoded = decode(config, "{\"v\":1,\"t\":" + std::string(c.json) + "}");
    if (c.micros == 0) {
      EXPECT_EQ(decoded.text(), "!time") << c.json;
    } else {
      ASSERT_EQ(decoded.text(), "v=1") << c.json;
      EXPECT_EQ(to_micros(decoded.found.fields[0].time), c.micros) << c.json;
    }
  }
}

TEST(PayloadTime, IsNotLookedAtWhenTheReceiveTimeIsWanted) {
  DecodeConfig config = json({"v"});
  config.time_path = "t";
  config.receive_time = true;
  const auto decoded = decode(config, R"({"v":1,"t":0})");
  ASSERT_EQ(decoded.text(), "v=1");
  EXPECT_EQ(decoded.found.fields[0].time, kReceived);
}

TEST(PayloadTime, IsBelievedUpTo2025WhileTheOwnClockIsNotSet) {
  const TimeRule rule;
  const Time boot = from_micros(3'600'000'000);  // 1970, no clock battery
  EXPECT_TRUE(rule.from_integer(1'735'000'000, boot).has_value());
  EXPECT_FALSE(rule.from_integer(4'102'444'800, boot).has_value());
}

TEST(LineFormat, ReadsPointsWithTagsFieldsAndTimes) {
  DecodeConfig config;
  config.format = Format::line_protocol;
  auto decoded = decode(config,
                        "pump,site=p1,unit=7 rpm=1500i,temp=21.5,ok=t,note=\"a b, c=1\" "
                        "1795507100250001999\n");
  EXPECT_EQ(decoded.text(),
            "pump,site=p1,unit=7/rpm=1500 pump,site=p1,unit=7/temp=21.5 "
            "pump,site=p1,unit=7/ok=1");
  EXPECT_EQ(to_micros(decoded.found.fields[0].time), 1'795'507'100'250'001);
  EXPECT_EQ(decoded.found.fields[0].tags, "site=p1;unit=7;");
  EXPECT_EQ(decode(config, "m v=1").found.fields.at(0).time, kReceived);
  EXPECT_EQ(decode(config, "m v=1u,w=-2.5e1,x=F \r\n# comment\n\n  n v=2\n").text(),
            "m/v=1 m/w=-25 m/x=0 n/v=2");
}

TEST(LineFormat, UndoesEscapesAndKeepsSeriesToOneLevel) {
  DecodeConfig config;
  config.format = Format::line_protocol;
  EXPECT_EQ(decode(config, R"(my\ pump\,x,a\=b=c\ d f\ 1=2)").text(), "my pump,x,a=b=c d/f 1=2");
  EXPECT_EQ(decode(config, R"(disk,path=/var/log used=5)").text(), "disk,path=_var_log/used=5");
  EXPECT_EQ(decode(config, "m s=\"line\nbreak \\\" quote\",v=3").text(), "m/v=3");
  config.line.all_name_tags = false;
  config.line.name_tags = {"cpu"};
  const auto decoded = decode(config, "cpu,cpu=c0,host=h v=1");
  EXPECT_EQ(decoded.text(), "cpu,cpu=c0/v=1");
  EXPECT_EQ(decoded.found.fields[0].tags, "cpu=c0;host=h;");
}

TEST(LineFormat, RefusesBadLinesAndGoesOn) {
  DecodeConfig config;
  config.format = Format::line_protocol;
  const auto decoded = decode(config,
                              "good v=1\nno_field\nm v=\nm,t v=1\nm v=1 12\nm v=\"open\n"
                              "m s=\"text\"\n,x=1 v=2\nm v=1,\nm v=1x\nalso v=2\n");
  EXPECT_EQ(decoded.text(),
            "good/v=1 also/v=2 !syntax !syntax !syntax !time !syntax !no_number "
            "!syntax !syntax !syntax");
  EXPECT_EQ(decoded.found.refused[0].second, "no_field");
  EXPECT_EQ(decode(config, "").text(), "!empty");
  EXPECT_EQ(decode(config, "# only\n").text(), "!empty");
  EXPECT_EQ(decode(config, std::string("\0\xff\x80", 3)).text(), "!syntax");
  config.fields_max = 2;
  EXPECT_EQ(decode(config, "m a=1,b=2,c=3").text(), "!fields");
}

TEST(CsvFormat, ReadsRowsByNumberNameAndHeader) {
  DecodeConfig config;
  config.format = Format::csv;
  EXPECT_EQ(decode(config, "1,2.5,text\n").text(), "0=1 1=2.5");
  config.csv.names = {"time", "temp", "rpm"};
  config.time_path = "time";
  auto decoded = decode(config, "1795507100,20,1500\r\n2026-11-24 07:58:21,21,1501\n0,1,2\n,3,4\n");
  EXPECT_EQ(decoded.text(), "temp=20 rpm=1500 temp=21 rpm=1501 !time !time");
  EXPECT_EQ(to_micros(decoded.found.fields[2].time), 1'795'507'101'000'000);
  EXPECT_EQ(decoded.found.refused[0].second, "0,1,2");
  config.csv.columns = {"rpm"};
  EXPECT_EQ(decode(config, "1795507100,20,1500").text(), "rpm=1500");
  EXPECT_EQ(decode(config, "1795507100,20,fast").text(), "!syntax");
  EXPECT_EQ(decode(config, "1795507100,20,").text(), "!no_number");
  config.csv.names = {};
  config.csv.header = true;
  config.csv.delimiter = ';';
  EXPECT_EQ(decode(config, "rpm;time\n3;1795507100\n").text(), "rpm=3");
  config.csv.columns = {"0"};
  EXPECT_EQ(decode(config, "rpm;time\n3;1795507100\n").text(), "rpm=3");
  EXPECT_EQ(decode(config, "").text(), "!empty");
}

TEST(CsvSplitter, FollowsQuotesAndLineEnds) {
  csv::Splitter rows("a,\"b,\"\"c\"\"\n2\", d\r\n\r\n\nx,,\n\"q\"");
  ASSERT_TRUE(rows.next());
  EXPECT_THAT(rows.fields(), ::testing::ElementsAre("a", "b,\"c\"\n2", " d"));
  EXPECT_EQ(rows.line(), 1U);
  EXPECT_EQ(rows.text(), "a,\"b,\"\"c\"\"\n2\", d");
  ASSERT_TRUE(rows.next());
  EXPECT_THAT(rows.fields(), ::testing::ElementsAre("x", "", ""));
  EXPECT_EQ(rows.line(), 5U);
  ASSERT_TRUE(rows.next());
  EXPECT_THAT(rows.fields(), ::testing::ElementsAre("q"));
  EXPECT_FALSE(rows.malformed());
  EXPECT_FALSE(rows.next());
  rows.reset("\"open,1\n2");
  ASSERT_TRUE(rows.next());
  EXPECT_TRUE(rows.malformed());
  EXPECT_FALSE(rows.next());
}

TEST(JsonPath, RefusesWhatIsNoPath) {
  for (const char* bad : {"", "a..b", "a.", ".a", "a[", "a[x]", "a[]", "a[1]b"}) {
    EXPECT_FALSE(parse_json_path(bad).has_value()) << bad;
  }
  EXPECT_TRUE(parse_json_path(".")->empty());
  EXPECT_EQ(json_path_name(*parse_json_path("a.b[2].c")), "a/b/2/c");
}

TEST(TopicTemplate, MakesNamesAndTags) {
  const auto name = [](std::string_view text, std::string_view topic) -> std::string {
    const auto parsed = TopicTemplate::parse(text);
    if (!parsed) return "!template";
    const auto applied = parsed->apply(topic);
    if (!applied) return "!topic";
    std::string result = applied->name;
    for (const auto& tag : applied->tags) result += " " + tag.key + "=" + tag.value;
    return result;
  };
  EXPECT_EQ(name("", "a/b"), "a/b");
  EXPECT_EQ(name("_/site/device/measurement", "f/plant1/pump3/vibration"),
            "plant1/pump3/vibration site=plant1 device=pump3 measurement=vibration");
  EXPECT_EQ(name("_/site/#", "f/plant1/x/y"), "plant1/x/y site=plant1");
  EXPECT_EQ(name("_/site/#", "f/plant1"), "plant1 site=plant1");
  EXPECT_EQ(name("+/site", "f/plant1"), "f/plant1 site=plant1");
  EXPECT_EQ(name("site/device", "a"), "!topic");
  EXPECT_EQ(name("site/device", "a/b/c"), "!topic");
  for (const char* bad : {"_", "_/_", "a/a", "#/a", "a//b", "a b", "a/"}) {
    EXPECT_EQ(name(bad, "x"), "!template") << bad;
  }
}

TEST(StreamName, IsBoundedTextWithoutWildcardsOrEmptyLevels) {
  for (const char* good : {"a", "plant1/pump3/vibration", "$x/y", "grün/°C", "a b", "..a/b.."}) {
    EXPECT_EQ(stream_name_problem(good), "") << good;
  }
  const std::string longest(512, 'a');
  EXPECT_EQ(stream_name_problem(longest), "");
  for (const std::string& bad :
       {std::string(), longest + "a", std::string(65536, 'a'), std::string("a/+/b"),
        std::string("a#"), std::string("a/../b"), std::string("a/./b"), std::string("a//b"),
        std::string("/a"), std::string("a/"), std::string("a\nb"), std::string("a\0b", 3),
        std::string("a\x7f"), std::string("a\xff"), std::string("\xc0\xaf")}) {
    EXPECT_NE(stream_name_problem(bad), "") << bad.substr(0, 20);
  }
}

TEST(Filter, MatchesAsMqttSays) {
  EXPECT_TRUE(filter_matches("a/b", "a/b"));
  EXPECT_TRUE(filter_matches("a/+", "a/b"));
  EXPECT_TRUE(filter_matches("a/#", "a/b/c"));
  EXPECT_TRUE(filter_matches("a/#", "a"));
  EXPECT_TRUE(filter_matches("#", "a/b"));
  EXPECT_TRUE(filter_matches("+/+", "/b"));
  EXPECT_TRUE(filter_matches("$share/g/a/+", "a/b"));
  EXPECT_TRUE(filter_matches("$SYS/#", "$SYS/x"));
  EXPECT_FALSE(filter_matches("#", "$SYS/x"));
  EXPECT_FALSE(filter_matches("+/x", "$SYS/x"));
  EXPECT_FALSE(filter_matches("a/+", "a"));
  EXPECT_FALSE(filter_matches("a/+", "a/b/c"));
  EXPECT_FALSE(filter_matches("a/b", "a/b/c"));
  EXPECT_FALSE(filter_matches("a/b/c", "a/b"));
  EXPECT_EQ(filter_problem("a/+/#"), "");
  for (const char* bad : {"", "a#", "#/a", "a/b+", "\xff"})
    EXPECT_NE(filter_problem(bad), "") << bad;
}

/// No payload, however mangled, does more than be refused; sanitizers watch.
TEST(EveryFormat, SurvivesMangledPayloads) {
  const std::string seeds[] = {R"({"a":{"b":[1,2.5,true,"x\"y"]},"t":1795507100,"u":"\u00e9"})",
                               "m,t=a\\ b f=1i,g=\"s\\\"\",h=t 1795507100000000000\nn f=2",
                               "a,\"b \"\"c\"\"\",3\n1795507100,2,\"4\n5\"\r\n", "-12.5e3"};
  std::mt19937 random(7);
  for (const FormatKind& kind : kFormats) {
    DecodeConfig config;
    config.format = kind.format;
    config.time_path = kind.format == Format::csv ? "0" : "";
    config.csv.header = true;
    const auto decoder = make_decoder(config);
    for (int round = 0; round < 4000; ++round) {
      std::string text = seeds[random() % std::size(seeds)];
      for (unsigned edits = random() % 4; edits > 0 && !text.empty(); --edits) {
        const std::size_t at = random() % text.size();
        if (random() % 2 == 0) text[at] = static_cast<char>(random());
        if (random() % 3 == 0) text.erase(at, random() % 5);
        if (random() % 3 == 0) text.insert(std::min(at, text.size()), text.substr(text.size() / 2));
      }
      const testing::Padded padded(text);
      testing::Collector found;
      static_cast<void>(decoder->decode(padded.view(), kReceived, found));
    }
  }
}

}  // namespace
}  // namespace lapwing::agent
