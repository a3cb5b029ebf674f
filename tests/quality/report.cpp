// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/report.hpp"

#include "tests/quality/synthetic/random.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace lapwing::quality {
namespace {

constexpr std::size_t kDraws = 200;

}  // namespace

void for_each(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < std::max(1U, std::thread::hardware_concurrency()); ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    });
  }
}

Result<void> try_each(std::size_t count, const std::function<Result<void>(std::size_t)>& work) {
  std::mutex mutex;
  Result<void> result;
  for_each(count, [&](std::size_t i) {
    const auto done = work(i);
    if (done) return;
    const std::lock_guard lock(mutex);
    if (result) result = done.error();
  });
  return result;
}

void figure(std::string_view name, double value) {
  std::printf("%-36s %.4f\n", std::string(name).c_str(), value);
  std::fflush(stdout);
}

void detail(const char* format, ...) {
  std::fputs("  ", stdout);
  va_list values;
  va_start(values, format);
  std::vprintf(format, values);
  va_end(values);
  std::fputc('\n', stdout);
}

Interval interval_of(std::size_t count, const FigureOf& figure_of) {
  std::vector<double> figures(kDraws);
  for_each(kDraws, [&](std::size_t draw) {
    synthetic::Random random(draw);
    std::vector<std::size_t> files(count);
    for (auto& file : files) file = random.whole(0, count - 1);
    figures[draw] = figure_of(files);
  });
  std::erase_if(figures, [](double figure) { return std::isnan(figure); });  // nothing to judge
  if (figures.empty()) return {std::nan(""), std::nan("")};
  std::ranges::sort(figures);
  const std::size_t tenth = figures.size() / 10;
  return {figures[tenth], figures[figures.size() - 1 - tenth]};
}

void figure_of_files(const Options& options, std::string_view name, std::size_t count,
                     const FigureOf& figure_of) {
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), 0U);
  figure(name, figure_of(all));
  if (!options.intervals || count < 2) return;
  const auto [low, high] = interval_of(count, figure_of);
  std::printf("%-36s %.4f %.4f\n", (std::string(name) + ".interval").c_str(), low, high);
}

void figure_mean(const Options& options, std::string_view name, std::span<const double> values) {
  figure_of_files(options, name, values.size(), [&](std::span<const std::size_t> files) {
    double sum = 0;
    for (const std::size_t file : files) sum += values[file];
    return sum / static_cast<double>(files.size());
  });
}

}  // namespace lapwing::quality
