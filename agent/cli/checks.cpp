// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/checks.hpp"

#include "agent/outbox/database.hpp"
#include "agent/uplink/identity_files.hpp"
#include "shared/base/files.hpp"
#include "shared/base/ids.hpp"
#include "shared/trust/certificate.hpp"
#include "shared/trust/key.hpp"
#include "shared/wire/topics.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <system_error>
#include <unistd.h>

namespace lapwing::agent {
namespace {

constexpr std::uint64_t kFreeBytesMin = std::uint64_t{16} << 20;
constexpr auto kRenewAhead = std::chrono::days(30);
/// No certificate of a Lapwing hub is older; a clock before it was never set.
constexpr Time kEarliest = Time(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1));

Finding ok(std::string_view subject, std::string text) {
  return {Grade::ok, std::string(subject), std::move(text), {}};
}
Finding warn(std::string_view subject, std::string text, std::string remedy) {
  return {Grade::warn, std::string(subject), std::move(text), std::move(remedy)};
}
Finding fail(std::string_view subject, std::string text, std::string remedy) {
  return {Grade::fail, std::string(subject), std::move(text), std::move(remedy)};
}

std::int64_t days(Micros span) { return std::chrono::floor<std::chrono::days>(span).count(); }

Finding check_expiry(std::string_view subject, const trust::CertificateInfo& info, Time at) {
  const std::string name = "\"" + info.common_name + "\"";
  if (at >= info.not_after) {
    return fail(subject, name + " expired on " + to_rfc3339(info.not_after),
                "renew it (lapwing-agent enrol --replace), or correct this machine's clock, which "
                "says " +
                    to_rfc3339(at));
  }
  if (at < info.not_before) {
    return fail(subject, name + " is only valid from " + to_rfc3339(info.not_before),
                "correct this machine's clock, which says " + to_rfc3339(at));
  }
  const std::string left = name + " is valid for " + std::to_string(days(info.not_after - at)) +
                           " more days, until " + to_rfc3339(info.not_after);
  // A running agent renews its certificate long before.
  if (info.not_after - at < std::min<Micros>(kRenewAhead, (info.not_after - info.not_before) / 5)) {
    return warn(subject, left,
                "an agent that runs renews it by itself: its status says why it did not; or "
                "lapwing-agent enrol --replace");
  }
  return ok(subject, left);
}

Finding unreadable(std::string_view subject, const Error& error) {
  return fail(subject, error.context,
              error.code == Errc::not_found ? "put the file there or correct its path"
              : error.code == Errc::denied  ? "let the agent's user read it"
                                            : "replace the file: it must be PEM");
}

/// The first outcome of one attempt.
Result<void> connect_once(mqtt::Options options) {
  // Shared with the handlers: they may still run while this function gives up.
  struct Outcome {
    std::promise<Result<void>> promise;
    std::once_flag once;
    void set(Result<void> result) {
      std::call_once(once, [&] { promise.set_value(std::move(result)); });
    }
  };
  const auto outcome = std::make_shared<Outcome>();
  auto future = outcome->promise.get_future();
  const auto patience = options.connect_timeout + std::chrono::seconds(5);
  const std::string broker = options.host + ":" + std::to_string(options.port);
  mqtt::Handlers handlers;
  handlers.on_connected = [outcome](bool) { outcome->set({}); };
  handlers.on_disconnected = [outcome](const Error& error) { outcome->set(error); };
  mqtt::Client client(std::move(options), std::move(handlers));
  if (auto started = client.start(); !started) return started;
  const bool answered = future.wait_for(patience) == std::future_status::ready;
  client.stop();
  if (answered) return future.get();
  return Error{Errc::timeout, broker + " did not answer"};
}

}  // namespace

Findings check_clock(Time at) {
  if (at < kEarliest) {
    return {fail("clock", "says " + to_rfc3339(at) + ", which is in the past",
                 "set it (timedatectl set-ntp true): certificates cannot be checked without it")};
  }
  timex state{};
  if (::adjtimex(&state) == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
    return {
        warn("clock", "says " + to_rfc3339(at) + "; the kernel was told by no time service",
             "start one (systemd-timesyncd, chrony), unless the host of this container has one")};
  }
  return {ok("clock", "says " + to_rfc3339(at) + ", kept by a time service")};
}

Findings check_data(const AgentConfig& config) {
  const auto& folder = config.data_dir;
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  const auto probe = folder / ".doctor";
  const auto written =
      failed ? Result<void>(Error{Errc::io, folder.string() + ": " + failed.message()})
             : write_file_atomic(probe, "can be written\n", 0600);
  if (!written) {
    return {fail("disk", written.error().context,
                 written.error().code == Errc::limit
                     ? "free some, or name a folder on another volume as [agent] data_dir"
                     : "give the agent's user a folder it can write, as [agent] data_dir")};
  }
  std::filesystem::remove(probe, failed);
  Findings findings;
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) == 0) {
    const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    const std::string text =
        folder.string() + " can be written, " + std::to_string(free >> 20) + " MiB free";
    if (free < kFreeBytesMin) {
      findings.push_back(fail("disk", text, "free some: nothing can be kept while it is full"));
    } else if (free < config.outbox.bytes_max) {
      findings.push_back(warn(
          "disk", text, "less than [outbox] bytes_max: free some, or lower it to what is there"));
    } else {
      findings.push_back(ok("disk", text));
    }
  }
  if (!std::filesystem::exists(folder / "outbox.db", failed)) return findings;
  auto reader = OutboxReader::open(folder);
  const auto position = reader ? (*reader)->position() : Result<HighWaterMark>(reader.error());
  if (!position) {
    findings.push_back(fail("outbox", position.error().context,
                            "start the agent: it sets a damaged database aside and goes on"));
  } else {
    findings.push_back(ok("outbox", std::to_string(position->next_seq - 1 - position->acked_seq) +
                                        " records wait for the hub"));
  }
  return findings;
}

Findings check_certificates(std::string_view subject, const mqtt::Tls& tls, Time at) {
  Findings findings;
  std::optional<trust::Certificate> authority;
  if (!tls.ca_file.empty()) {
    auto loaded = trust::Certificate::load(tls.ca_file);
    const std::string name = std::string(subject) + " authority";
    if (!loaded) {
      findings.push_back(unreadable(name, loaded.error()));
    } else {
      findings.push_back(check_expiry(name, loaded->info(), at));
      authority = *std::move(loaded);
    }
  }
  if (tls.certificate_file.empty()) return findings;
  const std::string name = std::string(subject) + " certificate";
  const auto certificate = trust::Certificate::load(tls.certificate_file);
  if (!certificate) {
    findings.push_back(unreadable(name, certificate.error()));
    return findings;
  }
  findings.push_back(check_expiry(name, certificate->info(), at));
  const auto key = trust::PrivateKey::load(tls.key_file);
  if (!key) {
    findings.push_back(unreadable(std::string(subject) + " key", key.error()));
  } else if (!certificate->matches(*key)) {
    findings.push_back(
        fail(std::string(subject) + " key",
             tls.key_file.string() + " is not the key of " + tls.certificate_file.string(),
             "put the key there that the certificate was made with, or enrol again"));
  } else {
    findings.push_back(ok(std::string(subject) + " key", "belongs to the certificate"));
  }
  // A broker of the site may know clients by another authority than its own: a hint only.
  if (authority && findings.back().grade == Grade::ok) {
    const auto signed_by = trust::verify(*certificate, *authority, certificate->info().not_before,
                                         trust::Purpose::client);
    if (!signed_by) {
      findings.push_back(warn(name, signed_by.error().context,
                              "use certificate and authority of one hub: enrol again"));
    }
  }
  return findings;
}

Findings check_broker(std::string_view subject, mqtt::Options options) {
  const std::string broker = options.host + ":" + std::to_string(options.port);
  options.client_id = "lapwing-doctor-" + random_id().substr(0, 8);
  options.clean_start = true;
  options.session_expiry = Micros(0);
  const auto connected = connect_once(std::move(options));
  if (connected) return {ok(subject, broker + " accepts this agent")};
  return {fail(subject, connected.error().context,
               "check address, port and firewall, and that the broker runs")};
}

Findings check_source(const SourceConfig& source, Time at) {
  const std::string subject = "source " + source.name;
  if (source.kind == SourceKind::host) return {ok(subject, "this machine's own telemetry")};
  if (source.kind == SourceKind::csv) {
    if (source.csv.file == "-") return {ok(subject, "reads standard input")};
    if (::access(source.csv.file.c_str(), R_OK) == 0) {
      return {ok(subject, source.csv.file.string() + " can be read")};
    }
    return {fail(subject, source.csv.file.string() + ": " + std::generic_category().message(errno),
                 "put the file there or correct `file`")};
  }
  mqtt::Options options;
  options.host = source.mqtt.host;
  options.port = source.mqtt.port;
  options.version = source.mqtt.version == 5 ? mqtt::Version::v5 : mqtt::Version::v3_1_1;
  options.username = source.mqtt.username;
  options.password = source.mqtt.password;
  Findings findings;
  if (source.mqtt.tls) {
    options.tls =
        mqtt::Tls{source.mqtt.ca_file, source.mqtt.certificate_file, source.mqtt.key_file};
    findings = check_certificates(subject, *options.tls, at);
  }
  auto reached = check_broker(subject + " broker", std::move(options));
  findings.insert(findings.end(), reached.begin(), reached.end());
  return findings;
}

Findings check_hub(const UplinkConfig& uplink, Time at) {
  const auto hubs = uplink.endpoints();
  Findings findings;
  for (const auto& hub : hubs) {
    mqtt::Options options;
    options.host = hub.host;
    options.port = hub.port;
    const IdentityFiles files{hub.ca_file, uplink.certificate_file, uplink.key_file};
    options.tls = mqtt::Tls{files.ca, files.certificate, files.key_in_use()};
    const bool first = &hub == &hubs.front();
    const std::string subject =
        hubs.size() == 1 ? "hub"
                         : "hub " + hub.name() + " (priority " + std::to_string(hub.priority) + ")";
    if (first || hub.ca_file != hubs.front().ca_file) {
      const auto certificates = check_certificates(first ? "hub" : subject, *options.tls, at);
      findings.insert(findings.end(), certificates.begin(), certificates.end());
    }
    if (const auto certificate = trust::Certificate::load(uplink.certificate_file);
        first && certificate) {
      const auto identity = wire::parse_identity(certificate->info().common_name);
      findings.push_back(
          identity ? ok("identity", "this device is " + wire::to_string(*identity))
                   : fail("identity", identity.error().context,
                          "the certificate is no device's: lapwing-agent enrol makes one"));
    }
    const auto reached = check_broker(subject, std::move(options));
    findings.insert(findings.end(), reached.begin(), reached.end());
  }
  return findings;
}

Findings check_status(const StatusConfig& status) {
  if (!status.enabled || status.port == 0) return {};
  sockaddr_storage address{};
  socklen_t length = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
  if (::inet_pton(AF_INET, status.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(status.port);
    length = sizeof *v4;
  } else if (::inet_pton(AF_INET6, status.address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(status.port);
    length = sizeof *v6;
  } else {
    return {fail("status", status.address + " is not an IP address", "correct [status] listen")};
  }
  const std::string where = status.address + ":" + std::to_string(status.port);
  const int socket = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const bool bound = ::bind(socket, reinterpret_cast<const sockaddr*>(&address), length) == 0 &&
                     ::listen(socket, 1) == 0;
  const int problem = errno;
  ::close(socket);
  if (bound) return {ok("status", where + " is free")};
  if (problem == EADDRINUSE) {
    return {warn("status", where + " is in use",
                 "fine if the agent runs already; else choose another [status] listen")};
  }
  return {fail("status", where + ": " + std::generic_category().message(problem),
               "correct [status] listen")};
}

}  // namespace lapwing::agent
