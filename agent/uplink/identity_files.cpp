// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/identity_files.hpp"

#include "shared/base/files.hpp"
#include "shared/base/log.hpp"

namespace lapwing::agent {
namespace {

constexpr std::uint64_t kBytesMax = 64 * 1024;

bool has_key(std::string_view pem) { return pem.find("PRIVATE KEY-----") != pem.npos; }

}  // namespace

std::filesystem::path IdentityFiles::key_in_use() const {
  const auto text = read_file(certificate, kBytesMax);
  return text && has_key(*text) ? certificate : key;
}

Result<void> replace_identity(const IdentityFiles& files, const NewIdentity& identity) {
  const auto known = read_file(files.ca, kBytesMax);
  if (!known || *known != identity.authorities_pem) {
    if (auto done = write_file_atomic(files.ca, identity.authorities_pem, 0644); !done) return done;
  }
  const Secret<std::string> both(identity.certificate_pem + identity.key_pem.reveal());
  if (auto done = write_file_atomic(files.certificate, both.reveal(), 0600); !done) return done;
  if (files.key == files.certificate) return {};
  if (auto done = write_file_atomic(files.key, identity.key_pem.reveal(), 0600); !done) {
    log::warn("the key's own file keeps an old key; the one in use is in the certificate's file",
              {{"certificate", files.certificate}, done.error()});
  }
  return {};
}

}  // namespace lapwing::agent
