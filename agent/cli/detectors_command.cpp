// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/replay/report.hpp"
#include "shared/base/config.hpp"
#include "shared/detect/kinds.hpp"

#include <nlohmann/json.hpp>

#include <iomanip>
#include <ostream>

namespace lapwing::agent {
namespace {

using detect::Input;
using detect::Kind;
using detect::Learning;

std::string_view input_word(Input input) {
  switch (input) {
    case Input::stream:
      return "stream";
    case Input::group:
      return "group";
    case Input::rows:
      return "rows";
  }
  return "stream";
}

std::string_view meaning(Input input) {
  switch (input) {
    case Input::stream:
      return "a stream";
    case Input::group:
      return "aligned rows of several streams";
    case Input::rows:
      return "rows of a table";
  }
  return "a stream";
}

nlohmann::json to_json(const Kind& kind) {
  nlohmann::json parameters = nlohmann::json::array();
  for (const auto& one : kind.parameters) {
    parameters.push_back({{"name", one.name},
                          {"meaning", one.summary},
                          {"default", one.value},
                          {"min", one.min},
                          {"max", one.max},
                          {"whole", one.whole}});
  }
  return {{"name", kind.name},
          {"input", input_word(kind.input)},
          {"learns", kind.learning == Learning::online ? "online" : "trained"},
          {"summary", kind.summary},
          {"when", kind.when},
          {"parameters", std::move(parameters)},
          {"state_bytes_max", kind.state_bytes_max},
          {"nanoseconds_row", kind.nanoseconds_row},
          {"cuda", kind.cuda}};
}

void print(const Kind& kind, std::ostream& out) {
  constexpr int kIndent = 21;
  const auto line = [&](std::string_view title) -> std::ostream& {
    return out << std::left << std::setw(kIndent) << title;
  };
  line(kind.name) << kind.summary << '\n';
  line("") << "for: " << kind.when << '\n';
  line("") << "takes " << meaning(kind.input) << "; "
           << (kind.learning == Learning::online ? "learns on the device" : "needs a trained model")
           << (kind.cuda ? "; CPU or CUDA" : "") << '\n';
  line("") << "up to " << kind.state_bytes_max << " bytes a "
           << (kind.input == Input::stream ? "stream" : "model") << "; about "
           << kind.nanoseconds_row << " ns a "
           << (kind.input == Input::stream ? "reading" : "row of 8") << '\n';
  for (const auto& one : kind.parameters) {
    const auto text = [&one](double value) {
      return one.whole ? std::to_string(static_cast<long long>(value)) : short_number(value);
    };
    line("") << one.name << " = " << text(one.value) << " (" << text(one.min) << " .. "
             << text(one.max) << "): " << one.summary << '\n';
  }
}

}  // namespace

int run_detectors(bool json, std::ostream& out) {
  if (json) {
    nlohmann::json kinds = nlohmann::json::array();
    for (const Kind& kind : detect::kKinds) kinds.push_back(to_json(kind));
    out << kinds.dump(2) << '\n';
    return 0;
  }
  for (const Kind& kind : detect::kKinds) print(kind, out);
  return 0;
}

}  // namespace lapwing::agent
