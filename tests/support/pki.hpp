// SPDX-License-Identifier: Apache-2.0
/// Certificates for tests, made by shared/trust.
#pragma once

#include "shared/base/time.hpp"
#include "shared/trust/authority.hpp"
#include "tests/support/process.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace lapwing::testing {

/// A certificate and its key, as files.
struct Identity {
  std::filesystem::path certificate_file;
  std::filesystem::path key_file;
};

/// An authority in a fresh folder. Throws when something cannot be made.
class Pki {
 public:
  explicit Pki(std::string_view name = "test authority");

  [[nodiscard]] std::filesystem::path ca_file() const { return folder_.path() / "ca.pem"; }
  /// Certificates valid from `at`; to make an expired one, pass an earlier instant.
  Identity server(const std::string& file, const std::vector<std::string>& names, Time at = now(),
                  Micros lifetime = std::chrono::hours(24));
  Identity client(const std::string& file, std::string_view common_name, Time at = now(),
                  Micros lifetime = std::chrono::hours(24));

 private:
  Identity write(const std::string& file, const trust::PrivateKey& key,
                 const trust::Certificate& certificate);

  TempDir folder_;
  trust::Authority authority_;
};

}  // namespace lapwing::testing
