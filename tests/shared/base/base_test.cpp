// SPDX-License-Identifier: Apache-2.0
// The promises of the small parts of shared/base: log, metrics, files, steps, secrets, time.
#include "shared/base/backoff.hpp"
#include "shared/base/files.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/reload.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/steps.hpp"
#include "shared/base/systemd.hpp"
#include "shared/base/time.hpp"
#include "shared/base/utf8.hpp"
#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <type_traits>
#include <unistd.h>

namespace lapwing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

std::string line(log::Format format, std::initializer_list<log::Field> fields,
                 std::string_view message = "m", std::uint64_t suppressed = 0) {
  return log::format_line(format, log::Level::warn, "T", message, fields, suppressed);
}

TEST(Log, WritesLogfmtThatCanBeReadBack) {
  EXPECT_EQ(line(log::Format::logfmt,
                 {{"n", 5}, {"r", 0.5}, {"yes", true}, {"word", "a b"}, {"plain", "ab"}},
                 "went \"well\""),
            R"(time=T level=warn msg="went \"well\"" n=5 r=0.5 yes=true word="a b" plain=ab)");
  EXPECT_EQ(line(log::Format::logfmt, {{"empty", ""}, {"equals", "a=b"}, {"slash", "a\\b"}}),
            R"(time=T level=warn msg=m empty="" equals="a=b" slash="a\\b")");
}

TEST(Log, WritesJsonWithBareNumbers) {
  EXPECT_EQ(line(log::Format::json, {{"n", 5}, {"yes", true}, {"word", "a\"b"}}),
            R"({"time":"T","level":"warn","msg":"m","n":5,"yes":true,"word":"a\"b"})");
  EXPECT_EQ(line(log::Format::json,
                 {{"nan", std::nan("")}, {"inf", std::numeric_limits<double>::infinity()}}),
            R"({"time":"T","level":"warn","msg":"m","nan":"nan","inf":"inf"})");
}

TEST(Log, MakesControlCharactersAndBadBytesSafe) {
  for (const auto format : {log::Format::logfmt, log::Format::json}) {
    const auto text =
        line(format, {{"f", std::string_view("a\nlevel=error\x1b[31m\xff\xc3(\0z", 22)}}, "x\ny");
    EXPECT_TRUE(valid_utf8(text)) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find('\0'), std::string::npos);
    EXPECT_THAT(text, HasSubstr(R"(a\nlevel=error\u001b[31m)"));
  }
}

TEST(Log, HoldsRepeatsBackAndCountsThem) {
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 50; ++i) log::info("repeats of this test", {{"i", i}});
  log::info("another message");
  const auto text = ::testing::internal::GetCapturedStderr();
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = text.find("repeats of this test", at)) != std::string::npos; ++at)
    ++lines;
  EXPECT_EQ(lines, static_cast<std::size_t>(log::kRepeatsMax));
  EXPECT_THAT(text, HasSubstr("another message"));
  EXPECT_THAT(line(log::Format::logfmt, {}, "m", 45), HasSubstr("suppressed=45"));
}

TEST(Log, WritesNothingBelowItsLevel) {
  log::configure(log::Level::warn, log::Format::json);
  ::testing::internal::CaptureStderr();
  log::info("not seen");
  log::error("seen", {Error{Errc::io, "disk gone"}});
  const auto text = ::testing::internal::GetCapturedStderr();
  log::configure(log::Level::info, log::Format::logfmt);
  EXPECT_THAT(text, AllOf(Not(HasSubstr("not seen")), HasSubstr(R"("error":"disk gone")")));
  EXPECT_EQ(*log::level_from("debug"), log::Level::debug);
  EXPECT_FALSE(log::level_from("loud"));
  EXPECT_FALSE(log::format_from("xml"));
}

TEST(Log, ManyThreadsWriteWholeLines) {
  ::testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 100; ++i)
        log::info("thread " + std::to_string(t) + " says " + std::to_string(i));
    });
  }
  for (auto& thread : threads) thread.join();
  std::istringstream text(::testing::internal::GetCapturedStderr());
  std::size_t lines = 0;
  for (std::string one; std::getline(text, one); ++lines)
    EXPECT_EQ(one.rfind("time=", 0), 0U) << one;
  EXPECT_EQ(lines, 400U);
}

TEST(Metrics, OneNameAndLabelsAreOneMetric) {
  Metrics metrics;
  metrics.counter("messages_total", "Messages", {{"source", "a"}}).add(2);
  metrics.counter("messages_total", "Other words", {{"source", "a"}}).add();
  metrics.counter("messages_total", "Messages", {{"source", "b"}}).add();
  metrics.gauge("streams", "Streams").set(7);
  metrics.histogram("delay_seconds", "Delay", {0.1, 1}).observe(0.5);
  EXPECT_DOUBLE_EQ(metrics.counter("messages_total", "Messages", {{"source", "a"}}).value(), 3);
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("# TYPE lapwing_messages_total counter"));
  EXPECT_THAT(text, HasSubstr("lapwing_messages_total{source=\"a\"} 3"));
  EXPECT_THAT(text, HasSubstr("lapwing_streams 7"));
  EXPECT_THAT(text, HasSubstr("lapwing_delay_seconds_bucket{le=\"1\"} 1"));
}

TEST(Metrics, AreCountedFromManyThreads) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) metrics.counter("shared_total", "Shared").add();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_DOUBLE_EQ(metrics.counter("shared_total", "Shared").value(), 4000);
}

TEST(Metrics, FiguresThatBelongTogetherAreToldTogether) {
  Metrics metrics;
  auto& whole = metrics.gauge("whole", "Whole");
  auto& part = metrics.gauge("part", "Part");
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 1; i <= 20'000; ++i) {
      metrics.together([&] {
        whole.set(i);
        part.set(i);
      });
    }
    done = true;
  });
  const auto value = [](const std::string& text, const std::string& name) {
    const auto line = "\n" + name + " ";
    return std::stod(text.substr(text.find(line) + line.size()));
  };
  while (!done) {
    const auto text = metrics.text();
    ASSERT_EQ(value(text, "lapwing_whole"), value(text, "lapwing_part"));
  }
  writer.join();
}

TEST(Steps, StopTheStartedOnesInReverseAfterAFailure) {
  std::vector<std::string> seen;
  const auto step = [&](std::string_view name, bool works) {
    return Step{.name = name,
                .start = [&seen, name, works]() -> Result<void> {
                  seen.push_back("start " + std::string(name));
                  if (works) return {};
                  return Error{Errc::io, "no room"};
                },
                .stop = [&seen, name] { seen.push_back("stop " + std::string(name)); }};
  };
  const std::array steps{step("one", true), step("two", true), step("three", false),
                         step("four", true)};
  const auto done = run_steps(steps, [&]() -> Result<void> {
    seen.emplace_back("serve");
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().context, "three: no room");
  EXPECT_THAT(seen, ElementsAre("start one", "start two", "start three", "stop two", "stop one"));
  seen.clear();
  EXPECT_TRUE(run_steps(std::span(steps).first(2), [&]() -> Result<void> {
    seen.emplace_back("serve");
    return {};
  }));
  EXPECT_THAT(seen, ElementsAre("start one", "start two", "serve", "stop two", "stop one"));
}

TEST(Files, AreReplacedWholeWithTheirMode) {
  const testing::TempDir folder;
  const auto file = folder.path() / "key";
  ASSERT_TRUE(write_file_atomic(file, "one", 0600));
  ASSERT_TRUE(write_file_atomic(file, "second", 0600));
  EXPECT_EQ(*read_file(file, 100), "second");
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Files, RefuseWhatIsAbsentTooLongOrNotAFile) {
  const testing::TempDir folder;
  const auto file = folder.put("long", "0123456789");
  EXPECT_EQ(read_file(folder.path() / "absent", 10).error().code, Errc::not_found);
  EXPECT_EQ(*read_file(file, 10), "0123456789");
  EXPECT_EQ(read_file(file, 9).error().code, Errc::limit);
  EXPECT_FALSE(read_file(folder.path(), 10));
  const auto written = write_file_atomic(folder.path() / "no" / "such", "x");
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().context, HasSubstr("such"));
}

TEST(Secret, IsPrintedAsAPlaceholderAndWipedWhenMovedFrom) {
  Secret<std::string> secret(std::string("open sesame"));
  std::ostringstream out;
  out << secret;
  EXPECT_EQ(out.str(), "[secret]");
  const Secret<std::string> other = std::move(secret);
  EXPECT_EQ(other.reveal(), "open sesame");
  EXPECT_EQ(secret.reveal().find("sesame"),
            std::string::npos);  // NOLINT: looks at the moved-from on purpose
  static_assert(!std::is_convertible_v<Secret<std::string>, std::string>);
  static_assert(!std::is_constructible_v<log::Field, std::string_view, Secret<std::string>>);
}

TEST(Ids, AreRandomAndWellFormed) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random_id());
  EXPECT_EQ(seen.size(), 1000U);
  for (const auto& id : seen)
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(seen.begin()->size(), 32U);
  EXPECT_NE(random_u64(), random_u64());
}

TEST(TimeText, IsReadAndWrittenAsRfc3339) {
  EXPECT_EQ(to_rfc3339(from_micros(1'700'000'000'123'456)), "2023-11-14T22:13:20.123456Z");
  for (const auto* text : {"2023-11-14T22:13:20.123456Z", "2023-11-14 23:13:20.123456789+01:00",
                           "2023-11-14T20:43:20.123456-01:30", "2023-11-14 22:13:20.123456"}) {
    ASSERT_TRUE(from_rfc3339(text)) << text;
    EXPECT_EQ(to_micros(*from_rfc3339(text)), 1'700'000'000'123'456) << text;
  }
  for (const auto* text :
       {"", "2023-11", "2023-13-14T22:13:20Z", "2023-02-30T00:00:00Z", "2023-11-14T25:13:20Z",
        "2023-11-14T", "2023-11-14T22:13:20Zx", "x023-11-14T22:13:20Z"}) {
    EXPECT_FALSE(from_rfc3339(text)) << text;
  }
}

TEST(Utf8, KnowsGoodFromBad) {
  for (const auto* good : {"", "plain", "Käse", "\xF0\x9F\x90\xA6", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(valid_utf8(good));
  for (const auto* bad :
       {"\x80", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "a\xFF"})
    EXPECT_FALSE(valid_utf8(bad));
}

TEST(BackoffDelay, StaysUnderItsGrowingBoundAndStartsAnew) {
  Backoff backoff(100ms, 5s, 7);
  Micros longest{};
  for (int i = 0; i < 200; ++i) {
    const Micros delay = backoff.next();
    EXPECT_LE(delay, std::min<Micros>(5s, 100ms * (std::int64_t{1} << std::min(i, 30))));
    longest = std::max(longest, delay);
  }
  EXPECT_GT(longest, 4s);
  backoff.reset();
  EXPECT_LE(backoff.next(), 100ms);
}

// What systemd would hear: a datagram socket in its place.
TEST(Systemd, IsToldReadyStatusAndWatchdog) {
  const testing::TempDir folder;
  const auto path = folder.path() / "notify";
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  ::setenv("WATCHDOG_USEC", "4000000", 1);
  systemd::ready();
  systemd::status("all well");
  systemd::watchdog();
  EXPECT_EQ(systemd::watchdog_interval(), Micros(2s));
  ::unsetenv("NOTIFY_SOCKET");
  ::unsetenv("WATCHDOG_USEC");
  std::vector<std::string> heard;
  for (int i = 0; i < 3; ++i) {
    std::array<char, 100> text{};
    const auto length = ::recv(socket, text.data(), text.size(), MSG_DONTWAIT);
    if (length > 0) heard.emplace_back(text.data(), static_cast<std::size_t>(length));
  }
  ::close(socket);
  EXPECT_THAT(heard, ElementsAre("READY=1", "STATUS=all well", "WATCHDOG=1"));
  EXPECT_EQ(systemd::watchdog_interval(), std::nullopt);
}

RunEnd<int> ends_well() { return {.done = {}, .served = true, .next = std::nullopt}; }
RunEnd<int> goes_on_with(int next) { return {.done = {}, .served = true, .next = next}; }
RunEnd<int> does_not_start() {
  return {.done = Error{Errc::io, "port in use"}, .served = false, .next = std::nullopt};
}

TEST(Reload, RunsWithEachConfigurationAskedFor) {
  std::vector<int> ran;
  const auto done = run_reloading(1, [&](int config) {
    ran.push_back(config);
    return config < 3 ? goes_on_with(config + 1) : ends_well();
  });
  EXPECT_TRUE(done);
  EXPECT_EQ(ran, (std::vector{1, 2, 3}));
}

TEST(Reload, GoesBackOnceToTheLastThatStarted) {
  std::vector<int> ran;
  const auto done = run_reloading(1, [&](int config) {
    ran.push_back(config);
    if (config == 2) return does_not_start();
    return ran.size() == 1 ? goes_on_with(2) : ends_well();
  });
  EXPECT_TRUE(done);
  EXPECT_EQ(ran, (std::vector{1, 2, 1}));

  ran.clear();
  const auto failed = run_reloading(1, [&](int config) {
    ran.push_back(config);
    return ran.size() == 1 ? goes_on_with(2) : does_not_start();
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().context, "port in use");
  EXPECT_EQ(ran, (std::vector{1, 2, 1}));
}

TEST(Reload, EndsWithTheFirstThatNeverStartedOrThatFailedLater) {
  int runs = 0;
  EXPECT_FALSE(run_reloading(1, [&](int) { return ++runs, does_not_start(); }));
  EXPECT_EQ(runs, 1);
  runs = 0;
  EXPECT_FALSE(run_reloading(1, [&](int) {
    ++runs;
    auto end = goes_on_with(2);
    if (runs == 2) end = {.done = Error{Errc::io, "broke"}, .served = true, .next = std::nullopt};
    return end;
  }));
  EXPECT_EQ(runs, 2);
}

}  // namespace
}  // namespace lapwing
