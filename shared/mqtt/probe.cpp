// SPDX-License-Identifier: Apache-2.0
#include "shared/mqtt/probe.hpp"

#include "shared/base/time.hpp"
#include "shared/mqtt/resolve.hpp"
#include "shared/mqtt/tls_socket.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <poll.h>

namespace lapwing::mqtt {
namespace {

/// How long a broker may take to refuse our certificate after TLS 1.3's handshake is over for us.
constexpr Micros kAlertWait = std::chrono::milliseconds(500);

Error file_problem(const std::filesystem::path& file, const char* what) {
  Error error{Errc::bad_config, file.string() + ": " + what + " (" + last_reason() + ")"};
  ERR_clear_error();
  return error;
}

Result<Context> make_context(const Tls& tls) {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context) return Error{Errc::corrupt, "OpenSSL cannot be used"};
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), tls.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (tls.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else if (SSL_CTX_load_verify_locations(context.get(), tls.ca_file.c_str(), nullptr) != 1) {
    return file_problem(tls.ca_file, "no CA certificate in PEM can be read from it");
  }
  if (!tls.certificate_file.empty() &&
      SSL_CTX_use_certificate_chain_file(context.get(), tls.certificate_file.c_str()) != 1) {
    return file_problem(tls.certificate_file, "no certificate in PEM can be read from it");
  }
  if (!tls.key_file.empty()) {
    if (SSL_CTX_use_PrivateKey_file(context.get(), tls.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
      return file_problem(tls.key_file, ("not the key of " + tls.certificate_file.string() +
                                         ", or not an unencrypted PEM key")
                                            .c_str());
    }
  }
  return context;
}

/// The remedy for a broker's certificate that does not hold.
Error server_problem(long verified, const Options& options) {
  const std::string ca = options.tls->ca_file.empty() ? std::string("the system's authorities")
                                                      : options.tls->ca_file.string();
  switch (verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return {Errc::denied,
              "the broker's certificate (or its CA's) has expired: renew it there, or correct this "
              "machine's clock, which says " +
                  to_rfc3339(now())};
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return {
          Errc::denied,
          "the broker's certificate is not valid yet: is this machine's clock behind? It says " +
              to_rfc3339(now())};
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return {Errc::denied, "the broker's certificate names another host than " + options.host +
                                ": use a name that is in it, or renew it with this name"};
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return {Errc::denied,
              "the broker's certificate is not signed by " + ca + ": is this the wrong CA file?"};
    default:
      return {Errc::denied, std::string("the broker's certificate is refused: ") +
                                X509_verify_cert_error_string(verified) + " (CA: " + ca + ")"};
  }
}

/// The remedy for what the broker answered to our certificate.
Error alert_problem(const std::string& reason, const Options& options, bool shaken) {
  const auto& file = options.tls->certificate_file;
  const auto has = [&](const char* part) { return reason.find(part) != std::string::npos; };
  if (!shaken && reason.empty()) {
    return {Errc::io, "the connection ends during the TLS handshake: is this the plain port?"};
  }
  if (file.empty() && (has("certificate required") || has("handshake failure") || reason.empty())) {
    return {Errc::denied,
            "the broker refuses us: it seems to need a client certificate, and none is configured"};
  }
  const std::string ours = "the broker refuses our certificate " + file.string();
  if (has("expired")) {
    return {Errc::denied, ours +
                              ": it has expired; renew it (enrol again), or correct this machine's "
                              "clock, which says " +
                              to_rfc3339(now())};
  }
  if (has("unknown ca") || has("bad certificate")) {
    return {Errc::denied,
            ours +
                ": it is not of an authority that the broker knows; enrol with this broker's "
                "hub, or give the broker our CA"};
  }
  if (has("revoked")) return {Errc::denied, ours + ": it was revoked; enrol again"};
  if (has("wrong version number") || has("packet length") || has("http request")) {
    return {Errc::denied, "what listens there does not speak TLS: is this the plain port?"};
  }
  if (reason.empty()) {
    return {Errc::denied, ours + " or closes connections at once; see the broker's log"};
  }
  return {Errc::denied, "TLS fails: " + reason +
                            " (our certificate: " + (file.empty() ? "none" : file.string()) + ")"};
}

/// Waits as OpenSSL wants. Errors: a final failure is alert_problem's or server_problem's.
/// `shaken`: the handshake is over for us.
Result<void> handle(int outcome, const Ssl& ssl, const Deadline& deadline, const Options& options,
                    bool shaken) {
  const int fd = SSL_get_fd(ssl.get());
  const int kind = SSL_get_error(ssl.get(), outcome);
  if (kind == SSL_ERROR_WANT_READ) return deadline.wait(fd, POLLIN);
  if (kind == SSL_ERROR_WANT_WRITE) return deadline.wait(fd, POLLOUT);
  const long verified = SSL_get_verify_result(ssl.get());
  const std::string reason = kind == SSL_ERROR_SSL ? last_reason() : "";
  ERR_clear_error();
  if (options.tls->verify && verified != X509_V_OK) return server_problem(verified, options);
  return alert_problem(reason, options, shaken);
}

Result<void> try_tls(int fd, const Options& options, const Deadline& deadline,
                     const std::function<bool()>& stopping) {
  auto context = make_context(*options.tls);
  if (!context) return std::move(context).error();
  const Ssl ssl(SSL_new(context->get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return Error{Errc::corrupt, "no TLS connection"};
  expect_host(ssl.get(), options.host);
  for (;;) {
    ERR_clear_error();
    const int outcome = SSL_connect(ssl.get());
    if (outcome == 1) break;
    if (auto waited = handle(outcome, ssl, deadline, options, false); !waited) return waited;
  }
  // With TLS 1.3 the broker judges our certificate only now.
  const Deadline alert(kAlertWait, stopping);
  for (;;) {
    char byte = 0;
    ERR_clear_error();
    const int outcome = SSL_read(ssl.get(), &byte, 1);
    if (outcome == 1) return {};
    if (auto waited = handle(outcome, ssl, alert, options, true); !waited) {
      if (waited.error().code == Errc::timeout) return {};  // silence: it waits for our CONNECT
      return waited;
    }
  }
}

}  // namespace

Result<void> probe(const Options& options, const std::function<bool()>& stopping) {
  auto addresses = resolve(options.host, options.port, options.connect_timeout, stopping);
  if (!addresses) return std::move(addresses).error();
  const Deadline deadline(options.connect_timeout, stopping);
  Error first{Errc::io, {}};
  for (const auto& address : *addresses) {
    const Socket socket(address.storage.ss_family);
    if (auto connected = connect_tcp(socket, address, deadline); !connected) {
      if (first.context.empty()) first = std::move(connected).error();
      continue;
    }
    if (!options.tls) return {};
    return try_tls(socket.fd(), options, deadline, stopping);
  }
  return first;
}

}  // namespace lapwing::mqtt
