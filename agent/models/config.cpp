// SPDX-License-Identifier: Apache-2.0
#include "agent/models/config.hpp"

#include "shared/base/config.hpp"

namespace lapwing::agent {

ModelsConfig ModelsConfig::read(config::Section section, const std::filesystem::path& certificate) {
  ModelsConfig c;
  c.keys_file = section.path(
      {"keys_file",
       "who may sign models: the key list that came with the identity; absent: keys.lwk beside the "
       "certificate"},
      "");
  if (c.keys_file.empty() && !certificate.empty()) {
    c.keys_file = certificate.parent_path() / "keys.lwk";
  }
  c.confirm_after = section.duration(
      {"confirm_after",
       "a new version is on trial until it has run for so long without a break; until then the "
       "third crash brings the one before back"},
      c.confirm_after, std::chrono::seconds(1), std::chrono::hours(7 * 24));
  c.report_every = section.duration(
      {"report_every", "between reports to the hub of how a version on trial does"}, c.report_every,
      std::chrono::seconds(1), std::chrono::hours(1));
  c.device_class = section.text(
      {"device_class", "what models for one class of devices must be made for; absent: none"}, "");
  if (c.device_class.size() > 256) {
    section.problem("device_class", "is too long: at most 256 bytes");
  }
  return c;
}

}  // namespace lapwing::agent
