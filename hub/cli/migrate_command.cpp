// SPDX-License-Identifier: Apache-2.0
#include "hub/cli/commands.hpp"
#include "hub/migrate/migrate.hpp"
#include "hub/store/config.hpp"
#include "shared/base/config.hpp"
#include "shared/base/files.hpp"

#include <algorithm>
#include <iomanip>
#include <optional>
#include <ostream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace lapwing::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kConfigBytesMax = 1 << 20;

struct Source {
  fs::path data_dir;
  StoreConfig store;
};

Result<Source> source_of(const MigrateCommand& command) {
  if (::access(command.config.c_str(), R_OK) != 0) {
    return Error{Errc::bad_config, command.config.string() +
                                       ": cannot be read; name the hub's hub.toml with --config"};
  }
  auto document = config::Document::load(command.config, config::process_environment());
  auto root = document.root();
  Source source;
  source.data_dir = root.table({"hub", "the hub itself"})
                        .path({"data_dir", "folder of database, keys and certificates"}, "data");
  auto section = root.table({"store", "where and how much is kept"});
  source.store = StoreConfig::read(section);
  if (!source.store.url.empty()) {
    return Error{Errc::bad_config,
                 command.config.string() + ": [store] url names PostgreSQL already"};
  }
  if (::access((source.data_dir / "hub.db").c_str(), F_OK) != 0) {
    return Error{Errc::bad_config, (source.data_dir / "hub.db").string() +
                                       ": there is no store; see [hub] data_dir in " +
                                       command.config.string()};
  }
  return source;
}

bool is_postgres(const std::string& url) {
  return (url.starts_with("postgresql://") || url.starts_with("postgres://")) &&
         url.find_first_of("\"\\$\n") == std::string::npos;
}

std::string store_lines(const MigrateCommand& command) {
  auto lines = "url = \"" + command.to + "\"\n";
  if (!command.password_file.empty()) {
    std::error_code failed;
    lines += "password_file = \"" + fs::absolute(command.password_file, failed).string() + "\"\n";
  }
  return lines;
}

/// The configuration with the lines under its [store], which is appended when there is none.
std::string with_store(const std::string& text, const std::string& lines) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    auto line = text.substr(at, end - at);
    line = line.substr(0, line.find('#'));
    std::erase_if(line, [](char c) { return c == ' ' || c == '\t' || c == '\r'; });
    if (line == "[store]") {
      const auto next = std::min(end + 1, text.size());
      return text.substr(0, end) + "\n" + lines + text.substr(next);
    }
    at = end + 1;
  }
  return text + (text.empty() || text.ends_with('\n') ? "" : "\n") + "\n[store]\n" + lines;
}

/// Whether this text, as hub.toml, asks for the database.
bool asks_for(const std::string& text, const std::string& url) {
  auto document = config::Document::parse(text, "hub.toml");
  auto section = document.root().table({"store", "where and how much is kept"});
  return StoreConfig::read(section).url == url;
}

/// Where the old one was kept; nothing when the file could not be changed safely.
std::optional<fs::path> rewrite(const MigrateCommand& command, const std::string& lines) {
  const auto old = read_file(command.config, kConfigBytesMax);
  struct ::stat status {};
  if (!old || ::stat(command.config.c_str(), &status) != 0) return std::nullopt;
  const auto changed = with_store(*old, lines);
  if (!asks_for(changed, command.to)) return std::nullopt;
  const auto mode = status.st_mode & 0777U;
  auto backup = command.config;
  backup += ".sqlite";
  if (!write_file_atomic(backup, *old, mode)) return std::nullopt;
  if (!write_file_atomic(command.config, changed, mode)) return std::nullopt;
  return backup;
}

std::string grouped(std::uint64_t number) {
  auto text = std::to_string(number);
  for (auto at = std::ssize(text) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

/// One line a table and step; on a terminal it moves.
class Teller {
 public:
  Teller(std::ostream& out, bool moves) : out_(out), moves_(moves) {}
  void operator()(const MigrationProgress& p) {
    if (!p.complete && !moves_) return;
    const auto seconds = std::max(1e-6, std::chrono::duration<double>(p.took).count());
    const auto rate = static_cast<double>(p.rows) / seconds;
    std::ostringstream line;
    line << (p.checking ? "  checked " : "  copied  ") << std::left << std::setw(14) << p.table
         << std::right << std::setw(16) << grouped(p.rows);
    if (!p.complete) line << " of " << grouped(p.rows_of);
    line << " rows";
    if (p.rows >= 1000) line << ", " << grouped(static_cast<std::uint64_t>(rate)) << " rows/s";
    if (!p.complete && p.rows_of > p.rows) {
      const auto left = static_cast<double>(p.rows_of - p.rows) / rate;
      line << ", " << static_cast<std::uint64_t>(left) + 1 << " s left";
    }
    out_ << (moves_ ? "\r\033[K" : "") << line.str() << (p.complete ? "\n" : "") << std::flush;
  }

 private:
  std::ostream& out_;
  bool moves_;
};

int fail(const Error& error, std::ostream& err) {
  err << "lapwing-hub migrate: " << error.context << '\n';
  if (error.code == Errc::bad_config) return kExitConfig;
  return error.code == Errc::bad_input ? kExitUsage : kExitFailed;
}

void tell_end(const Migrated& done, Micros took, std::ostream& out) {
  std::uint64_t rows = 0;
  for (const auto& table : done.tables) rows += table.rows;
  const auto& ledger = done.totals.ledger;
  out << "both sides are the same: " << grouped(rows) << " rows in " << std::fixed
      << std::setprecision(1) << std::chrono::duration<double>(took).count() << " s; "
      << done.totals.devices << " devices, produced " << grouped(ledger.produced) << " = stored "
      << grouped(ledger.stored) << " + lost " << grouped(ledger.lost.total()) << " + elsewhere "
      << grouped(ledger.elsewhere) << " + outstanding " << grouped(ledger.outstanding) << '\n';
  if (done.repaired > 0) {
    out << done.repaired
        << " texts held bytes that PostgreSQL does not take; they are U+FFFD now\n";
  }
}

}  // namespace

int run_migrate(const MigrateCommand& command, std::ostream& out, std::ostream& err) {
  if (!is_postgres(command.to)) {
    return fail(
        {Errc::bad_input, "--to: a URL as postgresql://hub@db.example:5432/lapwing is wanted"},
        err);
  }
  auto source = source_of(command);
  if (!source) return fail(source.error(), err);
  MigrationRequest request{.source = source->data_dir / "hub.db",
                           .target = {.url = command.to, .application = "lapwing-hub migrate"},
                           .at = now(),
                           .history = source->store.retention.history,
                           .progress = Teller(out, command.progress_moves)};
  if (!command.password_file.empty()) {
    auto password = read_secret(command.password_file);
    if (!password) return fail(password.error(), err);
    request.target.password = *std::move(password);
  }
  const auto lock = FileLock::take(source->data_dir / "hub.lock");
  if (!lock && lock.error().code == Errc::exists) {
    return fail({Errc::exists, source->data_dir.string() +
                                   ": a hub serves this folder; stop it first: devices keep "
                                   "their records meanwhile"},
                err);
  }
  if (!lock) return fail(lock.error(), err);
  const auto began = ticks_now();
  const auto done = migrate_to_postgres(request);
  if (!done) return fail(done.error(), err);
  tell_end(*done, std::chrono::duration_cast<Micros>(ticks_now() - began), out);
  const auto lines = store_lines(command);
  const auto backup = command.keep_config ? std::nullopt : rewrite(command, lines);
  if (backup) {
    out << command.config.string() << " names " << done->target
        << " now; as it was: " << backup->string() << '\n';
  } else {
    out << "put this under [store] of " << command.config.string() << ":\n" << lines;
  }
  out << "then start the hub. " << request.source.string()
      << " is as it was; nothing uses it any more.\n";
  return 0;
}

}  // namespace lapwing::hub
