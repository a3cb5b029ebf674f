// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/kinds.hpp"

#include <algorithm>
#include <string>

namespace lapwing::detect {

Result<void> check_stream_settings(std::string_view kind, const Settings& settings) {
  const auto refuse = [kind](Errc code, std::string_view what) {
    return Error{code, "detector " + std::string(kind) + ": " + std::string(what)};
  };
  if (settings.width != 1) return refuse(Errc::bad_config, "width is 1: it takes single streams");
  if (settings.warmup < 24 || settings.warmup > 100'000) {
    return refuse(Errc::bad_config, "warmup is 24 to 100000 readings");
  }
  if (settings.device != Device::cpu) {
    return refuse(Errc::no_device, "runs on the CPU only: set device to cpu");
  }
  return {};
}

const Kind* find_kind(std::string_view name) noexcept {
  const auto found = std::ranges::find(kKinds, name, &Kind::name);
  return found == kKinds.end() ? nullptr : &*found;
}

}  // namespace lapwing::detect
