// SPDX-License-Identifier: Apache-2.0
#include "shared/mqtt/resolve.hpp"

#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <netdb.h>
#include <thread>

namespace lapwing::mqtt {
namespace {

constexpr Micros kLook = std::chrono::milliseconds(50);

struct Lookup {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  int failed = 0;
  std::vector<Address> addresses;
};

int look_up(const std::string& host, const std::string& port, int flags,
            std::vector<Address>& addresses) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  if (failed != 0) return failed;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    Address address;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.size = one->ai_addrlen;
    addresses.push_back(address);
  }
  freeaddrinfo(list);
  return addresses.empty() ? EAI_NONAME : 0;
}

}  // namespace

Result<std::vector<Address>> resolve(const std::string& host, std::uint16_t port, Micros timeout,
                                     const std::function<bool()>& stopping) {
  const std::string service = std::to_string(port);
  std::vector<Address> numeric;
  if (look_up(host, service, AI_NUMERICHOST, numeric) == 0) return numeric;

  const auto lookup = std::make_shared<Lookup>();  // shared: we may give up before it ends
  std::thread([lookup, host, service] {
    std::vector<Address> addresses;
    const int failed = look_up(host, service, 0, addresses);
    const std::lock_guard lock(lookup->mutex);
    lookup->done = true;
    lookup->failed = failed;
    lookup->addresses = std::move(addresses);
    lookup->changed.notify_all();
  }).detach();

  const auto until = std::chrono::steady_clock::now() + timeout;
  std::unique_lock lock(lookup->mutex);
  while (!lookup->done) {
    if (stopping()) return Error{Errc::shutting_down, "stopping"};
    if (std::chrono::steady_clock::now() >= until) {
      return Error{Errc::timeout,
                   "the host name is not found: no DNS server answers; check the network"};
    }
    lookup->changed.wait_for(lock, kLook);
  }
  if (lookup->failed != 0) {
    return Error{Errc::io, std::string("the host name is not found (") +
                               gai_strerror(lookup->failed) + "); check its spelling and DNS"};
  }
  return std::move(lookup->addresses);
}

}  // namespace lapwing::mqtt
