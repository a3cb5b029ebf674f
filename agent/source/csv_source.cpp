// SPDX-License-Identifier: Apache-2.0
/// Kind `csv`: replays a file or standard input, as fast as possible or as its times say.
#include "agent/source/source.hpp"
#include "shared/base/log.hpp"
#include "shared/csv/split.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

namespace lapwing::agent {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 16U;
constexpr std::size_t kRowBytesMax = std::size_t{1} << 20U;
/// Readings due within this time are handed on together.
constexpr Micros kPaceStep = std::chrono::milliseconds(5);

/// Bytes of `text` up to the end of its last whole row; 0 when there is none. A newline in quotes
/// ends no row.
std::size_t whole_rows(std::string_view text) {
  std::size_t end = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (text[i] == '\n' && !quoted) end = i + 1;
  }
  return end;
}

std::size_t first_row(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (text[i] == '\n' && !quoted) return i + 1;
  }
  return 0;
}

/// Hands readings on when they are due: time since the first one, by their own times.
class Pacer final : public ReadingSink {
 public:
  Pacer(ReadingSink& sink, bool paced, double speed) : sink_(sink), paced_(paced), speed_(speed) {}

  Result<void> submit(std::span<const Reading> readings) override {
    if (!paced_) {
      if (stopped()) return Error{Errc::shutting_down, "the source is stopping"};
      return sink_.submit(readings);
    }
    while (!readings.empty()) {
      const auto due = due_at(readings.front().time);
      if (!wait_until(due)) return Error{Errc::shutting_down, "the source is stopping"};
      std::size_t count = 1;
      while (count < readings.size() && due_at(readings[count].time) <= due + kPaceStep) ++count;
      if (auto result = sink_.submit(readings.first(count)); !result) return result;
      readings = readings.subspan(count);
    }
    return {};
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool stopped() {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  Clock::time_point due_at(Time time) {
    if (!started_) {
      started_ = true;
      first_time_ = time;
      first_due_ = Clock::now();
    }
    const std::chrono::duration<double, std::micro> after(
        static_cast<double>((time - first_time_).count()) / speed_);
    return first_due_ + std::chrono::duration_cast<Clock::duration>(after);
  }

  bool wait_until(Clock::time_point due) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_until(lock, due, [this] { return stopping_; });
  }

  ReadingSink& sink_;
  bool paced_;
  double speed_;
  bool started_ = false;
  Time first_time_{};
  Clock::time_point first_due_;
  std::mutex mutex_;  // guards stopping_
  std::condition_variable changed_;
  bool stopping_ = false;
};

class CsvSource final : public Source {
 public:
  CsvSource(const SourceConfig& config, const SourceContext& context)
      : config_(config),
        context_(context),
        pacer_(context.sink, config.csv.paced, config.csv.speed) {}
  ~CsvSource() override { CsvSource::stop(); }

  Result<void> start() override {
    const bool standard_input = config_.csv.file == "-";
    file_ =
        standard_input ? dup(STDIN_FILENO) : open(config_.csv.file.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_ < 0) {
      return Error{errno == ENOENT ? Errc::not_found : Errc::io,
                   "source \"" + config_.name + "\": open " + config_.csv.file.string() + ": " +
                       std::strerror(errno) + "; correct `file` or make it readable"};
    }
    stop_event_ = eventfd(0, EFD_CLOEXEC);
    if (stop_event_ < 0) return Error{Errc::io, std::string("eventfd: ") + std::strerror(errno)};
    state_ = SourceState::running;
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void stop() noexcept override {
    pacer_.stop();
    if (thread_.joinable()) {
      const std::uint64_t one = 1;
      static_cast<void>(!write(stop_event_, &one, sizeof one));
      thread_.join();
    }
    for (int* descriptor : {&file_, &stop_event_}) {
      if (*descriptor >= 0) close(*descriptor);
      *descriptor = -1;
    }
    SourceState expected = SourceState::running;
    state_.compare_exchange_strong(expected, SourceState::stopped);
  }

  [[nodiscard]] bool finished() const override {
    return state_ == SourceState::finished || state_ == SourceState::failed;
  }

  [[nodiscard]] SourceHealth health() const override {
    SourceHealth health;
    health.name = config_.name;
    health.kind = "csv";
    health.state = state_;
    const std::lock_guard lock(mutex_);
    health.detail = detail_;
    if (intake_ == nullptr) return health;
    const Intake::Totals totals = intake_->totals();
    health.messages = totals.messages;
    health.readings = totals.readings;
    health.refused = totals.refused;
    health.bytes = totals.bytes;
    health.last_message = totals.last_message;
    return health;
  }

 private:
  enum class Read : std::uint8_t { more, end, stopped, failed };

  void run() {
    std::string text;
    Read read = Read::more;
    while (read == Read::more) {
      read = read_more(text);
      if (read == Read::end) {
        if (!text.empty() && !text.ends_with('\n')) text += '\n';
        // A quote that was never closed would hold the rest back: the decoder reports it.
        take_rows(text, text.size());
      } else if (read == Read::more) {
        std::size_t end = whole_rows(text);
        if (end == 0 && text.size() > kRowBytesMax) end = text.size();
        if (!take_rows(text, end)) read = Read::stopped;
      }
    }
    if (read == Read::end) state_ = SourceState::finished;
    if (read == Read::failed) state_ = SourceState::failed;
    if (read != Read::stopped) {
      log::info("csv source ended", {{"source", config_.name}, {"readings", health().readings}});
    }
  }

  Read read_more(std::string& text) {
    std::array<pollfd, 2> waits{pollfd{file_, POLLIN, 0}, pollfd{stop_event_, POLLIN, 0}};
    while (poll(waits.data(), waits.size(), -1) < 0) {
      if (errno != EINTR) return fail("poll");
    }
    if ((waits[1].revents & POLLIN) != 0) return Read::stopped;
    const std::size_t before = text.size();
    text.resize(before + kChunkBytes);
    const ssize_t count = ::read(file_, text.data() + before, kChunkBytes);
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count > 0 || (count < 0 && errno == EINTR)) return Read::more;
    return count == 0 ? Read::end : fail("read");
  }

  Read fail(std::string_view what) {
    const std::string reason = std::strerror(errno);
    const std::lock_guard lock(mutex_);
    detail_ = std::string(what) + " " + config_.csv.file.string() + ": " + reason;
    log::error("csv source failed", {{"source", config_.name}, {"detail", detail_}});
    return Read::failed;
  }

  /// Decodes the first `bytes` of the text and removes them; false when a stop was requested.
  bool take_rows(std::string& text, std::size_t bytes) {
    std::string_view rows = std::string_view(text).substr(0, bytes);
    if (intake_ == nullptr) {
      const std::size_t header = std::min(first_row(rows), rows.size());
      if (rows.empty()) return true;
      make_intake(rows.substr(0, header));
      if (config_.intake.routes.front().decode.csv.header) rows.remove_prefix(header);
    }
    bool going = true;
    if (!rows.empty()) {
      batch_.clear();
      batch_.add(config_.name, rows, now());
      going = intake_->take(batch_).has_value();
    }
    text.erase(0, bytes);
    return going;
  }

  /// The header is the file's, not each chunk's: its names become the configuration's.
  void make_intake(std::string_view first) {
    IntakeConfig intake = config_.intake;
    DecodeConfig& decode = intake.routes.front().decode;
    if (decode.csv.header) {
      csv::Splitter header(first, decode.csv.delimiter);
      if (header.next()) decode.csv.names.assign(header.fields().begin(), header.fields().end());
      decode.csv.header = false;
    }
    if (decode.time_path.empty() && !decode.receive_time) {
      for (const std::string_view usual : {"timestamp", "time", "ts", "datetime"}) {
        const auto& names = decode.csv.names;
        if (decode.time_path.empty() &&
            std::find(names.begin(), names.end(), usual) != names.end()) {
          decode.time_path = usual;
        }
      }
    }
    auto made = std::make_unique<Intake>(std::move(intake), context_.namer, pacer_,
                                         context_.quarantine, context_.metrics);
    const std::lock_guard lock(mutex_);
    intake_ = std::move(made);
  }

  SourceConfig config_;
  SourceContext context_;
  Pacer pacer_;
  MessageBatch batch_;
  int file_ = -1;
  int stop_event_ = -1;
  std::thread thread_;
  std::atomic<SourceState> state_{SourceState::stopped};
  mutable std::mutex mutex_;  // guards detail_ and the pointer intake_ (its totals are atomic)
  std::string detail_;
  std::unique_ptr<Intake> intake_;
};

}  // namespace

std::unique_ptr<Source> make_csv_source(const SourceConfig& config, const SourceContext& context) {
  return std::make_unique<CsvSource>(config, context);
}

}  // namespace lapwing::agent
