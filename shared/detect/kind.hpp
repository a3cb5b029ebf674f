// SPDX-License-Identifier: Apache-2.0
/// What a kind of detector is: its name, parameters, cost, and how one is made or trained.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/detector.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

/// A number that shapes a kind. Every one has a default that suits most data.
struct Parameter {
  std::string_view name;  ///< [a-z_]+; once released, never reused with another meaning
  std::string_view summary;
  double value = 0;  ///< the default
  double min = 0;    ///< both ends are allowed
  double max = 0;
  bool whole = true;  ///< integers only
};

/// What a detector is made from. Plain data; each kind reads what concerns it.
struct Settings {
  std::size_t width = 1;         ///< sensors per row, [1, 4096]; Input::stream takes 1
  std::uint32_t warmup = 144;    ///< rows before scores mean something, [24, 100000]; online kinds
  std::optional<Micros> season;  ///< the length of a repeating pattern, when it is known
  std::uint64_t seed = 1;        ///< same seed, same scores
  Device device = Device::cpu;   ///< cuda: no_device where the build or the machine has none
  std::map<std::string, double, std::less<>> parameters = {};  ///< those that are not the default
};

/// What a detector is made with. Borrowed during make only.
struct Context {
  std::span<const std::byte> model = {};  ///< verified model bytes; for Learning::trained
};

/// Rows to train on, row-major. Borrowed. NaN = missing.
struct Table {
  std::span<const double> values;  ///< rows * width
  std::size_t width = 1;
  [[nodiscard]] std::size_t rows() const noexcept { return width == 0 ? 0 : values.size() / width; }
};

/// Called now and then with the share done, [0, 1]; false cancels the training.
using Progress = std::function<bool(double)>;

/// Errors: bad_config (a setting is out of range, named), no_device, corrupt (the model),
/// unsupported (a model of another kind or version).
using MakeDetector = Result<std::unique_ptr<Detector>> (*)(const Settings&, const Context&);
/// The bytes of a model for Context::model. The same rows, settings and seed give the same bytes.
/// Errors: bad_config, bad_input (too few rows, no column that varies), shutting_down (cancelled).
using TrainModel = Result<std::vector<std::byte>> (*)(const Table&, const Settings&,
                                                      const Progress&);

struct Kind {
  std::string_view name;  ///< `detector` in a watch; once released, never reused
  std::string_view summary;
  std::string_view when;  ///< when to choose it
  Input input = Input::stream;
  Learning learning = Learning::online;
  std::span<const Parameter> parameters = {};
  std::size_t state_bytes_max = 0;    ///< of one detector with the defaults; width 1, or 8 if wider
  std::uint32_t nanoseconds_row = 0;  ///< typical cost of a row on one x86-64 core, same width
  bool cuda = false;                  ///< there is a CUDA driver for it
  bool evidence = false;              ///< writes Scores::evidence: alarms need no calibration rows
  bool warmup_scores = false;         ///< Detector::warmup_scores() tells, once warm
  MakeDetector make = nullptr;
  TrainModel train = nullptr;  ///< Learning::trained only
};

/// Rules that all kinds share: width, warm-up, device, and parameters that exist and are in range.
/// Errors: bad_config (names the kind, the setting and its range), no_device.
Result<void> check_settings(const Kind& kind, const Settings& settings);

/// The parameter's value: from the settings, or the kind's default. `name` must be one of the
/// kind's.
[[nodiscard]] double parameter(const Kind& kind, const Settings& settings, std::string_view name);

/// Rules that every detector's score() shares. Errors: bad_shape.
Result<void> check_shapes(std::string_view kind, std::size_t width, const Batch& batch,
                          const Scores& out);

}  // namespace lapwing::detect
