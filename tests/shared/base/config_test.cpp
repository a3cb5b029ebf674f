// SPDX-License-Identifier: Apache-2.0
// The promises of shared/base/config.hpp: every problem at once, each with its place and remedy.
#include "shared/base/config.hpp"

#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

namespace lapwing::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

std::vector<std::string> texts_of(Document& document) {
  std::vector<std::string> texts;
  for (const auto& problem : document.finish()) texts.push_back(problem.text());
  return texts;
}

TEST(Config, GivesWhatIsWrittenAndFallbacksForTheRest) {
  auto document = Document::parse(
      "[a]\nwhole = 5\nreal = 2\nyes = true\nword = 'x'\nlong = '250ms'\nlarge = '64MiB'\nlist = "
      "['p', 'q']\n",
      "a.toml");
  auto a = document.root().table({"a", ""});
  EXPECT_EQ(a.integer({"whole", ""}, 1, 0, 10), 5);
  EXPECT_EQ(a.integer({"absent", ""}, 1, 0, 10), 1);
  EXPECT_DOUBLE_EQ(a.number({"real", ""}, 1.5, 0, 10), 2.0);
  EXPECT_TRUE(a.flag({"yes", ""}, false));
  EXPECT_EQ(a.text({"word", ""}, "y"), "x");
  EXPECT_EQ(a.duration({"long", ""}, 1s, 0s, 10s), 250ms);
  EXPECT_EQ(a.bytes({"large", ""}, 1, 0, 1U << 30), 64U << 20);
  EXPECT_THAT(a.texts({"list", ""}, {}), ElementsAre("p", "q"));
  EXPECT_EQ(a.optional_number({"none", ""}, 0, 1), std::nullopt);
  EXPECT_EQ(a.optional_duration({"never", ""}, 0s, 1s), std::nullopt);
  EXPECT_THAT(texts_of(document), IsEmpty());
}

TEST(Config, ReportsEveryProblemAtOnceWithPlaceKeyAndWhatIsAllowed) {
  auto document = Document::parse(
      "[outbox]\nrecords = 'many'\nrate = 11.5\nflag = 1\nwait = 10\nsize = 'x'\nlist = [1]\nlevel "
      "= 'inof'\n",
      "agent.toml");
  auto section = document.root().table({"outbox", ""});
  EXPECT_EQ(section.integer({"records", ""}, 7, 1, 10), 7);
  EXPECT_DOUBLE_EQ(section.number({"rate", ""}, 1, 0, 10), 1);
  EXPECT_FALSE(section.flag({"flag", ""}, false));
  EXPECT_EQ(section.duration({"wait", ""}, 1s, 0s, 1min), 1s);
  EXPECT_EQ(section.bytes({"size", ""}, 5, 0, 10), 5U);
  EXPECT_THAT(section.texts({"list", ""}, {"d"}), ElementsAre("d"));
  EXPECT_EQ(section.choice({"level", ""}, "info", {"debug", "info"}), "info");
  EXPECT_THAT(
      texts_of(document),
      ElementsAre(
          "agent.toml:2: outbox.records: is the text \"many\"; allowed: a whole number from 1 to "
          "10",
          "agent.toml:3: outbox.rate: is the number 11.5; allowed: a number from 0 to 10",
          "agent.toml:4: outbox.flag: is the number 1; allowed: true or false",
          AllOf(HasSubstr("agent.toml:5: outbox.wait: is the number 10"), HasSubstr("\"10s\"")),
          AllOf(HasSubstr("agent.toml:6: outbox.size: is the text \"x\""), HasSubstr("\"64MiB\"")),
          HasSubstr("agent.toml:7: outbox.list: is an array; allowed: a list of text"),
          "agent.toml:8: outbox.level: is \"inof\"; allowed: debug, info; did you mean \"info\"?"));
}

TEST(Config, AnUnknownKeyIsReportedWithTheKeyThatWasMeant) {
  auto document =
      Document::parse("[outbox]\nbytes_mx = 1\nzzzzzzzzzz = 1\n[otbox]\nx = 1\n", "f.toml");
  auto root = document.root();
  auto section = root.table({"outbox", ""});
  section.bytes({"bytes_max", ""}, 1, 0, 10);
  EXPECT_THAT(
      texts_of(document),
      ElementsAre("f.toml:2: outbox.bytes_mx: is not a key of this section; did you mean "
                  "\"bytes_max\"?",
                  "f.toml:3: outbox.zzzzzzzzzz: is not a key of this section.",
                  "f.toml:4: otbox: is not a key of this section; did you mean \"outbox\"?"));
}

TEST(Config, UnknownKeysInsideArraysOfTablesNameTheEntry) {
  auto document = Document::parse("[[watch]]\nname = 'a'\n[[watch]]\nnmae = 'b'\n", "f.toml");
  for (auto& watch : document.root().tables({"watch", ""})) watch.text({"name", ""}, "");
  EXPECT_THAT(texts_of(document),
              ElementsAre("f.toml:4: watch[1].nmae: is not a key of this section; did you mean "
                          "\"name\"?"));
}

TEST(Config, BadSyntaxNamesFileAndLine) {
  auto document = Document::parse("[a]\nx = 1\ny = = 2\n", "broken.toml");
  EXPECT_THAT(texts_of(document), ElementsAre(HasSubstr("broken.toml:3: is not TOML: ")));
}

TEST(Config, AMissingFileIsNamedWithTheRemedy) {
  const testing::TempDir folder;
  const auto file = folder.path() / "absent.toml";
  auto document = Document::load(file, {});
  EXPECT_THAT(texts_of(document),
              ElementsAre(AllOf(HasSubstr(file.string()), HasSubstr("no such file"),
                                HasSubstr("--config"))));
}

TEST(Config, FilesOfConfDAreMergedInTheOrderOfTheirNames) {
  const testing::TempDir folder;
  const auto file = folder.put("agent.toml", "[a]\nx = 1\ny = 1\n[[w]]\nn = 'main'\n");
  std::filesystem::create_directory(folder.path() / "conf.d");
  folder.put("conf.d/20.toml", "[a]\nx = 20\n[[w]]\nn = 'twenty'\n");
  folder.put("conf.d/10.toml", "[a]\nx = 10\nz = 10\n[b]\nk = true\n[[w]]\nn = 'ten'\n");
  folder.put("conf.d/README", "not TOML = = =");
  auto document = Document::load(file, {});
  auto a = document.root().table({"a", ""});
  EXPECT_EQ(a.integer({"x", ""}, 0, 0, 99), 20);
  EXPECT_EQ(a.integer({"y", ""}, 0, 0, 99), 1);
  EXPECT_EQ(a.integer({"z", ""}, 0, 0, 99), 10);
  EXPECT_TRUE(document.root().table({"b", ""}).flag({"k", ""}, false));
  std::vector<std::string> names;
  for (auto& w : document.root().tables({"w", ""})) names.push_back(w.text({"n", ""}, ""));
  EXPECT_THAT(names, ElementsAre("main", "ten", "twenty"));
  EXPECT_THAT(texts_of(document), IsEmpty());
}

TEST(Config, AProblemInAMergedFileNamesThatFile) {
  const testing::TempDir folder;
  const auto file = folder.put("agent.toml", "[a]\ny = 1\n");
  std::filesystem::create_directory(folder.path() / "conf.d");
  const auto more = folder.put("conf.d/10.toml", "# one\n\n[a]\nx = 'wrong'\n[[w]]\nn = 1\n");
  auto document = Document::load(file, {});
  auto a = document.root().table({"a", ""});
  a.integer({"y", ""}, 0, 0, 9);
  a.integer({"x", ""}, 0, 0, 9);
  for (auto& w : document.root().tables({"w", ""})) w.text({"n", ""}, "");
  EXPECT_THAT(texts_of(document), ElementsAre(HasSubstr(more.string() + ":4: a.x: is the text"),
                                              HasSubstr(more.string() + ":6: w[0].n: ")));
}

TEST(Config, VariablesAreReplacedInStrings) {
  const Environment environment{{"HOST", "plant"}, {"EMPTY", ""}};
  auto document = Document::parse(
      "a = '${HOST}/x'\nb = '${NONE:-two}'\nc = '${EMPTY:-three}'\nd = 'cost $$5, $6'\n"
      "e = ['${HOST}']\nf = '${HOST:-no}${HOST}'\n",
      "f.toml", environment);
  auto root = document.root();
  EXPECT_EQ(root.text({"a", ""}, ""), "plant/x");
  EXPECT_EQ(root.text({"b", ""}, ""), "two");
  EXPECT_EQ(root.text({"c", ""}, ""), "three");
  EXPECT_EQ(root.text({"d", ""}, ""), "cost $5, $6");
  EXPECT_THAT(root.texts({"e", ""}, {}), ElementsAre("plant"));
  EXPECT_EQ(root.text({"f", ""}, ""), "plantplant");
  EXPECT_THAT(texts_of(document), IsEmpty());
}

TEST(Config, AVariableThatIsNotSetIsAProblemWithItsPlace) {
  auto document =
      Document::parse("[s]\na = '${NONE}'\nb = '${NONE:?give the broker a host}'\n", "f.toml");
  auto section = document.root().table({"s", ""});
  section.text({"a", ""}, "");
  section.text({"b", ""}, "");
  EXPECT_THAT(texts_of(document),
              ElementsAre(HasSubstr("f.toml:2: s.a: ${NONE} is not set; set the variable"),
                          "f.toml:3: s.b: ${NONE} is not set: give the broker a host"));
}

TEST(Config, EnvironmentOverridesAreTypedAndNamedInProblems) {
  const Environment environment{
      {"LAPWING__OUTBOX__RECORDS", "12"}, {"LAPWING__OUTBOX__WAIT", "5s"},
      {"LAPWING__OUTBOX__NAME", "true"},  {"LAPWING__WATCH__0__MIN", "1.5"},
      {"LAPWING__NEW__FLAG", "true"},     {"LAPWING__OUTBOX__WRONG", "abc"},
      {"OTHER__OUTBOX__RECORDS", "99"}};
  auto document =
      Document::parse("[outbox]\nrecords = 1\n[[watch]]\nmin = 0\n", "f.toml", environment);
  auto root = document.root();
  auto outbox = root.table({"outbox", ""});
  EXPECT_EQ(outbox.integer({"records", ""}, 0, 0, 99), 12);
  EXPECT_EQ(outbox.duration({"wait", ""}, 1s, 0s, 1min), 5s);
  EXPECT_EQ(outbox.text({"name", ""}, ""), "true");
  EXPECT_TRUE(root.table({"new", ""}).flag({"flag", ""}, false));
  EXPECT_DOUBLE_EQ(root.tables({"watch", ""}).at(0).number({"min", ""}, 0, 0, 9), 1.5);
  outbox.integer({"wrong", ""}, 0, 0, 9);
  EXPECT_THAT(
      texts_of(document),
      ElementsAre(HasSubstr(
          "environment variable LAPWING__OUTBOX__WRONG: outbox.wrong: is the text \"abc\"")));
}

TEST(Config, AnOverrideCannotSmuggleInASecondKey) {
  const Environment environment{{"LAPWING__A__TEXT", "'x'\nother = 1"}};
  auto document = Document::parse("", "f.toml", environment);
  auto a = document.root().table({"a", ""});
  EXPECT_EQ(a.text({"text", ""}, ""), "'x'\nother = 1");
  EXPECT_THAT(texts_of(document), IsEmpty());
}

TEST(Config, AnOverrideThatLeadsNowhereIsAProblem) {
  const Environment environment{
      {"LAPWING__A__X__Y", "1"}, {"LAPWING__W__7__Y", "1"}, {"LAPWING__", "1"}};
  auto document = Document::parse("[a]\nx = 1\n[[w]]\ny = 1\n", "f.toml", environment);
  document.root().table({"a", ""}).integer({"x", ""}, 0, 0, 9);
  for (auto& w : document.root().tables({"w", ""})) w.integer({"y", ""}, 0, 0, 9);
  EXPECT_EQ(texts_of(document).size(), 3U);
}

TEST(Config, SecretsComeFromTextOrFileAndAreNeverShown) {
  const testing::TempDir folder;
  folder.put("word", "hidden\r\n");
  const auto file = folder.put("a.toml",
                               "[a]\npassword = 'plain'\n[b]\npassword_file = 'word'\n"
                               "[c]\npassword = 5\n[d]\npassword_file = 'absent'\n[e]\n"
                               "password = 'sesame'\npassword_file = 'word'\n");
  auto document = Document::load(file, {});
  auto root = document.root();
  EXPECT_EQ(root.table({"a", ""}).secret({"password", ""})->reveal(), "plain");
  EXPECT_EQ(root.table({"b", ""}).secret({"password", ""})->reveal(), "hidden");
  EXPECT_EQ(root.table({"c", ""}).secret({"password", ""}), std::nullopt);
  EXPECT_EQ(root.table({"d", ""}).secret({"password", ""}), std::nullopt);
  EXPECT_EQ(root.table({"e", ""}).secret({"password", ""})->reveal(), "hidden");
  EXPECT_THAT(texts_of(document),
              ElementsAre(HasSubstr("a.toml:6: c.password: must be text"),
                          AllOf(HasSubstr("a.toml:8: d.password_file: "), HasSubstr("absent")),
                          AllOf(HasSubstr("a.toml:10: e.password: is given twice"),
                                ::testing::Not(HasSubstr("sesame")))));
}

TEST(Config, RelativePathsStartAtTheConfigurationFile) {
  const testing::TempDir folder;
  const auto file = folder.put("a.toml", "near = 'x/y'\nfar = '/etc/z'\n");
  auto document = Document::load(file, {});
  auto root = document.root();
  EXPECT_EQ(root.path({"near", ""}, {}), folder.path() / "x/y");
  EXPECT_EQ(root.path({"far", ""}, {}), "/etc/z");
  EXPECT_EQ(root.path({"none", ""}, "fallback"), "fallback");
}

TEST(Config, ARequiredTextThatIsMissingIsAProblemAtItsTable) {
  auto document = Document::parse("x = 1\n[a]\n[b]\ny = 1\n", "f.toml");
  auto root = document.root();
  root.integer({"x", ""}, 0, 0, 9);
  root.required_text({"name", "what it is called"});
  root.table({"a", ""}).required_text({"name", "what it is called"});
  root.table({"b", ""}).integer({"y", ""}, 0, 0, 9);
  EXPECT_THAT(texts_of(document),
              ElementsAre("f.toml: name: is missing; it is required: what it is called",
                          "f.toml:2: a.name: is missing; it is required: what it is called"));
}

TEST(Config, ATableWhereAValueBelongsAndTheOtherWayRoundAreProblems) {
  auto document = Document::parse("a = 1\nw = 2\n[v]\nx = 1\n", "f.toml");
  auto root = document.root();
  root.table({"a", ""});
  root.tables({"w", ""});
  root.integer({"v", ""}, 0, 0, 9);
  EXPECT_THAT(texts_of(document),
              ElementsAre(HasSubstr("f.toml:1: a: is the number 1; a table [a] is expected"),
                          HasSubstr("f.toml:2: w: is the number 2; tables [[w]] are expected"),
                          HasSubstr("f.toml:3: v: is a table; allowed: a whole number")));
}

TEST(Config, TheReferenceListsEveryKeyWithRangeUnitAndDefault) {
  auto document = Document::reference();
  auto root = document.root();
  auto outbox = root.table({"outbox", "the queue"});
  outbox.bytes({"bytes_max", "kept at most", "bytes"}, 1U << 20, 0, 1U << 30);
  for (auto& watch : root.tables({"watch", "what is watched"})) {
    watch.choice({"detector", "which"}, "auto", {"auto", "ewma"});
  }
  const auto& keys = document.keys();
  ASSERT_EQ(keys.size(), 4U);
  EXPECT_EQ(keys[0].section, "outbox");
  EXPECT_EQ(keys[0].type, "table");
  EXPECT_EQ(keys[1].key, "bytes_max");
  EXPECT_EQ(keys[1].range, "from 0 to 1GiB");
  EXPECT_EQ(keys[1].fallback, "\"1MiB\"");
  EXPECT_EQ(keys[1].unit, "bytes");
  EXPECT_EQ(keys[3].section, "watch[]");
  EXPECT_EQ(keys[3].range, "auto, ewma");
  EXPECT_THAT(texts_of(document), IsEmpty());
}

TEST(Config, FingerprintsTellWhichTableWasEdited) {
  const auto before = Document::parse("[a]\nx = 1\n[b]\ny = 1\n", "f.toml").fingerprints();
  const auto after = Document::parse("# moved\n[b]\ny = 1\n[a]\nx = 2\n", "f.toml").fingerprints();
  EXPECT_EQ(before.at("b"), after.at("b"));
  EXPECT_NE(before.at("a"), after.at("a"));
}

TEST(Config, DurationsAndSizesAreReadAndWrittenBack) {
  for (const auto& [text, micros] : {std::pair<std::string_view, Micros>{"0", 0us},
                                     {"1us", 1us},
                                     {"250ms", 250ms},
                                     {"10 s", 10s},
                                     {"5m", 5min},
                                     {"1h", 1h},
                                     {"7d", 168h},
                                     {"2w", 336h}}) {
    ASSERT_TRUE(parse_duration(text)) << text;
    EXPECT_EQ(*parse_duration(text), micros) << text;
  }
  for (const auto* text : {"", "10", "s", "-1s", "1.5s", "1 fortnight", "99999999999999999w"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  EXPECT_EQ(format_duration(168h), "7d");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(*parse_bytes("1GB"), 1'000'000'000U);
  EXPECT_EQ(*parse_bytes("4096"), 4096U);
  EXPECT_FALSE(parse_bytes("12 parsecs"));
  EXPECT_EQ(format_bytes(96 * 1024), "96KiB");
}

TEST(Config, NearWordsAreMeantFarOnesAreNot) {
  const std::array<std::string, 3> words{"broker", "topics", "format"};
  EXPECT_EQ(did_you_mean("borker", words), "broker");  // two letters exchanged: distance 1
  EXPECT_EQ(did_you_mean("topic", words), "topics");
  EXPECT_EQ(did_you_mean("password", words), std::nullopt);
  EXPECT_EQ(did_you_mean(std::string(100'000, 'x'), words), std::nullopt);
}

// Hostile bytes: whatever the file holds, problems come back and nothing crashes.
TEST(Config, AnyBytesAreEitherReadOrReported) {
  std::mt19937 random(20261124);
  const std::string seed =
      "[a]\nx = 1\ny = \"${V:-z}\"\n[[w]]\nn = ['p', 'q']\n[a.b]\nt = 1979-05-27T07:32:00Z\n";
  for (int round = 0; round < 3000; ++round) {
    std::string text = seed;
    for (int edit = 0; edit < 4; ++edit) {
      text[random() % text.size()] = static_cast<char>(random() % 256);
    }
    auto document = Document::parse(text, "fuzz.toml", {{"V", "${V}"}});
    auto root = document.root();
    auto a = root.table({"a", ""});
    a.integer({"x", ""}, 0, 0, 9);
    a.text({"y", ""}, "");
    a.table({"b", ""}).text({"t", ""}, "");
    for (auto& w : root.tables({"w", ""})) w.texts({"n", ""}, {});
    for (const auto& problem : document.finish()) EXPECT_FALSE(problem.text().empty());
  }
}

TEST(Config, DeepNestingIsReportedNotFollowed) {
  std::string text = "x = ";
  text.append(100'000, '[');
  auto document = Document::parse(text, "deep.toml");
  EXPECT_THAT(texts_of(document), ElementsAre(HasSubstr("deep.toml:1: is not TOML")));
}

}  // namespace
}  // namespace lapwing::config
