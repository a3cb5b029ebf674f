// SPDX-License-Identifier: Apache-2.0
#include "hub/cli/commands.hpp"
#include "hub/cli/configured.hpp"
#include "hub/fleet/rotation.hpp"
#include "hub/store/certificates.hpp"

#include <ostream>

namespace lapwing::hub {
namespace {

int fail_authority(const char* command, const Error& error, std::ostream& err) {
  err << "lapwing-hub " << command << ": " << error.context << '\n';
  return error.code == Errc::bad_config ? kExitConfig : kExitFailed;
}

}  // namespace

int run_authority_rotate(const AuthorityCommand& command, std::ostream& out, std::ostream& err) {
  const auto folder = configured_folder(command.config);
  if (!folder) return fail_authority("authority rotate", folder.error(), err);
  if (auto done = rotate_authority(*folder, now()); !done) {
    return fail_authority("authority rotate", done.error(), err);
  }
  out << "a new authority signs from now on, the old one is trusted beside it: "
      << (*folder / "ca.pem").string()
      << "\n\nnext:\n  1. of several replicas: copy ca.pem, ca.key, ca.old.pem and ca.old.key to "
         "each "
         "one's folder\n  2. SIGHUP to each hub; it makes its broker read them, and tells devices "
         "to "
         "renew\n  3. give the new ca.pem to people and programs that use the API\n  4. wait until "
         "`lapwing-hub authority status` (or lapwing_hub_devices_of_earlier_authority) says 0\n  "
         "5. "
         "lapwing-hub authority retire\n";
  return 0;
}

int run_authority_status(const AuthorityCommand& command, std::ostream& out, std::ostream& err) {
  const auto folder = configured_folder(command.config);
  if (!folder) return fail_authority("authority status", folder.error(), err);
  const auto authorities = Authorities::load(*folder);
  if (!authorities) return fail_authority("authority status", authorities.error(), err);
  const auto store = configured_store(command.config);
  if (!store) return fail_authority("authority status", store.error(), err);
  const auto list = authority_status(*authorities, (*store)->certificates());
  if (!list) return fail_authority("authority status", list.error(), err);
  for (const auto& one : *list) {
    out << one.fingerprint.substr(0, 16) << "  " << (one.signs ? "signs  " : "trusted")
        << "  until " << to_rfc3339(one.expires) << "  " << one.devices << " devices  " << one.name
        << '\n';
  }
  return 0;
}

int run_authority_retire(const AuthorityCommand& command, std::ostream& out, std::ostream& err) {
  const auto folder = configured_folder(command.config);
  if (!folder) return fail_authority("authority retire", folder.error(), err);
  const auto store = configured_store(command.config);
  if (!store) return fail_authority("authority retire", store.error(), err);
  if (auto done = retire_authority(*folder, (*store)->certificates(), command.force, now());
      !done) {
    return fail_authority("authority retire", done.error(), err);
  }
  out << "the old authority is gone; server.pem and hub.pem are of the new one\n\nnext: restart "
         "the "
         "broker (only then it forgets the old one) and the hub\n";
  return 0;
}

int run_renew(const AuthorityCommand& command, std::ostream& out, std::ostream& err) {
  const auto folder = configured_folder(command.config);
  if (!folder) return fail_authority("renew", folder.error(), err);
  const auto authorities = Authorities::load(*folder);
  if (!authorities) return fail_authority("renew", authorities.error(), err);
  const auto files = renew_own_certificates(*folder, *authorities, true, now());
  if (!files) return fail_authority("renew", files.error(), err);
  for (const auto& file : *files) out << "renewed " << file.string() << '\n';
  out << "next: SIGHUP to the hub; it makes its broker read them\n";
  return 0;
}

}  // namespace lapwing::hub
