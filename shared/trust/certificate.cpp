// SPDX-License-Identifier: Apache-2.0
#include "shared/trust/certificate.hpp"

#include "shared/trust/openssl_util.hpp"

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <ctime>

namespace lapwing::trust {
namespace {

Time to_time(const ASN1_TIME* from) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(from, &parts) != 1) return {};
  return Time(std::chrono::seconds(::timegm(&parts)));
}

std::string to_text(const ASN1_STRING* from) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(from)),
          static_cast<std::size_t>(ASN1_STRING_length(from))};
}

std::vector<std::string> names_of(const X509* certificate) {
  struct FreeNames {
    void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
  };
  const std::unique_ptr<GENERAL_NAMES, FreeNames> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> result;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* one = sk_GENERAL_NAME_value(names.get(), i);
    if (one->type == GEN_DNS) {
      result.push_back(to_text(one->d.dNSName));
    } else if (one->type == GEN_IPADD) {
      std::array<char, INET6_ADDRSTRLEN> text{};
      const int size = ASN1_STRING_length(one->d.iPAddress);
      const auto* bytes = ASN1_STRING_get0_data(one->d.iPAddress);
      if ((size == 4 || size == 16) &&
          inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text.data(), text.size()) != nullptr) {
        result.emplace_back(text.data());
      }
    }
  }
  return result;
}

std::string serial_of(const X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  return hex(ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial)));
}

std::string in_words(int code, const CertificateInfo& info) {
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "it expired at " + to_rfc3339(info.not_after) + "; renew it, or correct the clock";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "it is not valid before " + to_rfc3339(info.not_before) + "; is the clock behind?";
    case X509_V_ERR_INVALID_PURPOSE:
      return "it may not be used for this purpose";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return "another authority signed it (" + info.issuer_common_name + ")";
    default:
      return X509_verify_cert_error_string(code);
  }
}

}  // namespace

Result<Certificate> Certificate::from_pem(std::string_view pem) {
  auto bio = pem_reader(pem, "certificate");
  if (!bio) return std::move(bio).error();
  CertificateHandle handle(PEM_read_bio_X509(bio->get(), nullptr, nullptr, nullptr));
  if (!handle) return openssl_error(Errc::bad_input, "certificate: no PEM certificate inside");
  return Certificate(std::move(handle));
}

Result<std::vector<Certificate>> Certificate::all_from_pem(std::string_view pem) {
  auto bio = pem_reader(pem, "certificates");
  if (!bio) return std::move(bio).error();
  std::vector<Certificate> all;
  for (;;) {
    CertificateHandle handle(PEM_read_bio_X509(bio->get(), nullptr, nullptr, nullptr));
    if (!handle) break;
    if (all.size() == kBundleMax) {
      forget_openssl_errors();
      return Error{Errc::limit, "more than " + std::to_string(kBundleMax) + " certificates"};
    }
    all.emplace_back(std::move(handle));
  }
  if (all.empty()) {
    return openssl_error(Errc::bad_input, "certificates: no PEM certificate inside");
  }
  forget_openssl_errors();
  return all;
}

Result<Certificate> Certificate::load(const std::filesystem::path& file) {
  auto text = read_pem_file(file, "certificate");
  if (!text) return std::move(text).error();
  auto certificate = from_pem(*text);
  if (!certificate) return within(file.string(), std::move(certificate).error());
  return certificate;
}

CertificateInfo Certificate::info() const {
  X509* x = handle_.get();
  CertificateInfo info;
  info.common_name = common_name_of(X509_get_subject_name(x));
  info.issuer_common_name = common_name_of(X509_get_issuer_name(x));
  info.serial = serial_of(x);
  info.names = names_of(x);
  info.not_before = to_time(X509_get0_notBefore(x));
  info.not_after = to_time(X509_get0_notAfter(x));
  info.authority = X509_check_purpose(x, X509_PURPOSE_ANY, 0) == 1 && X509_check_ca(x) == 1;
  info.server = X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0) == 1;
  info.client = X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0) == 1;
  forget_openssl_errors();
  return info;
}

std::string Certificate::pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), handle_.get()) != 1) {
    forget_openssl_errors();
    return {};
  }
  return written(bio.get());
}

std::string Certificate::fingerprint() const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(handle_.get(), EVP_sha256(), digest.data(), &size) != 1) {
    forget_openssl_errors();
    return {};
  }
  return hex(digest.data(), size);
}

bool Certificate::matches(const PrivateKey& key) const {
  const bool same = X509_check_private_key(handle_.get(), key.handle()) == 1;
  forget_openssl_errors();
  return same;
}

Result<void> verify(const Certificate& certificate, const Certificate& authority, Time at,
                    Purpose purpose) {
  return verify(certificate, std::span(&authority, 1), at, purpose);
}

Result<void> verify(const Certificate& certificate, std::span<const Certificate> authorities,
                    Time at, Purpose purpose) {
  const std::unique_ptr<X509_STORE, Free<&X509_STORE_free>> store(X509_STORE_new());
  const std::unique_ptr<X509_STORE_CTX, Free<&X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  const bool added = store && std::all_of(authorities.begin(), authorities.end(), [&](auto& one) {
                       return X509_STORE_add_cert(store.get(), one.handle()) == 1;
                     });
  if (!added || !context ||
      X509_STORE_CTX_init(context.get(), store.get(), certificate.handle(), nullptr) != 1) {
    return openssl_error(Errc::corrupt, "cannot check a certificate");
  }
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(
      rules, std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count());
  if (purpose != Purpose::any) {
    X509_VERIFY_PARAM_set_purpose(
        rules, purpose == Purpose::server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  }
  if (X509_verify_cert(context.get()) == 1) return {};
  const auto info = certificate.info();
  Error refused{Errc::denied, "certificate of " + info.common_name + ": " +
                                  in_words(X509_STORE_CTX_get_error(context.get()), info)};
  forget_openssl_errors();
  return refused;
}

}  // namespace lapwing::trust
