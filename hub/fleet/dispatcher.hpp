// SPDX-License-Identifier: Apache-2.0
/// Carries commands and desired settings to the devices that are connected to this replica's
/// broker, and their answers to the store.
#pragma once

#include "hub/store/commands.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/messages.hpp"

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// A device's answer to a command, as it came.
using CommandAnswer = std::pair<DeviceKey, wire::CommandResult>;

/// Of several replicas each sends only to its own devices (Commands::due). A command is sent at
/// least once, and again on each new connection until it is answered; the device tells repetitions
/// by id.
///
/// Bound: kAnswersMax answers wait for the store; more are dropped and counted, their commands are
///   sent again. A round sends kRoundMax of each at most; the rest goes with the next.
/// Threads: start and stop from one thread; look_soon() and answered() from any; round() from one.
class Dispatcher {
 public:
  static constexpr std::size_t kAnswersMax = 10'000;
  static constexpr std::size_t kRoundMax = 500;
  static constexpr Micros kLookEvery = std::chrono::seconds(2);

  /// Hands a frame to the broker; false: it was not taken.
  using Send = std::function<bool(const std::string& topic, const std::string& frame)>;

  /// Borrows store and metrics, which must outlive it.
  Dispatcher(std::string replica, Store& store, Send send, Metrics& metrics);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// Looked at in each round too, on the dispatcher's thread; says whether there is more to do at
  /// once. Before start().
  void also(std::function<bool(Time at)> look) { also_ = std::move(look); }

  /// Errors: the store's, where it cannot be watched.
  Result<void> start();
  /// Stores what was answered, ends. Repeatable.
  void stop();

  /// A device said hello here: there may be something for it.
  void look_soon();
  void answered(std::vector<CommandAnswer> answers);

  /// One look: stores answers, sends what is due. Whether there is more to do at once.
  bool round(Time at);

 private:
  void run();
  void store_answers(Time at);
  bool send_commands(Time at);
  bool send_desired(Time at);
  void failed(const char* what, const Error& error);

  /// What was sent of a device's settings, so that it is not sent anew at every look.
  struct SentDesired {
    std::uint64_t version = 0;
    std::string connection_id;
    Time at{};
  };

  const std::string replica_;
  Store& store_;
  const Send send_;
  std::function<bool(Time)> also_;
  wire::FrameWriter writer_;
  Counter& sent_;
  Counter& done_;
  Counter& failed_;
  Counter& unknown_;
  Counter& dropped_;
  Counter& settings_;
  Counter& errors_;
  std::map<DeviceKey, SentDesired> sent_desired_;  ///< of the thread; those that are still due

  std::unique_ptr<CommandWatch> watch_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<CommandAnswer> answers_;
  bool wanted_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lapwing::hub
