// SPDX-License-Identifier: Apache-2.0
/// `bench_fleet`: thousands of devices in one process, for benchmarks and soaks; see README.md.
#include "tests/bench/fleet/drop.hpp"
#include "tests/bench/fleet/listen.hpp"
#include "tests/bench/fleet/run.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <memory>
#include <sys/resource.h>

namespace lapwing::fleet {
namespace {

/// A socket for each device.
void raise_open_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int outcome(const char* command, const Result<void>& done) {
  if (done) return 0;
  std::fprintf(stderr, "bench_fleet %s: %s\n", command, done.error().context.c_str());
  return 1;
}

Micros from_seconds(double value) { return Micros(static_cast<std::int64_t>(value * 1e6)); }

void add_prepare(CLI::App& app, int& code) {
  const auto wanted = std::make_shared<Preparation>();
  const auto out = std::make_shared<std::filesystem::path>();
  auto* command = app.add_subcommand("prepare", "Register devices and sign their certificates");
  command->add_option("--hub-dir", wanted->hub_dir, "of lapwing-hub init")->required();
  command->add_option("--out", *out, "file for names, certificates and the key")->required();
  command->add_option("--devices", wanted->devices)->capture_default_str();
  command->add_option("--tenant", wanted->tenant)->capture_default_str();
  command->add_option("--prefix", wanted->prefix)->capture_default_str();
  command->callback([wanted, out, &code] {
    const auto members = prepare(*wanted, now());
    code = outcome("prepare", members ? members->write(*out) : Result<void>(members.error()));
  });
}

struct RunWords {
  RunOptions options;
  double seconds = 10;
  double warmup = 2;
  double drain = 60;
  double connect_wait = 120;
  double drop_every = 5;
  double herd_at = -1;
  double status_every = 30;
  double keep_alive = 20;
  LedgerCheck check;
};

void add_load(CLI::App& command, RunWords& words) {
  auto& options = words.options;
  command.add_option("--rate", options.rate, "records/s of all together; 0: they only connect");
  command.add_flag("--saturate", options.plan.saturate,
                   "bursts to the devices in turn, no schedule");
  command
      .add_option("--outstanding", options.plan.outstanding,
                  "saturating: records of the fleet under way")
      ->capture_default_str();
  command.add_option("--burst", options.plan.burst, "records of a device due together")
      ->capture_default_str();
  command.add_option("--batch", options.plan.limits.batch_records_max, "records in a message")
      ->capture_default_str();
  command.add_option("--batch-bytes", options.plan.limits.batch_bytes_max, "before compression")
      ->capture_default_str();
  command.add_option("--streams", options.shape.streams, "of each device")->capture_default_str();
  command.add_option("--anomaly-every", options.shape.anomaly_every, "records; 0: none")
      ->capture_default_str();
  command.add_option("--seconds", words.seconds, "measured")->capture_default_str();
  command.add_option("--warmup", words.warmup, "seconds before")->capture_default_str();
  command.add_option("--drain", words.drain, "seconds for the rest after")->capture_default_str();
  command.add_option("--status-every", words.status_every, "seconds")->capture_default_str();
  command.add_option("--keep-alive", words.keep_alive, "seconds")->capture_default_str();
}

void add_faults(CLI::App& command, RunWords& words) {
  auto& options = words.options;
  command.add_option("--drop-share", options.drop_share, "of the devices lose power")
      ->capture_default_str();
  command.add_option("--drop-every", words.drop_every, "seconds")->capture_default_str();
  command.add_option("--herd-at", words.herd_at, "seconds after the start: all at once");
  command
      .add_option("--slow-share", options.plan.slow_share, "of the devices send and read slowly")
      ->capture_default_str();
  command
      .add_option("--deaf-share", options.plan.deaf_share,
                  "of the devices read nothing until the end: no acknowledgement reaches them")
      ->capture_default_str();
}

void add_run(CLI::App& app, int& code) {
  const auto words = std::make_shared<RunWords>();
  auto& options = words->options;
  auto* command = app.add_subcommand("run", "Connect, make records on schedule, drain, report");
  command->add_option("--fleet", options.file, "of bench_fleet prepare")->required();
  command->add_option("--host", options.host)->capture_default_str();
  command->add_option("--port", options.port)->required();
  command->add_option("--devices", options.devices, "the first so many; 0: all");
  command->add_option("--threads", options.threads)
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command->add_option("--connect-rate", options.plan.connects_per_second, "per s; 0: all at once")
      ->capture_default_str();
  command->add_option("--connecting-max", options.plan.connecting_max, "at once; 0: any number")
      ->capture_default_str();
  command->add_option("--connect-wait", words->connect_wait, "seconds")->capture_default_str();
  command->add_flag("--broker-only", options.plan.broker_only, "no hub: PUBACK acknowledges");
  add_load(*command, *words);
  add_faults(*command, *words);
  command->add_option("--json", options.json, "file for the report");
  auto* check = command->add_option("--check", words->check.url,
                                    "the hub's API: compare every device's ledger at the end");
  command->add_option("--token", words->check.token, "for --check")->needs(check);
  command->add_option("--ca", words->check.ca_file, "for --check over HTTPS")->needs(check);
  command->callback([words, &code] {
    auto& asked = words->options;
    asked.measured = from_seconds(words->seconds);
    asked.warmup = from_seconds(words->warmup);
    asked.drain = from_seconds(words->drain);
    asked.connect_wait = from_seconds(words->connect_wait);
    asked.drop_every = from_seconds(words->drop_every);
    if (words->herd_at >= 0) asked.herd_at = from_seconds(words->herd_at);
    asked.plan.status_interval = from_seconds(words->status_every);
    asked.plan.keep_alive = from_seconds(words->keep_alive);
    // A backlog is drained: nothing of it is new.
    if (asked.plan.saturate) asked.plan.limits.live_backlog = std::uint64_t{1} << 40U;
    if (!words->check.url.empty()) asked.check = words->check;
    code = outcome("run", run(asked));
  });
}

void add_hashes(CLI::App& app, int& code) {
  const auto file = std::make_shared<std::filesystem::path>();
  const auto hub = std::make_shared<std::filesystem::path>();
  const auto shape = std::make_shared<RecordShape>();
  const auto samples = std::make_shared<std::uint64_t>(1000);
  auto* command = app.add_subcommand("hashes", "Compare records in the store with what was made");
  command->add_option("--fleet", *file)->required();
  command->add_option("--hub-dir", *hub)->required();
  command->add_option("--streams", shape->streams)->capture_default_str();
  command->add_option("--anomaly-every", shape->anomaly_every)->capture_default_str();
  command->add_option("--samples", *samples)->capture_default_str();
  command->callback([=, &code] {
    const auto members = Members::read(*file);
    if (!members) {
      code = outcome("hashes", members.error());
      return;
    }
    shape->base = members->made;
    const auto found = check_hashes(*hub, *members, Records(*shape), *samples, 1);
    if (!found) {
      code = outcome("hashes", found.error());
      return;
    }
    std::printf("%llu records compared, %llu differ, %llu missing\n",
                static_cast<unsigned long long>(found->compared),
                static_cast<unsigned long long>(found->wrong),
                static_cast<unsigned long long>(found->missing));
    code = found->compared > 0 && found->wrong == 0 && found->missing == 0 ? 0 : 1;
  });
}

void add_drop(CLI::App& app, int& code) {
  const auto hub = std::make_shared<std::filesystem::path>();
  const auto port = std::make_shared<std::uint16_t>();
  auto* command = app.add_subcommand("drop", "Subscribe in the hub's place and drop all");
  command->add_option("--hub-dir", *hub)->required();
  command->add_option("--port", *port)->required();
  command->callback([=, &code] { code = outcome("drop", drop_all(*hub, *port)); });
}

void add_listen(CLI::App& app, int& code) {
  const auto options = std::make_shared<ListenOptions>();
  auto* command = app.add_subcommand("listen", "Follow a hub's live feed with many clients");
  command->add_option("--port", options->port, "of the hub's API, plain HTTP")->required();
  command->add_option("--token", options->token)->required();
  command->add_option("--clients", options->clients)->capture_default_str();
  command->callback([=, &code] { code = outcome("listen", listen_all(*options)); });
}

int run_program(int argc, char** argv) {
  raise_open_files();
  std::signal(SIGPIPE, SIG_IGN);  // writing to a balancer that was killed is an error of one device
  CLI::App app("Thousands of simulated devices against a real hub.");
  app.require_subcommand(1);
  int code = 0;
  add_prepare(app, code);
  add_run(app, code);
  add_hashes(app, code);
  add_drop(app, code);
  add_listen(app, code);
  CLI11_PARSE(app, argc, argv);
  return code;
}

}  // namespace
}  // namespace lapwing::fleet

int main(int argc, char** argv) { return lapwing::fleet::run_program(argc, argv); }
