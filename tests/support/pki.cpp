// SPDX-License-Identifier: Apache-2.0
#include "tests/support/pki.hpp"

#include <stdexcept>

namespace lapwing::testing {
namespace {

template <class T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().context);
  return std::move(*result);
}

}  // namespace

Pki::Pki(std::string_view name)
    : authority_(
          need(trust::Authority::create(name, {.now = now() - std::chrono::hours(24 * 365),
                                               .lifetime = std::chrono::hours(24 * 365 * 2)}))) {
  folder_.put("ca.pem", authority_.certificate().pem());
}

Identity Pki::server(const std::string& file, const std::vector<std::string>& names, Time at,
                     Micros lifetime) {
  const auto key = need(trust::PrivateKey::generate());
  return write(file, key, need(authority_.issue_server(key, names, {at, lifetime})));
}

Identity Pki::client(const std::string& file, std::string_view common_name, Time at,
                     Micros lifetime) {
  const auto key = need(trust::PrivateKey::generate());
  return write(file, key, need(authority_.issue_client(key, common_name, {at, lifetime})));
}

Identity Pki::write(const std::string& file, const trust::PrivateKey& key,
                    const trust::Certificate& certificate) {
  const Identity made{folder_.put(file + ".pem", certificate.pem()),
                      folder_.path() / (file + ".key")};
  if (auto written = key.write_new(made.key_file); !written) {
    throw std::runtime_error(written.error().context);
  }
  return made;
}

}  // namespace lapwing::testing
