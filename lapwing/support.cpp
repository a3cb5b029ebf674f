// SPDX-License-Identifier: Apache-2.0
#include "lapwing/support.hpp"

#include "lapwing/settings.hpp"
#include "shared/base/exit_codes.hpp"

#include <array>
#include <cstdio>
#include <ostream>

namespace lapwing::cli {

int fail(std::ostream& err, const Error& error) {
  err << "lapwing: " << printable(error.context) << '\n';
  const bool usage = error.code == Errc::bad_input;
  return usage ? kExitUsage : kExitFailed;
}

Result<Hub> connect() {
  const auto file = settings_file();
  if (!file) return file.error();
  auto settings = load_settings(*file);
  if (!settings) return settings.error();
  return Hub::make(*std::move(settings));
}

std::string text(const Json& item, const char* key) {
  const auto at = item.find(key);
  if (at == item.end() || at->is_null()) return "-";
  if (at->is_string()) return at->get<std::string>();
  return at->dump();
}

std::string number(const Json& item, const char* key) {
  const auto at = item.find(key);
  if (at == item.end() || !at->is_number()) return "-";
  if (at->is_number_integer()) return at->dump();
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), "%.4g", at->get<double>());
  return digits.data();
}

std::string instant(const Json& item, const char* key) {
  auto time = text(item, key);
  if (time.size() < 19) return time;
  time.resize(19);
  time[10] = ' ';
  return time;
}

void print_json(const Json& item, std::ostream& out) {
  out << item.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

int print_list(const Result<std::vector<Json>>& items, bool json, std::vector<Column> columns,
               std::vector<std::string> (*row)(const Json&), std::ostream& out, std::ostream& err) {
  if (!items) return fail(err, items.error());
  if (json) {
    for (const auto& item : *items) print_json(item, out);
    return 0;
  }
  Table table(std::move(columns));
  for (const auto& item : *items) table.add(row(item));
  out << table.text(terminal_width());
  return 0;
}

}  // namespace lapwing::cli
