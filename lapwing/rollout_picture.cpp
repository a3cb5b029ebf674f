// SPDX-License-Identifier: Apache-2.0
#include "lapwing/rollout_commands.hpp"
#include "lapwing/support.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace lapwing::cli {
namespace {

struct Mark {
  const char* stage;
  char mark;
};
/// In the order in which they stand in a bar.
constexpr std::array<Mark, 12> kMarks{{{"confirmed", '#'},
                                       {"active", '+'},
                                       {"shadow", 'o'},
                                       {"fetching", ':'},
                                       {"told", '.'},
                                       {"undone", '<'},
                                       {"refused", 'x'},
                                       {"failed", 'x'},
                                       {"reverted", 'X'},
                                       {"silent", '?'},
                                       {"left_out", '-'},
                                       {"waiting", ' '}}};
constexpr std::size_t kBar = 40;

std::size_t count(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_number_unsigned() ? at->get<std::size_t>() : 0;
}

/// Each stage has its share of the bar, and at least one mark.
std::string bar(const Json& stages) {
  std::size_t all = 0;
  for (const auto& one : kMarks) all += count(stages, one.stage);
  std::string marks;
  for (const auto& one : kMarks) {
    const auto devices = count(stages, one.stage);
    if (devices == 0) continue;
    const auto wide = std::max<std::size_t>(1, devices * kBar / all);
    marks.append(std::min(wide, kBar - std::min(kBar, marks.size())), one.mark);
  }
  marks.resize(kBar, marks.empty() ? ' ' : marks.back());
  return marks;
}

std::string words(const Json& stages) {
  std::string text;
  for (const auto& one : kMarks) {
    const auto devices = count(stages, one.stage);
    if (devices == 0) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(devices) + " " + one.stage;
  }
  return text;
}

std::string share(const Json& ring) {
  return ring.contains("label") ? text(ring, "label") : number(ring, "percent") + " %";
}

}  // namespace

std::string rollout_picture(const Json& rollout, std::size_t width) {
  std::string out = "rollout " + text(rollout, "id") + ": " + text(rollout, "model") + " version " +
                    text(rollout, "number") + ", back to " + text(rollout, "undo") + ": " +
                    text(rollout, "phase") + " since " + instant(rollout, "since") + "\n" +
                    printable(text(rollout, "text")) + "\n\n";
  const auto figures = rollout.find("figures");
  if (figures == rollout.end() || !figures->is_object()) return out;
  for (const auto& ring : figures->value("rings", Json::array())) {
    const auto stages = ring.value("stages", Json::object());
    char head[64];
    std::snprintf(head, sizeof head, "ring %-3s %8s %7s  [", text(ring, "ring").c_str(),
                  printable(share(ring)).substr(0, 24).c_str(), text(ring, "size").c_str());
    out += head + bar(stages) + "]  " + words(stages) + "\n";
  }
  const auto gates = figures->value("gates", Json::array());
  if (gates.empty()) return out;
  Table table({{"GATE", false, 0},
               {"VALUE", true, 0},
               {"BOUND", true, 0},
               {"", false, 0},
               {"WHAT", false, 20}});
  for (const auto& gate : gates) {
    table.add({text(gate, "name"), number(gate, "value"), number(gate, "bound"),
               text(gate, "verdict"), text(gate, "text")});
  }
  return out + "\n" + table.text(width);
}

}  // namespace lapwing::cli
