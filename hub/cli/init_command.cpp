// SPDX-License-Identifier: Apache-2.0
#include "hub/cli/commands.hpp"
#include "shared/base/time.hpp"

#include <ostream>

namespace lapwing::hub {

int run_init(const InitOptions& options, std::ostream& out, std::ostream& err) {
  auto made = init(options, now());
  if (!made) {
    err << "lapwing-hub init: " << made.error().context << '\n';
    return made.error().code == Errc::bad_input ? kExitUsage : kExitFailed;
  }
  out << "made:\n";
  for (const auto& file : made->files) out << "  " << file.string() << '\n';
  const auto directory = made->files.front().parent_path();
  if (made->admin_token) {
    out << "\nFirst admin token, shown this once only; keep it safe:\n  "
        << made->admin_token->reveal() << '\n';
  } else {
    out << "\nThe store has an admin token of tenant \"" << options.tenant
        << "\" already: none was made.\n";
    if (options.authority.empty()) {
      out << "The authority is a new one: devices of another hub on this store will not trust this "
             "hub.\nIf it shall be a replica, make it with --authority and that hub's folder.\n";
    }
  }
  out << "\nStart the broker and the hub:\n  mosquitto -c "
      << (directory / "mosquitto.conf").string() << "\n  lapwing-hub serve --config "
      << (directory / "hub.toml").string()
      << "\n\nca.key signs every device's certificate: back it up and let nobody read it.\n";
  return 0;
}

}  // namespace lapwing::hub
