// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/training.hpp"
#include "shared/base/config.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <utility>

namespace lapwing::hub {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kNameBytesMax = 200;
constexpr std::size_t kListMax = 4'096;

/// Reads the keys of one order; the first problem is kept.
class OrderReader {
 public:
  explicit OrderReader(Json json) : json_(std::move(json)) {}

  Result<TrainingOrder> read() {
    auto& training = order_.training;
    training.reading.value_columns = {std::string(csv::kEveryColumn)};
    training.reading.file_bytes_max = std::size_t{256} << 20U;
    for (const auto& [key, value] : json_.items()) {
      if (!read_one(key, value)) wrong(key, "unknown; see the API's description of the job");
      if (problem_) return *std::move(problem_);
    }
    if (order_.stored.has_value() == (order_.upload != 0)) {
      return Error{Errc::bad_input, "\"upload\", or \"devices\" and \"streams\", is required"};
    }
    if (order_.stored && (order_.stored->devices.empty() || order_.stored->streams.empty())) {
      return Error{Errc::bad_input, "\"devices\" and \"streams\" are both required"};
    }
    if (auto kind = model::trained_kind(training.detector); !kind) {
      return Error{Errc::bad_input, "\"detector\": " + kind.error().context};
    }
    return std::move(order_);
  }

 private:
  void wrong(const std::string& key, std::string_view what) {
    if (problem_) return;
    problem_ = Error{Errc::bad_input, "\"" + key.substr(0, 64) + "\": " + std::string(what)};
  }
  StoredRows& stored() {
    if (!order_.stored) order_.stored.emplace();
    return *order_.stored;
  }

  std::string text(const std::string& key, const Json& value) {
    if (value.is_string() && value.get_ref<const std::string&>().size() <= kNameBytesMax) {
      return value.get<std::string>();
    }
    wrong(key, "a text of at most 200 bytes is wanted");
    return {};
  }
  std::vector<std::string> texts(const std::string& key, const Json& value, std::size_t most) {
    std::vector<std::string> list;
    if (value.is_array() && !value.empty() && value.size() <= most) {
      for (const auto& one : value) list.push_back(text(key, one));
      return list;
    }
    wrong(key, "a list of 1 to " + std::to_string(most) + " texts is wanted");
    return list;
  }
  double number(const std::string& key, const Json& value, double least, double most) {
    if (value.is_number() && value.get<double>() >= least && value.get<double>() <= most) {
      return value.get<double>();
    }
    wrong(key, "a number from " + std::to_string(least) + " to " + std::to_string(most));
    return least;
  }
  std::uint64_t count(const std::string& key, const Json& value) {
    if (value.is_number_unsigned()) return value.get<std::uint64_t>();
    wrong(key, "a whole number is wanted");
    return 0;
  }

  bool read_rows_of(const std::string& key, const Json& value) {
    if (key == "upload") {
      order_.upload = count(key, value);
      if (order_.upload == 0) wrong(key, "the id of an upload is wanted");
    } else if (key == "devices") {
      stored().devices = texts(key, value, StoredRows::kDevicesMax);
    } else if (key == "streams") {
      stored().streams = texts(key, value, kListMax);
    } else if (key == "from" || key == "to") {
      const auto time = from_rfc3339(text(key, value));
      if (!time) wrong(key, "an RFC 3339 time is wanted, as 2026-11-24T08:00:00Z");
      if (time) (key == "from" ? stored().from : stored().to) = *time;
    } else if (key == "every") {
      const auto every = config::parse_duration(text(key, value));
      if (!every || *every < std::chrono::seconds(1)) wrong(key, "a duration from 1s, as 1m");
      if (every) stored().every = *every;
    } else {
      return false;
    }
    return true;
  }

  bool read_one(const std::string& key, const Json& value) {
    auto& training = order_.training;
    if (key == "name") {
      order_.name = text(key, value);
    } else if (key == "detector") {
      training.detector = text(key, value);
    } else if (key == "values") {
      training.reading.value_columns = texts(key, value, kListMax);
    } else if (key == "time") {
      training.reading.timestamp_column = text(key, value);
    } else if (key == "label") {
      training.reading.label_column = text(key, value);
    } else if (key == "units" && value.is_object()) {
      for (const auto& [sensor, unit] : value.items()) training.units[sensor] = text(key, unit);
    } else if (key == "parameters" && value.is_object()) {
      for (const auto& [name, one] : value.items()) {
        training.parameters[name] = number(key, one, -1e15, 1e15);
      }
    } else if (key == "seed") {
      training.seed = count(key, value);
    } else if (key == "hold_out") {
      training.hold_out = number(key, value, 0, 0.9);
    } else if (key == "alarms_per_week") {
      training.alarms_per_week = number(key, value, 0.001, 10'000);
    } else {
      return read_rows_of(key, value);
    }
    return true;
  }

  Json json_;
  TrainingOrder order_;
  std::optional<Error> problem_;
};

}  // namespace

Result<TrainingOrder> read_training(std::string_view arguments) {
  auto json = Json::parse(arguments.empty() ? "{}" : arguments, nullptr, false);
  if (!json.is_object()) return Error{Errc::bad_input, "the arguments are no JSON object"};
  return OrderReader(std::move(json)).read();
}

Result<void> check_training(std::string_view arguments) {
  if (auto order = read_training(arguments); !order) return order.error();
  return {};
}

}  // namespace lapwing::hub
