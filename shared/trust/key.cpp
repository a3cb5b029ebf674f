// SPDX-License-Identifier: Apache-2.0
#include "shared/trust/key.hpp"

#include "shared/base/files.hpp"
#include "shared/trust/openssl_util.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>

namespace lapwing::trust {
namespace {

/// Never asks the terminal for a passphrase: an encrypted key is simply unreadable here.
int no_passphrase(char*, int, int, void*) { return -1; }

constexpr std::size_t kSignatureBytes = 64;

}  // namespace

Result<PrivateKey> PrivateKey::generate() {
  KeyHandle key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error(Errc::corrupt, "cannot make an EC P-256 key");
  return PrivateKey(std::move(key));
}

Result<PrivateKey> PrivateKey::generate_ed25519() {
  KeyHandle key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) return openssl_error(Errc::corrupt, "cannot make an Ed25519 key");
  return PrivateKey(std::move(key));
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  auto bio = pem_reader(pem, "private key");
  if (!bio) return std::move(bio).error();
  KeyHandle key(PEM_read_bio_PrivateKey(bio->get(), nullptr, &no_passphrase, nullptr));
  if (!key) {
    return openssl_error(Errc::bad_input,
                         "private key: no unencrypted PEM key could be read from it");
  }
  return PrivateKey(std::move(key));
}

Result<PrivateKey> PrivateKey::load(const std::filesystem::path& file) {
  auto text = read_pem_file(file, "private key");
  if (!text) return std::move(text).error();
  const Secret<std::string> pem(std::move(*text));
  auto key = from_pem(pem.reveal());
  if (!key) return within(file.string(), std::move(key).error());
  return key;
}

Secret<std::string> PrivateKey::pem() const {
  const Bio bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), handle_.get(), nullptr, nullptr, 0, nullptr,
                                            nullptr) != 1) {
    forget_openssl_errors();
    return {};
  }
  return Secret(written(bio.get()));
}

std::string PrivateKey::public_pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PUBKEY(bio.get(), handle_.get()) != 1) {
    forget_openssl_errors();
    return {};
  }
  return written(bio.get());
}

Result<void> PrivateKey::write_new(const std::filesystem::path& file) const {
  std::error_code failed;
  if (std::filesystem::exists(file, failed)) {
    return Error{Errc::exists,
                 file.string() + ": a key is there already and is never overwritten; move it away"};
  }
  const auto text = pem();
  if (text.empty()) return Error{Errc::corrupt, file.string() + ": the key cannot be written"};
  return write_file_atomic(file, text.reveal(), 0600);
}

Result<std::string> sign(const PrivateKey& key, std::string_view message) {
  if (EVP_PKEY_get_base_id(key.handle()) != EVP_PKEY_ED25519) {
    return Error{Errc::bad_input, "sign: not an Ed25519 key"};
  }
  const DigestContext context(EVP_MD_CTX_new());
  std::string signature(kSignatureBytes, '\0');
  std::size_t size = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.handle()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     reinterpret_cast<const unsigned char*>(message.data()), message.size()) != 1) {
    return openssl_error(Errc::corrupt, "sign");
  }
  return signature;
}

Result<void> verify_signature(std::string_view public_pem, std::string_view message,
                              std::string_view signature) {
  auto bio = pem_reader(public_pem, "public key");
  if (!bio) return std::move(bio).error();
  const KeyHandle key(PEM_read_bio_PUBKEY(bio->get(), nullptr, &no_passphrase, nullptr));
  if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
    return openssl_error(Errc::bad_input, "public key: not an Ed25519 key in PEM");
  }
  const DigestContext context(EVP_MD_CTX_new());
  const bool good =
      signature.size() == kSignatureBytes && context &&
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                       signature.size(), reinterpret_cast<const unsigned char*>(message.data()),
                       message.size()) == 1;
  forget_openssl_errors();
  if (!good) return Error{Errc::denied, "the signature does not belong to this message and key"};
  return {};
}

}  // namespace lapwing::trust
