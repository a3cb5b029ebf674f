// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/init.hpp"

#include "hub/fleet/authorities.hpp"
#include "hub/fleet/crl_file.hpp"
#include "hub/fleet/tokens.hpp"
#include "hub/store/config.hpp"
#include "shared/base/files.hpp"
#include "shared/trust/authority.hpp"
#include "shared/wire/topics.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>

namespace lapwing::hub {
namespace {

namespace fs = std::filesystem;

constexpr Micros kAuthorityLifetime = std::chrono::hours(24 * 365 * 10);
constexpr Micros kServerLifetime = std::chrono::hours(24 * 365 * 5);
constexpr std::array kFiles{
    "ca.pem",  "ca.key",  "ca.old.pem", "ca.old.key", "server.pem",     "server.key", "hub.pem",
    "hub.key", "crl.pem", "acl",        "hub.db",     "mosquitto.conf", "hub.toml"};

bool is_address(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

Result<void> check(const InitOptions& options) {
  if (!wire::valid_name(options.tenant)) {
    return Error{Errc::bad_input,
                 "--tenant \"" + options.tenant + "\": 1 to 64 of A-Z a-z 0-9 . _ - are allowed"};
  }
  for (const auto* listen : {&options.mqtt_listen, &options.http_listen}) {
    if (!is_address(*listen)) {
      return Error{Errc::bad_input, "listen address \"" + *listen +
                                        "\": an IP address is wanted, as 127.0.0.1 or 0.0.0.0"};
    }
  }
  const bool postgres = options.store_url.starts_with("postgresql://") ||
                        options.store_url.starts_with("postgres://");
  if (!options.store_url.empty() &&
      (!postgres || options.store_url.find_first_of("\"\\$\n") != std::string::npos)) {
    return Error{Errc::bad_input,
                 "--store: a URL as postgresql://hub@db.example:5432/lapwing is wanted"};
  }
  const std::string path = options.directory.string();
  if (std::any_of(path.begin(), path.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
    return Error{Errc::bad_input, "--dir: a path with control characters cannot be configured"};
  }
  for (const auto* name : kFiles) {
    std::error_code failed;
    if (fs::exists(options.directory / name, failed)) {
      return Error{Errc::exists, (options.directory / name).string() +
                                     ": a hub is there already and is never overwritten; choose "
                                     "another --dir, or move it away"};
    }
  }
  return {};
}

/// Files made so far; removed again unless kept.
class Made {
 public:
  explicit Made(fs::path directory) : directory_(std::move(directory)) {}
  ~Made() {
    std::error_code ignored;
    if (kept_) return;
    for (const auto* name : kFiles) fs::remove(directory_ / name, ignored);
    for (const auto* suffix : {"-wal", "-shm", ".lock"}) {
      fs::remove(directory_ / (std::string("hub.db") + suffix), ignored);
    }
    if (created_) fs::remove(directory_, ignored);  // only when empty
  }
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;

  Result<void> create_directory() {
    std::error_code failed;
    if (fs::is_directory(directory_, failed)) return {};
    fs::create_directories(directory_.parent_path(), failed);
    if (::mkdir(directory_.c_str(), 0700) != 0) {
      const bool denied = errno == EACCES || errno == EPERM || errno == EROFS;
      return Error{denied ? Errc::denied : Errc::io,
                   directory_.string() + ": the folder cannot be made: " + std::strerror(errno)};
    }
    created_ = true;
    return {};
  }
  Result<void> write(const char* name, std::string_view text) {
    return write_file_atomic(directory_ / name, text, 0644);
  }
  Result<void> write_key(const char* name, const trust::PrivateKey& key) {
    return key.write_new(directory_ / name);
  }
  void keep() { kept_ = true; }

 private:
  fs::path directory_;
  bool created_ = false;
  bool kept_ = false;
};

std::vector<std::string> certificate_names(const InitOptions& options) {
  std::vector<std::string> names = options.hosts;
  for (const auto& name : {std::string("localhost"), std::string("127.0.0.1"), std::string("::1"),
                           options.mqtt_listen, options.http_listen}) {
    if (name != "0.0.0.0" && name != "::") names.push_back(name);
  }
  std::vector<std::string> once;
  for (auto& name : names) {
    if (std::find(once.begin(), once.end(), name) == once.end()) once.push_back(std::move(name));
  }
  return once;
}

/// Another hub's where one is named, else a new one.
Result<Authorities> authorities_for(const InitOptions& options, Time at) {
  if (options.authority.empty()) {
    auto made = trust::Authority::create("Lapwing authority of " + options.tenant.substr(0, 32),
                                         {.now = at, .lifetime = kAuthorityLifetime});
    if (!made) return std::move(made).error();
    return Authorities::of(*std::move(made));
  }
  auto taken = Authorities::load(options.authority);
  if (!taken) return within("--authority", std::move(taken).error());
  const auto until = taken->signer().certificate().info().not_after;
  if (until <= at) {
    return Error{Errc::bad_input, "--authority " + options.authority.string() +
                                      ": its certificate expired on " + to_rfc3339(until)};
  }
  return taken;
}

Result<void> write_authorities(const Authorities& authorities, Time at, Made& made) {
  if (auto done = made.write_key("ca.key", authorities.signer().key()); !done) return done;
  if (authorities.all().size() > 1) {
    const auto& old = authorities.all().back();
    if (auto done = made.write_key("ca.old.key", old.key()); !done) return done;
    if (auto done = made.write("ca.old.pem", old.certificate().pem()); !done) return done;
  }
  if (auto done = made.write("ca.pem", authorities.bundle_pem()); !done) return done;
  std::string lists;
  for (const auto& one : authorities.all()) {
    const auto list = first_crl(one, at);
    if (!list) return list.error();
    lists += *list;
  }
  return made.write("crl.pem", lists);
}

Result<void> write_identities(const InitOptions& options, Time at, Made& made) {
  auto authorities = authorities_for(options, at);
  if (!authorities) return std::move(authorities).error();
  const auto& authority = authorities->all().back();  // during a rotation every device trusts it
  auto server_key = trust::PrivateKey::generate();
  if (!server_key) return std::move(server_key).error();
  auto hub_key = trust::PrivateKey::generate();
  if (!hub_key) return std::move(hub_key).error();
  auto server = authority.issue_server(*server_key, certificate_names(options),
                                       {.now = at, .lifetime = kServerLifetime});
  if (!server) return within("--host", std::move(server).error());
  auto hub = authority.issue_client(*hub_key, kHubUser, {.now = at, .lifetime = kServerLifetime});
  if (!hub) return std::move(hub).error();

  if (auto done = write_authorities(*authorities, at, made); !done) return done;
  if (auto done = made.write_key("server.key", *server_key); !done) return done;
  if (auto done = made.write("server.pem", server->pem()); !done) return done;
  if (auto done = made.write_key("hub.key", *hub_key); !done) return done;
  return made.write("hub.pem", hub->pem());
}

Result<bool> has_admin(Store& store, const std::string& tenant, Time at) {
  PageRequest request{.limit = 1'000};
  for (;;) {
    auto page = store.tokens(tenant, request);
    if (!page) return std::move(page).error();
    if (std::any_of(page->items.begin(), page->items.end(), [&](const TokenRow& token) {
          return token.usable(at) && allows(token, "admin");
        })) {
      return true;
    }
    if (!page->next_cursor) return false;
    request.cursor = *std::move(page->next_cursor);
  }
}

/// None where the store has one: of a hub whose replica this will be.
Result<std::optional<Secret<std::string>>> first_token(const InitOptions& options, Time at) {
  StoreConfig config{.url = options.store_url};
  if (!options.store_password_file.empty()) {
    auto password = read_secret(options.store_password_file);
    if (!password) return std::move(password).error();
    config.password = *std::move(password);
  }
  auto store = open_store(config, options.directory);
  if (!store) return std::move(store).error();
  const auto there = has_admin(**store, options.tenant, at);
  if (!there) return there.error();
  if (*there) return std::optional<Secret<std::string>>();
  auto token = create_token(
      **store,
      {.tenant = options.tenant, .name = "first admin", .scopes = {"admin"}, .lifetime = {}}, "cli",
      at);
  if (!token) return std::move(token).error();
  return std::optional(std::move(token->secret));
}

}  // namespace

Result<Initialised> init(const InitOptions& given, Time at) {
  InitOptions options = given;
  std::error_code failed;
  options.directory = fs::absolute(given.directory, failed).lexically_normal();
  if (!options.directory.has_filename()) options.directory = options.directory.parent_path();
  if (auto good = check(options); !good) return std::move(good).error();

  Made made(options.directory);
  if (auto done = made.create_directory(); !done) return std::move(done).error();
  if (auto done = write_identities(options, at, made); !done) return std::move(done).error();
  if (auto done = made.write("acl", mosquitto_acl()); !done) return std::move(done).error();
  if (auto done = made.write("mosquitto.conf", mosquitto_conf(options)); !done) {
    return std::move(done).error();
  }
  auto token = first_token(options, at);
  if (!token) return std::move(token).error();
  // Last: where this file is, the rest is complete.
  if (auto done = made.write("hub.toml", hub_toml(options)); !done) return std::move(done).error();
  made.keep();

  Initialised result;
  for (const auto* name : kFiles) {
    if (fs::exists(options.directory / name, failed)) {
      result.files.push_back(options.directory / name);
    }
  }
  result.admin_token = std::move(*token);
  return result;
}

}  // namespace lapwing::hub
