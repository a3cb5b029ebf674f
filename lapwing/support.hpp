// SPDX-License-Identifier: Apache-2.0
/// What the commands share.
#pragma once

#include "lapwing/hub.hpp"
#include "lapwing/table.hpp"

#include <nlohmann/json.hpp>

#include <iosfwd>
#include <string>
#include <vector>

namespace lapwing::cli {

using Json = nlohmann::ordered_json;

/// Says what went wrong; the exit code for it.
int fail(std::ostream& err, const Error& error);

/// The hub that `lapwing login` remembered.
Result<Hub> connect();

/// One line.
void print_json(const Json& item, std::ostream& out);

/// Cells of a table; `-` for what is absent.
std::string text(const Json& item, const char* key);
std::string number(const Json& item, const char* key);   ///< enough digits for people
std::string instant(const Json& item, const char* key);  ///< `2026-11-24 08:43:46`

/// A list as a table, or with `json` one object per line. The exit code.
int print_list(const Result<std::vector<Json>>& items, bool json, std::vector<Column> columns,
               std::vector<std::string> (*row)(const Json&), std::ostream& out, std::ostream& err);

}  // namespace lapwing::cli
