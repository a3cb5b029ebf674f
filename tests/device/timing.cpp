// SPDX-License-Identifier: Apache-2.0
/// What a CUDA device is worth: each driver's work on one core and on the device, copies included.
/// Prints `figure | CPU | CUDA | times`; fails where there is no device.
#include "shared/detect/auto/batch.hpp"
#include "shared/detect/cuda/fallback.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/detect/matrix_profile/batch.hpp"
#include "shared/detect/random.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

namespace lapwing::detect {
namespace {

constexpr int kRuns = 3;  // the fastest counts: what else runs can only slow one down

template <class T>
T sound(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "timing: %s\n", result.error().context.c_str());
  std::exit(1);
}
void sound(const Result<void>& done) {
  if (done) return;
  std::fprintf(stderr, "timing: %s\n", done.error().context.c_str());
  std::exit(1);
}

template <class Work>
double fastest(const Work& work) {
  double best = std::numeric_limits<double>::infinity();
  for (int run = 0; run < kRuns; ++run) {
    const auto begun = std::chrono::steady_clock::now();
    work();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  }
  return best;
}

void print(const std::string& figure, double cpu, double cuda) {
  std::printf("%-52s | %9.3f ms | %9.3f ms | %7.1f\n", figure.c_str(), 1e3 * cpu, 1e3 * cuda,
              cpu / cuda);
}

void measure_rows(const Kind& kind, std::size_t trained_on, const Settings& settings,
                  const std::string& note) {
  Random random(1);
  std::vector<double> training(trained_on * settings.width);
  for (double& value : training) value = random.normal();
  const auto model = sound(kind.train({.values = training, .width = settings.width}, settings, {}));
  Settings on_device = settings;
  on_device.device = Device::cuda;
  const auto cpu = sound(kind.make(settings, {.model = model}));
  const auto cuda = sound(kind.make(on_device, {.model = model}));
  for (const std::size_t rows : {std::size_t{256}, std::size_t{4096}, std::size_t{65'536}}) {
    std::vector<double> values(rows * settings.width);
    for (double& value : values) value = random.normal();
    std::vector<float> raw(rows);
    const auto seconds = [&](Detector& detector) {
      return fastest([&] {
        sound(detector.score({.values = values, .width = settings.width}, {.raw = raw}));
      });
    };
    print(std::string(kind.name) + note + ", " + std::to_string(rows) + " rows of " +
              std::to_string(settings.width),
          seconds(*cpu), seconds(*cuda));
  }
}

void measure_series() {
  Random random(2);
  std::vector<double> values(40'000);
  for (double& value : values) value = random.normal();
  const auto seconds = [&](Device device) {
    return fastest([&] { sound(matrix_profile(values, 100, false, device)); });
  };
  print("matrix_profile, 40,000 readings", seconds(Device::cpu), seconds(Device::cuda));
}

void measure_codebooks() {
  constexpr std::size_t kStreams = 10'000;
  constexpr std::size_t kCount = 96;
  constexpr std::size_t kDimensions = 48;
  Random random(3);
  std::vector<std::int8_t> codes(kCount * kDimensions);
  std::vector<float> scales(kCount, 0.01F);
  CodedWindow window{};
  window.query_scale = 0.001F;
  for (auto& query : window.query) query = static_cast<std::int16_t>(random.below(2047) - 1023);
  auto cpu = sound(CodebookBatch::make(kStreams, kCount, kDimensions, Device::cpu));
  auto cuda = sound(CodebookBatch::make(kStreams, kCount, kDimensions, Device::cuda));
  for (std::size_t stream = 0; stream < kStreams; ++stream) {
    for (auto& code : codes)
      code = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
    sound(cpu.put(stream, codes, scales, kCount));
    sound(cuda.put(stream, codes, scales, kCount));
  }
  for (const std::size_t windows : {std::size_t{512}, kStreams, 20 * kStreams}) {
    std::vector<Nearest> found(windows);
    const auto seconds = [&](CodebookBatch& batch) {
      return fastest([&] {
        for (std::size_t i = 0; i < windows; ++i) sound(batch.ask(i % kStreams, window));
        sound(batch.find(found));
      });
    };
    print("auto, codebooks of 10,000 streams, " + std::to_string(windows) + " windows",
          seconds(cpu), seconds(cuda));
  }
}

int run() {
  std::printf("%-52s | %12s | %12s | %7s\n", "figure", "CPU, 1 core", "CUDA", "times");
  measure_rows(kIsolationForest, 4000, {.width = 8}, "");
  measure_rows(kKnn, 4000, {.width = 8}, "");
  measure_rows(kLocalOutlierFactor, 4000, {.width = 8}, "");
  measure_rows(kOneClassSvm, 4000, {.width = 8}, "");
  measure_rows(kOneClassSvm, 4000, {.width = 8, .parameters = {{"features", 2048}}},
               " with 2,048 features");
  measure_series();
  measure_codebooks();
  if (device_failures() == 0) return 0;
  std::fprintf(stderr, "timing: a device failed and the CPU took over: the figures are wrong\n");
  return 1;
}

}  // namespace
}  // namespace lapwing::detect

int main() { return lapwing::detect::run(); }
