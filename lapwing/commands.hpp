// SPDX-License-Identifier: Apache-2.0
/// The commands of `lapwing`, the command line for people. They answer with the codes of
/// shared/base/exit_codes.hpp: failed also means the hub refused, or nobody is logged in.
#pragma once

#include "shared/base/exit_codes.hpp"

#include <filesystem>
#include <iosfwd>
#include <string>

namespace lapwing::cli {

struct LoginCommand {
  std::string hub;
  std::string token;                 ///< empty: from token_file
  std::filesystem::path token_file;  ///< `-`: standard input
  std::filesystem::path ca_file;
};
/// Asks the hub whether the token works, then remembers it.
int run_login(const LoginCommand& command, std::ostream& out, std::ostream& err);

struct PermitCommand {
  std::string device;
  std::string expires = "1h";
  bool json = false;
};
/// Asks the hub for a one-time token that lets a device in, and prints what to run on the device.
int run_permit(const PermitCommand& command, std::ostream& out, std::ostream& err);

struct ListCommand {
  bool json = false;  ///< one JSON object per line, as the API gave it
  std::string device;
  std::string state;
  std::string severity;
  std::string since;  ///< RFC 3339, or a duration before now: "2h"
  std::size_t limit = 100;
  bool follow = false;
};
int run_devices(const ListCommand& command, std::ostream& out, std::ostream& err);
int run_streams(const ListCommand& command, std::ostream& out, std::ostream& err);
/// With `follow`: what is there, then each step as it reaches the hub, until interrupted.
int run_anomalies(const ListCommand& command, std::ostream& out, std::ostream& err);

}  // namespace lapwing::cli
