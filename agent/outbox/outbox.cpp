// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/outbox.hpp"

#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"
#include "shared/sqlite/counted_files.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace lapwing::agent {
namespace {

/// Deletions wait so long for a commit to join.
constexpr Micros kForgetWithin = std::chrono::milliseconds(200);

struct Instruments {
  explicit Instruments(Metrics& m)
      : committed(m.counter("outbox_records_committed_total", "Records made durable")),
        dropped(m.counter("outbox_records_dropped_total",
                          "Records given up at a bound; each has a loss record")),
        commits(m.counter("outbox_commits_total", "Transactions")),
        waits(m.counter("outbox_waits_total", "Times scoring waited for the outbox")),
        failures(m.counter("outbox_commit_failures_total", "Commits that failed")),
        corrupt(m.counter("outbox_corrupt_records_total",
                          "Rows read back damaged; each is sent as a loss record")),
        heals(m.counter("outbox_heals_total", "Times a damaged database was replaced")),
        record_bytes(m.counter("outbox_record_bytes_total", "Bytes of the records made durable")),
        written(
            m.counter("outbox_bytes_written_total",
                      "Bytes written to the outbox's files, log, checkpoints and mark included: "
                      "what wears flash out")),
        records(m.gauge("outbox_records", "Records committed and not acknowledged")),
        bytes(m.gauge("outbox_bytes", "Bytes they take")),
        seconds(m.histogram("outbox_commit_seconds", "Duration of a commit",
                            {.0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5})) {}
  Counter& committed;
  Counter& dropped;
  Counter& commits;
  Counter& waits;
  Counter& failures;
  Counter& corrupt;
  Counter& heals;
  Counter& record_bytes;
  Counter& written;
  Gauge& records;
  Gauge& bytes;
  Histogram& seconds;
};

void tell(const OpenReport& report) {
  if (!report.set_aside.empty()) {
    log::error("outbox was damaged; a new one goes on with what could be read",
               {{"set_aside", report.set_aside}, {"records", report.salvaged}});
  }
  for (const LossRange& loss : report.losses) {
    log::warn("outbox lost records",
              {{"first", loss.seq_first},
               {"last", loss.seq_last},
               {"reason", loss.reason == wire::LossReason::vanished ? "vanished" : "corrupt"}});
  }
}

bool is_summary(const OutboxRecord& record) {
  return record.record_class == wire::RecordClass::summary;
}

}  // namespace

class Outbox::Impl {
 public:
  Impl(const OutboxConfig& config, std::filesystem::path folder, Metrics& metrics,
       std::shared_ptr<std::atomic<std::uint64_t>> written,
       std::unique_ptr<OutboxDatabase> database, std::unique_ptr<OutboxReader> reader)
      : config_(config),
        folder_(std::move(folder)),
        meters_(metrics),
        written_(std::move(written)),
        database_(std::move(database)),
        reader_(std::move(reader)) {
    publish_figures();
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() { stop(); }

  void submit(std::vector<OutboxRecord> records) {
    if (records.empty()) return;
    std::unique_lock lock(mutex_);
    if (queue_.size() >= config_.queue_records_max && !failing_ && !stopping_) {
      meters_.waits.add();
      room_.wait(lock, [this] {
        return queue_.size() < config_.queue_records_max || failing_ || stopping_;
      });
    }
    if (stopping_) return;
    if (failing_) make_queue_room(records);
    const bool was_empty = queue_.empty();
    std::move(records.begin(), records.end(), std::back_inserter(queue_));
    submitted_ += records.size();
    if (was_empty || queue_.size() >= config_.commit_records_max) work_.notify_one();
  }

  void flush() {
    std::unique_lock lock(mutex_);
    const std::uint64_t target = submitted_;
    flush_wanted_ = true;
    work_.notify_one();
    done_.wait(lock, [&] { return settled_ >= target || failing_ || ended_; });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    room_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  HighWaterMark position() const {
    const std::lock_guard lock(mutex_);
    return visible_;
  }

  OutboxFigures figures() const {
    const std::lock_guard lock(mutex_);
    return {records_,       bytes_,    visible_.next_seq, visible_.acked_seq,
            dropped_total_, !failing_, problem_};
  }

  void on_commit(std::function<void(std::uint64_t)> listener) {
    const std::lock_guard lock(listener_mutex_);
    listener_ = std::move(listener);
  }

  Result<std::vector<wire::RecordEntry>> read(std::uint64_t from_seq, std::uint32_t records_max,
                                              std::uint64_t bytes_max) {
    const std::uint64_t before = position().next_seq;
    Result<std::vector<wire::RecordEntry>> entries =
        Error{Errc::io, "the outbox is being opened anew"};
    {
      const std::lock_guard lock(reader_mutex_);
      if (!reader_) return entries;
      const std::uint64_t corrupt_before = reader_->corrupt_rows_total();
      entries = reader_->read(from_seq, before, records_max, bytes_max);
      const std::uint64_t corrupt = reader_->corrupt_rows_total() - corrupt_before;
      if (corrupt > 0) {
        meters_.corrupt.add(static_cast<double>(corrupt));
        log::warn("outbox rows fail their checksum and are sent as lost", {{"rows", corrupt}});
      }
    }
    if (!entries && entries.error().code == Errc::corrupt) {
      const std::lock_guard lock(mutex_);
      heal_wanted_ = true;
      work_.notify_one();
    }
    return entries;
  }

  void forget_through(std::uint64_t seq) {
    const std::lock_guard lock(mutex_);
    if (seq <= forget_ || seq >= visible_.next_seq) return;
    if (forget_ <= visible_.acked_seq) forget_since_ = ticks_now();
    forget_ = seq;
    work_.notify_one();
  }

  Result<void> adopt(std::uint64_t epoch, std::uint64_t watermark) {
    std::unique_lock lock(mutex_);
    if (ended_) return Error{Errc::shutting_down, "the outbox is closed"};
    adoption_ = Adoption{epoch, watermark};
    adopted_.reset();
    work_.notify_one();
    done_.wait(lock, [this] { return adopted_.has_value() || ended_; });
    if (!adopted_) return Error{Errc::shutting_down, "the outbox is closed"};
    return *std::exchange(adopted_, std::nullopt);
  }

 private:
  struct Adoption {
    std::uint64_t epoch = 0;
    std::uint64_t watermark = 0;
  };
  /// What one transaction is to do.
  struct Work {
    std::vector<OutboxRecord> records;
    std::uint64_t given_up = 0;  ///< numbers for records that are not stored
    std::uint64_t forget = 0;
    std::optional<Adoption> adoption;
  };
  /// What came of it. `stored` without `done`: the rows are in, but may not be sent yet.
  struct Outcome {
    bool stored = false;
    Result<void> done;
    std::uint64_t committed = 0;
    std::uint64_t bytes = 0;  ///< of them
    std::uint64_t dropped = 0;
  };
  /// A commit whose outcome shows only when the database is opened anew.
  struct Unsure {
    std::uint64_t first_seq = 0;
    std::size_t records = 0;
    std::uint64_t given_up = 0;
  };

  /// While commits fail scoring goes on: the oldest summaries waiting are given up, then the newest
  /// of what comes.
  void make_queue_room(std::vector<OutboxRecord>& records) {
    const std::size_t bound = config_.queue_records_max;
    std::size_t over = queue_.size() + records.size();
    if (over <= bound) return;
    over -= bound;
    std::uint64_t given_up = 0;
    std::size_t wanted = std::max(over, bound / 8);  // more than needed: not again at every call
    std::erase_if(queue_, [&](const OutboxRecord& record) {
      if (wanted == 0 || !is_summary(record)) return false;
      --wanted;
      ++given_up;
      return true;
    });
    settled_ += given_up;
    if (given_up < over) {
      auto still = over - static_cast<std::size_t>(given_up);
      given_up += std::erase_if(records, [&](const OutboxRecord& record) {
        if (still == 0 || !is_summary(record)) return false;
        --still;
        return true;
      });
      const std::size_t anomalies = std::min(still, records.size());
      records.resize(records.size() - anomalies);
      given_up += anomalies;
    }
    given_up_ += given_up;
    count_dropped(given_up);
  }

  void count_dropped(std::uint64_t count) {
    if (count == 0) return;
    dropped_total_ += count;
    meters_.dropped.add(static_cast<double>(count));
    log::warn("outbox gives records up at its bound; each leaves a loss record",
              {{"records", count}, {"total", dropped_total_}});
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wait_for_work(lock);
      if (stopping_ && queue_.empty() && given_up_ == 0 && !adoption_ && !forget_pending()) break;
      Work work{.records = std::exchange(queue_, {}),
                .given_up = std::exchange(given_up_, 0),
                .forget = forget_,
                .adoption = std::exchange(adoption_, std::nullopt)};
      flush_wanted_ = false;
      const bool heal = std::exchange(heal_wanted_, false);
      lock.unlock();
      room_.notify_all();
      if (heal) close_database(/*damaged=*/true);
      const Outcome outcome = transact(work);
      lock.lock();
      settle(lock, work, outcome);
      if (!outcome.done && stopping_) {
        log::error("outbox stops without its last records", {{"records", queue_.size()}});
        break;
      }
    }
    ended_ = true;
    lock.unlock();
    done_.notify_all();
    room_.notify_all();
  }

  void wait_for_work(std::unique_lock<std::mutex>& lock) {
    if (failing_) {  // then try, whether there is something new or not
      work_.wait_for(lock, config_.retry_after, [this] { return stopping_; });
      return;
    }
    const auto ready = [this] {
      return !queue_.empty() || stopping_ || adoption_ || given_up_ > 0 || heal_wanted_;
    };
    // Deletions join the next commit; without one they get their own after a moment.
    while (!ready()) {
      if (!forget_pending()) {
        work_.wait(lock, [&] { return ready() || forget_pending(); });
      } else if (!work_.wait_until(lock, forget_since_ + kForgetWithin, ready)) {
        return;
      }
    }
    if (stopping_ || adoption_ || heal_wanted_ || queue_.empty()) return;
    // The first record waits a moment for others: one sync serves them all.
    work_.wait_for(lock, config_.commit_interval, [this] {
      return queue_.size() >= config_.commit_records_max || stopping_ || adoption_ || flush_wanted_;
    });
  }

  bool forget_pending() const { return forget_ > visible_.acked_seq; }

  /// One transaction, without the lock.
  Outcome transact(Work& work) {
    Outcome outcome;
    const Ticks began = ticks_now();
    if (!database_) {
      if (auto reopened = reopen(); !reopened) {
        outcome.done = std::move(reopened);
        return outcome;
      }
      outcome.committed += settle_unsure(work);
    }
    const Unsure tried{database_->position().next_seq, work.records.size(), work.given_up};
    database_->begin();
    database_->append(work.records);
    database_->append_loss(work.given_up, wire::LossReason::quota);
    if (work.adoption) database_->adopt(work.adoption->epoch, work.adoption->watermark);
    database_->forget_through(work.forget);
    outcome.dropped = database_->make_room(config_.bytes_max);
    outcome.done = database_->commit();
    if (outcome.done) {
      outcome.stored = true;
      outcome.committed += work.records.size();
      for (const OutboxRecord& one : work.records) outcome.bytes += one.payload.size();
      outcome.done = database_->write_mark();
      *written_ += HighWaterMarkFile::kWriteBytes;
      if (!outcome.done) close_database(false);
    } else if (outcome.done.error().code != Errc::limit) {
      unsure_ = tried;
      close_database(outcome.done.error().code == Errc::corrupt);
    }
    meters_.seconds.observe(std::chrono::duration<double>(ticks_now() - began).count());
    return outcome;
  }

  /// Takes out of the work what turned out to be stored after all. How many records.
  std::size_t settle_unsure(Work& work) {
    if (!unsure_) return 0;
    const Unsure tried = *std::exchange(unsure_, std::nullopt);
    const std::uint64_t next = database_->position().next_seq;
    const std::uint64_t in = next - std::min(next, tried.first_seq);
    const auto records = static_cast<std::size_t>(std::min<std::uint64_t>(in, tried.records));
    work.records.erase(work.records.begin(),
                       work.records.begin() + static_cast<std::ptrdiff_t>(records));
    work.given_up -= std::min(in - records, tried.given_up);
    return records;
  }

  void settle(std::unique_lock<std::mutex>& lock, Work& work, const Outcome& outcome) {
    settled_ += outcome.committed;
    meters_.committed.add(static_cast<double>(outcome.committed));
    meters_.record_bytes.add(static_cast<double>(outcome.bytes));
    if (outcome.stored) count_dropped(outcome.dropped);
    if (!outcome.stored) {  // it goes back to the front, in order
      std::move(queue_.begin(), queue_.end(), std::back_inserter(work.records));
      queue_ = std::move(work.records);
      given_up_ += work.given_up;
    }
    if (work.adoption) adopted_ = outcome.done;
    if (!outcome.done) {
      meters_.failures.add();
      log::error("outbox cannot commit, trying again",
                 {outcome.done.error(), {"waiting", queue_.size()}});
      failing_ = true;
      problem_ = outcome.done.error().context;
      room_.notify_all();
      done_.notify_all();
      return;
    }
    meters_.commits.add();
    if (failing_) log::info("outbox writes again", {{"records", outcome.committed}});
    failing_ = false;
    problem_.clear();
    publish_figures();
    const std::uint64_t next = visible_.next_seq;
    lock.unlock();
    done_.notify_all();
    {
      const std::lock_guard listening(listener_mutex_);
      if (listener_) listener_(next);
    }
    lock.lock();
  }

  /// After an I/O error nothing cached can be trusted: close, open, and see what is really there.
  void close_database(bool damaged) {
    damaged_ = damaged_ || damaged;
    database_.reset();
    const std::lock_guard lock(reader_mutex_);
    reader_.reset();
  }

  Result<void> reopen() {
    OpenReport report;
    const sqlite::CountedFiles counted(written_.get());
    auto database = OutboxDatabase::open(folder_, report, damaged_);
    if (!report.set_aside.empty()) meters_.heals.add();
    tell(report);
    if (!database) return std::move(database).error();
    auto reader = OutboxReader::open(folder_);
    if (!reader) return std::move(reader).error();
    damaged_ = false;
    database_ = std::move(*database);
    const std::lock_guard lock(reader_mutex_);
    reader_ = std::move(*reader);
    return {};
  }

  void publish_figures() {
    visible_ = database_->position();
    records_ = database_->records();
    bytes_ = database_->bytes();
    meters_.written.add(static_cast<double>(written_->exchange(0)));
    meters_.records.set(static_cast<double>(records_));
    meters_.bytes.set(static_cast<double>(bytes_));
  }

  const OutboxConfig config_;
  const std::filesystem::path folder_;
  Instruments meters_;
  const std::shared_ptr<std::atomic<std::uint64_t>> written_;  // bytes, by the files themselves
  std::unique_ptr<OutboxDatabase> database_;                   // of the writing thread
  std::optional<Unsure> unsure_;                               // likewise, as is what follows
  bool damaged_ = false;
  std::mutex reader_mutex_;
  std::unique_ptr<OutboxReader> reader_;  // guarded by reader_mutex_
  std::mutex listener_mutex_;
  std::function<void(std::uint64_t)> listener_;  // guarded by listener_mutex_

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable work_;
  std::condition_variable room_;
  std::condition_variable done_;
  std::vector<OutboxRecord> queue_;
  std::uint64_t submitted_ = 0;
  std::uint64_t settled_ = 0;
  std::uint64_t given_up_ = 0;
  std::uint64_t forget_ = 0;
  Ticks forget_since_{};
  std::optional<Adoption> adoption_;
  std::optional<Result<void>> adopted_;
  HighWaterMark visible_;
  std::uint64_t records_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t dropped_total_ = 0;
  bool flush_wanted_ = false;
  bool heal_wanted_ = false;
  bool failing_ = false;
  std::string problem_;
  bool stopping_ = false;
  bool ended_ = false;
  std::thread thread_;
};

Outbox::Outbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Outbox::~Outbox() = default;

Result<std::unique_ptr<Outbox>> Outbox::open(const OutboxConfig& config,
                                             const std::filesystem::path& folder,
                                             Metrics& metrics) {
  OpenReport report;
  const auto written = std::make_shared<std::atomic<std::uint64_t>>();
  const sqlite::CountedFiles counted(written.get());
  auto database = OutboxDatabase::open(folder, report);
  if (!database) return within("outbox", std::move(database).error());
  auto reader = OutboxReader::open(folder);
  if (!reader) return within("outbox", std::move(reader).error());
  tell(report);
  return std::unique_ptr<Outbox>(new Outbox(std::make_unique<Impl>(
      config, folder, metrics, written, std::move(*database), std::move(*reader))));
}

void Outbox::submit(std::vector<OutboxRecord> records) { impl_->submit(std::move(records)); }
void Outbox::flush() { impl_->flush(); }
void Outbox::stop() { impl_->stop(); }
HighWaterMark Outbox::position() const { return impl_->position(); }
OutboxFigures Outbox::figures() const { return impl_->figures(); }
void Outbox::on_commit(std::function<void(std::uint64_t)> listener) {
  impl_->on_commit(std::move(listener));
}
Result<std::vector<wire::RecordEntry>> Outbox::read(std::uint64_t from_seq,
                                                    std::uint32_t records_max,
                                                    std::uint64_t bytes_max) {
  return impl_->read(from_seq, records_max, bytes_max);
}
void Outbox::forget_through(std::uint64_t seq) { impl_->forget_through(seq); }
Result<void> Outbox::adopt(std::uint64_t epoch, std::uint64_t watermark) {
  return impl_->adopt(epoch, watermark);
}

}  // namespace lapwing::agent
