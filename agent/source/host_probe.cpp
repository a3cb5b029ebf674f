// SPDX-License-Identifier: Apache-2.0
#include "agent/source/host_probe.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <set>
#include <sys/statvfs.h>

namespace lapwing::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileBytesMax = std::size_t{1} << 20U;
constexpr double kSectorBytes = 512;  // of /proc/diskstats, whatever the disk's own

std::string_view take_word(std::string_view& rest) {
  const std::size_t begin = std::min(rest.find_first_not_of(" \t"), rest.size());
  rest.remove_prefix(begin);
  const std::string_view word = rest.substr(0, rest.find_first_of(" \t"));
  rest.remove_prefix(word.size());
  return word;
}

std::string_view take_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

std::optional<double> number(std::string_view word) {
  double value = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

double take_number(std::string_view& rest) { return number(take_word(rest)).value_or(0); }

std::string trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return std::string(text);
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(it->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool is_virtual_disk(std::string_view name) {
  return name.starts_with("loop") || name.starts_with("ram") || name.starts_with("zram") ||
         name.starts_with("fd") || name.starts_with("sr");
}

/// `\040` and the like in /proc/mounts.
std::string unescaped_mount(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr ==
            text.data() + i + 4) {
      out += static_cast<char>(code);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string level_word(std::string_view text) {
  std::string word(text);
  for (char& c : word) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || c == '.';
    if (!plain) c = '_';
  }
  if (word.empty() || word.find_first_not_of('.') == std::string::npos) word = "_";
  return word;
}

HostProbe::HostProbe(HostProbeConfig config) : config_(std::move(config)) {}

std::vector<HostValue> HostProbe::sample(Ticks now) {
  seconds_ = last_ ? std::chrono::duration<double>(now - *last_).count() : 0;
  last_ = now;
  counters_last_.swap(counters_);
  counters_.clear();
  values_.clear();
  if (config_.cpu) sample_cpu();
  if (config_.memory) sample_memory();
  if (config_.load) sample_load();
  if (config_.disk) {
    sample_disks();
    sample_filesystems();
  }
  if (config_.network) sample_network();
  if (config_.temperature) sample_temperatures();
  return std::move(values_);
}

std::string_view HostProbe::read(const fs::path& path) {
  text_.clear();
  std::ifstream file(path, std::ios::binary);
  std::array<char, 8192> block{};
  while (file && text_.size() < kFileBytesMax) {
    file.read(block.data(), block.size());
    text_.append(block.data(), static_cast<std::size_t>(file.gcount()));
  }
  return text_;
}

void HostProbe::put(std::string name, double value) {
  if (std::isfinite(value)) values_.push_back({std::move(name), value});
}

std::optional<double> HostProbe::growth(const std::string& counter, double value) {
  counters_[counter] = value;
  const auto before = counters_last_.find(counter);
  if (before == counters_last_.end() || value < before->second) return std::nullopt;
  return value - before->second;
}

void HostProbe::sample_cpu() {
  std::string_view rest = read(config_.root / "proc/stat");
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    const std::string_view word = take_word(line);
    if (!word.starts_with("cpu")) break;
    const bool all = word == "cpu";
    if (!all && !config_.per_core) break;
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    std::array<double, 8> times{};
    double total = 0;
    for (double& time : times) total += time = take_number(line);
    const std::string base = all ? "cpu/" : "cpu/core" + std::string(word.substr(3)) + "/";
    const auto grown = growth(base + "total", total);
    const auto idle = growth(base + "idle", times[3]);
    const auto waiting = growth(base + "iowait", times[4]);
    const auto stolen = growth(base + "steal", times[7]);
    if (!grown || *grown <= 0 || !idle) continue;
    const double idle_or_waiting = *idle + waiting.value_or(0);
    put(base + "busy_percent", std::clamp(100 * (1 - idle_or_waiting / *grown), 0.0, 100.0));
    if (!all) continue;
    if (waiting) put("cpu/iowait_percent", 100 * *waiting / *grown);
    if (stolen) put("cpu/steal_percent", 100 * *stolen / *grown);
  }
}

void HostProbe::sample_memory() {
  std::string_view rest = read(config_.root / "proc/meminfo");
  std::map<std::string_view, double> bytes;
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    const std::string_view key = take_word(line);
    const auto value = number(take_word(line));
    if (value) bytes[key] = *value * 1024;
  }
  const auto get = [&](std::string_view key) -> std::optional<double> {
    const auto found = bytes.find(key);
    if (found == bytes.end()) return std::nullopt;
    return found->second;
  };
  const auto total = get("MemTotal:");
  const auto available = get("MemAvailable:");
  if (total && available && *total > 0) {
    put("memory/used_percent", 100 * (1 - *available / *total));
    put("memory/available_bytes", *available);
  }
  const auto swap = get("SwapTotal:");
  const auto swap_free = get("SwapFree:");
  if (swap && swap_free && *swap > 0) put("swap/used_percent", 100 * (1 - *swap_free / *swap));
}

void HostProbe::sample_load() {
  std::string_view rest = read(config_.root / "proc/loadavg");
  for (const char* name : {"load/average_1m", "load/average_5m", "load/average_15m"}) {
    if (const auto value = number(take_word(rest))) put(name, *value);
  }
}

void HostProbe::sample_disks() {
  std::set<std::string> disks;  // whole disks, no partitions
  for (const fs::path& path : sorted_entries(config_.root / "sys/block")) {
    disks.insert(path.filename().string());
  }
  std::string_view rest = read(config_.root / "proc/diskstats");
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    take_word(line);
    take_word(line);
    const std::string name(take_word(line));
    if (name.empty() || is_virtual_disk(name)) continue;
    if (!disks.empty() && !disks.contains(name)) continue;
    std::array<double, 10> fields{};
    for (double& field : fields) field = take_number(line);
    const std::string base = "disk/" + level_word(name) + "/";
    const auto read_sectors = growth(base + "read", fields[2]);
    const auto written_sectors = growth(base + "write", fields[6]);
    const auto busy_ms = growth(base + "busy", fields[9]);
    if (seconds_ <= 0) continue;
    if (read_sectors) put(base + "read_bytes_per_s", *read_sectors * kSectorBytes / seconds_);
    if (written_sectors)
      put(base + "written_bytes_per_s", *written_sectors * kSectorBytes / seconds_);
    if (busy_ms) put(base + "busy_percent", std::min(100.0, *busy_ms / (10 * seconds_)));
  }
}

void HostProbe::sample_filesystems() {
  std::string_view rest = read(config_.root / "proc/mounts");
  std::set<std::string> devices;  // a device mounted twice is reported once
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    const std::string_view device = take_word(line);
    const std::string mount = unescaped_mount(take_word(line));
    const std::string_view type = take_word(line);
    const bool real = device.starts_with("/dev/") || (mount == "/" && type == "overlay");
    if (!real || !mount.starts_with('/') || type == "squashfs" ||
        !devices.insert(std::string(device)).second)
      continue;
    struct statvfs info {};
    const fs::path path = config_.root / fs::path(mount).relative_path();
    if (statvfs(path.c_str(), &info) != 0 || info.f_blocks == 0) continue;
    std::string word = level_word(mount == "/" ? "root" : std::string_view(mount).substr(1));
    const double used = static_cast<double>(info.f_blocks - info.f_bfree);
    const double usable = used + static_cast<double>(info.f_bavail);
    if (usable > 0) put("filesystem/" + word + "/used_percent", 100 * used / usable);
  }
}

void HostProbe::sample_network() {
  std::string_view rest = read(config_.root / "proc/net/dev");
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view name = line.substr(0, colon);
    line.remove_prefix(colon + 1);
    name = take_word(name);
    if (name == "lo" || name.empty()) continue;
    std::array<double, 16> fields{};
    for (double& field : fields) field = take_number(line);
    const std::string base = "network/" + level_word(name) + "/";
    const auto received = growth(base + "received", fields[0]);
    const auto sent = growth(base + "sent", fields[8]);
    const auto faults = growth(base + "faults", fields[2] + fields[3] + fields[10] + fields[11]);
    if (seconds_ <= 0) continue;
    if (received) put(base + "received_bytes_per_s", *received / seconds_);
    if (sent) put(base + "sent_bytes_per_s", *sent / seconds_);
    if (faults) put(base + "errors_per_s", *faults / seconds_);
  }
}

void HostProbe::sample_temperatures() {
  std::set<std::string> names;
  const auto put_temperature = [&](std::string word, std::string_view text) {
    const auto millidegrees = number(trimmed(text));
    // Sensors that are not connected report impossible temperatures.
    if (!millidegrees || *millidegrees < -100'000 || *millidegrees > 250'000) return;
    const std::string first = word;
    for (int i = 1; !names.insert(word).second; ++i) word = first + "_" + std::to_string(i);
    put("temperature/" + word + "/celsius", *millidegrees / 1000);
  };
  for (const fs::path& zone : sorted_entries(config_.root / "sys/class/thermal")) {
    if (!zone.filename().string().starts_with("thermal_zone")) continue;
    const std::string type = trimmed(read(zone / "type"));
    put_temperature(level_word(type.empty() ? zone.filename().string() : type),
                    read(zone / "temp"));
  }
  for (const fs::path& chip : sorted_entries(config_.root / "sys/class/hwmon")) {
    const std::string chip_name = trimmed(read(chip / "name"));
    for (const fs::path& file : sorted_entries(chip)) {
      const std::string input = file.filename().string();
      if (!input.starts_with("temp") || !input.ends_with("_input")) continue;
      const std::string sensor = input.substr(0, input.size() - 6);
      const std::string label = trimmed(read(chip / (sensor + "_label")));
      const std::string word = chip_name + "_" + (label.empty() ? sensor : label);
      put_temperature(level_word(word), read(file));
    }
  }
}

}  // namespace lapwing::agent
