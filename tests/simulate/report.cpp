// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/report.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <iomanip>
#include <mutex>
#include <ostream>
#include <thread>
#include <unistd.h>

namespace lapwing::simulate {
namespace {

constexpr std::size_t kTraceEvents = 60;

void add(Outcome& sum, const Outcome& one) {
  for (std::size_t i = 0; i < kFaults; ++i) sum.faults[i] += one.faults[i];
  sum.records += one.records;
  sum.lost += one.lost;
  sum.messages += one.messages;
  sum.resends += one.resends;
  sum.epochs += one.epochs;
  sum.quarantines += one.quarantines;
  sum.events += one.events;
  sum.recovery = std::max(sum.recovery, one.recovery);
}

void show_progress(std::uint64_t done, std::uint64_t all, std::size_t failures) {
  if (isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "\r\033[K%llu of %llu seeds, %zu failed",
               static_cast<unsigned long long>(done), static_cast<unsigned long long>(all),
               failures);
  if (done == all) std::fputs("\r\033[K", stderr);
}

bool fails(const WorldOptions& options) { return !World(options).run().problems.empty(); }

double hours(Micros time) { return static_cast<double>(time.count()) / 3.6e9; }

}  // namespace

Totals run_seeds(const WorldOptions& options, std::uint64_t first, std::uint64_t last,
                 unsigned jobs, std::size_t failures_max) {
  Totals totals;
  std::mutex mutex;
  std::uint64_t next = first;
  const auto work = [&] {
    for (;;) {
      WorldOptions own = options;
      {
        const std::lock_guard lock(mutex);
        if (next > last || totals.failures.size() >= failures_max) return;
        own.seed = next++;
      }
      const auto began = std::chrono::steady_clock::now();
      const Outcome outcome = World(own).run();
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
      const std::lock_guard lock(mutex);
      ++totals.seeds;
      totals.seconds += took.count();
      totals.simulated += outcome.simulated;
      add(totals.sum, outcome);
      if (!outcome.problems.empty()) totals.failures.push_back({own.seed, outcome.problems});
      show_progress(totals.seeds, last - first + 1, totals.failures.size());
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < jobs; ++i) threads.emplace_back(work);
  for (auto& thread : threads) thread.join();
  std::ranges::sort(totals.failures, {}, &Failure::seed);
  return totals;
}

WorldOptions shrink(WorldOptions options) {
  options.trace = 0;
  WorldOptions alone = options;
  alone.only = World(options).run().device;
  if (fails(alone)) options = alone;
  for (const std::size_t devices : {1U, 2U, 3U, 5U, 10U, 20U}) {
    if (devices >= options.devices || options.only) break;
    WorldOptions fewer = options;
    fewer.devices = devices;
    if (!fails(fewer)) continue;
    options = fewer;
    break;
  }
  for (std::size_t i = 0; i < kFaults; ++i) {
    WorldOptions without = options;
    without.faults.reset(i);
    if (without.faults != options.faults && fails(without)) options = without;
  }
  return options;
}

std::string command(const WorldOptions& options) {
  const std::string seed = std::to_string(options.seed);
  std::string text = "tests/simulate/run.sh --seeds " + seed + ".." + seed + " --devices " +
                     std::to_string(options.devices);
  if (options.regions != WorldOptions{}.regions) {
    text += " --regions " + std::to_string(options.regions);
  }
  if (options.only) text += " --only " + std::to_string(*options.only);
  if (!options.faults.all()) {
    text += " --faults " + (options.faults.none() ? "none" : to_string(options.faults));
  }
  if (options.mutant != Mutant::none) {
    text += " --mutant " + std::string(kMutants[static_cast<std::size_t>(options.mutant)].name);
  }
  return text + " --trace " + std::to_string(kTraceEvents);
}

void print(std::ostream& out, const Totals& totals) {
  out << "fault            injected\n";
  for (std::size_t i = 0; i < kFaults; ++i) {
    out << std::left << std::setw(14) << kFaultKinds[i].name << std::right << std::setw(11)
        << totals.sum.faults[i] << "  " << kFaultKinds[i].what << '\n';
  }
  const double days = hours(totals.simulated) / 24;
  out << '\n'
      << totals.seeds << " seeds, " << std::fixed << std::setprecision(1) << days
      << " device-days in " << totals.seconds << " s of a core (" << std::setprecision(3)
      << totals.seconds / std::max(days, 1e-9) << " s a device-day)\n"
      << totals.sum.records << " records, " << totals.sum.lost
      << " of them destroyed by faults and told as losses, " << totals.sum.messages << " messages, "
      << totals.sum.resends << " times gone back, " << totals.sum.epochs << " new epochs, "
      << totals.sum.quarantines << " quarantines\n"
      << "slowest recovery " << std::setprecision(0) << hours(totals.sum.recovery) * 3600
      << " s after the last fault (virtual)\n"
      << totals.failures.size() << " seeds failed\n";
}

void print_failure(std::ostream& out, const WorldOptions& options, const Failure& failure) {
  WorldOptions own = options;
  own.seed = failure.seed;
  out << "\nseed " << failure.seed << " FAILED\n";
  for (const auto& problem : failure.problems) out << "  " << problem << '\n';
  own = shrink(own);
  out << "smallest run that fails: " << command(own) << '\n';
  own.trace = options.trace > 0 ? options.trace : kTraceEvents;
  const Outcome again = World(own).run();
  for (const auto& problem : again.problems) out << "  " << problem << '\n';
  out << "its last events:\n";
  for (const auto& line : again.trace) out << "  " << line << '\n';
}

}  // namespace lapwing::simulate
