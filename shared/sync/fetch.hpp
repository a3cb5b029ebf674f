// SPDX-License-Identifier: Apache-2.0
/// How a device gets a model file out of a hub, piece by piece (docs/protocol.md): events and the
/// time in, actions out. No sockets, clocks, files or threads; the uplink carries the actions out.
#pragma once

#include "shared/base/time.hpp"
#include "shared/wire/models.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lapwing::sync {

/// How much is under way and how long answers may take.
struct FetchLimits {
  std::size_t pieces_max = 4;            ///< under way, or here and waiting for one before them
  std::uint32_t piece_bytes_min = 1024;  ///< a power of two; as piece_bytes_max
  std::uint32_t piece_bytes_max = wire::kModelBlockBytes;
  std::uint32_t first_bytes = 2 * 1024;  ///< under way at the beginning of a connection
  /// What is under way may wait behind itself for so long: what else the hub sends waits as long.
  Micros queue_max = std::chrono::milliseconds(800);
  Micros first_timeout = std::chrono::seconds(15);  ///< until an answer has come
  Micros answer_timeout = std::chrono::seconds(3);  ///< then at least; grows with what answers take
  Micros answer_timeout_max = std::chrono::minutes(1);
  std::uint32_t timeouts_max = 4;         ///< in a row without a byte, then it rests
  Micros rest = std::chrono::seconds(5);  ///< the first; each that follows twice as long
  Micros rest_max = std::chrono::minutes(5);
};

/// Ask the hub for these bytes.
struct SendFetch {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};
/// The file's next bytes: to be written at `offset`, where the last ones ended.
struct KeepBytes {
  std::uint64_t offset = 0;
  std::string bytes;
};
/// Call Fetcher::timer at `at`; replaces an earlier one.
struct ArmFetch {
  Ticks at{};
};
/// Nothing came for long, or the hub has not got it: it goes on by itself.
struct FetchRests {
  std::string reason;
  Micros within{};
};
/// Every byte was given to KeepBytes. What they are worth, their digest says.
struct FetchDone {};
using FetchAction = std::variant<SendFetch, KeepBytes, ArmFetch, FetchRests, FetchDone>;
using FetchActions = std::vector<FetchAction>;

/// Promise: KeepBytes come in order, without a gap, each byte once, whatever is lost, doubled or
///   late on the way and whoever answers; a hub's wrong bytes are found by the digest, wrong
///   lengths and places here. It never gives up: after some timeouts in a row it rests, longer and
///   longer, and goes on at the next connection at once.
/// Bound: pieces_max pieces are in memory at most. What else the hub sends to the device waits
///   behind at most about queue_max of chunks on a link whose speed is steady (the budget of bytes
///   under way follows the time that answers wait behind each other), or behind two of the smallest
///   pieces where those take longer. On a link that has just become slower by k it waits k times as
///   long once, until the budget has followed.
/// Actions are to be carried out in order, before the next event is given. A SendFetch that could
/// not be carried out is as good as lost.
/// Threads: distinct objects are safe; one object belongs to one thread.
class Fetcher {
 public:
  /// `have`: bytes from the file's beginning that are kept already; at most `total`.
  Fetcher(std::string sha256, std::uint64_t total, std::uint64_t have, const FetchLimits& limits,
          std::uint64_t seed);

  FetchActions connected(Ticks now);
  FetchActions disconnected();
  FetchActions chunk(const wire::Chunk& chunk, Ticks now);
  FetchActions timer(Ticks now);

  [[nodiscard]] const std::string& sha256() const noexcept { return sha256_; }
  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
  /// Kept without a gap.
  [[nodiscard]] std::uint64_t have() const noexcept { return have_; }
  [[nodiscard]] bool done() const noexcept { return have_ == total_; }
  [[nodiscard]] bool resting() const noexcept { return resting_; }
  /// Bytes that may be under way now, and the pieces they are asked for in.
  [[nodiscard]] std::uint64_t budget() const noexcept { return budget_; }
  [[nodiscard]] std::uint32_t piece_bytes() const noexcept;
  /// Pieces that are here and wait for one before them.
  [[nodiscard]] std::size_t in_memory() const noexcept { return waiting_.size(); }
  [[nodiscard]] std::uint64_t requests() const noexcept { return requests_; }
  [[nodiscard]] std::uint64_t timeouts() const noexcept { return timeouts_total_; }
  /// Chunks that do not fit the file, or that nobody waits for any more.
  [[nodiscard]] std::uint64_t ignored() const noexcept { return ignored_; }

 private:
  static constexpr std::size_t kGivenUpMax = 8;
  struct UnderWay {
    std::uint32_t length = 0;
    Ticks sent{};
    Ticks deadline{};
    bool alone = false;  ///< nothing else was under way
  };
  void send_more(FetchActions& actions, Ticks now);
  void arm(FetchActions& actions);
  [[nodiscard]] std::optional<std::pair<std::uint64_t, std::uint32_t>> next_piece() const;
  void measure(const UnderWay& piece, Ticks now);
  void shrink(Ticks now);
  bool keep(FetchActions& actions, std::uint64_t offset, std::string_view bytes);
  void rest(FetchActions& actions, std::string reason, Ticks now);
  [[nodiscard]] Micros timeout();

  const std::string sha256_;
  const std::uint64_t total_;
  const FetchLimits limits_;
  std::mt19937_64 random_;
  std::uint64_t have_;
  bool connected_ = false;
  bool resting_ = false;
  Ticks rest_until_{};
  std::map<std::uint64_t, UnderWay> under_way_;   ///< by offset
  std::map<std::uint64_t, Ticks> given_up_;       ///< when they were asked for; kGivenUpMax
  std::map<std::uint64_t, std::string> waiting_;  ///< here, behind a gap
  std::uint64_t budget_;
  bool doubling_ = true;  ///< until answers begin to wait behind each other
  Ticks shrunk_at_{};
  std::optional<Micros> quickest_;  ///< an answer's time where nothing waits
  Micros slowest_{};                ///< lately
  std::uint32_t timeouts_ = 0;      ///< in a row
  std::uint32_t rests_ = 0;         ///< likewise
  std::uint64_t requests_ = 0;
  std::uint64_t timeouts_total_ = 0;
  std::uint64_t ignored_ = 0;
};

}  // namespace lapwing::sync
