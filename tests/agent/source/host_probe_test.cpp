// SPDX-License-Identifier: Apache-2.0
#include "agent/source/host_probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

namespace lapwing::agent {
namespace {

namespace fs = std::filesystem;

class HostProbeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "lapwing-host-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root = pattern;
  }
  void TearDown() override { fs::remove_all(root); }

  void put(const std::string& path, std::string_view text) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  }
  static std::map<std::string, double> by_name(const std::vector<HostValue>& values) {
    std::map<std::string, double> result;
    for (const HostValue& value : values) result[value.name] = value.value;
    return result;
  }
  HostProbe probe(bool per_core = false) {
    HostProbeConfig config;
    config.root = root;
    config.per_core = per_core;
    return HostProbe(config);
  }

  fs::path root;
  Ticks start{};
};

TEST_F(HostProbeTest, GivesShareOfTimeBetweenTwoSamples) {
  put("proc/stat",
      "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0\ncpu1 0 0 0 0 0\nintr 5\n");
  HostProbe host = probe(true);
  EXPECT_TRUE(host.sample(start).empty());
  put("proc/stat", "cpu  130 0 120 840 10 0 0 0 0 0\ncpu0 70 0 50 400 0 0 0 0\ncpu1 0 0 0 0 0\n");
  const auto values = by_name(host.sample(start + std::chrono::seconds(1)));
  EXPECT_DOUBLE_EQ(values.at("cpu/busy_percent"), 50);
  EXPECT_DOUBLE_EQ(values.at("cpu/iowait_percent"), 10);
  EXPECT_DOUBLE_EQ(values.at("cpu/steal_percent"), 0);
  EXPECT_DOUBLE_EQ(values.at("cpu/core0/busy_percent"), 100);
  EXPECT_FALSE(values.contains("cpu/core1/busy_percent"));
}

TEST_F(HostProbeTest, GivesMemorySwapAndLoadAtOnce) {
  put("proc/meminfo",
      "MemTotal:       1000 kB\nMemFree: 100 kB\nMemAvailable:    250 kB\nSwapTotal: 200 kB\n"
      "SwapFree: 150 kB\nHugePages_Total: 0\n");
  put("proc/loadavg", "0.52 1.5 2 1/100 1234\n");
  const auto values = by_name(probe().sample(start));
  EXPECT_DOUBLE_EQ(values.at("memory/used_percent"), 75);
  EXPECT_DOUBLE_EQ(values.at("memory/available_bytes"), 256000);
  EXPECT_DOUBLE_EQ(values.at("swap/used_percent"), 25);
  EXPECT_DOUBLE_EQ(values.at("load/average_1m"), 0.52);
  EXPECT_DOUBLE_EQ(values.at("load/average_15m"), 2);
  EXPECT_EQ(values.size(), 6U);
}

TEST_F(HostProbeTest, GivesRatesOfWholeDisksAndRealInterfaces) {
  fs::create_directories(root / "sys/block/sda");
  fs::create_directories(root / "sys/block/loop0");
  const std::string other =
      "   8 1 sda1 1 0 1 1 1 0 1 1 0 1 1\n   7 0 loop0 1 0 1 1 1 0 1 1 0 1 1\n";
  put("proc/diskstats", "   8 0 sda 1 0 100 1 1 0 200 1 0 1000 1 0 0 0 0\n" + other);
  const std::string head =
      "Inter-| Receive\n face |bytes packets\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n";
  put("proc/net/dev", head + "  eth0:1000 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n");
  HostProbe host = probe();
  EXPECT_TRUE(host.sample(start).empty());
  put("proc/diskstats", "   8 0 sda 1 0 104 1 1 0 216 1 0 2000 1 0 0 0 0\n" + other);
  put("proc/net/dev", head + "  eth0: 5000 1 3 1 0 0 0 0 1500 1 0 0 0 0 0 0\n");
  auto values = by_name(host.sample(start + std::chrono::seconds(2)));
  EXPECT_DOUBLE_EQ(values.at("disk/sda/read_bytes_per_s"), 1024);
  EXPECT_DOUBLE_EQ(values.at("disk/sda/written_bytes_per_s"), 4096);
  EXPECT_DOUBLE_EQ(values.at("disk/sda/busy_percent"), 50);
  EXPECT_DOUBLE_EQ(values.at("network/eth0/received_bytes_per_s"), 2000);
  EXPECT_DOUBLE_EQ(values.at("network/eth0/sent_bytes_per_s"), 500);
  EXPECT_DOUBLE_EQ(values.at("network/eth0/errors_per_s"), 2);
  EXPECT_EQ(values.size(), 6U);
  put("proc/net/dev", head + "  eth0: 10 1 0 0 0 0 0 0 2500 1 0 0 0 0 0 0\n");
  values = by_name(host.sample(start + std::chrono::seconds(3)));
  EXPECT_FALSE(values.contains("network/eth0/received_bytes_per_s")) << "a counter that restarted";
  EXPECT_DOUBLE_EQ(values.at("network/eth0/sent_bytes_per_s"), 1000);
}

TEST_F(HostProbeTest, GivesTheUseOfRealFilesystems) {
  put("proc/mounts",
      "proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /again ext4 rw 0 0\n"
      "/dev/sdb1 /var/my\\040data ext4 rw 0 0\n/dev/sdc1 /gone ext4 rw 0 0\n");
  fs::create_directories(root / "var/my data");
  const auto values = by_name(probe().sample(start));
  ASSERT_EQ(values.size(), 2U);
  EXPECT_GT(values.at("filesystem/root/used_percent"), 0);
  EXPECT_LE(values.at("filesystem/var_my_data/used_percent"), 100);
}

TEST_F(HostProbeTest, GivesTemperaturesWherePresent) {
  put("sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
  put("sys/class/thermal/thermal_zone0/temp", "45500\n");
  put("sys/class/thermal/thermal_zone1/type", "x86_pkg_temp\n");
  put("sys/class/thermal/thermal_zone1/temp", "-2000\n");
  put("sys/class/thermal/thermal_zone2/type", "broken\n");
  put("sys/class/thermal/thermal_zone2/temp", "-274000\n");
  put("sys/class/thermal/thermal_zone3/type", "silent\n");
  put("sys/class/thermal/cooling_device0/type", "fan\n");
  put("sys/class/hwmon/hwmon0/name", "coretemp\n");
  put("sys/class/hwmon/hwmon0/temp1_input", "50000\n");
  put("sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n");
  put("sys/class/hwmon/hwmon0/temp2_input", "51000\n");
  put("sys/class/hwmon/hwmon0/fan1_input", "900\n");
  const auto values = by_name(probe().sample(start));
  EXPECT_EQ(values.size(), 4U);
  EXPECT_DOUBLE_EQ(values.at("temperature/x86_pkg_temp/celsius"), 45.5);
  EXPECT_DOUBLE_EQ(values.at("temperature/x86_pkg_temp_1/celsius"), -2);
  EXPECT_DOUBLE_EQ(values.at("temperature/coretemp_Package_id_0/celsius"), 50);
  EXPECT_DOUBLE_EQ(values.at("temperature/coretemp_temp2/celsius"), 51);
}

TEST_F(HostProbeTest, LeavesOutWhatIsMissingOrMangled) {
  HostProbe empty = probe();
  EXPECT_TRUE(empty.sample(start).empty());
  put("proc/stat", "cpu\ncpu0\n");
  put("proc/meminfo", "MemTotal\n:::\nMemTotal: x kB\n");
  put("proc/loadavg", "");
  put("proc/diskstats", "8\n8 0\n8 0 sda\n");
  put("proc/mounts", "\n/dev/x\n/dev/y /tmp\\04 ext4\n");
  put("proc/net/dev", ":\neth0:\n");
  put("sys/class/thermal/thermal_zone0/temp", "hot\n");
  HostProbe host = probe(true);
  static_cast<void>(host.sample(start));
  for (const HostValue& value : host.sample(start + std::chrono::seconds(1))) {
    EXPECT_DOUBLE_EQ(value.value, 0) << value.name;
  }
}

TEST(HostProbe, ReadsThisMachine) {
  HostProbe host{HostProbeConfig{}};
  static_cast<void>(host.sample(ticks_now()));
  std::map<std::string, double> values;
  for (const HostValue& value : host.sample(ticks_now() + std::chrono::seconds(1))) {
    values[value.name] = value.value;
  }
  EXPECT_GT(values.at("memory/used_percent"), 0);
  EXPECT_LT(values.at("memory/used_percent"), 100);
  EXPECT_GE(values.at("load/average_1m"), 0);
}

TEST(LevelWord, IsOneLevelOfAStreamsName) {
  EXPECT_EQ(level_word("eth0.5"), "eth0.5");
  EXPECT_EQ(level_word("a/b+c#d e"), "a_b_c_d_e");
  EXPECT_EQ(level_word(""), "_");
  EXPECT_EQ(level_word(".."), "_");
}

}  // namespace
}  // namespace lapwing::agent
