// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/spread.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <ostream>
#include <thread>

namespace lapwing::simulate {
namespace {

struct Sums {
  std::uint64_t done = 0;
  std::uint64_t rolled_back = 0;
  std::uint32_t ring = 0;
  std::size_t touched_max = 0;
  std::size_t ran_max = 0;
  Micros longest{0};
  std::uint64_t kills = 0;
  std::uint64_t overtaken = 0;
  std::uint64_t failed = 0;
  std::string example;
};

std::string command(const SpreadOptions& options) {
  return "tests/simulate/run.sh rollout --seeds " + std::to_string(options.seed) + ".." +
         std::to_string(options.seed) + " --devices " + std::to_string(options.devices);
}

void add(Sums& sums, const SpreadOptions& options, const SpreadOutcome& one, std::ostream& out) {
  sums.done += one.end == hub::RolloutPhase::done ? 1 : 0;
  sums.rolled_back += one.end == hub::RolloutPhase::rolled_back ? 1 : 0;
  sums.ring = std::max(sums.ring, one.ring);
  sums.touched_max = std::max(sums.touched_max, one.touched);
  sums.ran_max = std::max(sums.ran_max, one.ran);
  sums.longest = std::max(sums.longest, one.took);
  sums.kills += one.kills;
  sums.overtaken += one.overtaken;
  if (options.seed == 1) sums.example = one.reason;
  if (one.problems.empty()) return;
  ++sums.failed;
  out << "seed " << options.seed << " FAILED, "
      << kAilments.at(static_cast<std::size_t>(options.ailment)).name << ": " << command(options)
      << '\n';
  for (const auto& problem : one.problems) out << "  " << problem << '\n';
}

}  // namespace

bool run_spread(std::ostream& out, SpreadOptions options, std::uint64_t first, std::uint64_t last,
                unsigned jobs) {
  const auto began = std::chrono::steady_clock::now();
  std::array<Sums, kAilments.size()> sums;
  std::mutex mutex;
  std::atomic<std::uint64_t> next = first * kAilments.size();
  const auto work = [&] {
    for (;;) {
      const auto at = next++;
      if (at >= (last + 1) * kAilments.size()) return;
      auto own = options;
      own.seed = at / kAilments.size();
      own.ailment = static_cast<Ailment>(at % kAilments.size());
      own.first_model = own.seed % 3 == 0;
      const auto outcome = spread(own);
      const std::lock_guard lock(mutex);
      add(sums.at(at % kAilments.size()), own, outcome, out);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < jobs; ++i) threads.emplace_back(work);
  for (auto& thread : threads) thread.join();
  out << "model     seeds  green  rolled back  last ring  devices touched  ran it  hours  replicas "
         "killed  overtaken  failed\n";
  bool good = true;
  for (std::size_t i = 0; i < kAilments.size(); ++i) {
    const auto& one = sums.at(i);
    char line[200];
    std::snprintf(
        line, sizeof line, "%-9s %5llu %6llu %12llu %10u %16zu %7zu %6.1f %16llu %10llu %7llu\n",
        std::string(kAilments.at(i).name).c_str(),
        static_cast<unsigned long long>(last - first + 1),
        static_cast<unsigned long long>(one.done), static_cast<unsigned long long>(one.rolled_back),
        one.ring, one.touched_max, one.ran_max, static_cast<double>(one.longest.count()) / 3.6e9,
        static_cast<unsigned long long>(one.kills), static_cast<unsigned long long>(one.overtaken),
        static_cast<unsigned long long>(one.failed));
    out << line;
    good = good && one.failed == 0;
  }
  for (std::size_t i = 0; i < kAilments.size(); ++i) {
    if (!sums.at(i).example.empty()) {
      out << kAilments.at(i).name << ", seed 1: " << sums.at(i).example << '\n';
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  out << options.devices << " devices, " << options.replicas << " replicas; " << took.count()
      << " s\n";
  return good;
}

Ailment shown_by(SpreadMutant mutant) {
  switch (mutant) {
    case SpreadMutant::blind_to_alarms:
      return Ailment::doubled_alarms;
    case SpreadMutant::blind_to_not_a_number:
    case SpreadMutant::forget_undo:
      return Ailment::not_a_number;
    case SpreadMutant::blind_to_cost:
      return Ailment::slow;
    case SpreadMutant::blind_to_crashes:
      return Ailment::crash;
    case SpreadMutant::blind_to_silence:
    case SpreadMutant::no_compare:
      return Ailment::silence;
    case SpreadMutant::none:
      return Ailment::none;
  }
  return Ailment::none;
}

bool run_spread_mutants(std::ostream& out, SpreadOptions options, std::uint64_t seeds) {
  bool all = true;
  for (std::size_t i = 1; i < kSpreadMutants.size(); ++i) {
    options.mutant = static_cast<SpreadMutant>(i);
    options.ailment = shown_by(options.mutant);
    // Where nothing else fails, only that gate can stop it.
    options.hostile = options.mutant == SpreadMutant::no_compare;
    bool caught = false;
    for (options.seed = 1; options.seed <= seeds && !caught; ++options.seed) {
      const auto outcome = spread(options);
      caught = !outcome.problems.empty();
      if (caught) {
        out << kSpreadMutants.at(i).name << ": " << kSpreadMutants.at(i).what
            << "\n  caught by seed " << options.seed << ": " << outcome.problems.front() << '\n';
      }
    }
    if (!caught) {
      --options.seed;
      out << kSpreadMutants.at(i).name << ": NOT CAUGHT by " << seeds
          << " seeds; the last: " << spread(options).reason << '\n';
    }
    all = all && caught;
  }
  return all;
}

}  // namespace lapwing::simulate
