// SPDX-License-Identifier: Apache-2.0
/// `lapwing-simulate`: the sync protocol under faults, on a virtual clock; see README.md.
#include "tests/simulate/report.hpp"
#include "tests/simulate/spread.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <iostream>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

namespace lapwing::simulate {
namespace {

constexpr std::size_t kFailuresShown = 3;
constexpr std::size_t kFailuresMax = 20;
constexpr std::uint64_t kMutantSeeds = 200;

struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t last = 100;
};

/// `7`, `1..2000`.
std::optional<Seeds> parse_seeds(std::string_view text) {
  Seeds seeds;
  const auto number = [](std::string_view part, std::uint64_t& into) {
    const auto [end, failed] = std::from_chars(part.data(), part.data() + part.size(), into);
    return failed == std::errc() && end == part.data() + part.size();
  };
  const auto dots = text.find("..");
  if (!number(text.substr(0, dots), seeds.first)) return std::nullopt;
  seeds.last = seeds.first;
  if (dots != std::string_view::npos && !number(text.substr(dots + 2), seeds.last))
    return std::nullopt;
  if (seeds.last < seeds.first) return std::nullopt;
  return seeds;
}

/// Each has to be caught.
int run_mutants(WorldOptions options, unsigned jobs) {
  int escaped = 0;
  for (std::size_t i = 1; i < kMutants.size(); ++i) {
    options.mutant = static_cast<Mutant>(i);
    const Totals totals = run_seeds(options, 1, kMutantSeeds, jobs, 1);
    std::cout << kMutants[i].name << ": " << kMutants[i].what << '\n';
    if (totals.failures.empty()) {
      ++escaped;
      std::cout << "  NOT CAUGHT by " << totals.seeds << " seeds\n";
      continue;
    }
    const Failure& failure = totals.failures.front();
    options.seed = failure.seed;
    std::cout << "  caught by seed " << failure.seed << ": " << failure.problems.front() << '\n'
              << "  " << command(shrink(options)) << '\n';
  }
  std::cout << kMutants.size() - 1 - static_cast<std::size_t>(escaped) << " of "
            << kMutants.size() - 1 << " mutants caught\n";
  return escaped == 0 ? 0 : 1;
}

/// `rollout`: a model spreads over a fleet.
void add_rollout(CLI::App& app, const std::string& seeds, const bool& mutants, const unsigned& jobs,
                 int& exit_code) {
  auto* command = app.add_subcommand("rollout", "A model spreads over a fleet, under faults");
  command->fallthrough();
  const auto options = std::make_shared<SpreadOptions>();
  command->add_option("--devices", options->devices)
      ->capture_default_str()
      ->check(CLI::Range(10, 100'000));
  command->add_option("--replicas", options->replicas)
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  command->callback([options, &seeds, &mutants, &jobs, &exit_code] {
    const auto wanted = parse_seeds(seeds);
    if (!wanted) throw CLI::ValidationError("--seeds", "'" + seeds + "' is not A..B");
    const bool good = mutants ? run_spread_mutants(std::cout, *options, wanted->last)
                              : run_spread(std::cout, *options, wanted->first, wanted->last, jobs);
    exit_code = good ? 0 : 1;
  });
}

int run(int argc, char** argv) {
  CLI::App app("The sync protocol between thousands of devices and their hubs, under faults.");
  WorldOptions options;
  std::string seeds_text = "1..100";
  std::string faults_text = "all";
  std::string mutant_text = "none";
  std::int64_t hostile = 30;
  bool mutants = false;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  app.add_option("--seeds", seeds_text, "A..B, or one; a seed repeats its run")
      ->capture_default_str();
  app.add_option("--devices", options.devices)
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  app.add_option("--replicas", options.replicas, "of each region")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--only", options.only, "one device of them, with the faults it had");
  app.add_option("--regions", options.regions, "1 or 2; every fourth seed has one")
      ->capture_default_str()
      ->check(CLI::Range(1, 2));
  app.add_option("--minutes", hostile, "of faults; then all has to heal")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  app.add_option("--faults", faults_text, "kinds, with commas; all others are left out")
      ->capture_default_str();
  app.add_option("--mutant", mutant_text, "a protocol broken on purpose")->capture_default_str();
  app.add_flag("--mutants", mutants, "break the protocol in each way; each has to be caught");
  app.add_option("--trace", options.trace, "events to show of a failure")->capture_default_str();
  app.add_option("--jobs", jobs, "seeds at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000));
  int rollout_code = 0;
  add_rollout(app, seeds_text, mutants, jobs, rollout_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!app.get_subcommands().empty()) return rollout_code;
  options.hostile = std::chrono::minutes(hostile);
  const auto seeds = parse_seeds(seeds_text);
  if (!seeds) {
    std::cerr << "--seeds: '" << seeds_text << "' is not A..B\n";
    return 2;
  }
  const auto faults =
      faults_text == "none" ? Result<FaultSet>(FaultSet()) : parse_faults(faults_text);
  if (!faults) {
    std::cerr << faults.error().context << '\n';
    return 2;
  }
  options.faults = *faults;
  const auto* mutant = std::ranges::find(kMutants, mutant_text, &MutantKind::name);
  if (mutant == kMutants.end()) {
    std::cerr << "--mutant: there is no '" << mutant_text << "'\n";
    return 2;
  }
  options.mutant = static_cast<Mutant>(mutant - kMutants.begin());
  if (mutants) return run_mutants(options, jobs);

  const std::size_t trace = std::exchange(options.trace, 0);
  const Totals totals = run_seeds(options, seeds->first, seeds->last, jobs, kFailuresMax);
  options.trace = trace;
  print(std::cout, totals);
  for (std::size_t i = 0; i < std::min(kFailuresShown, totals.failures.size()); ++i) {
    print_failure(std::cout, options, totals.failures[i]);
  }
  return totals.failures.empty() ? 0 : 1;
}

}  // namespace
}  // namespace lapwing::simulate

int main(int argc, char** argv) { return lapwing::simulate::run(argc, argv); }
