// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "shared/base/files.hpp"
#include "shared/base/hex.hpp"
#include "shared/http/client.hpp"
#include "shared/release/signed.hpp"
#include "shared/trust/authority.hpp"
#include "shared/trust/certificate.hpp"
#include "shared/trust/key.hpp"
#include "shared/wire/topics.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <ostream>
#include <system_error>
#include <variant>

namespace lapwing::agent {
namespace {

constexpr std::uint64_t kTokenBytesMax = 4096;

/// Where an identity's files are.
struct Files {
  explicit Files(const std::filesystem::path& folder)
      : key(folder / "device.key"),
        certificate(folder / "device.pem"),
        ca(folder / "ca.pem"),
        keys(folder / "keys.lwk"),
        uplink(folder / "conf.d" / "uplink.toml") {}
  [[nodiscard]] std::filesystem::path new_key() const { return key.string() + ".new"; }

  std::filesystem::path key;
  std::filesystem::path certificate;
  std::filesystem::path ca;
  std::filesystem::path keys;
  std::filesystem::path uplink;
};

/// What the hub answered.
struct Answer {
  std::string certificate;
  std::string ca;
  wire::Identity identity;
  std::string mqtt_host;
  int mqtt_port = 0;
  std::string keys;  ///< signed list of who may release models; empty: the hub has none
};

Result<Secret<std::string>> find_token(const EnrolCommand& command) {
  std::string text = command.token;
  if (text.empty() && !command.token_file.empty()) {
    auto read = read_file(command.token_file, kTokenBytesMax);
    if (!read) return std::move(read).error();
    text = *std::move(read);
  }
  if (text.empty()) {
    const char* variable = std::getenv("LAPWING_ENROL_TOKEN");
    if (variable != nullptr) text = variable;
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  if (!text.empty()) return Secret<std::string>(std::move(text));
  return Error{Errc::bad_config,
               "no enrolment token: give --token-file FILE, --token TOKEN or the variable "
               "LAPWING_ENROL_TOKEN; an administrator of the hub makes one"};
}

/// A token must not travel readable, except inside this machine.
Result<http::Origin> read_url(const std::string& url) {
  auto origin = http::parse_origin(url);
  if (!origin) return Error{Errc::bad_config, "--hub " + origin.error().context};
  const std::string& host = origin->host;
  if (!origin->tls && host != "localhost" && host != "::1" && !host.starts_with("127.")) {
    return Error{Errc::bad_config, "--hub " + url +
                                       ": write https:// (plain http only to this machine itself: "
                                       "the token would travel readable)"};
  }
  return origin;
}

Result<void> prepare(const EnrolCommand& command, const Files& files) {
  std::error_code failed;
  std::filesystem::create_directories(files.uplink.parent_path(), failed);
  if (failed) {
    return Error{Errc::io, files.uplink.parent_path().string() + ": " + failed.message() +
                               "; name a folder that can be written with --dir"};
  }
  if (!command.replace && std::filesystem::exists(files.certificate, failed)) {
    return Error{Errc::exists, files.certificate.string() +
                                   " is there already; keep it, or add --replace to give this "
                                   "agent a new identity"};
  }
  return {};
}

std::string problem_of(const http::Response& response) {
  const auto body = nlohmann::json::parse(response.body, nullptr, false);
  std::string text = "HTTP " + std::to_string(response.status);
  if (body.is_object()) {
    for (const char* key : {"title", "detail"}) {
      if (body.contains(key) && body[key].is_string()) text += ", " + body[key].get<std::string>();
    }
  }
  return text;
}

Result<Answer> read_answer(const std::string& url, const http::Response& response) {
  if (response.status != 200 && response.status != 201) {
    const bool refused = response.status >= 400 && response.status < 500;
    return Error{refused ? Errc::denied : Errc::io,
                 url + " refused the enrolment: " + problem_of(response) +
                     (refused ? "; a token works once and only until it expires: ask for a new one"
                              : "; try again later")};
  }
  try {
    const auto body = nlohmann::json::parse(response.body);
    Answer answer;
    answer.certificate = body.at("certificate").get<std::string>();
    answer.ca = body.at("ca").get<std::string>();
    answer.identity = {body.at("tenant").get<std::string>(), body.at("device").get<std::string>()};
    answer.mqtt_host = body.at("mqtt").at("host").get<std::string>();
    answer.mqtt_port = body.at("mqtt").at("port").get<int>();
    if (const auto keys = body.find("keys"); keys != body.end()) {
      auto bytes = bytes_from_hex(keys->get<std::string>());
      if (!bytes) return Error{Errc::bad_input, url + ": the key list received is no such"};
      answer.keys = *std::move(bytes);
    }
    return answer;
  } catch (const nlohmann::json::exception&) {
    return Error{Errc::bad_input,
                 url + " answered something else than an enrolment; is it a lapwing-hub?"};
  }
}

/// The certificate is for our key, names who the answer names, and its authority is the one given.
Result<void> check_answer(const Answer& answer, const trust::PrivateKey& key) {
  const auto certificate = trust::Certificate::from_pem(answer.certificate);
  if (!certificate) return within("the certificate received", certificate.error());
  const auto ca = trust::Certificate::from_pem(answer.ca);
  if (!ca) return within("the authority received", ca.error());
  if (!certificate->matches(key)) {
    return Error{Errc::corrupt, "the certificate received is for another key"};
  }
  const auto name = wire::parse_identity(certificate->info().common_name);
  if (!name || *name != answer.identity) {
    return Error{Errc::corrupt, "the certificate received names \"" +
                                    certificate->info().common_name + "\", not \"" +
                                    to_string(answer.identity) + "\""};
  }
  auto verified = trust::verify(*certificate, *ca, now(), trust::Purpose::client);
  if (!verified) return within("the certificate received", std::move(verified).error());
  if (answer.keys.empty()) return {};
  const auto keys = release::Signed::decode(answer.keys);
  if (!keys) return within("the key list received", keys.error());
  if (!std::holds_alternative<release::KeyList>(keys->document())) {
    return Error{Errc::corrupt, "the key list received is another document"};
  }
  return {};
}

std::string toml_text(std::string_view text) { return nlohmann::json(text).dump(); }

Result<void> keep(const Files& files, const Answer& answer) {
  const std::string uplink =
      "# Written by `lapwing-agent enrol`; relative to agent.toml.\n[uplink]\nhost = " +
      toml_text(answer.mqtt_host) + "\nport = " + std::to_string(answer.mqtt_port) +
      "\nca_file = \"ca.pem\"\ncertificate_file = \"device.pem\"\nkey_file = \"device.key\"\n";
  if (auto done = write_file_atomic(files.ca, answer.ca, 0600); !done) return done;
  if (!answer.keys.empty()) {
    if (auto done = write_file_atomic(files.keys, answer.keys, 0600); !done) return done;
  }
  std::error_code failed;
  std::filesystem::rename(files.new_key(), files.key, failed);
  if (failed) return Error{Errc::io, files.key.string() + ": " + failed.message()};
  if (auto done = write_file_atomic(files.certificate, answer.certificate, 0600); !done) {
    return done;
  }
  return write_file_atomic(files.uplink, uplink, 0644);
}

Result<Answer> enrol(const EnrolCommand& command, const Files& files) {
  const auto origin = read_url(command.hub);
  if (!origin) return origin.error();
  auto token = find_token(command);
  if (!token) return std::move(token).error();
  if (auto ready = prepare(command, files); !ready) return std::move(ready).error();
  const auto key = trust::PrivateKey::generate();
  if (!key) return key.error();
  // Before the token is used up: the folder can be written, and the key is safe.
  if (auto kept = write_file_atomic(files.new_key(), key->pem().reveal(), 0600); !kept) {
    return std::move(kept).error();
  }
  const auto request = trust::make_csr(*key, "device");
  if (!request) return request.error();
  const http::Client client({.origin = *origin, .ca_file = command.ca_file});
  const nlohmann::json body{{"token", token->reveal()}, {"csr", *request}};
  const auto response = client.post("/api/v1/enrol", body.dump());
  if (!response) return response.error();
  auto answer = read_answer(command.hub, *response);
  if (!answer) return answer;
  if (auto fine = check_answer(*answer, *key); !fine) return std::move(fine).error();
  if (auto kept = keep(files, *answer); !kept) return std::move(kept).error();
  return answer;
}

}  // namespace

int run_enrol(const EnrolCommand& command, std::ostream& out, std::ostream& err) {
  const Files files(command.directory);
  const auto answer = enrol(command, files);
  if (!answer) {
    std::error_code ignored;
    std::filesystem::remove(files.new_key(), ignored);
    err << "lapwing-agent: " << answer.error().context << '\n';
    return answer.error().code == Errc::bad_config ? kExitUsage : kExitFailed;
  }
  const auto config = command.directory / "agent.toml";
  out << "enrolled as " << to_string(answer->identity) << "; identity in "
      << command.directory.string() << " (device.key, device.pem, ca.pem"
      << (answer->keys.empty() ? "" : ", keys.lwk") << "), uplink to " << answer->mqtt_host << ':'
      << answer->mqtt_port << " in " << files.uplink.string() << "\n"
      << "next: describe your sensors in " << config.string() << ", then\n"
      << "  lapwing-agent doctor --config " << config.string() << "\n"
      << "  lapwing-agent run --config " << config.string() << '\n';
  return 0;
}

}  // namespace lapwing::agent
