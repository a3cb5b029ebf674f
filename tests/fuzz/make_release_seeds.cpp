// SPDX-License-Identifier: Apache-2.0
// `make_release_seeds FOLDER`: the binary seeds of release_fuzz. Run again when the schemas grow.
#include "shared/release/signed.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

using namespace lapwing;
using namespace lapwing::release;

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: make_release_seeds FOLDER\n", stderr), 2;
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const auto write = [&folder](const std::string& name, const std::string& bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
  };
  const auto key = trust::PrivateKey::generate_ed25519().value();
  const std::string pem = key.public_pem();
  const std::string digest(64, 'a');
  const Time at = from_micros(1'790'000'000'000'000);
  const std::array<std::pair<const char*, Document>, 3> documents{
      {{"key-list", KeyList{1, 1, {pem}, {pem}, {pem}, at}},
       {"manifest", Manifest{"pumps", 5, digest, 1000, "acme", "jetson", digest, "1.0.0"}},
       {"assignment", Assignment{"acme", "edge-1", digest, at, at + std::chrono::hours(24)}}}};
  for (const auto& [name, document] : documents) {
    write(name, encode(document));
    Signed whole(document);
    if (!whole.sign(key)) return 1;
    write(std::string(name) + "-signed", whole.encode());
  }
  return 0;
}
