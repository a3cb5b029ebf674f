// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/outbox.hpp"

#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace lapwing::agent {
namespace {

constexpr Micros kRetryAfter = std::chrono::milliseconds(500);  // while the disk is full or failing
constexpr Micros kForgetWithin =
    std::chrono::milliseconds(200);  // deletions wait for a commit to join

struct Instruments {
  explicit Instruments(Metrics& m)
      : committed(m.counter("outbox_records_committed_total", "Records made durable")),
        dropped(m.counter("outbox_records_dropped_total",
                          "Records given up at a bound; each has a loss record")),
        commits(m.counter("outbox_commits_total", "Transactions")),
        waits(m.counter("outbox_waits_total", "Times scoring waited for the outbox")),
        failures(m.counter("outbox_commit_failures_total", "Commits that failed")),
        records(m.gauge("outbox_records", "Records committed and not acknowledged")),
        bytes(m.gauge("outbox_bytes", "Bytes they take")),
        seconds(m.histogram("outbox_commit_seconds", "Duration of a commit",
                            {.0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5})) {}
  Counter& committed;
  Counter& dropped;
  Counter& commits;
  Counter& waits;
  Counter& failures;
  Gauge& records;
  Gauge& bytes;
  Histogram& seconds;
};

}  // namespace

class Outbox::Impl {
 public:
  Impl(const OutboxConfig& config, std::filesystem::path folder, Metrics& metrics,
       std::unique_ptr<OutboxDatabase> database, std::unique_ptr<OutboxReader> reader)
      : config_(config),
        folder_(std::move(folder)),
        meters_(metrics),
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
    if (queue_.size() >= config_.queue_records_max) {  // the disk is full: give the newest up
      lost_newest_ += records.size();
      dropped_total_ += records.size();
      meters_.dropped.add(static_cast<double>(records.size()));
      return;
    }
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
    const std::lock_guard lock(reader_mutex_);
    if (!reader_) return Error{Errc::io, "the outbox is being opened anew"};
    return reader_->read(from_seq, before, records_max, bytes_max);
  }

  void forget_through(std::uint64_t seq) {
    const std::lock_guard lock(mutex_);
    if (seq <= forget_) return;
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
    std::uint64_t lost_newest = 0;
    std::uint64_t forget = 0;
    std::optional<Adoption> adoption;
  };

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wait_for_work(lock);
      if (stopping_ && queue_.empty() && lost_newest_ == 0 && !adoption_) break;
      Work work{.records = std::exchange(queue_, {}),
                .lost_newest = std::exchange(lost_newest_, 0),
                .forget = forget_,
                .adoption = std::exchange(adoption_, std::nullopt)};
      flush_wanted_ = false;
      lock.unlock();
      room_.notify_all();
      auto done = transact(work);
      lock.lock();
      settle(work, done);
      if (!done && stopping_) break;  // what cannot be written now is given up; the log says so
    }
    ended_ = true;
    lock.unlock();
    done_.notify_all();
    room_.notify_all();
  }

  void wait_for_work(std::unique_lock<std::mutex>& lock) {
    if (failing_) work_.wait_for(lock, kRetryAfter, [this] { return stopping_; });
    work_.wait(lock, [this] {
      return !queue_.empty() || stopping_ || adoption_ || lost_newest_ > 0 || forget_due();
    });
    if (stopping_ || adoption_ || queue_.empty() || failing_) return;
    // The first record waits a moment for others: one sync serves them all.
    work_.wait_for(lock, config_.commit_interval, [this] {
      return queue_.size() >= config_.commit_records_max || stopping_ || adoption_ || flush_wanted_;
    });
  }

  /// Deletions join the next commit; without one they get their own after a moment.
  bool forget_due() {
    if (forget_ <= visible_.acked_seq) return false;
    return ticks_now() - forget_since_ >= kForgetWithin;
  }

  /// One transaction, without the lock. The caller settles the outcome.
  Result<void> transact(const Work& work) {
    const Ticks began = ticks_now();
    if (!database_) {
      if (auto reopened = reopen(); !reopened) return reopened;
    }
    database_->begin();
    database_->append_loss(work.lost_newest, wire::LossReason::quota);
    database_->append(work.records);
    if (work.adoption) database_->adopt(work.adoption->epoch, work.adoption->watermark);
    database_->forget_through(work.forget);
    dropped_now_ = database_->make_room(config_.bytes_max);
    auto done = database_->commit();
    meters_.seconds.observe(std::chrono::duration<double>(ticks_now() - began).count());
    if (!done && done.error().code != Errc::limit) close_database();
    return done;
  }

  void settle(Work& work, const Result<void>& done) {
    if (done) {
      settled_ += work.records.size();
      dropped_total_ += dropped_now_;
      meters_.dropped.add(static_cast<double>(dropped_now_));
      meters_.committed.add(static_cast<double>(work.records.size()));
      meters_.commits.add();
      if (failing_) log::info("outbox writes again", {{"records", work.records.size()}});
      failing_ = false;
      problem_.clear();
      publish_figures();
      if (work.adoption) adopted_ = Result<void>{};
      const std::uint64_t next = visible_.next_seq;
      mutex_.unlock();
      done_.notify_all();
      {
        const std::lock_guard lock(listener_mutex_);
        if (listener_) listener_(next);
      }
      mutex_.lock();
      return;
    }
    meters_.failures.add();
    log::error("outbox cannot commit, trying again",
               {done.error(), {"records", work.records.size()}});
    failing_ = true;
    problem_ = done.error().context;
    // Nothing of it happened: it goes back to the front, in order.
    std::move(queue_.begin(), queue_.end(), std::back_inserter(work.records));
    queue_ = std::move(work.records);
    lost_newest_ += work.lost_newest;
    if (work.adoption) adopted_ = Result<void>(done.error());
    room_.notify_all();
    done_.notify_all();
  }

  /// After an I/O error nothing cached can be trusted: close, open, and see what is really there.
  void close_database() {
    database_.reset();
    const std::lock_guard lock(reader_mutex_);
    reader_.reset();
  }

  Result<void> reopen() {
    OpenReport report;
    auto database = OutboxDatabase::open(folder_, report);
    if (!database) return std::move(database).error();
    auto reader = OutboxReader::open(folder_);
    if (!reader) return std::move(reader).error();
    database_ = std::move(*database);
    const std::lock_guard lock(reader_mutex_);
    reader_ = std::move(*reader);
    return {};
  }

  void publish_figures() {
    visible_ = database_->position();
    records_ = database_->records();
    bytes_ = database_->bytes();
    meters_.records.set(static_cast<double>(records_));
    meters_.bytes.set(static_cast<double>(bytes_));
  }

  const OutboxConfig config_;
  const std::filesystem::path folder_;
  Instruments meters_;
  std::unique_ptr<OutboxDatabase> database_;  // of the writing thread
  std::uint64_t dropped_now_ = 0;             // of the writing thread
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
  std::uint64_t lost_newest_ = 0;
  std::uint64_t forget_ = 0;
  Ticks forget_since_{};
  std::optional<Adoption> adoption_;
  std::optional<Result<void>> adopted_;
  HighWaterMark visible_;
  std::uint64_t records_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t dropped_total_ = 0;
  bool flush_wanted_ = false;
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
  auto database = OutboxDatabase::open(folder, report);
  if (!database) return within("outbox", std::move(database).error());
  auto reader = OutboxReader::open(folder);
  if (!reader) return within("outbox", std::move(reader).error());
  if (!report.set_aside.empty()) {
    log::error("outbox was damaged; it is set aside and a new one goes on",
               {{"file", report.set_aside}});
  }
  for (const LossRange& loss : report.losses) {
    log::warn("outbox lost records",
              {{"first", loss.seq_first},
               {"last", loss.seq_last},
               {"reason", loss.reason == wire::LossReason::vanished ? "vanished" : "corrupt"}});
  }
  return std::unique_ptr<Outbox>(new Outbox(
      std::make_unique<Impl>(config, folder, metrics, std::move(*database), std::move(*reader))));
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
