// SPDX-License-Identifier: Apache-2.0
#include "lapwing/commands.hpp"
#include "lapwing/settings.hpp"
#include "lapwing/support.hpp"
#include "shared/base/config.hpp"
#include "shared/base/files.hpp"

#include <iostream>

namespace lapwing::cli {
namespace {

constexpr std::size_t kTokenBytesMax = 4'096;

Result<Secret<std::string>> find_token(const LoginCommand& command) {
  std::string token = command.token;
  if (command.token_file == "-") {
    std::getline(std::cin, token);
  } else if (!command.token_file.empty()) {
    auto read = read_file(command.token_file, kTokenBytesMax);
    if (!read) return read.error();
    token = *std::move(read);
  }
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.pop_back();
  }
  if (token.empty()) {
    return Error{Errc::bad_input,
                 "no token given; use --token, --token-file FILE or --token-file -"};
  }
  return Secret<std::string>(std::move(token));
}

}  // namespace

int run_login(const LoginCommand& command, std::ostream& out, std::ostream& err) {
  const auto file = settings_file();
  if (!file) return fail(err, file.error());
  auto token = find_token(command);
  if (!token) return fail(err, token.error());
  std::error_code ec;
  Settings settings{.hub = command.hub,
                    .ca_file = command.ca_file.empty()
                                   ? command.ca_file
                                   : std::filesystem::absolute(command.ca_file, ec),
                    .token = *std::move(token)};
  const auto hub = Hub::make(settings);
  if (!hub) return fail(err, hub.error());
  // Any answer but a refusal of the token proves it: a token may lack the scope to read.
  const auto tried = hub->get("/api/v1/devices?limit=1");
  if (!tried) return fail(err, tried.error());
  if (tried->status != 200 && tried->status != 403) return fail(err, Hub::refusal(*tried));
  if (const auto saved = save_settings(*file, settings); !saved) return fail(err, saved.error());
  out << "logged in to " << settings.hub << "; kept in " << file->string() << '\n';
  if (tried->status == 403) err << "lapwing: note: this token may not read\n";
  return 0;
}

int run_permit(const PermitCommand& command, std::ostream& out, std::ostream& err) {
  const auto lifetime = config::parse_duration(command.expires);
  if (!lifetime || *lifetime < std::chrono::seconds(1)) {
    return fail(err, Error{Errc::bad_input, "--expires \"" + command.expires +
                                                "\": a duration of 1s or more is wanted, as 2h"});
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*lifetime);
  const auto hub = connect();
  if (!hub) return fail(err, hub.error());
  const Json wanted{{"device", command.device}, {"expires_in_s", seconds.count()}};
  const auto made =
      hub->post("/api/v1/enrolments", wanted.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!made) return fail(err, made.error());
  if (made->status != 201) return fail(err, Hub::refusal(*made));
  const auto permit = Json::parse(made->body, nullptr, false);
  if (!permit.is_object() || !permit.contains("token")) return fail(err, Hub::not_a_hub());
  if (command.json) {
    print_json(permit, out);
    return 0;
  }
  out << text(permit, "token") << '\n';
  err << "lets " << text(permit, "device") << " in once, until " << instant(permit, "expires_at")
      << " UTC; put it into a file on the device and run there:\n  lapwing-agent enrol --hub "
      << hub->address() << " --ca ca.pem --token-file FILE --dir DIR\n";
  return 0;
}

}  // namespace lapwing::cli
