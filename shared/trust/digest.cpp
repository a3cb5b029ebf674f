// SPDX-License-Identifier: Apache-2.0
#include "shared/trust/digest.hpp"

#include "shared/trust/openssl_util.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstdlib>

namespace lapwing::trust {

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  &EVP_MD_CTX_free};
};

namespace {

/// It fails without memory only: no way to go on.
void must(bool done) {
  if (!done) std::abort();
}

}  // namespace

Sha256::Sha256() : state_(std::make_unique<State>()) {
  must(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  must(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  must(EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size) == 1);
  return trust::hex(digest.data(), size);
}

}  // namespace lapwing::trust
