// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/mqtt: small packets leave at once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lapwing::mqtt {

/// Sets TCP_NODELAY on this process's TCP connections to that port of any host; how many there are.
///
/// The library neither does it nor tells its socket. Without it (Nagle's algorithm, RFC 896) a
/// second small packet waits until the other side has acknowledged the first, which a receiver that
/// has nothing to say puts off by 40 ms: each answer of a hub, each acknowledgement of a message.
/// Threads: any. Cost: a system call or two for each open file, once a connection.
std::size_t send_at_once(std::uint16_t port);

}  // namespace lapwing::mqtt
