// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/files.hpp"

#include "shared/base/log.hpp"
#include "shared/sqlite/counted_files.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace lapwing::agent {
namespace {

/// While the disk is full the outbox may fill this share of the ballast if it holds less.
constexpr std::uint64_t kFullShare = 4;

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

}  // namespace

OutboxFiles::OutboxFiles(const OutboxConfig& config, std::filesystem::path folder,
                         OutboxMeters& meters)
    : config_(config),
      folder_(std::move(folder)),
      meters_(meters),
      written_(std::make_shared<std::atomic<std::uint64_t>>()),
      ballast_(folder_, config.ballast_bytes),
      bound_{config.bytes_max, config.summaries_at_bound} {}

Result<std::unique_ptr<OutboxFiles>> OutboxFiles::open(const OutboxConfig& config,
                                                       const std::filesystem::path& folder,
                                                       OutboxMeters& meters) {
  std::unique_ptr<OutboxFiles> files(new OutboxFiles(config, folder, meters));
  auto opened = files->reopen();
  if (!opened && opened.error().code == Errc::limit && files->ballast_.release()) {
    log::error("the disk is full; the outbox starts with its ballast's room", {opened.error()});
    opened = files->reopen();
  }
  if (!opened) return std::move(opened).error();
  if (config.ballast_bytes > 0 && !files->ballast_.take()) {
    log::warn("no room for the outbox's ballast: on a full disk it can only wait",
              {{"folder", folder}, {"bytes", config.ballast_bytes}});
  }
  return files;
}

OutboxOutcome OutboxFiles::transact(OutboxWork& work) {
  OutboxOutcome outcome;
  const Ticks began = ticks_now();
  if (!database_) {
    if (auto reopened = reopen(); !reopened) {
      outcome.done = std::move(reopened);
      return outcome;
    }
    outcome.settled += settle_unsure(work);
  }
  look_for_room();
  write(work, outcome);
  if (!outcome.done && outcome.done.error().code == Errc::limit && make_do()) write(work, outcome);
  meters_.seconds.observe(std::chrono::duration<double>(ticks_now() - began).count());
  return outcome;
}

void OutboxFiles::write(OutboxWork& work, OutboxOutcome& outcome) {
  const auto& records = work.taken.records;
  const Unsure tried{database_->position().next_seq, records.size(), work.taken.given_up};
  database_->begin();
  outcome.refused = database_->append(records, bound_);
  database_->append_loss(work.taken.given_up, wire::LossReason::quota);
  if (work.adoption) database_->adopt(work.adoption->epoch, work.adoption->granted);
  database_->forget_through(work.forget);
  for (const auto& mark : work.acknowledged) database_->acknowledged(mark);
  outcome.dropped = database_->make_room(bound_);
  outcome.done = database_->commit();
  if (outcome.done) {
    outcome.stored = true;
    outcome.settled += records.size();
    for (const OutboxRecord& one : records) outcome.bytes += one.payload.size();
    outcome.done = database_->write_mark();
    *written_ += HighWaterMarkFile::kWriteBytes;
    if (!outcome.done) close(false);
  } else if (outcome.done.error().code != Errc::limit) {
    unsure_ = tried;
    close(outcome.done.error().code == Errc::corrupt);
  }
}

/// Takes out of the work what turned out to be stored after all. How many records.
std::size_t OutboxFiles::settle_unsure(OutboxWork& work) {
  if (!unsure_) return 0;
  const Unsure tried = *std::exchange(unsure_, std::nullopt);
  const std::uint64_t next = database_->position().next_seq;
  const std::uint64_t in = next - std::min(next, tried.first_seq);
  const auto stored = static_cast<std::size_t>(std::min<std::uint64_t>(in, tried.records));
  auto& records = work.taken.records;
  records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(stored));
  work.taken.given_up -= std::min(in - stored, tried.given_up);
  return stored;
}

/// The disk is full: with the ballast's room, and within what the files hold by now, the outbox
/// goes on by the rules of the bound.
bool OutboxFiles::make_do() {
  if (!database_ || !ballast_.release()) return false;
  meters_.disk_full.add();
  room_again_ = ticks_now() + config_.room_again;
  bound_.bytes_max =
      std::min(config_.bytes_max, std::max(database_->bytes(), ballast_.bytes() / kFullShare));
  log::error("the disk is full; the outbox goes on in the room it has",
             {{"folder", folder_}, {"bytes_max", bound_.bytes_max}});
  return true;
}

/// As before the disk was full, when there is room for the ballast again.
void OutboxFiles::look_for_room() {
  if (!disk_full() || ticks_now() < room_again_) return;
  room_again_ = ticks_now() + config_.room_again;
  if (!ballast_.take()) return;
  bound_.bytes_max = config_.bytes_max;
  log::info("the disk has room again", {{"folder", folder_}, {"bytes_max", bound_.bytes_max}});
}

void OutboxFiles::damaged() { close(true); }

/// After an I/O error nothing cached can be trusted: close, open, and see what is really there.
void OutboxFiles::close(bool damaged) {
  damaged_ = damaged_ || damaged;
  database_.reset();
  const std::lock_guard lock(reader_mutex_);
  reader_.reset();
}

Result<void> OutboxFiles::reopen() {
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

Result<OutboxReader::RecordAt> OutboxFiles::at(std::uint64_t seq, std::uint64_t after) {
  const std::lock_guard lock(reader_mutex_);
  if (!reader_) return Error{Errc::io, "the outbox is being opened anew"};
  return reader_->at(seq, after);
}

Result<std::vector<wire::RecordEntry>> OutboxFiles::read(std::uint64_t from_seq,
                                                         std::uint64_t before_seq,
                                                         std::uint32_t records_max,
                                                         std::uint64_t bytes_max) {
  const std::lock_guard lock(reader_mutex_);
  if (!reader_) return Error{Errc::io, "the outbox is being opened anew"};
  const std::uint64_t corrupt_before = reader_->corrupt_rows_total();
  auto entries = reader_->read(from_seq, before_seq, records_max, bytes_max);
  const std::uint64_t corrupt = reader_->corrupt_rows_total() - corrupt_before;
  if (corrupt > 0) {
    meters_.corrupt.add(static_cast<double>(corrupt));
    log::warn("outbox rows fail their checksum and are sent as lost", {{"rows", corrupt}});
  }
  return entries;
}

}  // namespace lapwing::agent
