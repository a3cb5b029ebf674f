// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/kind.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstdio>

namespace lapwing::detect {
namespace {

constexpr std::size_t kWidthMax = 4096;
constexpr std::uint32_t kWarmupMin = 24;
constexpr std::uint32_t kWarmupMax = 100'000;

std::string text(double value) {
  std::array<char, 32> out{};
  std::snprintf(out.data(), out.size(), "%.6g", value);
  return out.data();
}

std::string names_of(const Kind& kind) {
  std::string names;
  for (const Parameter& one : kind.parameters) {
    names += (names.empty() ? "" : ", ") + std::string(one.name);
  }
  return names;
}

/// What is wrong with one parameter of the settings; empty when nothing is.
std::string parameter_problem(const Kind& kind, const std::string& name, double value) {
  const auto known = std::ranges::find(kind.parameters, name, &Parameter::name);
  if (known == kind.parameters.end()) {
    return kind.parameters.empty() ? "takes no parameters, so no " + name
                                   : "has no parameter " + name + "; there are: " + names_of(kind);
  }
  const bool fits =
      value >= known->min && value <= known->max && (!known->whole || value == std::floor(value));
  if (fits) return {};
  return name + " is " + (known->whole ? "a whole number from " : "") + text(known->min) + " to " +
         text(known->max) + ", not " + text(value);
}

}  // namespace

Result<void> check_settings(const Kind& kind, const Settings& settings) {
  const auto refuse = [&kind](Errc code, const std::string& what) {
    return Error{code, "detector " + std::string(kind.name) + ": " + what};
  };
  if (kind.input == Input::stream && settings.width != 1) {
    return refuse(Errc::bad_config, "width is 1: it takes single streams");
  }
  if (settings.width < 1 || settings.width > kWidthMax) {
    return refuse(Errc::bad_config, "width is 1 to " + std::to_string(kWidthMax) + " sensors");
  }
  if (kind.learning == Learning::online &&
      (settings.warmup < kWarmupMin || settings.warmup > kWarmupMax)) {
    return refuse(Errc::bad_config, "warmup is " + std::to_string(kWarmupMin) + " to " +
                                        std::to_string(kWarmupMax) + " readings");
  }
  for (const auto& [name, value] : settings.parameters) {
    const std::string problem = parameter_problem(kind, name, value);
    if (!problem.empty()) return refuse(Errc::bad_config, problem);
  }
  if (settings.device != Device::cpu && !kind.cuda) {
    return refuse(Errc::no_device, "runs on the CPU only: set device to cpu");
  }
  return {};
}

double parameter(const Kind& kind, const Settings& settings, std::string_view name) {
  const auto given = settings.parameters.find(name);
  if (given != settings.parameters.end()) return given->second;
  const auto known = std::ranges::find(kind.parameters, name, &Parameter::name);
  assert(known != kind.parameters.end());
  return known->value;
}

Result<void> check_shapes(std::string_view kind, std::size_t width, const Batch& batch,
                          const Scores& out) {
  const std::size_t rows = out.raw.size();
  const auto fits = [rows](std::size_t size) { return size == 0 || size == rows; };
  const bool all = batch.width == width && batch.values.size() == rows * width &&
                   fits(batch.times.size()) && fits(out.bands.size()) && fits(out.causes.size()) &&
                   fits(out.evidence.size()) &&
                   (out.contributions.empty() || out.contributions.size() == rows * width);
  if (all) return {};
  return Error{Errc::bad_shape, std::string(kind) + " takes rows of width " +
                                    std::to_string(width) + " and spans as long as the batch"};
}

}  // namespace lapwing::detect
