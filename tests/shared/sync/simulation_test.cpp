// SPDX-License-Identifier: Apache-2.0
// Both ends against a hostile channel: one thread, a virtual clock, a seed that replays a run.
// Messages are dropped, doubled and overtaken, also beyond the end of their connection; the agent
// and the hub are killed; the outbox is restored from a backup.
#include "shared/sync/agent.hpp"
#include "shared/sync/hub.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>

namespace lapwing::sync {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t kSeeds = 100;  // the same code, many times slower
#else
constexpr std::uint64_t kSeeds = 300;
#endif

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Weather {
  double drop = 0.1;
  double twice = 0.1;
  Micros delay_max = milliseconds(800);
  double agent_kill = 0.01;  ///< per step
  double hub_kill = 0.01;
  double connection_end = 0.02;
  double restore = 0;  ///< the outbox comes back as it once was
  double loss = 0.02;  ///< committed records become unreadable
};

/// The agent's disk: what is durable, as agent/outbox keeps it.
struct ModelOutbox {
  std::string database_id = "db";
  Agent::Position position;
  std::uint64_t acked_hash = 0;
  std::map<std::uint64_t, std::uint64_t> records;  ///< seq -> content; absent: lost

  void forget_through(std::uint64_t seq) {
    if (seq <= position.acked_seq || seq >= position.next_seq) return;
    const auto at = records.find(seq);
    acked_hash = at == records.end() ? 0 : at->second;
    records.erase(records.begin(), records.upper_bound(seq));
    position.acked_seq = seq;
  }
};

/// The hub's database.
struct ModelStore {
  DeviceSyncState state;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> rows;  ///< (epoch, seq)->content
  std::map<std::uint64_t, std::set<std::uint64_t>> lost;                  ///< epoch -> seqs
};

std::string content_text(std::uint64_t content) { return std::to_string(content); }

class World {
 public:
  World(std::uint64_t seed, const Weather& weather)
      : random_(seed), weather_(weather), seed_(seed) {
    limits_.batch_records_max = static_cast<std::uint32_t>(1 + number(20));
    limits_.batches_in_flight_max = 1 + number(8);
    limits_.live_backlog = 10 + number(50);
    limits_.pace_bytes_per_second = chance(0.2) ? 5'000 : 0;
    start_agent();
  }

  /// Hostile until `until`, then calm until all is delivered. Returns the virtual time that took.
  Micros run(Micros until) {
    const Ticks begin = now_;
    while (now_ < begin + until) step(/*calm=*/false);
    weather_ = {.drop = 0, .twice = 0, .delay_max = milliseconds(5), .loss = 0};
    const Ticks calm = now_;
    while (!delivered() && now_ < calm + std::chrono::minutes(30)) step(/*calm=*/true);
    return now_ - calm;
  }

  [[nodiscard]] bool delivered() const {
    return store_.state.epoch == outbox_.position.epoch &&
           store_.state.watermark + 1 == outbox_.position.next_seq &&
           agent_->watermark() == store_.state.watermark;
  }

  std::string why() const {
    return "seed " + std::to_string(seed_) + " epoch " + std::to_string(store_.state.epoch) +
           " watermark " + std::to_string(store_.state.watermark) + " of " +
           std::to_string(outbox_.position.next_seq - 1) + " " + store_.state.quarantine +
           " quarantines " + std::to_string(quarantines_) + " agent's epoch " +
           std::to_string(agent_->epoch()) + " watermark " + std::to_string(agent_->watermark()) +
           (agent_->streaming() ? " streaming" : " not streaming") +
           (connected_ ? "" : " offline") + " timer in " +
           std::to_string(timer_ ? (*timer_ - now_).count() / 1000 : -1) + " ms " + problem_;
  }

  ModelStore store_;
  ModelOutbox outbox_;
  std::set<std::uint64_t> produced_;  ///< content committed by the lineage that lives
  std::set<std::uint64_t> losses_;    ///< content that became unreadable
  std::set<std::uint64_t> acked_;     ///< content the hub acknowledged to the agent
  std::string problem_;
  std::uint64_t quarantines_ = 0;
  std::uint64_t restores_ = 0;
  std::uint64_t kills_ = 0;
  std::uint64_t resends_ = 0;
  std::uint64_t live_ = 0;

 private:
  struct Event {
    Ticks at;
    std::uint64_t order;
    std::function<void()> happen;
    bool operator<(const Event& other) const {
      return std::tie(at, order) > std::tie(other.at, other.order);
    }
  };

  std::uint64_t number(std::uint64_t below) {
    return std::uniform_int_distribution<std::uint64_t>(0, below - 1)(random_);
  }
  bool chance(double p) { return std::bernoulli_distribution(p)(random_); }
  void claim(bool holds, const char* what) {
    if (!holds && problem_.empty()) problem_ = what;
  }

  void step(bool calm) {
    if (!calm) {
      if (chance(0.3)) commit(1 + number(15));
      if (chance(weather_.loss)) spoil();
      if (chance(weather_.connection_end)) disconnect();
      if (chance(weather_.agent_kill)) kill_agent();
      if (chance(weather_.hub_kill)) kill_hub();
      if (chance(weather_.restore)) restore();
      if (chance(0.02)) backup_ = {outbox_, produced_};
    }
    if (!store_.state.quarantine.empty()) {
      ++quarantines_;
      release_quarantine(store_.state);
    }
    if (!connected_ && now_ >= connect_at_) connect();
    const Ticks end = now_ + milliseconds(100);
    for (;;) {
      Ticks next = events_.empty() ? Ticks::max() : events_.top().at;
      if (timer_) next = std::min(next, *timer_);
      if (next > end) break;
      now_ = std::max(now_, next);
      if (timer_ && *timer_ <= now_) {
        timer_.reset();
        carry_out(agent_->timer(now_));
      } else {
        auto happen = events_.top().happen;
        events_.pop();
        happen();
      }
    }
    now_ = end;
  }

  // --- the agent
  void start_agent() {
    agent_ = std::make_unique<Agent>(limits_, outbox_.position, random_());
    instance_ = "i" + std::to_string(++instances_);
    connections_ = 0;
    told_ = outbox_.position.next_seq;
    forget_ = 0;
    timer_.reset();
    connected_ = false;
    connect_at_ = now_ + milliseconds(number(3000));
  }

  void kill_agent() {
    ++kills_;
    resends_ += agent_->resends();
    start_agent();
  }

  void restore() {
    if (backup_.first.position.next_seq == 1) return;
    ++restores_;
    std::tie(outbox_, produced_) = backup_;
    kill_agent();
  }

  void connect() {
    connected_ = true;
    connection_ = connection_id(++connections_, instance_);
    carry_out(agent_->connected(connection_, now_));
  }

  void disconnect() {
    if (!connected_) return;
    connected_ = false;
    timer_.reset();
    connect_at_ = now_ + milliseconds(number(3000));
    carry_out(agent_->disconnected());
  }

  void commit(std::uint64_t count) {
    if (forget_ > 0 && chance(0.7)) outbox_.forget_through(forget_);  // joins the commit
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto content = ++contents_;
      outbox_.records[outbox_.position.next_seq++] = content;
      produced_.insert(content);
    }
    carry_out(agent_->committed(outbox_.position.next_seq, now_));
  }

  void spoil() {
    if (outbox_.records.empty()) return;
    auto at = outbox_.records.lower_bound(outbox_.position.acked_seq + 1 + number(20));
    for (auto left = 1 + number(30); left > 0 && at != outbox_.records.end(); --left) {
      losses_.insert(at->second);
      at = outbox_.records.erase(at);
    }
  }

  /// As OutboxReader: holes are loss entries over their whole range.
  std::vector<wire::RecordEntry> read(std::uint64_t from, std::uint32_t records_max) const {
    std::vector<wire::RecordEntry> entries;
    std::uint64_t next = from;
    auto at = outbox_.records.lower_bound(from);
    for (std::uint32_t rows = 0; rows < records_max && next < outbox_.position.next_seq; ++rows) {
      const auto end = at == outbox_.records.end() ? outbox_.position.next_seq : at->first;
      if (end > next) entries.push_back({next, end - 1, wire::RecordClass::loss, ""});
      if (at == outbox_.records.end()) break;
      entries.push_back({end, end, wire::RecordClass::summary, content_text(at->second)});
      next = end + 1;
      ++at;
    }
    return entries;
  }

  void carry_out(Actions actions) {
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const auto more = std::visit([this](const auto& one) { return perform(one); }, actions[i]);
      actions.insert(actions.end(), more.begin(), more.end());
    }
  }
  Actions perform(const SendHello& greeting) {
    wire::Hello hello{.connection_id = connection_,
                      .instance_id = instance_,
                      .database_id = outbox_.database_id,
                      .epoch = outbox_.position.epoch,
                      .next_seq = outbox_.position.next_seq,
                      .acked_seq = outbox_.position.acked_seq,
                      .acked_hash = outbox_.acked_hash,
                      .forked = greeting.forked};
    to_hub([this, hello] { hub_hello(hello); });
    return {};
  }
  Actions perform(const SendBatch& send) {
    auto entries = read(send.from_seq, send.records_max);
    const auto through = entries.empty() ? 0 : entries.back().seq_last;
    const std::size_t bytes = entries.size() * 100;
    wire::RecordBatch batch{agent_->epoch(), connection_, std::move(entries)};
    to_hub([this, batch] { hub_records(batch); });
    return agent_->sent(through, bytes, now_);
  }
  Actions perform(const SendLive& send) {
    ++live_;
    wire::RecordBatch batch{agent_->epoch(), connection_, read(send.from_seq, send.records_max)};
    to_hub([this, batch] { hub_live(batch); });
    return {};
  }
  Actions perform(const DeleteThrough& done) {
    claim(store_.state.epoch == agent_->epoch() && done.seq <= store_.state.watermark,
          "deleted what the hub did not commit");
    for (auto at = outbox_.records.begin(); at != outbox_.records.end() && at->first <= done.seq;
         ++at) {
      acked_.insert(at->second);
    }
    if (chance(0.3)) {
      outbox_.forget_through(done.seq);
    } else {
      forget_ = done.seq;  // with one of the next commits; lost in a crash
    }
    return {};
  }
  Actions perform(const AdoptEpoch& grant) {
    outbox_.position.epoch = grant.epoch;
    outbox_.forget_through(grant.watermark);
    forget_ = 0;
    return {};
  }
  Actions perform(const ArmTimer& timer) {
    timer_ = timer.at;
    return {};
  }
  Actions perform(const Reconnect&) {
    disconnect();
    return {};
  }
  Actions perform(const Halted&) { return {}; }

  // --- the channel: to_hub and to_agent may drop, double and delay
  void send(const std::function<void()>& happen) {
    if (chance(weather_.drop)) return;
    for (int copies = chance(weather_.twice) ? 2 : 1; copies > 0; --copies) {
      const auto delay = Micros(static_cast<std::int64_t>(
          number(static_cast<std::uint64_t>(weather_.delay_max.count()))));
      events_.push({now_ + delay, ++order_, happen});
    }
  }
  void to_hub(const std::function<void()>& happen) {
    if (connected_) send(happen);
  }
  template <class Answer>
  void to_agent(Answer answer) {
    send([this, answer] {
      if (!connected_) return;
      if constexpr (std::is_same_v<Answer, wire::Ack>) {
        carry_out(agent_->acked(answer, now_));
      } else {
        const auto own = outbox_.records.find(answer.known_seq);
        carry_out(agent_->welcomed(
            answer, own == outbox_.records.end() ? std::nullopt : std::optional(own->second),
            now_));
      }
    });
  }

  // --- the hub: one transaction a message; killed before or after COMMIT
  void kill_hub() {
    ++kills_;
    hub_dies_ = true;
  }
  /// False: it died before COMMIT.
  bool hub_commits(const std::function<void()>& change) {
    if (hub_dies_ && chance(0.5)) {
      hub_dies_ = false;
      return false;
    }
    change();
    if (!hub_dies_) return true;
    hub_dies_ = false;  // after COMMIT, before the answer
    return false;
  }

  void hub_hello(const wire::Hello& hello) {
    const auto hash = [this](std::uint64_t seq) -> std::optional<std::uint64_t> {
      const auto at = store_.rows.find({store_.state.epoch, seq});
      return at == store_.rows.end() ? std::nullopt : std::optional(at->second);
    };
    const auto decision = on_hello(
        store_.state, hello, {hash(hello.acked_seq), hash(newest_seq(store_.state))}, {}, wall());
    const bool committed = hub_commits([&] { store_.state = decision.state; });
    if (committed && decision.answer) to_agent(decision.welcome);
  }

  void hub_records(const wire::RecordBatch& batch) {
    const auto decision = on_batch(store_.state, batch);
    bool committed = true;
    if (decision.verdict == BatchVerdict::accept) {
      committed = hub_commits([&] {
        claim(decision.watermark > store_.state.watermark, "the watermark went back");
        for (auto i = decision.first_entry; i < batch.entries.size(); ++i) {
          store(batch.epoch, batch.entries[i], decision.first_seq);
        }
        store_.state.watermark = decision.watermark;
      });
    }
    if (committed && decision.ack) to_agent(*decision.ack);
  }

  void hub_live(const wire::RecordBatch& batch) {
    const auto wanted = on_live(store_.state, batch);
    if (wanted.empty()) return;
    hub_commits([&] {
      for (const auto i : wanted) store(batch.epoch, batch.entries[i], 0);
      store_.state.live_through =
          std::max(store_.state.live_through, batch.entries[wanted.back()].seq);
    });
  }

  void store(std::uint64_t epoch, const wire::RecordEntry& entry, std::uint64_t first_seq) {
    if (entry.record_class == wire::RecordClass::loss) {
      for (auto seq = std::max(entry.seq, first_seq); seq <= entry.seq_last; ++seq) {
        if (!store_.rows.contains({epoch, seq})) store_.lost[epoch].insert(seq);
      }
      return;
    }
    const auto content = std::stoull(entry.payload);
    const auto [at, fresh] = store_.rows.try_emplace({epoch, entry.seq}, content);
    claim(at->second == content, "two records under one key");
    static_cast<void>(fresh);
  }

  Time wall() const { return Time(std::chrono::hours(500'000)) + (now_ - Ticks{}); }

  std::mt19937_64 random_;
  Weather weather_;
  std::uint64_t seed_;
  AgentLimits limits_;
  Ticks now_{seconds(1)};
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  std::unique_ptr<Agent> agent_;
  std::optional<Ticks> timer_;
  std::string instance_;
  std::uint64_t instances_ = 0;
  std::string connection_;
  std::uint64_t connections_ = 0;
  bool connected_ = false;
  Ticks connect_at_{};
  std::uint64_t told_ = 1;
  std::uint64_t forget_ = 0;
  std::uint64_t contents_ = 0;
  std::pair<ModelOutbox, std::set<std::uint64_t>> backup_;
  bool hub_dies_ = false;
};

/// content -> how many rows hold it.
std::map<std::uint64_t, int> rows_by_content(const ModelStore& store) {
  std::map<std::uint64_t, int> rows;
  for (const auto& [key, content] : store.rows) ++rows[content];
  return rows;
}

TEST(SyncSimulation, LosesNothingStoresOnceAndInOrderWhateverTheChannelDoes) {
  std::uint64_t records = 0;
  std::uint64_t kills = 0;
  std::uint64_t resends = 0;
  std::uint64_t live = 0;
  std::uint64_t broken = 0;
  Micros longest{0};
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Weather weather;
    weather.drop = 0.05 * static_cast<double>(seed % 8);
    weather.twice = 0.1 * static_cast<double>(seed % 3);
    weather.delay_max = milliseconds(seed % 5 == 0 ? 8000 : 50 + 200 * (seed % 7));
    World world(seed, weather);
    longest = std::max(longest, world.run(seconds(60)));
    ASSERT_TRUE(world.delivered()) << world.why();
    ASSERT_TRUE(world.problem_.empty()) << world.why();
    const auto rows = rows_by_content(world.store_);
    for (const auto content : world.produced_) {
      const bool there = rows.contains(content);
      ASSERT_TRUE(there || world.losses_.contains(content)) << content << " " << world.why();
    }
    // A hello that outlives its process and the next one's greeting may be taken for a newer
    // process: then an epoch is granted for nothing, and some records are there twice.
    const bool plain = weather.delay_max <= seconds(2);
    broken += world.quarantines_ > 0 || world.store_.state.epoch > 1 ? 1 : 0;
    ASSERT_TRUE(!plain || world.quarantines_ == 0) << world.why();
    if (plain || world.store_.state.epoch == 1) {
      ASSERT_EQ(world.store_.state.epoch, 1U) << "no history was broken: " << world.why();
      std::uint64_t before = 0;
      for (const auto& [key, content] : world.store_.rows) {
        ASSERT_GT(content, before) << "order: " << world.why();  // also: once
        before = content;
      }
      // The ledger adds up: every number is a row or a loss.
      ASSERT_EQ(world.store_.rows.size() + world.store_.lost[1].size(),
                world.store_.state.watermark)
          << world.why();
    }
    records += world.produced_.size();
    kills += world.kills_;
    resends += world.resends_;
    live += world.live_;
  }
  std::printf(
      "%lu seeds: %lu records, %lu kills, %lu resends, %lu live copies, %lu runs with "
      "another epoch, slowest recovery %.1f s (virtual)\n",
      kSeeds, records, kills, resends, live, broken, static_cast<double>(longest.count()) / 1e6);
  EXPECT_GT(kills, 100U);
  EXPECT_GT(resends, 100U);
  EXPECT_GT(live, 100U);
  EXPECT_LE(broken, 6U) << "of 60 with messages that outlive processes";
}

TEST(SyncSimulation, ARestoredOutboxOverwritesNothing) {
  std::uint64_t restores = 0;
  std::uint64_t epochs = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds * 2 / 3; ++seed) {
    Weather weather;
    weather.drop = 0.05 * static_cast<double>(seed % 4);
    weather.restore = 0.004;
    weather.loss = 0;
    World world(seed, weather);
    world.run(seconds(60));
    ASSERT_TRUE(world.delivered()) << world.why();
    ASSERT_TRUE(world.problem_.empty()) << world.why();
    const auto rows = rows_by_content(world.store_);
    for (const auto content : world.produced_) {
      ASSERT_TRUE(rows.contains(content)) << content << " " << world.why();
    }
    for (const auto content : world.acked_) {
      ASSERT_TRUE(rows.contains(content)) << "acknowledged, then lost: " << world.why();
    }
    restores += world.restores_;
    epochs += world.store_.state.epoch - 1;
  }
  std::printf("%lu seeds: %lu restores, %lu new epochs\n", kSeeds * 2 / 3, restores, epochs);
  EXPECT_GT(restores, 100U);
  EXPECT_GT(epochs, 30U);
}

}  // namespace
}  // namespace lapwing::sync
