// SPDX-License-Identifier: Apache-2.0
/// Tells the hub of the device's rows, as far as their groups share them.
#pragma once

#include "agent/engine/engine.hpp"
#include "agent/models/file_fetch.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/group.hpp"
#include "shared/wire/contributions.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace lapwing::agent {

struct RoundParts {
  Engine& engine;                           ///< borrowed
  FileFetch& files;                         ///< borrowed: candidates
  Metrics& metrics;                         ///< borrowed
  std::vector<detect::GroupConfig> groups;  ///< of the configuration
  std::string device;                       ///< its forests differ by it
  std::filesystem::path folder;             ///< for candidates; made where it is not there
  /// False: not now. From the desk's thread.
  std::function<bool(const wire::ContributionPart&)> send;
  /// Between pieces, so that records wait behind one piece and no more.
  Micros pace = std::chrono::seconds(2);
  /// Of the groups' rows in a contribution; groups beyond it are left out, named and counted.
  std::size_t numbers_max = Engine::kKeptNumbersMax;
};

/// What a command `contribute` wants (docs/protocol.md). Plain data.
struct RoundOrder {
  std::uint64_t round = 0;
  std::uint32_t pass = 0;
  std::string kind;
  std::string schema;  ///< release::schema_digest() of the sensors
  std::string model;   ///< of whose groups; empty: of any
  std::uint64_t seed = 1;
  std::uint32_t trees = 25;
  std::uint32_t sample = 256;
  std::uint32_t rows = 1024;
  std::string candidate;  ///< SHA-256; empty in the first pass
  std::uint64_t length = 0;
};
/// Errors: bad_input.
Result<RoundOrder> read_round_order(std::string_view arguments);

/// Of a group that shares nothing, nothing is told; of one that shares summaries, no row (but for
/// `samples` all that is made is sums: shared/federate). Why nothing is told is told too.
///
/// Bounds: kWaitingMax orders wait, further ones are refused (the hub asks again); an order for a
///   round and pass that waits or runs is not taken twice. kCandidateBytesMax of a candidate.
/// Threads: take() from any; start and stop from one. One of its own does the work: never a scoring
///   one, nor the uplink's.
class RoundDesk {
 public:
  static constexpr std::size_t kWaitingMax = 4;
  static constexpr std::uint64_t kCandidateBytesMax = std::uint64_t{8} << 20U;
  static constexpr Micros kCandidateWait = std::chrono::minutes(10);

  explicit RoundDesk(RoundParts parts);
  ~RoundDesk();
  RoundDesk(const RoundDesk&) = delete;
  RoundDesk& operator=(const RoundDesk&) = delete;

  void start();
  /// What is under way is given up: the hub asks again. Repeatable.
  void stop();

  /// Of the hub's command. The words that answer it, at once. Errors: bad_input, limit.
  Result<std::string> take(std::string_view arguments);

  /// What the device tells; a problem that the hub is to hear of is one of the parts. Errors: io,
  /// timeout, shutting_down (the candidate): nothing is told, it is asked again.
  Result<std::vector<wire::ContributionPart>> tell(const RoundOrder& order);

 private:
  void run();
  void work(const RoundOrder& order);
  Result<std::string> candidate(const RoundOrder& order);
  [[nodiscard]] std::string refusal(const RoundOrder& order) const;
  void note_left_out(const RoundOrder& order, const std::vector<std::string>& groups);
  [[nodiscard]] bool wait(Micros time);

  const RoundParts parts_;
  Counter& told_;
  Counter& refused_;
  Counter& bytes_;
  Counter& left_out_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<RoundOrder> waiting_;
  std::uint64_t running_round_ = 0;
  std::uint32_t running_pass_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace lapwing::agent
