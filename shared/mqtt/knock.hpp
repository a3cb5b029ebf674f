// SPDX-License-Identifier: Apache-2.0
/// One MQTT 5 connection with a certificate in memory, made and ended at once: tells what a broker
/// thinks of the certificate, and ends whatever other connection its client id had.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace lapwing::mqtt {

struct Knock {
  std::string host;
  std::uint16_t port = 8883;
  std::filesystem::path ca_file;  ///< PEM, of the broker's authority
  std::string certificate_pem;
  Secret<std::string> key_pem;
  std::string client_id;
  Micros timeout = std::chrono::seconds(2);
};

enum class Knocked : std::uint8_t {
  accepted,  ///< the broker took the connection; an earlier one of the client id has ended
  revoked,   ///< it refuses the certificate: revoked
};

/// Clean start, session expiry 0, no will, nothing published. A broker that follows MQTT ends an
/// earlier connection of the client id before it answers (MQTT 5, 3.1.4-3).
/// Errors: io, timeout (the broker is away), denied (it refuses for another reason, told),
/// bad_config (the CA file), shutting_down.
/// Cost: a TLS handshake, some milliseconds; blocks up to the timeout, or until `stopping`.
Result<Knocked> knock(const Knock& visitor, const std::function<bool()>& stopping);

}  // namespace lapwing::mqtt
