// SPDX-License-Identifier: Apache-2.0
/// Gets the files that models want, in turn.
#pragma once

#include "agent/models/desk_events.hpp"
#include "agent/models/device_model.hpp"
#include "agent/models/file_fetch.hpp"
#include "shared/base/time.hpp"

#include <map>
#include <optional>
#include <string>

namespace lapwing::agent {

/// One transfer at a time, as FileFetch does them: the others wait until it has ended. That one has
/// ended is an event for the desk, which then calls ended() and, for each model, take_turn().
///
/// Threads: one at a time; FileFetch's own only put events where they wait.
class ModelTransfers {
 public:
  /// So long after it was begun, or waited its turn, what a model still wants is begun anew.
  static constexpr Micros kAgain = std::chrono::seconds(30);

  /// Borrows `events`, which FileFetch's threads use as long as a transfer is under way.
  explicit ModelTransfers(DeskEvents& events) : events_(events) {}

  /// Borrowed until stop(). Without one nothing is fetched.
  void use(FileFetch& fetch) { fetch_ = &fetch; }
  /// The transfer under way is cancelled, and nothing is fetched any more. Repeatable.
  void stop();

  /// A file that is there already (an older version's content, or one that came before) has ended
  /// at once. A transfer of the model's that is of another file is cancelled.
  void begin(const DeviceModel& model, const ModelVersion& version);
  /// What is under way for this model is not wanted any more.
  void cancel(const std::string& model);
  void ended(const Fetched& fetched);
  /// Begins what the model wants if nothing is under way.
  void take_turn(const DeviceModel& model);
  /// Begins what the model wants anew, kAgain after the last time. About once a second.
  void begin_again(const DeviceModel& model);

 private:
  struct Transfer {
    std::string model;
    std::string sha256;
    friend bool operator==(const Transfer&, const Transfer&) = default;
  };

  DeskEvents& events_;
  FileFetch* fetch_ = nullptr;
  std::optional<Transfer> under_way_;
  std::map<std::string, Ticks> begun_;  ///< by model: when begin() last wanted a transfer
};

}  // namespace lapwing::agent
