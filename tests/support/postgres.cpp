// SPDX-License-Identifier: Apache-2.0
#include "tests/support/postgres.hpp"

#include "shared/postgres/connection.hpp"
#include "tests/support/broker.hpp"

#include <algorithm>
#include <fstream>
#include <pwd.h>
#include <stdexcept>
#include <stdlib.h>
#include <unistd.h>
#include <vector>

namespace lapwing::testing {
namespace {

namespace fs = std::filesystem;

/// Debian keeps the server's programs by version; the newest one's folder.
std::optional<fs::path> programs() {
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", none)) {
    if (fs::exists(version.path() / "bin/postgres")) found.push_back(version.path() / "bin");
  }
  if (found.empty()) return std::nullopt;
  return *std::max_element(found.begin(), found.end());
}

}  // namespace

bool PostgresServer::installed() { return programs().has_value(); }

/// The server refuses to run as root: then it runs as the user its package made.
std::vector<std::string> PostgresServer::command(const std::string& program) const {
  std::vector<std::string> words;
  if (geteuid() == 0) {
    words = {"setpriv",        "--reuid=postgres", "--regid=postgres",
             "--clear-groups", "--pdeathsig",      "KILL"};
  }
  words.push_back(*programs() / program);
  words.insert(words.end(), {"-D", folder_ / "data"});
  return words;
}

PostgresServer::PostgresServer(std::string_view settings) : port_(free_port()) {
  std::string pattern = fs::temp_directory_path() / "lapwing-postgres-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
  folder_ = pattern;
  if (geteuid() == 0) {
    const auto* user = getpwnam("postgres");
    if (user == nullptr || chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) {
      throw std::runtime_error("cannot give " + folder_.string() + " to the user postgres");
    }
  }
  auto make = command("initdb");
  make.insert(make.end(), {"-U", "lapwing", "--auth=trust", "--no-sync", "--encoding=UTF8",
                           "--locale=C.UTF-8"});
  Process made(make);
  if (made.wait() != 0) throw std::runtime_error("initdb: " + made.err());
  std::ofstream(folder_ / "data/postgresql.conf", std::ios::app)
      << "listen_addresses = '127.0.0.1'\nport = " << port_ << "\nunix_socket_directories = '"
      << folder_.string() << "'\nfsync = off\n"
      << settings << '\n';
}

PostgresServer::~PostgresServer() {
  end(SIGQUIT);
  std::error_code none;
  fs::remove_all(folder_, none);
}

PostgresServer* PostgresServer::shared() {
  if (!installed()) return nullptr;
  static PostgresServer server;
  static const bool started = server.start();
  if (!started) throw std::runtime_error("PostgreSQL does not start: " + server.log());
  return &server;
}

bool PostgresServer::start() {
  process_ = std::make_unique<Process>(command("postgres"));
  return eventually([this] {
           return !process_->running() || postgres::Connection::open({.url = url("postgres")});
         }) &&
         process_->running();
}

void PostgresServer::end(int signal) {
  if (process_ == nullptr) return;
  process_->signal(signal);
  process_->wait();
  process_.reset();
}

void PostgresServer::stop() { end(SIGINT); }
void PostgresServer::crash() { end(SIGQUIT); }

std::string PostgresServer::new_database() {
  const auto name = "test" + std::to_string(++databases_);
  auto db = postgres::Connection::open({.url = url("postgres")});
  if (!db) throw std::runtime_error(db.error().context);
  (*db)->script("CREATE DATABASE " + name + " STRATEGY FILE_COPY");  // a third of the time
  if ((*db)->failed()) throw std::runtime_error((*db)->failure().context);
  return url(name);
}

std::string PostgresServer::url(std::string_view database) const {
  return "postgresql://lapwing@127.0.0.1:" + std::to_string(port_) + "/" + std::string(database);
}

std::string PostgresServer::log() const { return process_ ? process_->err() : std::string(); }

}  // namespace lapwing::testing
