// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fleet/report.hpp"

#include "tests/bench/fleet/loop.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <tuple>

namespace lapwing::fleet {
namespace {

double ms(Micros time) { return static_cast<double>(time.count()) / 1000; }

double seconds_between(const Reading& from, const Reading& to) {
  return std::chrono::duration<double>(to.at - from.at).count();
}

double rate(std::int64_t from, std::int64_t to, double seconds) {
  return seconds > 0 ? static_cast<double>(to - from) / seconds : 0;
}

template <class... Arguments>
std::string print(const char* pattern, Arguments... arguments) {
  std::array<char, 512> line{};
  std::snprintf(line.data(), line.size(), pattern, arguments...);
  return line.data();
}

nlohmann::json percentiles(const Counts& counts) {
  return {{"count", counts.total()},         {"p50_ms", ms(counts.at(0.5))},
          {"p90_ms", ms(counts.at(0.9))},    {"p99_ms", ms(counts.at(0.99))},
          {"p999_ms", ms(counts.at(0.999))}, {"max_ms", ms(counts.greatest())}};
}

std::string percentile_line(const char* what, const Counts& counts) {
  return print("%-22s p50 %.1f ms, p90 %.1f, p99 %.1f, p99.9 %.1f, greatest %.1f (%llu)\n", what,
               ms(counts.at(0.5)), ms(counts.at(0.9)), ms(counts.at(0.99)), ms(counts.at(0.999)),
               ms(counts.greatest()), static_cast<unsigned long long>(counts.total()));
}

}  // namespace

Reading read(const std::vector<std::unique_ptr<Loop>>& loops) {
  Reading sum;
  sum.at = ticks_now();
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  sum.cpu_seconds = static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
  for (const auto& loop : loops) {
    const Meters& meters = loop->meters();
    sum.acked += meters.acked;  // before due: a backlog is never told too small
    sum.due += meters.due;
    sum.connected += meters.connected;
    sum.welcomed += meters.welcomed;
    sum.halted += meters.halted;
    sum.handshakes += meters.handshakes;
    sum.losses += meters.losses;
    sum.batches += meters.batches;
    sum.records += meters.records;
    sum.live += meters.live;
    sum.bytes += meters.bytes;
    sum.resends += meters.resends;
    sum.refused += meters.refused;
    sum.new_epochs += meters.new_epochs;
    sum.latency += meters.latency.read();
    sum.outage += meters.outage.read();
    sum.connect += meters.connect.read();
  }
  return sum;
}

std::string progress(const Reading& from, const Reading& to, std::size_t devices) {
  const double seconds = seconds_between(from, to);
  Counts latency = to.latency;
  latency -= from.latency;
  return print(
      "%lld of %zu welcomed  due %.0f/s  acked %.0f/s  backlog %lld  p50 %.0f ms  p99 %.0f ms",
      static_cast<long long>(to.welcomed), devices, rate(from.due, to.due, seconds),
      rate(from.acked, to.acked, seconds), static_cast<long long>(to.backlog()),
      ms(latency.at(0.5)), ms(latency.at(0.99)));
}

std::string as_text(const Report& report) {
  const auto& [begin, end, last] = std::tie(report.begin, report.end, report.last);
  const double seconds = seconds_between(begin, end);
  std::string text =
      print("devices                %zu, all welcomed in %.1f s (%.0f handshakes/s)\n",
            report.devices, report.connect_seconds,
            static_cast<double>(report.devices) / std::max(report.connect_seconds, 1e-3)) +
      print("records                due %.0f/s, acknowledged %.0f/s over %.1f s\n",
            rate(begin.due, end.due, seconds), rate(begin.acked, end.acked, seconds), seconds) +
      print("                       %lld due, %lld acknowledged; drained in %.1f s\n",
            static_cast<long long>(last.due), static_cast<long long>(last.acked),
            report.drain_seconds);
  if (last.latency.total() > 0) text += percentile_line("due to acknowledged", last.latency);
  text += percentile_line("connect to welcome", last.connect);
  if (last.outage.total() > 0) text += percentile_line("lost to welcomed again", last.outage);
  text +=
      print("sent                   %llu batches of %.0f records, %.1f bytes a record; %llu live\n",
            static_cast<unsigned long long>(last.batches),
            static_cast<double>(last.records) /
                static_cast<double>(std::max<std::uint64_t>(last.batches, 1)),
            static_cast<double>(last.bytes) /
                static_cast<double>(std::max<std::uint64_t>(last.records, 1)),
            static_cast<unsigned long long>(last.live)) +
      print("                       %llu losses, %llu resends, %llu refused, %llu new epochs\n",
            static_cast<unsigned long long>(last.losses),
            static_cast<unsigned long long>(last.resends),
            static_cast<unsigned long long>(last.refused),
            static_cast<unsigned long long>(last.new_epochs)) +
      print("generator              %.0f %% of a core\n",
            100 * (end.cpu_seconds - begin.cpu_seconds) / std::max(seconds, 1e-3));
  if (report.account) {
    const auto& account = *report.account;
    text += print(
        "ledger                 %llu devices: made %llu, stored %llu, lost %llu, outstanding "
        "%llu\n",
        static_cast<unsigned long long>(account.devices),
        static_cast<unsigned long long>(account.made),
        static_cast<unsigned long long>(account.stored),
        static_cast<unsigned long long>(account.lost),
        static_cast<unsigned long long>(account.outstanding));
  }
  for (const auto& problem : report.problems) text += "WRONG                  " + problem + "\n";
  return text;
}

std::string as_json(const Report& report) {
  const auto& [begin, end, last] = std::tie(report.begin, report.end, report.last);
  const double seconds = seconds_between(begin, end);
  nlohmann::json json{
      {"devices", report.devices},
      {"connect_s", report.connect_seconds},
      {"measured_s", seconds},
      {"due_per_s", rate(begin.due, end.due, seconds)},
      {"acked_per_s", rate(begin.acked, end.acked, seconds)},
      {"due", last.due},
      {"acked", last.acked},
      {"drain_s", report.drain_seconds},
      {"latency", percentiles(last.latency)},
      {"connect", percentiles(last.connect)},
      {"outage", percentiles(last.outage)},
      {"handshakes", last.handshakes},
      {"losses", last.losses},
      {"batches", last.batches},
      {"records", last.records},
      {"live", last.live},
      {"bytes", last.bytes},
      {"resends", last.resends},
      {"refused", last.refused},
      {"new_epochs", last.new_epochs},
      {"cpu_share", (end.cpu_seconds - begin.cpu_seconds) / std::max(seconds, 1e-3)},
      {"problems", report.problems}};
  if (report.account) {
    json["ledger"] = {
        {"devices", report.account->devices},         {"made", report.account->made},
        {"stored", report.account->stored},           {"lost", report.account->lost},
        {"outstanding", report.account->outstanding}, {"differ", report.account->differ}};
  }
  return json.dump(1) + "\n";
}

}  // namespace lapwing::fleet
