// SPDX-License-Identifier: Apache-2.0
#include "agent/source/source.hpp"

#include "shared/base/config.hpp"
#include "shared/base/metrics.hpp"
#include "tests/agent/decode/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

namespace lapwing::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// What a configuration text gives, and its problems joined.
struct Loaded {
  std::vector<SourceConfig> sources;
  std::string problems;
};

Loaded load(std::string_view text) {
  auto document = config::Document::parse(text, "agent.toml");
  config::Section root = document.root();
  Loaded loaded;
  loaded.sources = read_sources(root);
  for (const config::Problem& problem : document.finish()) loaded.problems += problem.text() + "\n";
  return loaded;
}

TEST(SourceConfig, NeedsNothingForABrokerOnThisMachine) {
  const Loaded loaded = load("[[source]]\n");
  EXPECT_EQ(loaded.problems, "");
  ASSERT_EQ(loaded.sources.size(), 1U);
  const SourceConfig& source = loaded.sources[0];
  EXPECT_EQ(source.name, "mqtt");
  EXPECT_EQ(source.mqtt.host, "127.0.0.1");
  EXPECT_EQ(source.mqtt.port, 1883);
  EXPECT_FALSE(source.mqtt.tls);
  EXPECT_EQ(source.mqtt.version, 5);
  EXPECT_EQ(source.mqtt.qos, 1);
  EXPECT_TRUE(source.mqtt.persistent);
  ASSERT_EQ(source.intake.routes.size(), 1U);
  EXPECT_THAT(source.intake.routes[0].filters, ::testing::ElementsAre("#"));
}

TEST(SourceConfig, ReadsEveryKey) {
  const Loaded loaded = load(R"(
[[source]]
name = "site"
broker = "mqtts://broker.example:8884"
version = "3.1.1"
client_id = "agent-1"
username = "u"
password = "p"
ca_file = "/ca.pem"
certificate_file = "/c.pem"
key_file = "/k.pem"
topics = ["plant/#", "extra/+"]
qos = 0
persistent = false
session_expiry = "2h"
keep_alive = "15s"
gather = "0s"
buffer = "1MiB"
cache_entries_max = 1000
format = "json"
template = "_/site/#"
time_path = "meta.t"
time_unit = "ms"
payload_bytes_max = "2MiB"
fields_max = 10
[source.json]
fields = ["a.b", "v[*]"]
depth_max = 4
[[source.route]]
topics = ["telegraf/#"]
format = "line"
time_path = ""
[source.route.line]
tags = ["host"]
[[source]]
kind = "csv"
name = "file"
file = "-"
pace = "time"
speed = 10.0
[source.csv]
delimiter = ";"
[[source]]
kind = "host"
interval = "5s"
per_core = true
groups = ["cpu", "load"]
)");
  EXPECT_EQ(loaded.problems, "");
  ASSERT_EQ(loaded.sources.size(), 3U);
  const SourceConfig& site = loaded.sources[0];
  EXPECT_EQ(site.mqtt.host, "broker.example");
  EXPECT_EQ(site.mqtt.port, 8884);
  EXPECT_TRUE(site.mqtt.tls);
  EXPECT_EQ(site.mqtt.version, 3);
  EXPECT_EQ(site.mqtt.password->reveal(), "p");
  EXPECT_EQ(site.mqtt.gather.count(), 0);
  ASSERT_EQ(site.intake.routes.size(), 2U);
  EXPECT_EQ(site.intake.routes[0].decode.format, Format::line_protocol);
  EXPECT_THAT(site.intake.routes[0].decode.line.name_tags, ::testing::ElementsAre("host"));
  EXPECT_EQ(site.intake.routes[0].decode.fields_max, 10U) << "a route starts from its source";
  EXPECT_EQ(site.intake.routes[1].decode.json.fields.size(), 2U);
  EXPECT_EQ(site.intake.routes[1].decode.time_path, "meta.t");
  EXPECT_EQ(site.intake.routes[1].decode.time_unit, TimeUnit::ms);
  EXPECT_EQ(loaded.sources[1].csv.file, "-");
  EXPECT_TRUE(loaded.sources[1].csv.paced);
  EXPECT_EQ(loaded.sources[1].intake.routes[0].decode.csv.delimiter, ';');
  EXPECT_TRUE(loaded.sources[1].intake.routes[0].decode.csv.header);
  EXPECT_TRUE(loaded.sources[2].host.probe.cpu);
  EXPECT_FALSE(loaded.sources[2].host.probe.disk);
}

TEST(SourceConfig, ReportsEveryProblemWithItsPlaceAndTheRemedy) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"broker = \"http://x\"", "mqtt://host:port"},
      {"broker = \"mqtt://x:99999\"", "mqtt://host:port"},
      {"broker = \"mqtt://\"", "mqtt://host:port"},
      {"broker = \"mqtt://u@x\"", "mqtt://host:port"},
      {"broker = \"mqtt://[::1\"", "mqtt://host:port"},
      {"topics = [\"a#\"]", "not an MQTT filter"},
      {"topics = [\"\"]", "not an MQTT filter"},
      {"ca_file = \"/x\"", "mqtts://"},
      {"broker = \"mqtts://x\"\nkey_file = \"/x\"", "belong together"},
      {"template = \"a//b\"", "not a tag name"},
      {"time_path = \"a..b\"", "JSON path"},
      {"format = \"number\"\ntime_path = \"a\"", "leave time_path out"},
      {"format = \"xml\"", "json"},
      {"name = \"a/b\"", "1 to 64"},
      {"qos = 3", "qos"},
      {"colour = 1", "colour"},
      {"kind = \"csv\"", "needs a file"},
      {"kind = \"csv\"\nfile = \"x\"\nformat = \"json\"", "leave `format` out"},
      {"kind = \"csv\"\nfile = \"x\"\n[source.csv]\ndelimiter = \"ab\"", "one character"},
      {"kind = \"host\"\ngroups = [\"gpu\"]", "none of cpu"},
      {"kind = \"host\"\nbroker = \"mqtt://x\"", "broker"},
      {"[source.json]\nfields = [\"a[\"]", "JSON path"},
      {"[[source.route]]\nformat = \"line\"", "needs the topics"},
      {"[[source]]", "another source"},
  };
  for (const auto& [text, expected] : cases) {
    const Loaded loaded = load("[[source]]\n" + std::string(text) + "\n");
    EXPECT_THAT(loaded.problems, HasSubstr(std::string(expected))) << text;
    EXPECT_THAT(loaded.problems, HasSubstr("agent.toml:")) << text;
  }
}

TEST(SourceConfig, GivesTheKeysOfEveryKindToTheReference) {
  auto document = config::Document::reference();
  config::Section root = document.root();
  static_cast<void>(read_sources(root));
  std::string keys;
  for (const config::KeyReference& key : document.keys())
    keys += key.section + "." + key.key + "\n";
  for (const char* key : {"source[].broker\n", "source[].file\n", "source[].interval\n",
                          "source[].template\n", "source[].json.fields\n", "source[].line.tags\n",
                          "source[].route[].topics\n", "source[].csv.delimiter\n"}) {
    EXPECT_THAT(keys, HasSubstr(key));
  }
}

/// Counts readings on the source's thread and lets the test wait for them.
class WaitingSink final : public ReadingSink {
 public:
  Result<void> submit(std::span<const Reading> batch) override {
    const std::lock_guard lock(mutex_);
    readings_.insert(readings_.end(), batch.begin(), batch.end());
    changed_.notify_all();
    return {};
  }
  [[nodiscard]] bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return readings_.size() >= count; });
  }
  std::vector<Reading> readings() {
    const std::lock_guard lock(mutex_);
    return readings_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Reading> readings_;
};

class SourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "lapwing-source-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override { fs::remove_all(folder); }

  std::unique_ptr<Source> make(std::string_view text) {
    const Loaded loaded = load("[[source]]\n" + std::string(text));
    EXPECT_EQ(loaded.problems, "");
    return make_source(loaded.sources.at(0), {namer, sink, quarantine, &metrics, "agent"});
  }
  fs::path put(const std::string& name, std::string_view text) {
    std::ofstream(folder / name, std::ios::binary) << text;
    return folder / name;
  }
  static void wait_until_finished(const Source& source) {
    for (int i = 0; i < 2000 && !source.finished(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_TRUE(source.finished());
  }

  fs::path folder;
  Metrics metrics;
  testing::Namer namer;
  WaitingSink sink;
  Quarantine quarantine{QuarantineConfig{}};
};

TEST_F(SourceTest, ReplaysAFileInOrderAcrossChunks) {
  std::string text = "timestamp,temp,note,\"odd \"\"name\"\"\"\n";
  constexpr int kRows = 20000;
  for (int i = 0; i < kRows; ++i) {
    text += std::to_string(1'700'000'000 + i) + "," + std::to_string(i) + ",\"a\nb\"," +
            std::to_string(-i) + "\n";
  }
  text.pop_back();  // the last row needs no line end
  const auto file = put("data.csv", text);
  auto source = make("kind = \"csv\"\nname = \"f\"\nfile = \"" + file.string() + "\"\n");
  ASSERT_TRUE(source->start().has_value());
  wait_until_finished(*source);
  const auto readings = sink.readings();
  ASSERT_EQ(readings.size(), 2U * kRows);
  EXPECT_THAT(namer.names, ::testing::ElementsAre("f/temp", "f/odd \"name\""));
  for (int i = 0; i < kRows; ++i) {
    const Reading& reading = readings[static_cast<std::size_t>(i) * 2];
    ASSERT_EQ(reading.value, i);
    ASSERT_EQ(to_micros(reading.time), (1'700'000'000LL + i) * 1'000'000);
  }
  EXPECT_EQ(source->health().state, SourceState::finished);
  EXPECT_EQ(source->health().readings, 2U * kRows);
  EXPECT_EQ(quarantine.total(), 0U);
}

TEST_F(SourceTest, ReplaysOnPastBadRows) {
  const auto file = put("data.csv",
                        "time,v\n1700000000,1\nyesterday,2\n1700000001\n1700000002,x\n"
                        "\xff\xfe\n1700000003,3\n1700000004,\"4\n");
  auto source = make("kind = \"csv\"\nname = \"f\"\nfile = \"" + file.string() + "\"\n");
  ASSERT_TRUE(source->start().has_value());
  wait_until_finished(*source);
  EXPECT_EQ(sink.readings().size(), 3U);
  EXPECT_EQ(quarantine.total(Refusal::time), 2U);
  EXPECT_EQ(quarantine.total(Refusal::no_number), 2U);
  EXPECT_EQ(quarantine.total(Refusal::syntax), 1U);
}

TEST_F(SourceTest, FinishesOnEmptyAndHeaderOnlyFiles) {
  for (const char* text : {"", "\n\n", "time,v", "time,v\n"}) {
    const auto file = put("data.csv", text);
    auto source = make("kind = \"csv\"\nfile = \"" + file.string() + "\"\n");
    ASSERT_TRUE(source->start().has_value());
    wait_until_finished(*source);
    EXPECT_EQ(sink.readings().size(), 0U);
  }
}

TEST_F(SourceTest, NamesAMissingFileAndTheRemedy) {
  auto source = make("kind = \"csv\"\nfile = \"/nonexistent/data.csv\"\n");
  const auto started = source->start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Errc::not_found);
  EXPECT_THAT(started.error().context, HasSubstr("/nonexistent/data.csv"));
  EXPECT_THAT(started.error().context, HasSubstr("`file`"));
}

TEST_F(SourceTest, PacesByTheRowsTimesAndStopsAtOnce) {
  const auto file = put("data.csv", "time,v\n1700000000,1\n1700000100,2\n1700090000,3\n");
  auto source =
      make("kind = \"csv\"\npace = \"time\"\nspeed = 1000.0\nfile = \"" + file.string() + "\"\n");
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(source->start().has_value());
  ASSERT_TRUE(sink.wait_for(2));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(99));
  EXPECT_FALSE(source->finished());
  source->stop();
  EXPECT_EQ(sink.readings().size(), 2U);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST_F(SourceTest, SamplesTheHost) {
  auto source = make("kind = \"host\"\ninterval = \"100ms\"\nhostname = \"m/1\"\n");
  ASSERT_TRUE(source->start().has_value());
  ASSERT_TRUE(sink.wait_for(10));
  EXPECT_EQ(source->health().state, SourceState::running);
  source->stop();
  EXPECT_EQ(source->health().state, SourceState::stopped);
  EXPECT_TRUE(namer.ids.contains("host/m_1/memory/used_percent"));
  const auto count = sink.readings().size();
  EXPECT_EQ(source->health().readings, count);
  ASSERT_TRUE(source->start().has_value()) << "a source can be started again";
  ASSERT_TRUE(sink.wait_for(count + 1));
}

}  // namespace
}  // namespace lapwing::agent
