// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fleet/run.hpp"

#include "shared/base/files.hpp"
#include "tests/bench/fleet/loop.hpp"
#include "tests/bench/fleet/report.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace lapwing::fleet {
namespace {

constexpr Micros kStep = std::chrono::milliseconds(5);
constexpr Micros kLineEvery = std::chrono::seconds(1);

std::int64_t count(Ticks time) { return time.time_since_epoch().count(); }

double seconds(Micros time) { return std::chrono::duration<double>(time).count(); }

/// Where a run stands; the loops do the work.
class Course {
 public:
  Course(const RunOptions& options, Members& members, const TlsSide& tls)
      : options_(options),
        members_(members),
        records_(options.shape),
        shared_{options.plan, members, records_, tls, control_} {
    report_.devices = members.all.size();
  }

  Report go() {
    const Ticks begin = ticks_now();
    for (std::size_t i = 0; i < options_.threads; ++i) {
      loops_.push_back(std::make_unique<Loop>(shared_, i, options_.threads));
    }
    for (const auto& loop : loops_) loop->start();
    line_from_ = read(loops_);
    phase("connecting");
    const auto all = static_cast<std::int64_t>(report_.devices);
    const bool connected = until(begin + options_.connect_wait,
                                 [&](const Reading& now) { return now.welcomed == all; });
    report_.connect_seconds = seconds(ticks_now() - begin);
    if (connected) {
      produce();
    } else {
      report_.problems.push_back("not all devices were welcomed in time");
      report_.begin = report_.end = read(loops_);
    }
    report_.last = read(loops_);
    control_.finish = true;
    for (const auto& loop : loops_) loop->join();
    for (const auto& loop : loops_) loop->write_back(members_);
    return std::move(report_);
  }

 private:
  void produce() {
    const Ticks start = ticks_now();
    control_.drop_share = options_.drop_share;
    control_.start = count(start);
    next_drop_ = start + options_.drop_every;
    phase("warming");
    const auto never = [](const Reading&) { return false; };
    until(start + options_.warmup, never);
    report_.begin = read(loops_);
    control_.measure = count(report_.begin.at);
    herd_at_ = options_.herd_at ? start + *options_.herd_at : Ticks::max();
    phase("measuring");
    until(report_.begin.at + options_.measured, never);
    control_.end = count(ticks_now());
    next_drop_ = herd_at_ = Ticks::max();
    report_.end = read(loops_);
    phase("draining");
    // Until every device has had the time to see the end: then nothing more becomes due.
    until(ticks_now() + std::chrono::milliseconds(100), never);
    const Ticks drained_from = ticks_now();
    const auto all = static_cast<std::int64_t>(report_.devices);
    if (!until(drained_from + options_.drain,
               [&](const Reading& now) { return now.backlog() == 0 && now.welcomed == all; })) {
      const auto now = read(loops_);
      report_.problems.push_back(std::to_string(now.backlog()) +
                                 " records were not acknowledged, " +
                                 std::to_string(all - now.welcomed) + " devices are not connected");
    }
    report_.drain_seconds = seconds(ticks_now() - drained_from);
  }

  /// Until `done`, or the time has come: false. Prints progress and causes faults meanwhile.
  template <class Done>
  bool until(Ticks deadline, Done done) {
    while (true) {
      const Reading now = read(loops_);
      if (done(now)) return true;
      if (now.at >= deadline) return false;
      if (now.at - line_from_.at >= kLineEvery) {
        const bool terminal = ::isatty(STDERR_FILENO) == 1;
        std::fprintf(stderr, terminal ? "\r\x1b[K%s" : "%s\n",
                     progress(line_from_, now, report_.devices).c_str());
        line_from_ = now;
      }
      faults(now.at);
      std::this_thread::sleep_for(std::min(kStep, Micros(deadline - now.at)));
    }
  }

  void faults(Ticks now) {
    if (now >= herd_at_) {
      herd_at_ = Ticks::max();
      control_.drop_share = 1;
      ++control_.drops;
    } else if (options_.drop_share > 0 && now >= next_drop_) {
      next_drop_ = now + options_.drop_every;
      control_.drop_share = options_.drop_share;
      ++control_.drops;
    }
  }

  static void phase(const char* name) {
    std::printf("phase %s\n", name);
    std::fflush(stdout);
  }

  const RunOptions& options_;
  Members& members_;
  const Records records_;
  Control control_;
  const Shared shared_;
  std::vector<std::unique_ptr<Loop>> loops_;
  Report report_;
  Reading line_from_;
  Ticks next_drop_ = Ticks::max();
  Ticks herd_at_ = Ticks::max();
};

}  // namespace

Result<void> run(RunOptions options) {
  auto members = Members::read(options.file);
  if (!members) return members.error();
  if (options.devices > members->all.size()) {
    return Error{Errc::bad_input, options.file.string() + " has fewer devices than asked for"};
  }
  // The others keep their places: what they made before stays known.
  std::vector<Member> rest;
  if (options.devices != 0) {
    const auto first = members->all.begin() + static_cast<std::ptrdiff_t>(options.devices);
    rest.assign(std::make_move_iterator(first), std::make_move_iterator(members->all.end()));
    members->all.erase(first, members->all.end());
  }
  const auto tls = TlsSide::make(*members, options.host, options.port);
  if (!tls) return tls.error();
  options.plan.rate_per_device = options.rate / static_cast<double>(members->all.size());
  options.shape.base = members->made;
  Report report = Course(options, *members, *tls).go();
  if (options.check) {
    auto account = check_ledgers(*options.check, *members, members->all.size());
    if (!account) return account.error();
    if (account->differ > 0) {
      report.problems.push_back(std::to_string(account->differ) + " devices' accounts are wrong; " +
                                account->first);
    }
    report.account = *std::move(account);
  }
  for (auto& member : rest) members->all.push_back(std::move(member));
  if (!options.plan.broker_only) {
    if (auto kept = members->write_positions(options.file); !kept) return kept;
  }
  std::printf("%s", as_text(report).c_str());
  if (!options.json.empty()) {
    if (auto done = write_file_atomic(options.json, as_json(report)); !done) return done;
  }
  if (!report.problems.empty()) return Error{Errc::denied, report.problems.front()};
  return {};
}

}  // namespace lapwing::fleet
