// SPDX-License-Identifier: Apache-2.0
#include "shared/trust/authority.hpp"

#include "shared/trust/openssl_util.hpp"

#include <openssl/pem.h>
#include <openssl/rand.h>

#include <arpa/inet.h>
#include <array>

namespace lapwing::trust {
namespace {

constexpr std::size_t kNamesMax = 100;
constexpr int kSerialBytes = 16;

Result<void> check_common_name(std::string_view name) {
  if (name.empty() || name.size() > kCommonNameMax) {
    return Error{Errc::bad_input, "common name \"" + std::string(name.substr(0, 80)) + "\": 1 to " +
                                      std::to_string(kCommonNameMax) +
                                      " characters are allowed in a certificate"};
  }
  return {};
}

bool set_common_name(X509_NAME* name, std::string_view text) {
  return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

bool set_time(ASN1_TIME* field, Time at) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch());
  return ASN1_TIME_set(field, seconds.count()) != nullptr;
}

bool set_random_serial(X509* certificate) {
  std::array<unsigned char, kSerialBytes> bytes{};
  if (RAND_bytes(bytes.data(), kSerialBytes) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7F) | 0x40);  // positive, no leading zero
  const std::unique_ptr<BIGNUM, Free<&BN_free>> number(
      BN_bin2bn(bytes.data(), kSerialBytes, nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool add_extension(X509* certificate, const X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, const_cast<X509*>(issuer), certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// What a certificate is to say, besides its key.
struct Contents {
  std::string_view common_name;
  Validity validity;
  std::string basic;
  std::string key_usage;
  std::string extended;  ///< empty: none
  std::string names;     ///< empty: none
};

/// Signs; self-signed where `issuer` is nullptr.
Result<Certificate> make(const Contents& contents, EVP_PKEY* subject_key, const X509* issuer,
                         EVP_PKEY* issuer_key) {
  if (auto good = check_common_name(contents.common_name); !good) return std::move(good).error();
  CertificateHandle handle(X509_new());
  X509* x = handle.get();
  const auto& validity = contents.validity;
  const bool made =
      x != nullptr && X509_set_version(x, X509_VERSION_3) == 1 && set_random_serial(x) &&
      set_common_name(X509_get_subject_name(x), contents.common_name) &&
      X509_set_issuer_name(x, X509_get_subject_name(issuer == nullptr ? x : issuer)) == 1 &&
      set_time(X509_getm_notBefore(x), validity.now - kClockTolerance) &&
      set_time(X509_getm_notAfter(x), validity.now + validity.lifetime) &&
      X509_set_pubkey(x, subject_key) == 1;
  if (!made) return openssl_error(Errc::corrupt, "cannot make a certificate");
  const X509* signer = issuer == nullptr ? x : issuer;
  const bool extended =
      add_extension(x, signer, NID_basic_constraints, contents.basic) &&
      add_extension(x, signer, NID_key_usage, contents.key_usage) &&
      (contents.extended.empty() ||
       add_extension(x, signer, NID_ext_key_usage, contents.extended)) &&
      (contents.names.empty() || add_extension(x, signer, NID_subject_alt_name, contents.names)) &&
      add_extension(x, signer, NID_subject_key_identifier, "hash") &&
      add_extension(x, signer, NID_authority_key_identifier, "keyid");
  if (!extended) return openssl_error(Errc::corrupt, "cannot extend a certificate");
  if (X509_sign(x, issuer_key, EVP_sha256()) == 0) {
    return openssl_error(Errc::corrupt, "cannot sign a certificate");
  }
  return Certificate(std::move(handle));
}

/// Whether the text may stand in OpenSSL's comma-separated list: nothing but host characters.
bool is_host_name(std::string_view name) {
  return !name.empty() && name.size() <= 253 &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*") ==
             std::string_view::npos;
}

bool is_address(const std::string& name) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

Result<std::string> alternative_names(const std::vector<std::string>& names) {
  if (names.empty() || names.size() > kNamesMax) {
    return Error{Errc::bad_input, "a server certificate needs 1 to " + std::to_string(kNamesMax) +
                                      " host names or addresses"};
  }
  std::string list;
  for (const auto& name : names) {
    if (!list.empty()) list += ',';
    if (is_address(name)) {
      list += "IP:" + name;
    } else if (is_host_name(name)) {
      list += "DNS:" + name;
    } else {
      return Error{Errc::bad_input,
                   "host name \"" + name.substr(0, 80) + "\": neither a DNS name nor an address"};
    }
  }
  return list;
}

/// The request, after its signature and key were checked.
Result<Request> parse_csr(std::string_view pem) {
  auto bio = pem_reader(pem, "certificate request");
  if (!bio) return std::move(bio).error();
  Request request(PEM_read_bio_X509_REQ(bio->get(), nullptr, nullptr, nullptr));
  if (!request) {
    return openssl_error(Errc::bad_input, "certificate request: no PEM request inside");
  }
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  std::array<char, 64> group{};
  std::size_t size = 0;
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
      EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) != 1 ||
      std::string_view(group.data()) != "prime256v1") {
    return openssl_error(Errc::bad_input, "certificate request: its key is not EC P-256");
  }
  if (X509_REQ_verify(request.get(), key) != 1) {
    return openssl_error(Errc::bad_input,
                         "certificate request: its signature is wrong; the sender must hold the "
                         "private key");
  }
  return request;
}

}  // namespace

Result<std::string> make_csr(const PrivateKey& key, std::string_view common_name) {
  if (auto good = check_common_name(common_name); !good) return std::move(good).error();
  const Request request(X509_REQ_new());
  const Bio bio(BIO_new(BIO_s_mem()));
  const bool made = request && bio &&
                    X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                    set_common_name(X509_REQ_get_subject_name(request.get()), common_name) &&
                    X509_REQ_set_pubkey(request.get(), key.handle()) == 1 &&
                    X509_REQ_sign(request.get(), key.handle(), EVP_sha256()) != 0 &&
                    PEM_write_bio_X509_REQ(bio.get(), request.get()) == 1;
  if (!made) return openssl_error(Errc::corrupt, "cannot make a certificate request");
  return written(bio.get());
}

Result<std::string> read_csr(std::string_view csr_pem) {
  auto request = parse_csr(csr_pem);
  if (!request) return std::move(request).error();
  return common_name_of(X509_REQ_get_subject_name(request->get()));
}

Result<Authority> Authority::create(std::string_view common_name, Validity validity) {
  auto key = PrivateKey::generate();
  if (!key) return std::move(key).error();
  auto certificate = make({.common_name = common_name,
                           .validity = validity,
                           .basic = "critical,CA:TRUE,pathlen:0",
                           .key_usage = "critical,keyCertSign,cRLSign"},
                          key->handle(), nullptr, key->handle());
  if (!certificate) return std::move(certificate).error();
  return Authority(std::move(*certificate), std::move(*key));
}

Result<Authority> Authority::load(const std::filesystem::path& certificate_file,
                                  const std::filesystem::path& key_file) {
  auto certificate = Certificate::load(certificate_file);
  if (!certificate) return std::move(certificate).error();
  auto key = PrivateKey::load(key_file);
  if (!key) return std::move(key).error();
  if (!certificate->info().authority) {
    return Error{Errc::bad_input,
                 certificate_file.string() + ": not the certificate of an authority"};
  }
  if (!certificate->matches(*key)) {
    return Error{Errc::bad_input, key_file.string() + ": not the key of " +
                                      certificate_file.string() + "; they belong together"};
  }
  return Authority(std::move(*certificate), std::move(*key));
}

Result<Certificate> Authority::issue_server(const PrivateKey& key,
                                            const std::vector<std::string>& names,
                                            Validity validity) const {
  auto list = alternative_names(names);
  if (!list) return std::move(list).error();
  // The first name that fits is repeated as common name for people; TLS checks the list.
  const std::string shown = names.front().size() <= kCommonNameMax ? names.front() : "server";
  return make({.common_name = shown,
               .validity = validity,
               .basic = "critical,CA:FALSE",
               .key_usage = "critical,digitalSignature",
               .extended = "serverAuth",
               .names = *list},
              key.handle(), certificate_.handle(), key_.handle());
}

Result<Certificate> Authority::issue_client(const PrivateKey& key, std::string_view common_name,
                                            Validity validity) const {
  return make({.common_name = common_name,
               .validity = validity,
               .basic = "critical,CA:FALSE",
               .key_usage = "critical,digitalSignature",
               .extended = "clientAuth"},
              key.handle(), certificate_.handle(), key_.handle());
}

Result<Certificate> Authority::issue_device(std::string_view csr_pem, std::string_view common_name,
                                            Validity validity) const {
  auto request = parse_csr(csr_pem);
  if (!request) return std::move(request).error();
  return make({.common_name = common_name,
               .validity = validity,
               .basic = "critical,CA:FALSE",
               .key_usage = "critical,digitalSignature",
               .extended = "clientAuth"},
              X509_REQ_get0_pubkey(request->get()), certificate_.handle(), key_.handle());
}

}  // namespace lapwing::trust
