// SPDX-License-Identifier: Apache-2.0
// What must hold at the end (I1 to I5), from what the disks saw and what the store holds.
#include "tests/simulate/device.hpp"
#include "tests/simulate/world.hpp"

#include <algorithm>
#include <string>

namespace lapwing::simulate {
namespace {

bool covered(const DeviceRows& rows, std::uint64_t seq) {
  return std::ranges::any_of(rows.epochs,
                             [seq](const auto& epoch) { return epoch.second.lost.contains(seq); });
}

/// A loss, or maybe its region's database forgot it.
bool covered(const std::set<std::pair<std::uint64_t, std::uint64_t>>& forfeited,
             std::uint64_t seq) {
  return std::ranges::any_of(forfeited, [seq](const auto& key) { return key.second == seq; });
}

}  // namespace

bool World::any(std::initializer_list<Fault> faults) const {
  return std::ranges::any_of(faults,
                             [this](Fault fault) { return outcome_.faults[index(fault)] > 0; });
}

bool World::delivered(const Device& device) const {
  if (device.retired()) return true;
  const DeviceRows& rows = stores_[device.region()][device.name()];
  const Position& at = device.position();
  return device.idle() && rows.online && rows.sync.epoch == at.epoch &&
         rows.sync.watermark + 1 == at.next_seq && device.watermark() == rows.sync.watermark;
}

bool World::delivered() const {
  return std::ranges::all_of(devices_, [this](const auto& device) { return delivered(*device); });
}

void World::check() {
  for (const auto& device : devices_) check_device(*device);
  for (std::size_t name = 0; name < devices(); ++name) {
    for (const auto& store : stores_) check_rows(store[name], name);
    check_union(name);
  }
  // What may rightly look like a broken history: one that is, or messages that outlive processes.
  if (any({Fault::restore, Fault::clone, Fault::row_flip, Fault::log_flip, Fault::delay,
           Fault::reorder, Fault::duplicate, Fault::store_restore})) {
    return;
  }
  claim(outcome_.quarantines == 0, 0, "a device was quarantined without a second copy");
  claim(outcome_.epochs == 0, 0, "an epoch was granted though no history was broken");
}

/// A region has it, or had it until its database was restored.
bool World::kept(std::size_t name, Content content) const {
  for (std::size_t region = 0; region < regions(); ++region) {
    if (stores_[region][name].stored.contains(content)) return true;
    if (forfeited_[region][name].contents.contains(content)) return true;
  }
  return false;
}

void World::check_device(const Device& device) {
  const std::size_t name = device.name();
  const DeviceRows& rows = stores_[device.region()][name];
  for (const Content content : device.acknowledged()) {
    if (kept(name, content)) continue;
    claim(false, name, "I1: record " + std::to_string(content) + " was acknowledged and is lost");
    break;
  }
  if (device.retired()) return;  // what a clone kept to itself went with it
  if (!delivered(device)) {
    claim(false, name,
          "I5: not delivered in time; hub: epoch " + std::to_string(rows.sync.epoch) +
              " watermark " + std::to_string(rows.sync.watermark) +
              (rows.online ? "" : ", offline") + ", agent " + device.state() + " " +
              rows.sync.quarantine);
    return;
  }
  for (const auto& [content, seq] : device.owed()) {
    if (kept(name, content)) continue;
    claim(
        false, name,
        "I1: record " + std::to_string(content) + ", number " + std::to_string(seq) + ", is lost");
    break;
  }
  for (const auto& [content, seq] : device.destroyed()) {
    bool told = kept(name, content);
    for (std::size_t region = 0; region < regions() && !told; ++region) {
      told = covered(stores_[region][name], seq) || covered(forfeited_[region][name].keys, seq);
    }
    if (told) continue;
    claim(false, name,
          "I1: record " + std::to_string(content) + ", number " + std::to_string(seq) +
              ", was destroyed and no loss tells of it");
    break;
  }
}

/// One key, one record, in whichever regions it is: who puts them together by key counts each once.
void World::check_union(std::size_t name) {
  if (forked_.contains(name)) return;  // two histories, which no region could tell apart alone
  std::map<std::pair<std::uint64_t, std::uint64_t>, Content> all;
  std::unordered_map<Content, std::uint64_t> epoch_of;
  for (const auto& store : stores_) {
    for (const auto& [number, epoch] : store[name].epochs) {
      for (const auto& [seq, content] : epoch.rows) {
        const auto [at, fresh] = all.try_emplace({number, seq}, content);
        claim(at->second == content, name,
              "I2: regions have two records under one key: epoch " + std::to_string(number) +
                  " seq " + std::to_string(seq));
        if (outcome_.epochs > 0) continue;  // a new epoch sends again what had no acknowledgement
        const auto [in, first] = epoch_of.try_emplace(content, number);
        claim(in->second == number, name,
              "I2: record " + std::to_string(content) + " is counted twice by key");
      }
    }
  }
}

void World::check_rows(const DeviceRows& rows, std::size_t name) {
  std::unordered_map<Content, std::uint32_t> epochs_of;
  for (const auto& [number, epoch] : rows.epochs) {
    std::unordered_map<std::uint64_t, Content> newest;  // by copy of the device
    std::uint64_t accounted = epoch.elsewhere;
    for (const auto& [seq, content] : epoch.rows) {
      if (seq > epoch.base && seq <= epoch.watermark) ++accounted;
      Content& before = newest[content >> 32U];
      claim(content > before, name,
            "I3: record " + std::to_string(content) + " of epoch " + std::to_string(number) +
                " is out of order or there twice");
      before = content;
      ++epochs_of[content];
    }
    for (const auto& [seq, reason] : epoch.lost) {
      if (seq > epoch.base && seq <= epoch.watermark) ++accounted;
    }
    claim(accounted == epoch.watermark - epoch.base, name,
          "the ledger of epoch " + std::to_string(number) + " has " + std::to_string(accounted) +
              " of " + std::to_string(epoch.watermark - epoch.base));
  }
  for (const auto& [content, times] : rows.stored) {
    if (times == epochs_of[content]) continue;
    claim(
        false, name,
        "I2: record " + std::to_string(content) + " is stored " + std::to_string(times) + " times");
    break;
  }
}

}  // namespace lapwing::simulate
