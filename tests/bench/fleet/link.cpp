// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fleet/link.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

namespace lapwing::fleet {
namespace {

constexpr std::size_t kSlabBytes = std::size_t{64} << 10U;

Error tls_error(std::string what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return {Errc::io, std::move(what) + ": " + text.data()};
}

}  // namespace

void TlsSide::Free::operator()(ssl_ctx_st* context) const noexcept { SSL_CTX_free(context); }
void Link::Free::operator()(ssl_st* tls) const noexcept { SSL_free(tls); }

Result<TlsSide> TlsSide::make(const Members& members, std::string host, std::uint16_t port) {
  TlsSide side;
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found)) {
    return Error{Errc::not_found, host + ": " + gai_strerror(failed)};
  }
  std::memcpy(&side.address_, found->ai_addr, found->ai_addrlen);
  side.address_bytes_ = found->ai_addrlen;
  freeaddrinfo(found);
  side.host_ = std::move(host);
  side.context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = side.context_.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context), members.authority.handle()) != 1) {
    return tls_error("TLS context");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // Each connection brings its certificate; the key is the same for all.
  if (!members.all.empty() &&
      (SSL_CTX_use_certificate(context, members.all.front().certificate.handle()) != 1 ||
       SSL_CTX_use_PrivateKey(context, members.key.handle()) != 1)) {
    return tls_error("key of the fleet");
  }
  return side;
}

Link::Link(const TlsSide& side, const trust::Certificate& certificate)
    : side_(side), certificate_(certificate) {}

Link::~Link() { close(false); }

Result<int> Link::open() {
  close(false);
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return Error{Errc::io, std::string("socket: ") + std::strerror(errno)};
  const int yes = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  const auto* address = reinterpret_cast<const sockaddr*>(&side_.address_);
  if (::connect(socket_, address, side_.address_bytes_) != 0 && errno != EINPROGRESS) {
    const int failed = errno;
    close(false);
    return Error{Errc::io, std::string("connect: ") + std::strerror(failed)};
  }
  tls_.reset(SSL_new(side_.context_.get()));
  if (!tls_ || SSL_use_certificate(tls_.get(), certificate_.handle()) != 1 ||
      SSL_set_fd(tls_.get(), socket_) != 1 ||
      SSL_set_tlsext_host_name(tls_.get(), side_.host_.c_str()) != 1 ||
      SSL_set1_host(tls_.get(), side_.host_.c_str()) != 1) {
    close(false);
    return tls_error("TLS connection");
  }
  SSL_set_connect_state(tls_.get());
  return socket_;
}

Result<void> Link::advance() {
  if (socket_ < 0) return Error{Errc::io, "closed"};
  if (!connected_) {
    int failed = 0;
    socklen_t size = sizeof failed;
    getsockopt(socket_, SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed != 0) return Error{Errc::io, std::string("connect: ") + std::strerror(failed)};
    sockaddr_storage peer{};
    size = sizeof peer;
    if (getpeername(socket_, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return {};
    connected_ = true;
  }
  if (!secured_) {
    const int done = SSL_do_handshake(tls_.get());
    if (done != 1) {
      const int why = SSL_get_error(tls_.get(), done);
      if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return {};
      return failure("handshake", done);
    }
    secured_ = true;
  }
  return flush();
}

Result<void> Link::flush() {
  while (written_ < waiting_.size()) {
    const int done = SSL_write(tls_.get(), waiting_.data() + written_,
                               static_cast<int>(waiting_.size() - written_));
    if (done <= 0) {
      const int why = SSL_get_error(tls_.get(), done);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return failure("write", done);
      break;
    }
    written_ += static_cast<std::size_t>(done);
  }
  if (written_ == waiting_.size()) {
    std::string().swap(waiting_);  // thousands of connections: no memory is kept
    written_ = 0;
  } else if (written_ > waiting_.size() / 2) {
    waiting_.erase(0, written_);
    written_ = 0;
  }
  return {};
}

Result<std::string_view> Link::receive(std::size_t bytes_max, bool& more) {
  thread_local std::array<char, kSlabBytes> buffer;
  more = false;
  const int done =
      SSL_read(tls_.get(), buffer.data(), static_cast<int>(std::min(bytes_max, buffer.size())));
  if (done > 0) {
    more = true;
    return std::string_view(buffer.data(), static_cast<std::size_t>(done));
  }
  const int why = SSL_get_error(tls_.get(), done);
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return std::string_view();
  return failure("read", done);
}

bool Link::send(std::string_view bytes) {
  if (socket_ < 0 || waiting_.size() + bytes.size() > kWaitingBytesMax) return false;
  waiting_ += bytes;
  // A failure shows again at the next advance(), which the owner's epoll brings.
  if (secured_) static_cast<void>(flush());
  return true;
}

void Link::close(bool abruptly) {
  if (socket_ < 0) return;
  if (abruptly) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  } else if (secured_) {
    SSL_shutdown(tls_.get());
  }
  ERR_clear_error();
  tls_.reset();
  ::close(socket_);
  socket_ = -1;
  connected_ = secured_ = false;
  std::string().swap(waiting_);
  written_ = 0;
}

Error Link::failure(const char* doing, int returned) {
  const int why = SSL_get_error(tls_.get(), returned);
  std::string text = doing;
  if (why == SSL_ERROR_ZERO_RETURN) {
    text += ": the broker closed the connection";
  } else if (why == SSL_ERROR_SYSCALL && ERR_peek_error() == 0) {
    text += errno == 0 ? ": the broker went away" : std::string(": ") + std::strerror(errno);
  } else {
    return tls_error(text);
  }
  ERR_clear_error();
  return {Errc::io, text};
}

}  // namespace lapwing::fleet
