// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/mqtt: host names to addresses, without holding up anybody else.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <functional>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace lapwing::mqtt {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// The addresses of `host`, at least one. The library asks DNS while it holds the lock that every
/// client of the process needs; asked here first, a DNS server that does not answer delays this
/// client only.
/// Errors: io (no such name, no DNS server), timeout, shutting_down. Cost: blocks up to `timeout`,
/// or until `stopping` says so; a look-up given up ends by itself in a thread of its own.
Result<std::vector<Address>> resolve(const std::string& host, std::uint16_t port, Micros timeout,
                                     const std::function<bool()>& stopping);

}  // namespace lapwing::mqtt
