// SPDX-License-Identifier: Apache-2.0
/// The files that say who a device is, and how they are replaced.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace lapwing::agent {

/// Certificate and key are read as a pair at any moment, whatever a crash left behind: a renewal
/// puts both into the certificate's file, in one rename, and then the key into its own file too,
/// for tools that want it there. A key in the certificate's file is the one that counts.
struct IdentityFiles {
  std::filesystem::path ca;
  std::filesystem::path certificate;
  std::filesystem::path key;

  /// Where the key is that belongs to the certificate. Cost: reads the certificate's file.
  [[nodiscard]] std::filesystem::path key_in_use() const;
};

/// What replaces them.
struct NewIdentity {
  std::string certificate_pem;
  Secret<std::string> key_pem;
  std::string authorities_pem;  ///< holds the authority of the certificates it replaces, or follows
};

/// Authorities, then certificate with key, then the key's own file: each step leaves a pair that
/// works, and the old certificate is trusted by what the new authorities hold. Errors: as
/// write_file_atomic; then the pair is the old one. A key file that cannot be written is no error:
/// it is not needed.
Result<void> replace_identity(const IdentityFiles& files, const NewIdentity& identity);

}  // namespace lapwing::agent
