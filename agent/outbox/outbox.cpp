// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/outbox.hpp"

#include "agent/outbox/files.hpp"
#include "agent/outbox/meters.hpp"
#include "agent/outbox/waiting.hpp"
#include "shared/base/log.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace lapwing::agent {
namespace {

/// Deletions wait so long for a commit to join.
constexpr Micros kForgetWithin = std::chrono::milliseconds(200);

}  // namespace

class Outbox::Impl {
 public:
  Impl(const OutboxConfig& config, std::unique_ptr<OutboxMeters> meters,
       std::unique_ptr<OutboxFiles> files)
      : config_(config),
        meters_(std::move(meters)),
        files_(std::move(files)),
        waiting_({config.queue_records_max, config.queue_bytes_max}, config.summaries_at_bound) {
    publish_figures();
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() { stop(); }

  void submit(std::vector<OutboxRecord> records) {
    if (records.empty()) return;
    std::unique_lock lock(mutex_);
    if (must_wait()) {
      meters_->waits.add();
      ++blocked_;
      room_.wait(lock, [this] { return !must_wait(); });
      --blocked_;
    }
    if (stopping_) return;
    if (failing_) {
      const std::size_t coming = records.size();
      const std::uint64_t waited = waiting_.make_room(records);
      settled_ += waited;
      count_dropped(waited + coming - records.size());
    }
    const bool sooner = !waiting_.urgent();
    const bool was_empty = waiting_.empty();
    submitted_ += records.size();
    waiting_.add(std::move(records));
    meters_->at_risk.set(static_cast<double>(waiting_.size() + committing_));
    if (was_empty || (sooner && waiting_.urgent()) ||
        waiting_.size() >= config_.commit_records_max) {
      work_.notify_one();
    }
  }

  void flush() {
    std::unique_lock lock(mutex_);
    const std::uint64_t target = submitted_;
    flush_wanted_ = true;
    work_.notify_one();
    done_.wait(lock, [&] { return settled_ >= target || failing_ || ended_; });
  }

  void stop_waiting() {
    {
      const std::lock_guard lock(mutex_);
      waits_ = false;
    }
    room_.notify_all();
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
    return {.records = records_,
            .bytes = bytes_,
            .bytes_max = bytes_max_,
            .next_seq = visible_.next_seq,
            .acked_seq = visible_.acked_seq,
            .dropped_total = dropped_total_,
            .at_risk = waiting_.size() + committing_,
            .writable = !failing_,
            .waiting = blocked_ > 0,
            .problem = problem_};
  }

  void on_commit(std::function<void(std::uint64_t)> listener) {
    const std::lock_guard lock(listener_mutex_);
    listener_ = std::move(listener);
  }

  Result<std::vector<wire::RecordEntry>> read(std::uint64_t from_seq, std::uint32_t records_max,
                                              std::uint64_t bytes_max) {
    auto entries = files_->read(from_seq, position().next_seq, records_max, bytes_max);
    if (!entries) heal_if_damaged(entries.error());
    return entries;
  }

  Result<std::optional<OutboxReader::RecordAt>> at(std::uint64_t seq) {
    const HighWaterMark mark = position();
    if (seq <= mark.acked_seq || seq >= mark.next_seq) {
      return std::optional<OutboxReader::RecordAt>();
    }
    auto found = files_->at(seq, mark.acked_seq);
    if (found) return std::optional(*found);
    heal_if_damaged(found.error());
    return std::move(found).error();
  }

  void forget_through(std::uint64_t seq, std::uint32_t region) {
    const std::lock_guard lock(mutex_);
    if (seq <= forget_ || seq >= visible_.next_seq) return;
    acknowledged_.acknowledged({region, seq});
    if (forget_ <= visible_.acked_seq) forget_since_ = ticks_now();
    forget_ = seq;
    work_.notify_one();
  }

  Result<void> adopt(std::uint64_t epoch, std::uint64_t watermark, std::uint32_t region) {
    std::unique_lock lock(mutex_);
    if (ended_) return Error{Errc::shutting_down, "the outbox is closed"};
    adoption_ = Adoption{epoch, {region, watermark}};
    acknowledged_.regions.clear();  // of the epoch before
    adopted_.reset();
    work_.notify_one();
    done_.wait(lock, [this] { return adopted_.has_value() || ended_; });
    if (!adopted_) return Error{Errc::shutting_down, "the outbox is closed"};
    return *std::exchange(adopted_, std::nullopt);
  }

 private:
  void heal_if_damaged(const Error& error) {
    if (error.code != Errc::corrupt) return;
    const std::lock_guard lock(mutex_);
    heal_wanted_ = true;
    work_.notify_one();
  }

  /// Scoring waits: for the next commit, or (`block`) for the hub to take something.
  bool must_wait() const {
    if (stopping_ || !waits_) return false;
    if (config_.summaries_at_bound == AtBound::block) {
      return waiting_.full() || bytes_ + committing_bytes_ + waiting_.bytes() >= bytes_max_;
    }
    return waiting_.full() && !failing_;
  }

  void count_dropped(std::uint64_t count) {
    if (count == 0) return;
    dropped_total_ += count;
    meters_->dropped.add(static_cast<double>(count));
    log::warn("outbox gives records up at its bound; each leaves a loss record",
              {{"records", count}, {"total", dropped_total_}});
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wait_for_work(lock);
      if (stopping_ && waiting_.empty() && !adoption_ && !forget_pending()) break;
      committing_bytes_ = waiting_.bytes();
      OutboxWork work{.taken = waiting_.take(),
                      .forget = forget_,
                      .acknowledged = std::exchange(acknowledged_.regions, {}),
                      .adoption = std::exchange(adoption_, std::nullopt)};
      committing_ = work.taken.records.size();
      flush_wanted_ = false;
      const bool heal = std::exchange(heal_wanted_, false);
      lock.unlock();
      room_.notify_all();
      if (heal) files_->damaged();
      const OutboxOutcome outcome = files_->transact(work);
      lock.lock();
      settle(lock, work, outcome);
      if (!outcome.done && stopping_) {
        log::error("outbox stops without its last records", {{"records", waiting_.size()}});
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
      return !waiting_.empty() || stopping_ || adoption_ || heal_wanted_;
    };
    // Deletions join the next commit; without one they get their own after a moment.
    while (!ready()) {
      if (!forget_pending()) {
        work_.wait(lock, [&] { return ready() || forget_pending(); });
      } else if (!work_.wait_until(lock, forget_since_ + kForgetWithin, ready)) {
        return;
      }
    }
    // The first record waits a moment for others: one sync serves them all.
    const auto enough = [this] {
      return stopping_ || adoption_ || heal_wanted_ || flush_wanted_ ||
             waiting_.size() >= config_.commit_records_max;
    };
    if (!enough() && config_.summaries_wait > config_.commit_interval) {
      work_.wait_for(lock, config_.summaries_wait - config_.commit_interval,
                     [&] { return enough() || waiting_.urgent(); });
    }
    if (!enough() && waiting_.size() > 0) work_.wait_for(lock, config_.commit_interval, enough);
  }

  bool forget_pending() const { return forget_ > visible_.acked_seq; }

  void settle(std::unique_lock<std::mutex>& lock, OutboxWork& work, const OutboxOutcome& outcome) {
    settled_ += outcome.settled;
    committing_ = 0;
    committing_bytes_ = 0;
    meters_->committed.add(static_cast<double>(outcome.settled - outcome.refused));
    meters_->record_bytes.add(static_cast<double>(outcome.bytes));
    if (outcome.stored) {
      count_dropped(outcome.dropped + outcome.refused);
    } else {
      waiting_.put_back(std::move(work.taken));
      for (const auto& mark : work.acknowledged) acknowledged_.acknowledged(mark);
    }
    meters_->at_risk.set(static_cast<double>(waiting_.size()));
    bytes_max_ = files_->bytes_max();
    if (work.adoption) adopted_ = outcome.done;
    if (!outcome.done) {
      meters_->failures.add();
      log::error("outbox cannot commit, trying again",
                 {outcome.done.error(), {"waiting", waiting_.size()}});
      failing_ = true;
      problem_ = outcome.done.error().context;
      room_.notify_all();
      done_.notify_all();
      return;
    }
    meters_->commits.add();
    if (failing_) log::info("outbox writes again", {{"records", outcome.settled}});
    failing_ = false;
    problem_ = files_->disk_full() ? "the disk is full: free some space on its volume" : "";
    publish_figures();
    room_.notify_all();
    const std::uint64_t next = visible_.next_seq;
    lock.unlock();
    done_.notify_all();
    {
      const std::lock_guard listening(listener_mutex_);
      if (listener_) listener_(next);
    }
    lock.lock();
  }

  void publish_figures() {
    visible_ = files_->position();
    records_ = files_->records();
    bytes_ = files_->bytes();
    bytes_max_ = files_->bytes_max();
    meters_->written.add(static_cast<double>(files_->take_written()));
    meters_->records.set(static_cast<double>(records_));
    meters_->bytes.set(static_cast<double>(bytes_));
    meters_->bytes_max.set(static_cast<double>(bytes_max_));
  }

  const OutboxConfig config_;
  const std::unique_ptr<OutboxMeters> meters_;
  const std::unique_ptr<OutboxFiles> files_;
  std::mutex listener_mutex_;
  std::function<void(std::uint64_t)> listener_;  // guarded by listener_mutex_

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable work_;
  std::condition_variable room_;
  std::condition_variable done_;
  WaitingRecords waiting_;
  std::size_t committing_ = 0;  ///< taken out of it by the transaction under way
  std::uint64_t committing_bytes_ = 0;
  std::size_t blocked_ = 0;  ///< threads that wait in submit()
  bool waits_ = true;
  std::uint64_t submitted_ = 0;
  std::uint64_t settled_ = 0;
  std::uint64_t forget_ = 0;
  HighWaterMark acknowledged_;  ///< its regions: by whose word, since the last commit
  Ticks forget_since_{};
  std::optional<Adoption> adoption_;
  std::optional<Result<void>> adopted_;
  HighWaterMark visible_;
  std::uint64_t records_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_max_ = 0;
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
  auto meters = std::make_unique<OutboxMeters>(metrics);
  auto files = OutboxFiles::open(config, folder, *meters);
  if (!files) return within("outbox", std::move(files).error());
  if (config.summaries_wait > config.commit_interval) {
    log::warn("summaries wait in memory; if the agent is killed, those are gone",
              {{"at_most_s", std::chrono::duration<double>(config.summaries_wait).count()},
               {"records_at_most", config.commit_records_max}});
  }
  return std::unique_ptr<Outbox>(
      new Outbox(std::make_unique<Impl>(config, std::move(meters), std::move(*files))));
}

void Outbox::submit(std::vector<OutboxRecord> records) { impl_->submit(std::move(records)); }
void Outbox::flush() { impl_->flush(); }
void Outbox::stop_waiting() { impl_->stop_waiting(); }
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
Result<std::optional<OutboxReader::RecordAt>> Outbox::at(std::uint64_t seq) {
  return impl_->at(seq);
}
void Outbox::forget_through(std::uint64_t seq, std::uint32_t region) {
  impl_->forget_through(seq, region);
}
Result<void> Outbox::adopt(std::uint64_t epoch, std::uint64_t watermark, std::uint32_t region) {
  return impl_->adopt(epoch, watermark, region);
}

}  // namespace lapwing::agent
