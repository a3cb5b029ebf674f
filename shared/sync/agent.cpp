// SPDX-License-Identifier: Apache-2.0
#include "shared/sync/agent.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::sync {
namespace {

constexpr std::uint32_t kBatchBytesMin = 1024;  // however slow the link is

}  // namespace

Agent::Agent(const AgentLimits& limits, const Position& position, std::uint64_t seed)
    : limits_(limits),
      random_(seed),
      epoch_(position.epoch),
      watermark_(position.acked_seq),
      next_seq_(position.next_seq),
      regions_(position.regions),
      sent_through_(position.acked_seq),
      records_max_(limits.batch_records_max),
      bytes_max_(limits.batch_bytes_max),
      window_(limits.batches_in_flight_max),
      records_now_(records_max_),
      bytes_now_(bytes_max_) {}

Actions Agent::connected(std::string connection_id, Ticks now) {
  Actions actions;
  connection_id_ = std::move(connection_id);
  timeouts_ = 0;
  check_seq_ = check_hash_ = 0;
  greet(actions, now);
  return actions;
}

Actions Agent::disconnected() {
  phase_ = Phase::offline;
  in_flight_.clear();
  sending_ = false;
  return {};
}

Actions Agent::welcomed(const wire::Welcome& welcome, const OwnRecord& own, Ticks now) {
  Actions actions;
  if (phase_ == Phase::offline || welcome.connection_id != connection_id_) return actions;
  if (welcome.outcome == wire::HelloOutcome::quarantined ||
      welcome.outcome == wire::HelloOutcome::refused) {
    phase_ = Phase::halted;
    in_flight_.clear();
    actions.push_back(Halted{welcome.outcome, welcome.reason});
    arm(actions, now + limits_.halted_retry);
    return actions;
  }
  if (phase_ == Phase::streaming) return actions;  // an answer to a repeated hello
  const bool same = welcome.outcome == wire::HelloOutcome::resume && welcome.epoch == epoch_;
  // An answer to an earlier hello of this connection, overtaken by what came since.
  if (welcome.epoch != 0 &&
      (welcome.epoch < epoch_ || (welcome.epoch == epoch_ && welcome.watermark < watermark_))) {
    return actions;
  }
  if (welcome.epoch == 0 || welcome.watermark >= next_seq_ ||
      (welcome.outcome == wire::HelloOutcome::resume && !same)) {
    actions.push_back(Reconnect{"the hub's welcome does not fit this outbox"});
    return actions;
  }
  if (same && !compare(actions, welcome, own, now)) return actions;
  timeouts_ = 0;
  region_ = welcome.region;
  if (welcome.batch_records_max > 0) {
    records_max_ = std::min(limits_.batch_records_max, welcome.batch_records_max);
  }
  if (welcome.batch_bytes_max > 0) {
    bytes_max_ = std::min(limits_.batch_bytes_max, welcome.batch_bytes_max);
  }
  records_now_ = std::min(records_now_, records_max_);
  bytes_now_ = std::min(bytes_now_, bytes_max_);
  if (same) {
    advance(actions, welcome.watermark);
  } else {
    forked_ = false;
    epoch_ = welcome.epoch;
    watermark_ = welcome.watermark;
    regions_ = {region_};
    actions.push_back(AdoptEpoch{epoch_, watermark_, region_});
  }
  phase_ = Phase::streaming;
  sent_through_ = watermark_;
  in_flight_.clear();
  sending_ = false;
  went_back_at_.reset();
  send_more(actions, now);
  return actions;
}

/// Whether the hub's history is this one. If not, or not known yet, a hello is on its way.
bool Agent::compare(Actions& actions, const wire::Welcome& welcome, const OwnRecord& own,
                    Ticks now) {
  // One more region than can be remembered: in a new epoch only those of now count.
  bool differs = forked_ || (regions_.size() >= wire::kRegionsMax && !knows_region(welcome.region));
  switch (own.state) {
    case OwnRecord::State::absent:
      break;
    case OwnRecord::State::readable:
      differs = differs || own.hash != welcome.known_hash;
      break;
    case OwnRecord::State::damaged:
      differs = differs || welcome.known_hash != 0;
      break;
    case OwnRecord::State::given_up:
      if (differs || welcome.known_hash == 0 || own.below_seq == 0 ||
          welcome.checked_seq == own.below_seq) {
        break;
      }
      if (check_seq_ != own.below_seq) {  // else it was asked; this is the answer from before
        check_seq_ = own.below_seq;
        check_hash_ = own.below_hash;
        greet(actions, now);
      }
      return false;
  }
  if (differs && !std::exchange(forked_, true)) greet(actions, now);
  return !differs;
}

Actions Agent::acked(const wire::Ack& ack, Ticks now) {
  Actions actions;
  if (phase_ != Phase::streaming || ack.connection_id != connection_id_) return actions;
  if (ack.epoch == 0) {
    // Another spoke in between. What is under way on this connection must not count after it.
    actions.push_back(Reconnect{"the hub asks for a hello on a new connection"});
    return actions;
  }
  if (ack.epoch != epoch_ || ack.watermark >= next_seq_ || ack.watermark < watermark_) {
    return actions;
  }
  const bool news = ack.watermark > watermark_;
  if (news) {
    timeouts_ = 0;
    grow();
    live_credit_ = std::min(live_credit_ + 1, limits_.batches_in_flight_max);
    advance(actions, ack.watermark);
    while (!in_flight_.empty() && in_flight_.front() <= watermark_) in_flight_.pop_front();
    sent_through_ = std::max(sent_through_, watermark_);
  }
  if (ack.standing && !in_flight_.empty()) {
    timeouts_ = 0;
    go_back(actions, now);  // the hub was away: what was under way did not reach it
  } else if (news) {
    if (!in_flight_.empty()) arm(actions, answer_deadline(now));
    send_more(actions, now);
  } else if (in_flight_.size() > 1 && went_back_at_ != watermark_) {
    // The hub repeats itself: a batch is missing there. Go back once; after that only time does.
    went_back_at_ = watermark_;
    go_back(actions, now);
  }
  return actions;
}

Actions Agent::committed(std::uint64_t next_seq, Ticks now) {
  Actions actions;
  const std::uint64_t first_new = next_seq_;
  next_seq_ = std::max(next_seq_, next_seq);
  if (phase_ != Phase::streaming || next_seq_ == first_new) return actions;
  send_more(actions, now);
  // Only what the batches under way do not reach is worth a copy.
  if (live_credit_ > 0 && backlog() > limits_.live_backlog &&
      first_new > sent_through_ + records_now_) {
    const std::uint64_t most = std::uint64_t{records_now_} * live_credit_;
    const std::uint64_t newest = next_seq_ > most ? next_seq_ - most : 1;
    actions.push_back(SendLive{std::max(newest, first_new), next_seq_ - 1, live_credit_,
                               records_now_, bytes_now_});
  }
  return actions;
}

Actions Agent::sent(std::uint64_t through, std::size_t bytes, Ticks now) {
  Actions actions;
  if (!sending_) return actions;
  sending_ = false;
  if (through <= sent_through_) {
    arm(actions, answer_deadline(now));
    return actions;
  }
  if (in_flight_.empty()) arm(actions, answer_deadline(now));
  sent_through_ = through;
  in_flight_.push_back(through);
  keep_pace(bytes, now);
  send_more(actions, now);
  return actions;
}

void Agent::sent_live(std::size_t bytes, Ticks now) {
  live_credit_ -= std::min<std::size_t>(live_credit_, 1);
  keep_pace(bytes, now);
}

void Agent::keep_pace(std::size_t bytes, Ticks now) {
  if (limits_.pace_bytes_per_second == 0) return;
  const auto cost = static_cast<std::int64_t>(bytes * 1'000'000 / limits_.pace_bytes_per_second);
  paced_until_ = std::max(paced_until_, now) + Micros(cost);
}

Actions Agent::timer(Ticks now) {
  Actions actions;
  switch (phase_) {
    case Phase::offline:
      break;
    case Phase::halted:
      greet(actions, now);
      break;
    case Phase::greeting:
      if (++timeouts_ > limits_.timeouts_max) {
        actions.push_back(Reconnect{"the hub does not answer hello"});
      } else {
        greet(actions, now);
      }
      break;
    case Phase::streaming:
      if (in_flight_.empty()) {
        sending_ = false;
        send_more(actions, now);
      } else if (++timeouts_ > limits_.timeouts_max) {
        actions.push_back(Reconnect{"the hub does not acknowledge"});
      } else {
        shrink();
        go_back(actions, now);
      }
      break;
  }
  return actions;
}

void Agent::greet(Actions& actions, Ticks now) {
  phase_ = Phase::greeting;
  in_flight_.clear();
  sending_ = false;
  actions.push_back(SendHello{forked_, check_seq_, check_hash_});
  arm(actions, answer_deadline(now));
}

void Agent::send_more(Actions& actions, Ticks now) {
  if (sending_ || in_flight_.size() >= window_ || sent_through_ + 1 >= next_seq_) {
    return;
  }
  if (now < paced_until_) {
    if (in_flight_.empty()) arm(actions, paced_until_);
    return;
  }
  sending_ = true;
  actions.push_back(SendBatch{sent_through_ + 1, records_now_, bytes_now_});
}

void Agent::go_back(Actions& actions, Ticks now) {
  ++resends_;
  in_flight_.clear();
  sending_ = false;
  sent_through_ = watermark_;
  send_more(actions, now);
  if (sending_) arm(actions, answer_deadline(now));  // else it is paced, and armed for that
}

/// Too much was under way for what the link takes: fewer batches, then smaller ones.
void Agent::shrink() {
  if (window_ > 1) {
    window_ /= 2;
    return;
  }
  records_now_ = std::max(1U, records_now_ / 2);
  bytes_now_ = std::max(std::min(kBatchBytesMin, bytes_max_), bytes_now_ / 2);
}

void Agent::grow() {
  if (records_now_ < records_max_ || bytes_now_ < bytes_max_) {
    records_now_ = std::min(records_max_, records_now_ + records_now_ / 8 + 1);
    bytes_now_ = std::min(bytes_max_, bytes_now_ + bytes_now_ / 8 + 1);
  } else if (window_ < limits_.batches_in_flight_max) {
    ++window_;
  }
}

void Agent::advance(Actions& actions, std::uint64_t watermark) {
  if (watermark <= watermark_) return;
  watermark_ = watermark;
  if (!knows_region(region_)) regions_.push_back(region_);
  actions.push_back(DeleteThrough{watermark_, region_});
}

bool Agent::knows_region(std::uint32_t region) const {
  return std::find(regions_.begin(), regions_.end(), region) != regions_.end();
}

void Agent::arm(Actions& actions, Ticks at) { actions.push_back(ArmTimer{at}); }

Ticks Agent::answer_deadline(Ticks now) {
  // At least the plain timeout, so that a slow hub is not flooded; full jitter on top, growing with
  // every timeout in a row.
  const Micros top =
      std::min(limits_.answer_timeout_max,
               limits_.answer_timeout * (std::int64_t{1} << std::min(timeouts_, 16U)));
  const Micros jitter(std::uniform_int_distribution<std::int64_t>(0, top.count())(random_));
  return now + limits_.answer_timeout + jitter;
}

}  // namespace lapwing::sync
