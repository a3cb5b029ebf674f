// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/download.hpp"

#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"

#include <algorithm>

namespace lapwing::agent {
namespace {

constexpr Micros kTellEvery = std::chrono::seconds(30);
constexpr Micros kRateOver = std::chrono::seconds(5);

Error cancelled() { return {Errc::shutting_down, "the transfer was cancelled"}; }

double seconds_of(Micros time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

Download::Download(Metrics& metrics, Send send, const sync::FetchLimits& limits)
    : send_(std::move(send)),
      limits_(limits),
      bytes_(metrics.counter("uplink_model_bytes_total", "Bytes of model files fetched")),
      asked_(metrics.counter("uplink_model_pieces_asked_total",
                             "Pieces of model files asked for, repeated ones included")),
      repeated_(metrics.counter("uplink_model_pieces_late_total",
                                "Pieces of model files that did not come in time")),
      dropped_(metrics.counter("uplink_model_pieces_dropped_total",
                               "Pieces beyond the queue's bound; they are asked for again")),
      done_(metrics.counter("uplink_model_files_total", "Transfers of model files that ended",
                            {{"outcome", "whole"}})),
      failed_(metrics.counter("uplink_model_files_total", "Transfers of model files that ended",
                              {{"outcome", "failed"}})),
      have_gauge_(metrics.gauge("uplink_model_file_bytes",
                                "Bytes there of the model file that is being fetched")),
      total_gauge_(metrics.gauge("uplink_model_file_bytes_total",
                                 "Length of the model file that is being fetched; 0: none is")) {}

Download::~Download() { stop(); }

void Download::start(std::string sha256, std::uint64_t length, std::filesystem::path destination,
                     Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (wanted_) given_up_.push_back(std::move(wanted_->done));
    wanted_ = Job{std::move(sha256), length, std::move(destination), std::move(done)};
    cancel_ = true;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  changed_.notify_one();
}

void Download::cancel() {
  {
    const std::lock_guard lock(mutex_);
    if (wanted_) given_up_.push_back(std::move(std::exchange(wanted_, std::nullopt)->done));
    cancel_ = true;
  }
  changed_.notify_one();
}

void Download::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Download::connected(std::string connection_id) {
  {
    const std::lock_guard lock(mutex_);
    if (connection_ == connection_id) return;
    connection_ = std::move(connection_id);
    ++connections_;
    chunks_.clear();
  }
  changed_.notify_one();
}

void Download::chunk(wire::Chunk chunk) {
  {
    const std::lock_guard lock(mutex_);
    if (chunks_.size() >= kChunksMax) {
      dropped_.add();
      return;
    }
    chunks_.push_back(std::move(chunk));
  }
  changed_.notify_one();
}

DownloadFigures Download::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

void Download::run() {
  std::uint64_t connections = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto ready = [&] {
      return stopping_ || cancel_ || wanted_ || !given_up_.empty() || !chunks_.empty() ||
             connections != connections_;
    };
    if (timer_) {
      changed_.wait_until(lock, *timer_, ready);
    } else {
      changed_.wait(lock, ready);
    }
    const auto given_up = std::exchange(given_up_, {});
    auto wanted = std::exchange(wanted_, std::nullopt);
    const bool cancel = std::exchange(cancel_, false);
    const auto chunks = std::exchange(chunks_, {});
    const bool other = std::exchange(connections, connections_) != connections_;
    const std::string connection = connection_;
    lock.unlock();
    for (const auto& done : given_up) done(cancelled());
    if (cancel && transfer_) end(cancelled());
    if (other) {
      live_ = connection;
      if (transfer_) carry_out(transfer_->fetcher.disconnected());
      if (transfer_ && !live_.empty()) carry_out(transfer_->fetcher.connected(ticks_now()));
    }
    if (wanted) begin(*std::move(wanted));
    for (const auto& chunk : chunks) {
      if (transfer_) carry_out(transfer_->fetcher.chunk(chunk, ticks_now()));
    }
    if (timer_ && ticks_now() >= *timer_) {
      timer_.reset();
      if (transfer_) carry_out(transfer_->fetcher.timer(ticks_now()));
    }
    publish_figures();
    lock.lock();
  }
  auto given_up = std::exchange(given_up_, {});
  if (wanted_) given_up.push_back(std::move(std::exchange(wanted_, std::nullopt)->done));
  lock.unlock();
  for (const auto& done : given_up) done(cancelled());
  if (transfer_) end(cancelled());
}

void Download::begin(Job job) {
  if (is_whole(job.destination, job.length, job.sha256)) {
    done_.add();
    return job.done({});
  }
  auto file = PartFile::open(job.destination, job.length);
  if (!file) {
    failed_.add();
    return job.done(std::move(file).error());
  }
  const auto have = file->have();
  const Ticks at = ticks_now();
  sync::Fetcher fetcher(job.sha256, job.length, have, limits_, random_u64());
  transfer_.emplace(Transfer{.job = std::move(job),
                             .file = *std::move(file),
                             .fetcher = std::move(fetcher),
                             .resumed_at = have,
                             .begun = at,
                             .told = at,
                             .rate_from = at,
                             .rate_bytes = have});
  log::info("model file is fetched",
            {{"sha256", transfer_->job.sha256}, {"bytes", have}, {"of", transfer_->job.length}});
  publish_figures();  // before it asks: by this the uplink tells whose an answer is
  if (transfer_->fetcher.done()) return finish();
  if (!live_.empty()) carry_out(transfer_->fetcher.connected(at));
}

void Download::end(Result<void> outcome) {
  count(*transfer_);
  Transfer over = *std::move(transfer_);
  transfer_.reset();
  timer_.reset();
  if (outcome) {
    done_.add();
    log::info(
        "model file is there",
        {{"sha256", over.job.sha256},
         {"bytes", over.job.length},
         {"fetched", over.job.length - over.resumed_at},
         {"seconds", seconds_of(std::chrono::duration_cast<Micros>(ticks_now() - over.begun))},
         {"pieces", over.fetcher.requests()}});
  } else {
    if (outcome.error().code != Errc::shutting_down) failed_.add();
    log::warn("model file is not fetched",
              {{"sha256", over.job.sha256}, {"bytes", over.fetcher.have()}, outcome.error()});
  }
  publish_figures();  // who hears of the end finds no transfer under way
  over.job.done(std::move(outcome));
}

void Download::carry_out(const sync::FetchActions& actions) {
  for (const auto& action : actions) {
    if (!transfer_) return;
    if (const auto* ask = std::get_if<sync::SendFetch>(&action)) {
      const wire::Fetch fetch{live_, transfer_->job.sha256, ask->offset, ask->length};
      send_(writer_.seal(wire::encode(fetch)));
    } else if (const auto* keep = std::get_if<sync::KeepBytes>(&action)) {
      transfer_->problem.clear();
      if (auto kept = transfer_->file.append(keep->offset, keep->bytes); !kept) {
        return end(std::move(kept).error());
      }
      bytes_.add(static_cast<double>(keep->bytes.size()));
    } else if (const auto* timer = std::get_if<sync::ArmFetch>(&action)) {
      timer_ = timer->at;
    } else if (const auto* rests = std::get_if<sync::FetchRests>(&action)) {
      transfer_->problem = rests->reason;
      log::warn("model file: the transfer rests",
                {{"reason", rests->reason}, {"seconds", seconds_of(rests->within)}});
    } else {
      return finish();
    }
  }
}

void Download::finish() {
  auto& transfer = *transfer_;
  auto whole = transfer.file.finish(transfer.job.sha256);
  if (whole || whole.error().code != Errc::corrupt || transfer.again) return end(std::move(whole));
  log::warn("model file is fetched anew", {whole.error()});
  if (auto cleared = transfer.file.clear(); !cleared) return end(std::move(cleared));
  // Anew from the beginning, as another transfer of the same file.
  Transfer again{.job = std::move(transfer.job),
                 .file = std::move(transfer.file),
                 .fetcher = sync::Fetcher(transfer.fetcher.sha256(), transfer.fetcher.total(), 0,
                                          limits_, random_u64()),
                 .again = true,
                 .begun = transfer.begun,
                 .told = ticks_now(),
                 .rate_from = ticks_now()};
  transfer_.reset();
  timer_.reset();
  transfer_.emplace(std::move(again));
  if (!live_.empty()) carry_out(transfer_->fetcher.connected(ticks_now()));
}

void Download::count(Transfer& transfer) {
  const auto add = [](Counter& counter, std::uint64_t& told, std::uint64_t now) {
    counter.add(static_cast<double>(now - std::exchange(told, now)));
  };
  add(asked_, transfer.requests_told, transfer.fetcher.requests());
  add(repeated_, transfer.timeouts_told, transfer.fetcher.timeouts());
}

void Download::publish_figures() {
  DownloadFigures figures;
  if (transfer_) {
    auto& t = *transfer_;
    const Ticks at = ticks_now();
    const std::uint64_t have = t.fetcher.have();
    count(t);
    if (const auto over = std::chrono::duration_cast<Micros>(at - t.rate_from); over >= kRateOver) {
      const double now_rate = static_cast<double>(have - t.rate_bytes) / seconds_of(over);
      t.rate = t.rate == 0 ? now_rate : (t.rate + now_rate) / 2;
      t.rate_from = at;
      t.rate_bytes = have;
    }
    figures = {.sha256 = t.job.sha256,
               .bytes = have,
               .total = t.job.length,
               .resumed_at = t.resumed_at,
               .bytes_per_second = t.rate,
               .problem = t.problem};
    if (t.rate > 0) {
      figures.left = Micros(
          static_cast<std::int64_t>(static_cast<double>(t.job.length - have) / t.rate * 1e6));
    }
    if (at - t.told >= kTellEvery) {
      t.told = at;
      log::info("model file is being fetched",
                {{"bytes", have},
                 {"of", t.job.length},
                 {"bytes_per_second", t.rate},
                 {"left_seconds", figures.left ? seconds_of(*figures.left) : 0}});
    }
  }
  have_gauge_.set(static_cast<double>(figures.bytes));
  total_gauge_.set(static_cast<double>(figures.total));
  const std::lock_guard lock(mutex_);
  figures_ = std::move(figures);
}

}  // namespace lapwing::agent
