// SPDX-License-Identifier: Apache-2.0
/// Files and streams that the tests of replay share.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace lapwing::agent {

class InFolder : public ::testing::Test {
 protected:
  InFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "replay_test.XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~InFolder() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path put(const std::string& name, const std::string& text) const {
    const auto path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  [[nodiscard]] static std::string read(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
};

/// A wave with noise every five minutes; a step of 40 for 50 rows near the end.
inline std::string wave(std::size_t rows, bool faulty) {
  std::string text = "timestamp,value\n";
  std::uint32_t random = 1;
  for (std::size_t i = 0; i < rows; ++i) {
    random = random * 1664525U + 1013904223U;
    double value = 20 + 5 * std::sin(static_cast<double>(i) / 20) + random / 4294967296.0;
    if (faulty && i >= rows - 200 && i < rows - 150) value += 40;
    text += std::to_string(1'700'000'000 + 300 * i) + "," + std::to_string(value) + "\n";
  }
  return text;
}

}  // namespace lapwing::agent
