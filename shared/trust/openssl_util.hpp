// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/trust: owners of OpenSSL objects and its error queue as an Error.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/trust/openssl_fwd.hpp"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace lapwing::trust {

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const noexcept {
    kFree(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<&BIO_free_all>>;
using Request = std::unique_ptr<X509_REQ, Free<&X509_REQ_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<&EVP_MD_CTX_free>>;
using Name = std::unique_ptr<X509_NAME, Free<&X509_NAME_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<&X509_EXTENSION_free>>;

/// `what: OpenSSL's own words`; empties the thread's error queue.
Error openssl_error(Errc code, std::string what);
void forget_openssl_errors() noexcept;

/// Refuses what is longer than kPemBytesMax; else a reader of the text (borrowed).
Result<Bio> pem_reader(std::string_view pem, std::string_view what);
/// What was written to a memory BIO.
std::string written(BIO* bio);
/// The file's text, bounded. Errors name the file and what it should hold.
Result<std::string> read_pem_file(const std::filesystem::path& file, std::string_view what);

std::string hex(const unsigned char* bytes, std::size_t size);
std::string common_name_of(const X509_NAME* name);

}  // namespace lapwing::trust
