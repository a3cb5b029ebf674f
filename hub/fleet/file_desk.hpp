// SPDX-License-Identifier: Apache-2.0
/// Gives devices the pieces of model files that they ask for.
#pragma once

#include "hub/fleet/part_cache.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/models.hpp"
#include "shared/wire/topics.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace lapwing::hub {

/// Who asks is whose topic it is. A device that is registered and not revoked (looked at anew every
/// kKnownFor) gets any piece of any model file of its tenant; what it may run of them its own judge
/// decides. Nothing is kept between pieces: any replica answers.
///
/// Fairness: devices take turns, a piece each; of one device kEachMax questions wait. A slow one
///   keeps nobody waiting: it asks for the next piece when it has one.
/// Bounds: kWaitingMax questions wait, kEachMax of a device; further ones are dropped and counted
///   (the device asks again). `bytes_per_second` of all pieces together, so that the broker has
///   time for acknowledgements; pieces go at QoS 0 beside them.
/// Threads: ask() from any; start and stop from one. A thread of its own answers.
class FileDesk {
 public:
  /// Publishes a frame to a device on this replica's broker at QoS 0; false: it was not taken. From
  /// any thread.
  using Send = std::function<bool(const wire::Identity& device, std::string_view frame)>;
  static constexpr std::size_t kWaitingMax = 10'000;
  static constexpr std::size_t kEachMax = 4;
  static constexpr std::uint64_t kBurstBytes = 1U << 20U;
  static constexpr Micros kKnownFor = std::chrono::minutes(1);
  static constexpr std::size_t kKnownMax = 20'000;

  /// Borrows store and metrics, which must outlive it.
  FileDesk(std::uint64_t bytes_per_second, Store& store, Metrics& metrics, Send send);
  ~FileDesk();
  FileDesk(const FileDesk&) = delete;
  FileDesk& operator=(const FileDesk&) = delete;

  void start();
  /// What waits is dropped: it is asked for again, of whoever is there then. Repeatable.
  void stop();
  /// Never blocks. `frame`: as it came from the broker.
  void ask(const wire::Identity& device, std::string_view frame);

  /// What a question is answered with.
  wire::Chunk answer(const DeviceKey& key, const wire::Fetch& fetch, Ticks at);
  /// When the next piece may go, after one of so many bytes went. For one thread.
  Ticks pace(std::uint64_t bytes, Ticks at);

 private:
  struct Question {
    wire::Identity device;
    std::string frame;
  };
  void run();
  std::optional<Question> next();
  std::uint64_t handle(const Question& question);
  Result<void> known(const DeviceKey& key, Ticks at);
  Result<wire::Chunk> read(const DeviceKey& key, const wire::Fetch& fetch, Ticks at);

  const std::uint64_t bytes_per_second_;
  Store& store_;
  const Send send_;
  Counter& answered_;
  Counter& refused_;
  Counter& dropped_;
  Counter& bytes_;
  Gauge& waiting_gauge_;
  // Of the thread.
  PartCache cache_;
  wire::FrameReader reader_;
  wire::FrameWriter writer_;
  std::map<DeviceKey, Ticks> known_;  ///< looked at when
  Ticks paid_until_{};                ///< what was sent has had its time by then

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::map<wire::Identity, std::deque<std::string>> waiting_;  ///< none is empty
  std::deque<wire::Identity> turns_;                           ///< whose turn is next
  std::size_t count_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace lapwing::hub
