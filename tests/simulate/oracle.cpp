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

}  // namespace

bool World::any(std::initializer_list<Fault> faults) const {
  return std::ranges::any_of(faults,
                             [this](Fault fault) { return outcome_.faults[index(fault)] > 0; });
}

bool World::delivered(const Device& device) const {
  if (device.retired()) return true;
  const DeviceRows& rows = store_[device.name()];
  const Position& at = device.position();
  return device.idle() && rows.online && rows.sync.epoch == at.epoch &&
         rows.sync.watermark + 1 == at.next_seq && device.watermark() == rows.sync.watermark;
}

bool World::delivered() const {
  return std::ranges::all_of(devices_, [this](const auto& device) { return delivered(*device); });
}

void World::check() {
  for (const auto& device : devices_) check_device(*device);
  for (std::size_t name = 0; name < store_.size(); ++name) check_rows(name);
  // What may rightly look like a broken history: one that is, or messages that outlive processes.
  if (any({Fault::restore, Fault::clone, Fault::row_flip, Fault::log_flip, Fault::delay,
           Fault::reorder, Fault::duplicate})) {
    return;
  }
  claim(outcome_.quarantines == 0, 0, "a device was quarantined without a second copy");
  claim(outcome_.epochs == 0, 0, "an epoch was granted though no history was broken");
}

void World::check_device(const Device& device) {
  const std::size_t name = device.name();
  const DeviceRows& rows = store_[name];
  for (const Content content : device.acknowledged()) {
    if (rows.stored.contains(content)) continue;
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
    if (rows.stored.contains(content)) continue;
    claim(
        false, name,
        "I1: record " + std::to_string(content) + ", number " + std::to_string(seq) + ", is lost");
    break;
  }
  for (const auto& [content, seq] : device.destroyed()) {
    if (rows.stored.contains(content) || covered(rows, seq)) continue;
    claim(false, name,
          "I1: record " + std::to_string(content) + ", number " + std::to_string(seq) +
              ", was destroyed and no loss tells of it");
    break;
  }
}

void World::check_rows(std::size_t name) {
  const DeviceRows& rows = store_[name];
  std::unordered_map<Content, std::uint32_t> epochs_of;
  for (const auto& [number, epoch] : rows.epochs) {
    std::unordered_map<std::uint64_t, Content> newest;  // by copy of the device
    std::uint64_t accounted = 0;
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
