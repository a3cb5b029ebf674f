// SPDX-License-Identifier: Apache-2.0
#include "shared/trust/crl.hpp"

#include "shared/trust/openssl_util.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <ctime>
#include <limits>

namespace lapwing::trust {
namespace {

using Crl = std::unique_ptr<X509_CRL, Free<&X509_CRL_free>>;
using Entry = std::unique_ptr<X509_REVOKED, Free<&X509_REVOKED_free>>;
using Integer = std::unique_ptr<ASN1_INTEGER, Free<&ASN1_INTEGER_free>>;
using Instant = std::unique_ptr<ASN1_TIME, Free<&ASN1_TIME_free>>;

Instant asn1_time(Time at) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch());
  return Instant(ASN1_TIME_set(nullptr, seconds.count()));
}

Time time_of(const ASN1_TIME* from) {
  std::tm parts{};
  if (from == nullptr || ASN1_TIME_to_tm(from, &parts) != 1) return {};
  return Time(std::chrono::seconds(::timegm(&parts)));
}

Integer serial_number(const std::string& text) {
  if (text.empty() || text.front() == '-') return nullptr;
  BIGNUM* parsed = nullptr;
  const int digits = BN_hex2bn(&parsed, text.c_str());
  const std::unique_ptr<BIGNUM, Free<&BN_free>> number(parsed);
  if (digits != static_cast<int>(text.size())) return nullptr;
  return Integer(BN_to_ASN1_INTEGER(number.get(), nullptr));
}

Result<void> add_entry(X509_CRL* list, const RevokedSerial& revoked) {
  const auto serial = serial_number(revoked.serial);
  if (!serial) {
    return openssl_error(Errc::bad_input, "serial \"" + revoked.serial.substr(0, 80) +
                                              "\": not a certificate's number");
  }
  Entry entry(X509_REVOKED_new());
  const auto at = asn1_time(revoked.at);
  if (!entry || !at || X509_REVOKED_set_serialNumber(entry.get(), serial.get()) != 1 ||
      X509_REVOKED_set_revocationDate(entry.get(), at.get()) != 1 ||
      X509_CRL_add0_revoked(list, entry.get()) != 1) {
    return openssl_error(Errc::corrupt, "cannot add to a list of revoked certificates");
  }
  static_cast<void>(entry.release());  // the list's from now on
  return {};
}

bool add_extensions(X509_CRL* list, const Authority& authority, std::uint64_t number) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, authority.certificate().handle(), nullptr, nullptr, list, 0);
  const Extension key(
      X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid"));
  const Integer count(ASN1_INTEGER_new());
  return key && X509_CRL_add_ext(list, key.get(), -1) == 1 && count &&
         ASN1_INTEGER_set_uint64(count.get(), number) == 1 &&
         X509_CRL_add1_ext_i2d(list, NID_crl_number, count.get(), 0, 0) == 1;
}

CrlInfo info_of(X509_CRL* list) {
  CrlInfo info;
  info.issuer_common_name = common_name_of(X509_CRL_get_issuer(list));
  info.issued = time_of(X509_CRL_get0_lastUpdate(list));
  info.lapses = time_of(X509_CRL_get0_nextUpdate(list));
  const Integer number(
      static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(list, NID_crl_number, nullptr, nullptr)));
  if (number && ASN1_INTEGER_get_uint64(&info.number, number.get()) != 1) info.number = 0;
  const auto* entries = X509_CRL_get_REVOKED(list);
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const ASN1_INTEGER* serial = X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i));
    info.serials.push_back(
        hex(ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial))));
  }
  std::sort(info.serials.begin(), info.serials.end());
  forget_openssl_errors();
  return info;
}

}  // namespace

Result<std::string> issue_crl(const Authority& authority, const CrlContents& contents) {
  const Crl list(X509_CRL_new());
  const auto issued = asn1_time(contents.issued);
  const auto lapses = asn1_time(contents.lapses);
  if (!list || !issued || !lapses || X509_CRL_set_version(list.get(), X509_CRL_VERSION_2) != 1 ||
      X509_CRL_set_issuer_name(list.get(),
                               X509_get_subject_name(authority.certificate().handle())) != 1 ||
      X509_CRL_set1_lastUpdate(list.get(), issued.get()) != 1 ||
      X509_CRL_set1_nextUpdate(list.get(), lapses.get()) != 1) {
    return openssl_error(Errc::corrupt, "cannot make a list of revoked certificates");
  }
  for (const auto& one : contents.revoked) {
    if (auto added = add_entry(list.get(), one); !added) return std::move(added).error();
  }
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!add_extensions(list.get(), authority, contents.number) || X509_CRL_sort(list.get()) != 1 ||
      X509_CRL_sign(list.get(), authority.key().handle(), EVP_sha256()) == 0 || !bio ||
      PEM_write_bio_X509_CRL(bio.get(), list.get()) != 1) {
    return openssl_error(Errc::corrupt, "cannot sign a list of revoked certificates");
  }
  return written(bio.get());
}

Result<std::vector<CrlInfo>> read_crls(std::string_view pem) {
  if (pem.size() > kCrlBytesMax) {
    return Error{Errc::limit, "list of revoked certificates: longer than " +
                                  std::to_string(kCrlBytesMax) + " bytes; this is not one"};
  }
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<CrlInfo> lists;
  while (bio) {
    const Crl list(PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr));
    if (!list) break;
    lists.push_back(info_of(list.get()));
  }
  if (lists.empty()) {
    return openssl_error(Errc::bad_input, "list of revoked certificates: no PEM list inside");
  }
  forget_openssl_errors();
  return lists;
}

}  // namespace lapwing::trust
