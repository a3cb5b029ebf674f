// SPDX-License-Identifier: Apache-2.0
/// What a federated round is to make, as people write it and as the store keeps it.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/federate/merge.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// The body of `POST /api/v1/rounds`.
struct RoundOrder {
  std::string name;
  std::string model;  ///< of whose groups; empty: any with these sensors
  federate::Plan plan;
  federate::Task task;               ///< trees, sample, rows; the rest is each pass's
  std::vector<std::string> devices;  ///< empty: all
  std::map<std::string, std::string, std::less<>> labels;  ///< of those: that have all of these
  std::uint64_t enough = 0;                                ///< 0: all devices
  Micros pass_length = std::chrono::hours(1);
};

/// | key | |
/// | `name` | required |
/// | `kind` | required: pca, isolation_forest, samples |
/// | `sensors` | required: [{"name", "unit"?}], in the order of the groups' rows |
/// | `model` | of whose groups |
/// | `devices`, `labels` | which devices: names, {"key": "value"}; absent: all |
/// | `parameters` | of the detector, {"variance": 0.9} |
/// | `seed`, `devices_min`, `enough`, `share_max`, `far` | |
/// | `trees`, `sample`, `rows` | of a device's forest; rows it may send as samples |
/// | `minutes` | devices have so long for each pass, [1, 10080] |
///
/// Errors: bad_input (names the key).
Result<RoundOrder> read_round_order(std::string_view json);
/// The same again, for the store.
[[nodiscard]] std::string to_json(const RoundOrder& order);

}  // namespace lapwing::hub
