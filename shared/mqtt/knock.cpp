// SPDX-License-Identifier: Apache-2.0
#include "shared/mqtt/knock.hpp"

#include "shared/mqtt/tls_socket.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <cstring>
#include <poll.h>
#include <string_view>

namespace lapwing::mqtt {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
};
struct FreeX509 {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};
struct FreePkey {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};

std::unique_ptr<BIO, FreeBio> reader(std::string_view text) {
  return std::unique_ptr<BIO, FreeBio>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<Context> context_of(const Knock& visitor) {
  Context context(SSL_CTX_new(TLS_client_method()));
  const auto certificate_text = reader(visitor.certificate_pem);
  const auto key_text = reader(visitor.key_pem.reveal());
  if (!context || !certificate_text || !key_text) {
    return Error{Errc::corrupt, "OpenSSL cannot be used"};
  }
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (SSL_CTX_load_verify_locations(context.get(), visitor.ca_file.c_str(), nullptr) != 1) {
    return Error{Errc::bad_config, visitor.ca_file.string() +
                                       ": no CA certificate in PEM can be read from it (" +
                                       last_reason() + ")"};
  }
  const std::unique_ptr<X509, FreeX509> certificate(
      PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  const std::unique_ptr<EVP_PKEY, FreePkey> key(
      PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  if (!certificate || !key || SSL_CTX_use_certificate(context.get(), certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return Error{Errc::bad_config, "no certificate with its key (" + last_reason() + ")"};
  }
  return context;
}

/// CONNECT of MQTT 5: clean start, keep-alive 10 s, no properties.
std::string connect_packet(std::string_view client_id) {
  std::string body("\0\4MQTT\5\2\0\12\0", 11);
  body += static_cast<char>(client_id.size() >> 8U);
  body += static_cast<char>(client_id.size() & 0xFFU);
  body += client_id;
  return std::string("\x10") + static_cast<char>(body.size()) + body;  // below 128 bytes
}
constexpr std::size_t kClientIdMax = 100;
constexpr Micros kJudgement = std::chrono::milliseconds(100);

class Visit {
 public:
  Visit(const Knock& visitor, Ssl ssl, const Deadline& deadline)
      : visitor_(visitor), ssl_(std::move(ssl)), deadline_(deadline) {}

  Result<Knocked> run() {
    auto done = repeat([&] { return SSL_connect(ssl_.get()); });
    if (done) done = hear_judgement();
    const auto packet = connect_packet(visitor_.client_id);
    if (done) {
      done = repeat(
          [&] { return SSL_write(ssl_.get(), packet.data(), static_cast<int>(packet.size())); });
    }
    std::array<unsigned char, 4> answer{};
    if (done) {
      done = repeat(
          [&] { return SSL_read(ssl_.get(), answer.data(), static_cast<int>(answer.size())); });
    }
    if (!done) {
      if (revoked_) return Knocked::revoked;
      return std::move(done).error();
    }
    if (answer[0] != 0x20 || answer[3] != 0) {
      return Error{Errc::denied, "the broker answers CONNECT with reason code " +
                                     std::to_string(static_cast<unsigned>(answer[3]))};
    }
    SSL_write(ssl_.get(), "\xE0\0", 2);  // DISCONNECT; whether it arrives does not matter
    SSL_shutdown(ssl_.get());
    return Knocked::accepted;
  }

 private:
  /// With TLS 1.3 the broker judges our certificate only now. What it says then is heard before
  /// anything is sent: to a connection that it closed that would be answered by a reset, and lose
  /// it. One that is content mostly sends session tickets.
  Result<void> hear_judgement() {
    if (SSL_version(ssl_.get()) != TLS1_3_VERSION) return {};
    const std::function<bool()> nobody = [] { return false; };
    if (!Deadline(kJudgement, nobody).wait(SSL_get_fd(ssl_.get()), POLLIN)) return {};
    char byte = 0;
    ERR_clear_error();
    const int outcome = SSL_peek(ssl_.get(), &byte, 1);
    const int kind = SSL_get_error(ssl_.get(), outcome);
    if (outcome > 0 || kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return {};
    return failure(kind);
  }

  Error failure(int kind) {
    const std::string reason = kind == SSL_ERROR_SSL ? last_reason() : "the connection ended";
    ERR_clear_error();
    revoked_ = reason.find("certificate revoked") != std::string::npos;
    return {Errc::denied, reason};
  }

  template <class Step>
  Result<void> repeat(Step step) {
    for (;;) {
      ERR_clear_error();
      const int outcome = step();
      if (outcome > 0) return {};
      const int kind = SSL_get_error(ssl_.get(), outcome);
      if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
        const short events = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        if (auto ready = deadline_.wait(SSL_get_fd(ssl_.get()), events); !ready) return ready;
        continue;
      }
      return failure(kind);
    }
  }

  const Knock& visitor_;
  Ssl ssl_;
  const Deadline& deadline_;
  bool revoked_ = false;
};

}  // namespace

Result<Knocked> knock(const Knock& visitor, const std::function<bool()>& stopping) {
  const auto where = visitor.host + ":" + std::to_string(visitor.port);
  if (visitor.client_id.size() > kClientIdMax) {
    return Error{Errc::bad_input, "client id longer than " + std::to_string(kClientIdMax)};
  }
  auto context = context_of(visitor);
  if (!context) return std::move(context).error();
  auto addresses = resolve(visitor.host, visitor.port, visitor.timeout, stopping);
  if (!addresses) return std::move(addresses).error();
  const Deadline deadline(visitor.timeout, stopping);
  Error first{Errc::io, where + ": no address"};
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    const Socket socket((*addresses)[i].storage.ss_family);
    if (auto connected = connect_tcp(socket, (*addresses)[i], deadline); !connected) {
      if (i == 0) first = within(where, std::move(connected).error());
      continue;
    }
    Ssl ssl(SSL_new(context->get()));
    if (!ssl || SSL_set_fd(ssl.get(), socket.fd()) != 1) {
      return Error{Errc::corrupt, "no TLS connection"};
    }
    expect_host(ssl.get(), visitor.host);
    auto knocked = Visit(visitor, std::move(ssl), deadline).run();
    if (!knocked) return within(where, std::move(knocked).error());
    return knocked;
  }
  return first;
}

}  // namespace lapwing::mqtt
