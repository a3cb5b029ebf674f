// SPDX-License-Identifier: Apache-2.0
/// Gets model files from the hub, beside the records that go up: drives sync::Fetcher over the
/// uplink's connection and a file.
#pragma once

#include "agent/models/file_fetch.hpp"
#include "agent/uplink/part_file.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/sync/fetch.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/models.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace lapwing::agent {

/// A transfer, as it stands.
struct DownloadFigures {
  std::string sha256;  ///< empty: none is under way; told before the first piece is asked for
  std::uint64_t bytes = 0;
  std::uint64_t total = 0;
  std::uint64_t resumed_at = 0;  ///< bytes that were there when it began
  double bytes_per_second = 0;   ///< over the last ten seconds or so
  std::optional<Micros> left;    ///< at that rate
  std::string problem;           ///< why it rests; empty: it does not
};

/// A thread of its own writes and syncs, so that slow flash delays no record. It only asks while
/// the hub takes records (`connected`), and never for more at once than sync::Fetcher says: that
/// bounds how long an acknowledgement waits behind pieces.
///
/// A file whose digest is wrong (a part file of something else, a power cut's zeroes) is fetched
/// once more from its beginning, then given up: corrupt. A disk that is full or fails: given up;
/// what has come stays for the next start().
/// Bound: kChunksMax chunks of 64 KiB wait for the thread; further ones are dropped and counted,
///   they are asked for again.
/// Threads: FileFetch's functions, chunk() and figures() from any; the rest from the uplink's.
class Download final : public FileFetch {
 public:
  /// Hands a frame on `up/fetch` to the connection at QoS 0; false: it was not taken. From this
  /// object's thread.
  using Send = std::function<bool(std::string_view frame)>;
  static constexpr std::size_t kChunksMax = 8;

  Download(Metrics& metrics, Send send, const sync::FetchLimits& limits = {});
  ~Download() override;

  void start(std::string sha256, std::uint64_t length, std::filesystem::path destination,
             Done done) override;
  void cancel() override;
  /// Ends the thread; a transfer under way is over: shutting_down. Repeatable; start() is of no
  /// effect any more, and `done` is not called.
  void stop();

  /// The hub takes records on this connection; empty: it does not, or not any more.
  void connected(std::string connection_id);
  void chunk(wire::Chunk chunk);
  [[nodiscard]] DownloadFigures figures() const;

 private:
  struct Job {
    std::string sha256;
    std::uint64_t length = 0;
    std::filesystem::path destination;
    Done done;
  };
  struct Transfer {
    Job job;
    PartFile file;
    sync::Fetcher fetcher;
    std::uint64_t resumed_at = 0;
    std::uint64_t requests_told = 0;
    std::uint64_t timeouts_told = 0;
    bool again = false;  ///< its digest was wrong once
    Ticks begun{};
    Ticks told{};  ///< of its progress
    Ticks rate_from{};
    std::uint64_t rate_bytes = 0;  ///< there at rate_from
    double rate = 0;
    std::string problem;
  };

  void run();
  void begin(Job job);
  void end(Result<void> outcome);
  void carry_out(const sync::FetchActions& actions);
  void finish();
  void count(Transfer& transfer);
  void publish_figures();

  const Send send_;
  const sync::FetchLimits limits_;
  wire::FrameWriter writer_;
  Counter& bytes_;
  Counter& asked_;
  Counter& repeated_;
  Counter& dropped_;
  Counter& done_;
  Counter& failed_;
  Gauge& have_gauge_;
  Gauge& total_gauge_;

  // Of the thread.
  std::optional<Transfer> transfer_;
  std::string live_;  ///< connection that is used
  std::optional<Ticks> timer_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::optional<Job> wanted_;
  std::vector<Done> given_up_;  ///< of jobs that never began
  bool cancel_ = false;
  std::string connection_;
  std::uint64_t connections_ = 0;  ///< changes of connection_
  std::vector<wire::Chunk> chunks_;
  DownloadFigures figures_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lapwing::agent
