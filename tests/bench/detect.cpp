// SPDX-License-Identifier: Apache-2.0
/// Speed of every kind of detector on one core: rows in one batch, one row a call, training, bytes.
/// `bench_detect [KIND…]`; all of kKinds by default. The fastest run counts, of several rounds
/// that lie apart: what else the machine does can only slow one down, and comes and goes.
#include "shared/detect/kinds.hpp"
#include "shared/detect/matrix_profile/batch.hpp"
#include "tests/bench/support.hpp"
#include "tests/shared/detect/synthetic.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace lapwing::detect {
namespace {

constexpr int kRounds = 5;
constexpr int kRuns = 8;              // of a figure in a round
constexpr double kRunSeconds = 0.02;  // each at least
constexpr std::size_t kRows = 20'000;

using Parameters = std::map<std::string, double, std::less<>>;

/// The fastest of others at the same task, on the same kind of machine.
struct Peer {
  std::string_view name = {};
  double rate = 0;  ///< rows a second
};

/// What is asked of a kind; one that is not listed is measured with its defaults.
struct Rate {
  std::string_view kind;
  Input input;
  std::size_t width;
  double batch = 0;   ///< rows a second at least; 0: no target
  double single = 0;  ///< likewise with one row a call
  Parameters parameters = {};
  Peer peer = {};
  Peer single_peer = {};
};
const Rate kRates[] = {
    {.kind = "auto",
     .input = Input::stream,
     .width = 1,
     .batch = 1e6,
     .peer = {"Netdata's agent", 1 / 1.1e-6}},
    {.kind = "ewma", .input = Input::stream, .width = 1, .batch = 20e6},
    {.kind = "auto", .input = Input::group, .width = 8, .batch = 700e3},
    {.kind = "auto", .input = Input::group, .width = 38, .batch = 150e3},
    {.kind = "halfspace_trees",
     .input = Input::group,
     .width = 8,
     .batch = 1.5e6,
     .parameters = {{"trees", 100}},
     .peer = {"dSalmon", 824e3}},
    {.kind = "isolation_forest",
     .input = Input::rows,
     .width = 8,
     .batch = 1.6e6,
     .single = 700e3,
     .peer = {"isotree", 238e3},
     .single_peer = {"isotree", 212e3}},
    {.kind = "local_outlier_factor",
     .input = Input::rows,
     .width = 8,
     .batch = 160e3,
     .peer = {"nanoflann", 81e3}},
    {.kind = "knn", .input = Input::rows, .width = 8, .batch = 160e3, .peer = {"nanoflann", 81e3}},
    {.kind = "one_class_svm",
     .input = Input::rows,
     .width = 8,
     .batch = 3e6,
     .peer = {"libsvm", 750e3}},
};

struct Bytes {
  std::string_view kind;
  Input input;
  std::size_t at_most;
};
constexpr Bytes kBytes[] = {{"auto", Input::stream, 16 * 1024}, {"ewma", Input::stream, 256}};

/// What kinds are trained on; milliseconds: at most, 0: no target.
struct Fit {
  std::string_view kind;
  std::size_t rows;
  double milliseconds;
  Parameters parameters = {};
};
const Fit kFits[] = {
    {"isolation_forest", 10'000, 3},
    {"local_outlier_factor", 10'000, 0},
    {"knn", 10'000, 0},
    {"one_class_svm", 292, 0, {{"nu", 0.5}}},  // half of the rows become support vectors: 146
};
const Fit kOtherFit = {"", 10'000, 0};

/// Correlated, so that no kind has it too easy.
std::vector<double> make_rows(std::size_t rows, std::size_t width, std::uint64_t seed) {
  std::vector<double> values(rows * width);
  for (std::size_t c = 0; c < width; ++c) {
    const auto samples = testing::make_stream(
        {.normal = c % 2 == 0 ? testing::Normal::daily : testing::Normal::autoregressive,
         .seed = seed + c,
         .readings = rows});
    for (std::size_t i = 0; i < rows; ++i) values[i * width + c] = samples[i].value;
  }
  return values;
}

/// All figures, over and over.
class Rounds {
 public:
  /// Another one, or false after the last.
  bool next() { return ++round_ <= kRounds; }
  void show(std::string_view kind) const {
    if (isatty(STDERR_FILENO) == 0) return;
    const std::string line = "round " + std::to_string(round_) + " of " + std::to_string(kRounds);
    const std::string now = round_ < kRounds ? line + ": " + std::string(kind) : "";
    std::fprintf(stderr, "\r\033[K%s", now.c_str());
  }
  /// Seconds of the fastest run of `work` in the rounds so far, each repeated until it takes long
  /// enough.
  template <class Work>
  double fastest(const std::string& figure, const Work& work) {
    double& best =
        fastest_.try_emplace(figure, std::numeric_limits<double>::infinity()).first->second;
    for (int run = 0; run < kRuns; ++run) {
      const double begin = bench::thread_seconds();
      double seconds = 0;
      int repeats = 0;
      while (seconds < kRunSeconds) {
        work();
        ++repeats;
        seconds = bench::thread_seconds() - begin;
      }
      best = std::min(best, seconds / repeats);
    }
    return best;
  }
  /// Prints, in the last round.
  void row(const std::string& figure, const std::string& target, const std::string& measured,
           bool met) const {
    if (round_ == kRounds) bench::row(figure, target, measured, met);
  }

 private:
  int round_ = 0;
  std::map<std::string, double> fastest_;
};

std::string scaled(double rate) {
  return rate >= 1e6 ? bench::format("%.2f M", rate / 1e6) : bench::format("%.0f k", rate / 1e3);
}

std::string text(const Parameters& parameters) {
  std::string out;
  for (const auto& [name, value] : parameters)
    out += bench::format((", " + name + " %g").c_str(), value);
  return out;
}

/// How many times as fast as the peer.
std::string against(const Peer& peer, double rate) {
  if (peer.rate <= 0) return {};
  return bench::format("; %.1f x ", rate / peer.rate) + std::string(peer.name);
}

void print_rate(const Rounds& rounds, const std::string& figure, double target, double rate,
                const Peer& peer) {
  rounds.row(
      figure, target > 0 ? ">= " + scaled(target) + " rows/s" : "-",
      scaled(rate) + " rows/s" + bench::format(", %.0f ns", 1e9 / rate) + against(peer, rate),
      rate >= target);
}

std::vector<std::byte> train(Rounds& rounds, const Kind& kind, const std::string& name,
                             std::size_t width) {
  const auto* fit = std::ranges::find(kFits, kind.name, &Fit::kind);
  if (fit == std::end(kFits)) fit = &kOtherFit;
  const auto rows = make_rows(fit->rows, width, 99);
  const Settings settings{.width = width, .parameters = fit->parameters};
  std::vector<std::byte> model;
  const std::string figure = name + ", training on " + std::to_string(fit->rows) + " rows";
  const double seconds = rounds.fastest(figure, [&] {
    auto trained = kind.train({.values = rows, .width = width}, settings, {});
    if (!trained) bench::give_up(trained.error().context);
    model = std::move(*trained);
  });
  const double limit = fit->milliseconds;
  rounds.row(figure, limit > 0 ? bench::format("<= %.0f ms", limit) : "-",
             bench::format("%.2f ms", 1e3 * seconds), limit <= 0 || 1e3 * seconds <= limit);
  return model;
}

void measure(Rounds& rounds, const Kind& kind, std::size_t width, const Rate& asked) {
  constexpr std::string_view kInputs[] = {"stream", "group", "rows"};
  const std::string name =
      std::string(kind.name) + ", " + std::string(kInputs[static_cast<int>(kind.input)]) +
      (width > 1 ? " of " + std::to_string(width) : "") + text(asked.parameters);
  std::vector<std::byte> model;
  if (kind.learning == Learning::trained) model = train(rounds, kind, name, width);
  auto made = kind.make({.width = width, .parameters = asked.parameters}, {.model = model});
  if (!made) bench::give_up(made.error().context);
  Detector& detector = **made;

  const auto values = make_rows(kRows, width, 7);
  std::vector<Time> times(kRows);
  std::int64_t minute = 0;
  const auto next_times = [&] {
    for (Time& time : times) time = from_micros(1'700'000'000'000'000 + 60'000'000 * minute++);
  };
  std::vector<float> raw(kRows);
  std::vector<Band> bands(kind.input == Input::stream ? kRows : 0);
  const double batch_seconds = rounds.fastest(name + ", batch", [&] {
    next_times();
    const auto done = detector.score({.values = values, .times = times, .width = width},
                                     {.raw = raw, .bands = bands});
    if (!done) bench::give_up(done.error().context);
  });
  const double single_seconds = rounds.fastest(name + ", one row a call", [&] {
    next_times();
    for (std::size_t i = 0; i < kRows; ++i) {
      const auto done = detector.score(
          {.values = std::span(values).subspan(i * width, width),
           .times = std::span(times).subspan(i, 1),
           .width = width},
          {.raw = std::span(raw).subspan(i, 1),
           .bands = bands.empty() ? std::span<Band>() : std::span(bands).subspan(i, 1)});
      if (!done) bench::give_up(done.error().context);
    }
  });
  print_rate(rounds, name + ", batch", asked.batch, kRows / batch_seconds, asked.peer);
  print_rate(rounds, name + ", one row a call", asked.single, kRows / single_seconds,
             asked.single_peer);
  const auto* limit = std::ranges::find_if(
      kBytes, [&](const Bytes& one) { return one.kind == kind.name && one.input == kind.input; });
  const bool limited = limit != std::end(kBytes);
  const std::size_t bytes = detector.state_bytes();
  rounds.row(name + ", state", limited ? "<= " + std::to_string(limit->at_most) + " bytes" : "-",
             std::to_string(bytes) + " bytes", !limited || bytes <= limit->at_most);
}

/// The profile of a whole series, as tools ask for it: a self-join in double precision.
void measure_whole_profile(Rounds& rounds) {
  constexpr double kSeconds = 0.150;
  const Peer scamp{"SCAMP", 1 / 0.159};
  const auto values = make_rows(kRows, 1, 7);
  const std::string figure = "matrix_profile, whole series of 20,000, window 100";
  const double seconds = rounds.fastest(figure, [&] {
    if (const auto done = matrix_profile(values, 100); !done) bench::give_up(done.error().context);
  });
  rounds.row(figure, bench::format("<= %.0f ms", 1e3 * kSeconds),
             bench::format("%.0f ms", 1e3 * seconds) + against(scamp, 1 / seconds),
             seconds <= kSeconds);
}

/// With its defaults, and with what kRates asks of it.
void measure(Rounds& rounds, const Kind& kind, std::size_t width) {
  const auto fits = [&](const Rate& one) {
    return one.kind == kind.name && one.input == kind.input && one.width == width;
  };
  const bool plain = std::ranges::none_of(
      kRates, [&](const Rate& one) { return fits(one) && one.parameters.empty(); });
  rounds.show(kind.name);
  if (plain) measure(rounds, kind, width, {kind.name, kind.input, width});
  for (const Rate& one : kRates) {
    if (fits(one)) measure(rounds, kind, width, one);
  }
}

}  // namespace
}  // namespace lapwing::detect

int main(int argc, char** argv) {
  using namespace lapwing::detect;
  const std::vector<std::string_view> asked(argv + 1, argv + argc);
  for (Rounds rounds; rounds.next();) {
    for (const Kind& kind : kKinds) {
      if (!asked.empty() && std::ranges::find(asked, kind.name) == asked.end()) continue;
      switch (kind.input) {
        case Input::stream:
          measure(rounds, kind, 1);
          if (kind.name == kMatrixProfile.name) measure_whole_profile(rounds);
          break;
        case Input::group:
          measure(rounds, kind, 8);
          measure(rounds, kind, 38);
          break;
        case Input::rows:
          measure(rounds, kind, 8);
          break;
      }
    }
  }
}
