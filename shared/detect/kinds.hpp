// SPDX-License-Identifier: Apache-2.0
/// The one list of detectors: configuration, `lapwing-agent detectors`, documents and the contract
/// suite read it. A new kind is one line here and a folder beside this file.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/detector.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace lapwing::detect {

enum class Input : std::uint8_t {
  stream,  ///< readings of one stream (width 1)
  group,   ///< time-aligned rows of several streams
  rows,    ///< rows of a table, in no order
};
enum class Learning : std::uint8_t {
  online,   ///< learns on the device, from the rows it scores
  trained,  ///< a model made elsewhere: Context::model
};
enum class Device : std::uint8_t { cpu, cuda };

/// What a detector is made from. Plain data; each kind reads what concerns it.
struct Settings {
  std::size_t width = 1;         ///< sensors per row, [1, 4096]; Input::stream takes 1
  std::uint32_t warmup = 144;    ///< rows before scores mean something, [24, 100000]
  std::optional<Micros> season;  ///< the length of a repeating pattern, when it is known
  std::uint64_t seed = 1;        ///< same seed, same scores
  Device device = Device::cpu;   ///< cuda: no_device where the build or the machine has none
};

/// What a detector is made with. Borrowed during make only.
struct Context {
  std::span<const std::byte> model = {};  ///< verified model bytes; for Learning::trained
};

/// Errors: bad_config (a setting is out of range, named), no_device, corrupt (the model).
using MakeDetector = Result<std::unique_ptr<Detector>> (*)(const Settings&, const Context&);

struct Kind {
  std::string_view name;  ///< `detector` in a watch; once released, never reused
  std::string_view summary;
  std::string_view when;  ///< when to choose it
  Input input = Input::stream;
  Learning learning = Learning::online;
  std::size_t state_bytes_max = 0;    ///< of one detector of width 1
  std::uint32_t nanoseconds_row = 0;  ///< typical cost of a reading on one x86-64 core
  MakeDetector make = nullptr;
};

Result<std::unique_ptr<Detector>> make_auto(const Settings& settings, const Context& context);
Result<std::unique_ptr<Detector>> make_ewma(const Settings& settings, const Context& context);

inline constexpr std::array kKinds{
    Kind{.name = "auto",
         .summary = "prediction, level, noise and daily profile, each weighed by its own past",
         .when = "the default: machines, processes, telemetry with or without daily patterns",
         .input = Input::stream,
         .learning = Learning::online,
         .state_bytes_max = 4096,
         .nanoseconds_row = 200,
         .make = &make_auto},
    Kind{.name = "ewma",
         .summary = "distance from an exponentially weighted mean in standard deviations",
         .when = "tens of thousands of streams on a very small device; noise around a level",
         .input = Input::stream,
         .learning = Learning::online,
         .state_bytes_max = 256,
         .nanoseconds_row = 20,
         .make = &make_ewma},
};

/// Rules that every kind of Input::stream shares. Errors: bad_config, no_device.
Result<void> check_stream_settings(std::string_view kind, const Settings& settings);

/// nullptr when there is no such kind.
[[nodiscard]] const Kind* find_kind(std::string_view name) noexcept;

}  // namespace lapwing::detect
