// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/uplink.hpp"

#include "agent/uplink/endpoint_chooser.hpp"
#include "agent/uplink/events.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"
#include "shared/mqtt/client.hpp"
#include "shared/mqtt/probe.hpp"
#include "shared/sync/agent.hpp"
#include "shared/sync/hub.hpp"
#include "shared/trust/certificate.hpp"
#include "shared/wire/codec.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/settings.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

namespace lapwing::agent {
namespace {

constexpr std::size_t kInflightMax = 64;
/// How often the certificate's remaining life is told while there is no hub.
constexpr Micros kCertificateLook = std::chrono::minutes(1);

struct Instruments {
  explicit Instruments(Metrics& m)
      : connected(m.gauge("uplink_connected", "1 while the hub takes records")),
        backlog(
            m.gauge("uplink_backlog_records", "Records committed and not acknowledged by the hub")),
        batches(m.counter("uplink_batches_total", "Batches sent, repeated ones included")),
        records(m.counter("uplink_records_sent_total", "Records sent, repeated ones included")),
        acked(m.counter("uplink_records_acked_total", "Records acknowledged by the hub")),
        live(m.counter("uplink_live_copies_total", "Records sent ahead of a backlog")),
        resends(
            m.gauge("uplink_resends", "Times the uplink went back to the last acknowledgement")),
        bytes(m.counter("uplink_bytes_sent_total", "Bytes of records sent, compressed")),
        hub_changes(m.gauge("uplink_hub_changes", "Times another hub took the device than before")),
        probes(m.counter("uplink_probes_total", "Looks at better hubs while another one serves")),
        dropped(m.counter("uplink_answers_dropped_total",
                          "Answers of the hub beyond the queue's bound")),
        refused(m.counter("uplink_sends_refused_total",
                          "Messages the connection did not take: not connected, or too many under "
                          "way; what they carried is sent again")),
        offers(m.counter("uplink_offers_total", "Offers of models, repeated ones included")),
        offers_refused(m.counter("uplink_offers_refused_total",
                                 "Offers for which there was no room; the hub sends them again")),
        commands(m.counter("uplink_commands_total", "Commands of the hub, repeated ones included")),
        unreadable(
            m.counter("uplink_unreadable_total", "Messages of the hub that cannot be read")) {}
  Gauge& connected;
  Gauge& backlog;
  Counter& batches;
  Counter& records;
  Counter& acked;
  Counter& live;
  Gauge& resends;
  Counter& bytes;
  Gauge& hub_changes;
  Counter& probes;
  Counter& dropped;
  Counter& refused;
  Counter& offers;
  Counter& offers_refused;
  Counter& commands;
  Counter& unreadable;
};

std::vector<std::uint32_t> priorities_of(const std::vector<HubEndpoint>& hubs) {
  std::vector<std::uint32_t> priorities;
  for (const auto& hub : hubs) priorities.push_back(hub.priority);
  return priorities;
}

/// 1 at the hub that is held.
std::vector<Gauge*> gauges_of(const std::vector<HubEndpoint>& hubs, Metrics& metrics) {
  std::vector<Gauge*> gauges;
  for (const auto& hub : hubs) {
    gauges.push_back(&metrics.gauge("uplink_hub_connected", "1 at the hub that takes records",
                                    {{"hub", hub.name()}}));
  }
  return gauges;
}

constexpr std::int64_t kLeaveWithinMs = 5'000;
constexpr std::int64_t kLeaveWithinMsMax = 600'000;

/// `{"within_ms": 5000}`; without arguments the standard.
Result<std::int64_t> leave_within(std::string_view arguments) {
  if (arguments.empty()) return kLeaveWithinMs;
  const auto json = nlohmann::json::parse(arguments, nullptr, false);
  if (!json.is_object()) return Error{Errc::bad_input, "the arguments are no JSON object"};
  const auto at = json.find("within_ms");
  if (at == json.end()) return kLeaveWithinMs;
  if (!at->is_number_integer() || at->get<std::int64_t>() < 0 ||
      at->get<std::int64_t>() > kLeaveWithinMsMax) {
    return Error{Errc::bad_input, "within_ms: a whole number from 0 to 600000 is wanted"};
  }
  return at->get<std::int64_t>();
}

sync::AgentLimits limits_of(const UplinkConfig& config) {
  sync::AgentLimits limits;
  limits.batch_records_max = config.batch_records_max;
  limits.batch_bytes_max = static_cast<std::uint32_t>(config.batch_bytes_max);
  limits.live_backlog = config.live_backlog;
  limits.answer_timeout = config.answer_timeout;
  limits.answer_timeout_max = std::max(config.answer_timeout, limits.answer_timeout_max);
  limits.pace_bytes_per_second = config.pace_bytes_per_second;
  return limits;
}

/// A round can wait: it takes no more of the link than this.
sync::FetchLimits one_piece() {
  sync::FetchLimits limits;
  limits.pieces_max = 1;
  return limits;
}

sync::Agent::Position position_of(const HighWaterMark& mark) {
  sync::Agent::Position position{mark.epoch, mark.acked_seq, mark.next_seq, {}};
  for (const auto& one : mark.regions) position.regions.push_back(one.region);
  return position;
}

}  // namespace

class Uplink::Impl {
 public:
  Impl(const UplinkConfig& config, wire::Identity who, Outbox& outbox, Metrics& metrics,
       std::string version, FillStatus fill_status)
      : config_(config),
        hubs_(config.endpoints()),
        identity_(std::move(who)),
        outbox_(outbox),
        version_(std::move(version)),
        fill_status_(std::move(fill_status)),
        meters_(metrics),
        hub_gauges_(gauges_of(hubs_, metrics)),
        instance_id_(random_id()),
        started_(now()),
        agent_(limits_of(config), position_of(outbox.position()), random_u64()),
        renewer_({config.ca_file, config.certificate_file, config.key_file}, identity_, metrics),
        status_interval_(config.status_interval),
        chooser_(priorities_of(hubs_), {config.failover_after, config.failback_after}, random_u64(),
                 ticks_now()),
        download_(metrics,
                  [this](std::string_view frame) {
                    const auto topic = wire::topic(identity_, wire::Channel::fetch);
                    return client_.publish(topic, frame, 0).has_value();
                  }),
        candidate_(
            metrics,
            [this](std::string_view frame) {
              const auto topic = wire::topic(identity_, wire::Channel::fetch);
              return client_.publish(topic, frame, 0).has_value();
            },
            one_piece()),
        client_(options(hubs_.front()), handlers()) {
    client_.subscribe({{wire::down_filter(identity_), 1}});
    desk_.on("reconnect", [this](std::string_view arguments) { return leave(arguments); });
    desk_.on("renew_certificate", [this](std::string_view) -> Result<std::string> {
      renewer_.want(Micros(0));
      next_renewal_ = {};
      return std::string("asks for a new certificate");
    });
    desk_.on("report_status", [this](std::string_view) -> Result<std::string> {
      next_status_ = ticks_now();
      return std::string("reported");
    });
  }

  ~Impl() {
    stop();
    log::override_level(std::nullopt);
  }

  void on_command(std::string kind, CommandDesk::Handler handler) {
    desk_.on(std::move(kind), std::move(handler));
  }

  void on_offer(std::function<bool(wire::Offer)> hook) { on_offer_ = std::move(hook); }
  FileFetch& files() { return download_; }
  FileFetch& candidates() { return candidate_; }
  bool contribute(const wire::ContributionPart& part) {
    wire::FrameWriter writer;
    const auto topic = wire::topic(identity_, wire::Channel::contribution);
    return client_.publish(topic, writer.seal(wire::encode(part)), 1).has_value();
  }

  Result<void> start() {
    for (const auto& hub : hubs_) {
      if (::access(hub.ca_file.c_str(), R_OK) == 0) continue;
      return Error{Errc::bad_config, "uplink: " + hub.ca_file.string() +
                                         ": the CA file cannot be read; check that it exists and "
                                         "who may read it"};
    }
    if (auto begun = client_.start(); !begun) return within("uplink", std::move(begun).error());
    thread_ = std::thread([this] { run(); });
    outbox_.on_commit([this](std::uint64_t next) {
      {
        const std::lock_guard lock(mutex_);
        committed_ = std::max(committed_, next);
      }
      wake_.notify_one();
    });
    return {};
  }

  void stop() {
    if (!thread_.joinable()) return;
    outbox_.on_commit(nullptr);
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
    if (prober_.joinable()) prober_.join();
    download_.stop();
    candidate_.stop();
    client_.stop();
    const std::lock_guard lock(mutex_);
    figures_.connected = false;
    figures_.state = "stopped";
  }

  UplinkFigures figures() const {
    UplinkFigures figures;
    {
      const std::lock_guard lock(mutex_);
      figures = figures_;
    }
    figures.certificate = renewer_.figures();
    figures.download = download_.figures();
    return figures;
  }

  void renew_certificate(Micros within) {
    post(wire::CertificateAnswer{.outcome = wire::CertificateOutcome::wanted,
                                 .certificate = {},
                                 .authorities = {},
                                 .reason = {},
                                 .wait = within});
  }

  const wire::Identity& identity() const { return identity_; }

 private:
  mqtt::Options options(const HubEndpoint& hub) const {
    mqtt::Options o;
    o.host = hub.host;
    o.port = hub.port;
    o.client_id = wire::to_string(identity_);
    o.version = mqtt::Version::v5;  // 3.1.1 would answer success to a refused publish
    o.tls = tls();
    o.tls->ca_file = hub.ca_file;
    o.keep_alive = config_.keep_alive;
    o.connect_timeout = std::chrono::seconds(30);  // TLS alone takes 12 s at 2.4 kbit/s
    o.inflight_max = kInflightMax;
    o.packet_bytes_max = 2U << 20;
    o.backoff_max = config_.reconnect_max;
    return o;
  }

  /// The key moves into the certificate's file with a renewal.
  [[nodiscard]] mqtt::Tls tls() const {
    const IdentityFiles files{config_.ca_file, config_.certificate_file, config_.key_file};
    return {
        .ca_file = files.ca, .certificate_file = files.certificate, .key_file = files.key_in_use()};
  }

  mqtt::Handlers handlers() {
    mqtt::Handlers h;
    h.choose = [this] {
      const std::lock_guard lock(mutex_);
      const HubEndpoint& hub = hubs_[chooser_.next(ticks_now())];
      chosen_ = true;  // it has another wake_at()
      wake_.notify_one();
      return mqtt::Target{hub.host, hub.port, hub.ca_file};
    };
    h.make_will = [this]() -> std::optional<mqtt::Will> {
      // On the client's thread, as is on_connected.
      connection_id_ = sync::connection_id(++connections_, random_id());
      {
        const std::lock_guard lock(mutex_);
        attempt_ = connection_id_;
      }
      wire::Status status;
      status.connection_id = connection_id_;
      status.online = false;
      status.agent_version = version_;
      wire::FrameWriter writer;
      return mqtt::Will{.topic = wire::topic(identity_, wire::Channel::status),
                        .payload = writer.seal(wire::encode(status))};
    };
    h.identify = [this] { return tls(); };
    h.on_connected = [this](bool) { post(Connected{connection_id_}); };
    h.on_disconnected = [this](const Error& reason) {
      {
        const std::lock_guard lock(mutex_);
        attempt_.clear();
        chooser_.lost(ticks_now());
      }
      post(Lost{reason});
    };
    h.on_message = [this](const mqtt::Message& message) { on_message(message); };
    return h;
  }

  /// On the library's thread: decode the small answers, hand them over.
  void on_message(const mqtt::Message& message) {
    const auto topic = wire::parse_topic(message.topic);
    if (!topic || topic->identity != identity_) return;
    thread_local wire::FrameReader small(
        {.frame_bytes_max = 64 * 1024, .body_bytes_max = 64 * 1024});
    thread_local wire::FrameReader large(
        {.frame_bytes_max = wire::kOfferBytesMax, .body_bytes_max = wire::kOfferBytesMax});
    const bool of_models =
        topic->channel == wire::Channel::offer || topic->channel == wire::Channel::chunk;
    const auto body = (of_models ? large : small).open(message.payload);
    if (!body) return unreadable("message of the hub unreadable", body.error());
    switch (topic->channel) {
      case wire::Channel::welcome:
        return post_read(wire::decode_welcome(*body), "welcome unreadable");
      case wire::Channel::ack:
        return post_read(wire::decode_ack(*body), "acknowledgement unreadable");
      case wire::Channel::command:
        return post_read(wire::decode_command(*body), "command unreadable");
      case wire::Channel::desired:
        return post_read(wire::decode_desired(*body), "desired settings unreadable");
      case wire::Channel::certificate_answer:
        return post_read(wire::decode_certificate_answer(*body), "certificate unreadable");
      case wire::Channel::offer:
        return offered(wire::decode_offer(*body));
      case wire::Channel::chunk: {
        auto chunk = wire::decode_chunk(*body);
        if (!chunk) return unreadable("piece of a model unreadable", chunk.error());
        const bool of_round = candidate_.figures().sha256 == chunk->sha256;
        return (of_round ? candidate_ : download_).chunk(*std::move(chunk));
      }
      default:
        return;
    }
  }

  void offered(Result<wire::Offer> offer) {
    if (!offer) return unreadable("offer unreadable", offer.error());
    meters_.offers.add();
    if (!on_offer_ || !on_offer_(*std::move(offer))) meters_.offers_refused.add();
  }

  void unreadable(const char* what, const Error& error) {
    meters_.unreadable.add();
    log::warn(what, {error});
  }

  template <class Message>
  void post_read(Result<Message> message, const char* problem) {
    if (!message) return unreadable(problem, message.error());
    post(*std::move(message));
  }

  void post(UplinkEvent event) {
    {
      const std::lock_guard lock(mutex_);
      if (!events_.put(std::move(event))) {
        meters_.dropped.add();
        return;
      }
    }
    wake_.notify_one();
  }

  // --- the uplink's own thread
  // ---------------------------------------------------------------------

  void run() {
    std::unique_lock lock(mutex_);
    set_state("connecting", "");
    while (!stopping_) {
      const Ticks until = std::min({timer_.value_or(Ticks::max()), leave_at_.value_or(Ticks::max()),
                                    next_status_, chooser_.wake_at(), next_renewal_});
      const auto ready = [this] {
        return stopping_ || chosen_ || probed_ || !events_.empty() || committed_ > told_;
      };
      if (until == Ticks::max()) {
        wake_.wait(lock, ready);
      } else {
        wake_.wait_until(lock, until, ready);
      }
      chosen_ = false;
      std::vector<UplinkEvent> events = events_.take();
      const std::uint64_t committed = committed_;
      lock.unlock();
      for (UplinkEvent& event : events) std::visit([this](auto& one) { handle(one); }, event);
      if (committed > told_) {
        told_ = committed;
        carry_out(agent_.committed(committed, ticks_now()));
      }
      const Ticks at = ticks_now();
      if (timer_ && at >= *timer_) {
        timer_.reset();
        carry_out(agent_.timer(at));
      }
      if (at >= next_status_) send_status(true);
      choose();
      if (leave_at_ && at >= *leave_at_) {
        leave_at_.reset();
        client_.reconnect("the hub asked for another connection");
      }
      look_at_certificate();
      download_.connected(agent_.streaming() ? live_connection_ : "");
      candidate_.connected(agent_.streaming() ? live_connection_ : "");
      lock.lock();
      publish_figures();
    }
    lock.unlock();
    send_status(false);
  }

  /// Leaves this hub for another, or looks at a better one, when it is time.
  void choose() {
    if (hubs_.size() == 1) return;
    std::unique_lock lock(mutex_);
    const bool held = agent_.streaming();
    if (probed_) {
      if (prober_.joinable()) prober_.join();
      chooser_.probed(*std::exchange(probing_, std::nullopt), *std::exchange(probed_, std::nullopt),
                      ticks_now());
    }
    if (ticks_now() < chooser_.wake_at()) return;
    const std::string from = hubs_[chooser_.current()].name();
    const auto turn = chooser_.look(ticks_now());
    if (turn == EndpointChooser::Turn::probe) return probe(chooser_.to_probe());
    if (turn != EndpointChooser::Turn::move) return;
    lock.unlock();
    const std::string why = held ? "a better hub is steady again"
                                 : "the hub at " + from + " did not welcome us in time";
    log::info("uplink leaves the hub for another", {{"hub", from}, {"reason", why}});
    send_status(false);  // so that it need not miss us
    client_.move(why);
  }

  /// In a thread of its own: it may take as long as a connection. With mutex_.
  void probe(std::size_t hub) {
    if (probing_) return chooser_.probed(hub, false, ticks_now());  // from before a change
    probing_ = hub;
    meters_.probes.add();
    prober_ = std::thread([this, hub] {
      const bool good = static_cast<bool>(mqtt::probe(options(hubs_[hub]), [this] {
        const std::lock_guard lock(mutex_);
        return stopping_;
      }));
      {
        const std::lock_guard lock(mutex_);
        probed_ = good;
      }
      wake_.notify_one();
    });
  }

  /// What the hub said of us on this connection. `tell` is told unless it has ended since.
  template <class Tell>
  void tell_chooser(Tell tell) {
    const std::lock_guard lock(mutex_);
    if (attempt_ == live_connection_) tell(chooser_);
  }

  void handle(Connected& event) {
    live_connection_ = event.connection_id;
    log::info("uplink connected", {{"hub", hub_name()}, {"device", wire::to_string(identity_)}});
    set_state_locked("greeting", "");
    carry_out(agent_.connected(event.connection_id, ticks_now()));
  }

  void handle(Lost& event) {
    live_connection_.clear();
    leave_at_.reset();
    next_status_ = Ticks::max();
    timer_.reset();
    log::warn("uplink has no hub, trying again", {event.reason});
    set_state_locked("connecting", event.reason.context);
    carry_out(agent_.disconnected());
  }

  void handle(wire::Welcome& welcome) {
    const bool was = agent_.streaming();
    const auto own = own_at(welcome.known_seq);
    if (!own) {  // it cannot be told apart from another's: the hello is repeated
      return log::warn("outbox cannot be read, the hub's welcome waits", {own.error()});
    }
    carry_out(agent_.welcomed(welcome, *own, ticks_now()));
    if (was || !agent_.streaming()) return;
    tell_chooser([](EndpointChooser& chooser) { chooser.welcomed(ticks_now()); });
    region_ = welcome.region_name.empty() && welcome.region > 0 ? std::to_string(welcome.region)
                                                                : welcome.region_name;
    // Each region numbers its settings by itself, so a number of one says nothing to the other.
    if (desired_version_ != 0 && region_ != desired_region_) {
      desired_version_ = 0;
      desired_problem_ = "runs with the settings of region \"" + desired_region_ + "\"";
    }
    if (!welcome.reason.empty()) log::warn("hub: " + welcome.reason);
    log::info("uplink streams", {{"hub", hub_name()},
                                 {"region", region_},
                                 {"epoch", agent_.epoch()},
                                 {"watermark", agent_.watermark()},
                                 {"backlog", agent_.backlog()}});
    set_state_locked("streaming", "");
    send_status(true);
  }

  Result<sync::OwnRecord> own_at(std::uint64_t seq) {
    using Own = sync::OwnRecord::State;
    using Kept = OutboxReader::RecordAt::State;
    const auto found = outbox_.at(seq);
    if (!found) return found.error();
    if (!*found) return sync::OwnRecord{};
    const OutboxReader::RecordAt& at = **found;
    return sync::OwnRecord{.state = at.state == Kept::readable   ? Own::readable
                                    : at.state == Kept::given_up ? Own::given_up
                                                                 : Own::damaged,
                           .hash = at.hash,
                           .below_seq = at.below_seq,
                           .below_hash = at.below_hash};
  }

  void handle(wire::CertificateAnswer& answer) {
    std::filesystem::path ca_file;
    {
      const std::lock_guard lock(mutex_);
      ca_file = hubs_[chooser_.current()].ca_file;
    }
    if (renewer_.answered(answer, ca_file)) client_.reconnect("the certificate was renewed");
  }

  void look_at_certificate() {
    if (const auto request = renewer_.due(agent_.streaming())) {
      publish(wire::Channel::certificate, *request);
    }
    // Without a hub the next connection brings it up again.
    next_renewal_ = agent_.streaming() ? renewer_.next() : ticks_now() + kCertificateLook;
  }

  void handle(wire::Ack& ack) { carry_out(agent_.acked(ack, ticks_now())); }

  void handle(wire::Command& command) {
    if (live_connection_.empty()) return;  // of a connection that has ended; it comes again
    meters_.commands.add();
    log::info("command of the hub", {{"kind", command.kind}, {"id", command.id}});
    auto answer = desk_.take(command, now());
    if (!answer) return;
    answer->connection_id = live_connection_;
    publish(wire::Channel::result, wire::encode(*answer));
  }

  /// A random moment for each device: a replica's do not come to the others all at once.
  Result<std::string> leave(std::string_view arguments) {
    const auto within = leave_within(arguments);
    if (!within) return within.error();
    const auto after = random_u64() % (static_cast<std::uint64_t>(*within) + 1);
    leave_at_ = ticks_now() + std::chrono::milliseconds(after);
    return "leaves within " + std::to_string(*within) + " ms";
  }

  /// Replaces what was desired before: what is absent is as configured.
  void handle(wire::Desired& desired) {
    auto read = wire::read_settings(desired.document);
    const auto& settings = read.settings;
    agent_.set_pace(settings.pace_bytes_per_second.value_or(config_.pace_bytes_per_second));
    status_interval_ = settings.status_interval.value_or(config_.status_interval);
    std::optional<log::Level> level;
    if (settings.log_level) level = log::level_from(*settings.log_level).value();
    log::override_level(level);
    desired_version_ = desired.version;
    desired_region_ = region_;
    desired_problem_ = std::move(read.problem);
    log::info("settings of the hub",
              {{"version", desired_version_}, {"problem", desired_problem_}});
    next_status_ = ticks_now();
  }

  void carry_out(sync::Actions actions) {
    // An action may bring more (a batch that was sent allows the next); order is kept.
    not_kept_ = false;
    for (std::size_t i = 0; i < actions.size() && !not_kept_; ++i) {
      auto more = std::visit([this](const auto& action) { return perform(action); }, actions[i]);
      actions.insert(actions.end(), more.begin(), more.end());
    }
  }

  sync::Actions perform(const sync::SendHello& greeting) {
    const HighWaterMark mark = outbox_.position();
    wire::Hello hello;
    hello.connection_id = live_connection_;
    hello.instance_id = instance_id_;
    hello.database_id = mark.database_id;
    hello.epoch = mark.epoch;
    hello.next_seq = mark.next_seq;
    hello.acked_seq = mark.acked_seq;
    hello.acked_hash = mark.acked_hash;
    hello.agent_version = version_;
    hello.sent = now();
    hello.forked = greeting.forked;
    hello.check_seq = greeting.check_seq;
    hello.check_hash = greeting.check_hash;
    hello.desired_version = desired_version_;
    hello.regions = mark.regions;
    publish(wire::Channel::hello, wire::encode(hello));
    return {};
  }

  sync::Actions perform(const sync::SendBatch& send) {
    std::size_t bytes = 0;
    std::uint64_t through = 0;
    auto entries = outbox_.read(send.from_seq, send.records_max, send.bytes_max);
    if (!entries) {
      log::error("outbox cannot be read", {entries.error()});
    } else if (!entries->empty()) {
      const std::size_t count = entries->size();
      const std::uint64_t last = entries->back().seq_last;
      for (const auto& entry : *entries) bytes += entry.payload.size();
      if (publish(wire::Channel::records, batch_of(std::move(*entries)))) {
        through = last;
        meters_.batches.add();
        meters_.records.add(static_cast<double>(count));
      }
    }
    return agent_.sent(through, bytes, ticks_now());
  }

  sync::Actions perform(const sync::SendLive& send) {
    std::uint64_t from = send.from_seq;
    for (std::size_t i = 0; i < send.messages_max && from <= send.through; ++i) {
      auto entries = outbox_.read(from, send.records_max, send.bytes_max);
      if (!entries || entries->empty()) break;
      from = entries->back().seq_last + 1;
      std::size_t bytes = 0;
      for (const auto& entry : *entries) bytes += entry.payload.size();
      const auto count = static_cast<double>(entries->size());
      if (!publish(wire::Channel::report, batch_of(std::move(*entries)))) break;
      meters_.live.add(count);
      agent_.sent_live(bytes, ticks_now());
    }
    return {};
  }

  sync::Actions perform(const sync::DeleteThrough& done) {
    if (done.seq > acked_) meters_.acked.add(static_cast<double>(done.seq - acked_));
    acked_ = std::max(acked_, done.seq);
    outbox_.forget_through(done.seq, done.region);
    return {};
  }

  sync::Actions perform(const sync::AdoptEpoch& grant) {
    acked_ = grant.watermark;
    if (auto done = outbox_.adopt(grant.epoch, grant.watermark, grant.region); !done) {
      log::error("epoch cannot be kept", {done.error()});
      not_kept_ = true;  // nothing may be sent under it: the rest of the actions is void
      client_.reconnect("the epoch could not be stored");
    }
    return {};
  }

  sync::Actions perform(const sync::ArmTimer& timer) {
    timer_ = timer.at;
    return {};
  }

  sync::Actions perform(const sync::Reconnect& again) {
    log::warn("uplink reconnects", {{"reason", again.reason}});
    client_.reconnect(again.reason);
    return {};
  }

  sync::Actions perform(const sync::Halted& halt) {
    const bool quarantined = halt.outcome == wire::HelloOutcome::quarantined;
    log::error(quarantined ? "hub has quarantined this device" : "hub refuses this device",
               {{"reason", halt.reason}});
    set_state_locked(quarantined ? "quarantined" : "refused", halt.reason);
    tell_chooser([&](EndpointChooser& chooser) {
      quarantined ? chooser.quarantined() : chooser.refused(ticks_now());
    });
    return {};
  }

  std::string batch_of(std::vector<wire::RecordEntry> entries) {
    return wire::encode(wire::RecordBatch{agent_.epoch(), live_connection_, std::move(entries)});
  }

  bool publish(wire::Channel channel, std::string_view body) {
    const std::string frame = writer_.seal(body);
    const auto done = client_.publish(wire::topic(identity_, channel), frame, 1);
    if (!done) {
      meters_.refused.add();
      log::debug("not sent", {{"channel", wire::to_string(channel)}, done.error()});
      return false;
    }
    if (channel == wire::Channel::records) meters_.bytes.add(static_cast<double>(frame.size()));
    return true;
  }

  void send_status(bool online) {
    if (live_connection_.empty()) {
      next_status_ = Ticks::max();
      return;
    }
    wire::Status status;
    status.connection_id = live_connection_;
    status.online = online;
    status.agent_version = version_;
    status.started = started_;
    status.sent = now();
    const OutboxFigures outbox = outbox_.figures();
    status.outbox_records = outbox.records;
    status.outbox_bytes = outbox.bytes;
    status.produced_seq = outbox.next_seq - 1;
    status.desired_version = desired_version_;
    status.desired_problem = desired_problem_;
    if (fill_status_) fill_status_(status);
    publish(wire::Channel::status, wire::encode(status));
    next_status_ = ticks_now() + status_interval_;
  }

  std::string hub_name() const {
    const std::lock_guard lock(mutex_);
    return hubs_[chooser_.current()].name();
  }

  void set_state(const char* state, std::string problem) {
    figures_.state = state;
    figures_.problem = std::move(problem);
  }

  void set_state_locked(const char* state, std::string problem) {
    const std::lock_guard lock(mutex_);
    set_state(state, std::move(problem));
  }

  void publish_figures() {
    figures_.connected = agent_.streaming();
    figures_.epoch = agent_.epoch();
    figures_.watermark = agent_.watermark();
    figures_.backlog = agent_.backlog();
    figures_.hub = hubs_[chooser_.current()].name();
    figures_.region = agent_.streaming() ? region_ : "";
    figures_.why = to_string(chooser_.why());
    figures_.hub_changes = chooser_.changes();
    for (std::size_t i = 0; i < hub_gauges_.size(); ++i) {
      hub_gauges_[i]->set(agent_.streaming() && i == chooser_.current() ? 1 : 0);
    }
    meters_.hub_changes.set(static_cast<double>(chooser_.changes()));
    meters_.connected.set(agent_.streaming() ? 1 : 0);
    meters_.backlog.set(static_cast<double>(figures_.backlog));
    meters_.resends.set(static_cast<double>(agent_.resends()));
  }

  const UplinkConfig config_;
  const std::vector<HubEndpoint> hubs_;
  const wire::Identity identity_;
  Outbox& outbox_;
  const std::string version_;
  const FillStatus fill_status_;
  Instruments meters_;
  const std::vector<Gauge*> hub_gauges_;
  const std::string instance_id_;
  const Time started_;

  // Of the uplink's thread.
  sync::Agent agent_;
  wire::FrameWriter writer_;
  std::string live_connection_;
  std::string region_;  ///< of the hub that said welcome last
  std::optional<Ticks> timer_;
  Ticks next_status_ = Ticks::max();
  Renewer renewer_;
  Ticks next_renewal_{};
  std::uint64_t told_ = 0;
  bool not_kept_ = false;  ///< an epoch could not be stored
  std::uint64_t acked_ = 0;
  CommandDesk desk_;
  std::function<bool(wire::Offer)> on_offer_;  ///< on the client's threads
  std::optional<Ticks> leave_at_;              ///< then this connection is given up for another
  Micros status_interval_;
  std::uint64_t desired_version_ = 0;
  std::string desired_region_;  ///< it is a number of this region
  std::string desired_problem_;

  std::string connection_id_;      // of the client's thread
  std::uint64_t connections_ = 0;  // likewise: how many there were

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  UplinkEvents events_;
  std::uint64_t committed_ = 0;
  bool stopping_ = false;
  UplinkFigures figures_;
  EndpointChooser chooser_;
  bool chosen_ = false;
  std::string attempt_;                 ///< connection id of the attempt the chooser knows of
  std::optional<std::size_t> probing_;  ///< a hub, by prober_
  std::optional<bool> probed_;          ///< what came of it

  Download download_;
  Download candidate_;
  std::thread prober_;  // of the uplink's thread
  std::thread thread_;
  mqtt::Client client_;  // last: its callbacks reach everything above
};

Uplink::Uplink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Uplink::~Uplink() = default;

Result<std::unique_ptr<Uplink>> Uplink::make(const UplinkConfig& config, Outbox& outbox,
                                             Metrics& metrics, std::string agent_version,
                                             FillStatus fill_status) {
  auto certificate = trust::Certificate::load(config.certificate_file);
  if (!certificate) {
    return Error{Errc::bad_config, "uplink.certificate_file: " + certificate.error().context +
                                       "; run `lapwing-agent enrol`"};
  }
  auto identity = wire::parse_identity(certificate->info().common_name);
  if (!identity) {
    return Error{Errc::bad_config, "uplink.certificate_file: " + config.certificate_file.string() +
                                       ": its name " + identity.error().context +
                                       "; run `lapwing-agent enrol`"};
  }
  return std::unique_ptr<Uplink>(
      new Uplink(std::make_unique<Impl>(config, std::move(*identity), outbox, metrics,
                                        std::move(agent_version), std::move(fill_status))));
}

Result<void> Uplink::start() { return impl_->start(); }
void Uplink::stop() { impl_->stop(); }
void Uplink::renew_certificate(Micros within) { impl_->renew_certificate(within); }
UplinkFigures Uplink::figures() const { return impl_->figures(); }
const wire::Identity& Uplink::identity() const { return impl_->identity(); }
void Uplink::on_offer(std::function<bool(wire::Offer)> hook) { impl_->on_offer(std::move(hook)); }
FileFetch& Uplink::files() { return impl_->files(); }
FileFetch& Uplink::candidates() { return impl_->candidates(); }
bool Uplink::contribute(const wire::ContributionPart& part) { return impl_->contribute(part); }
void Uplink::on_command(std::string kind, CommandDesk::Handler handler) {
  impl_->on_command(std::move(kind), std::move(handler));
}

}  // namespace lapwing::agent
