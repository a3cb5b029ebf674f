// SPDX-License-Identifier: Apache-2.0
#include "shared/trust/openssl_util.hpp"

#include "shared/base/files.hpp"
#include "shared/base/hex.hpp"

#include <openssl/err.h>

#include <array>

namespace lapwing::trust {

void FreeKey::operator()(evp_pkey_st* key) const noexcept { EVP_PKEY_free(key); }
void FreeCertificate::operator()(x509_st* certificate) const noexcept { X509_free(certificate); }

Error openssl_error(Errc code, std::string what) {
  std::array<char, 256> text{};
  if (const auto number = ERR_peek_last_error(); number != 0) {
    ERR_error_string_n(number, text.data(), text.size());
    what += ": ";
    what += text.data();
  }
  ERR_clear_error();
  return {code, std::move(what)};
}

void forget_openssl_errors() noexcept { ERR_clear_error(); }

Result<Bio> pem_reader(std::string_view pem, std::string_view what) {
  if (pem.size() > kPemBytesMax) {
    return Error{Errc::limit, std::string(what) + ": longer than " + std::to_string(kPemBytesMax) +
                                  " bytes; this is not one"};
  }
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return openssl_error(Errc::corrupt, "no memory for a PEM reader");
  return bio;
}

std::string written(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

Result<std::string> read_pem_file(const std::filesystem::path& file, std::string_view what) {
  auto text = read_file(file, kPemBytesMax);
  if (text) return text;
  return within(std::string(what), std::move(text).error());
}

std::string hex(const unsigned char* bytes, std::size_t size) {
  return lapwing::hex({reinterpret_cast<const char*>(bytes), size});
}

std::string common_name_of(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  unsigned char* text = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) {
    forget_openssl_errors();
    return {};
  }
  std::string result(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
  OPENSSL_free(text);
  return result;
}

}  // namespace lapwing::trust
