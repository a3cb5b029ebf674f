// SPDX-License-Identifier: Apache-2.0
#include "shared/csv/split.hpp"

namespace lapwing::csv {

Splitter::Splitter(std::string_view text, char delimiter) : rest_(text), delimiter_(delimiter) {}

void Splitter::reset(std::string_view text) {
  rest_ = text;
  fields_.clear();
  unescaped_used_ = 0;
  line_ = 0;
  lines_in_row_ = 1;
  malformed_ = false;
}

bool Splitter::next() {
  while (!rest_.empty()) {
    line_ += lines_in_row_;
    lines_in_row_ = 1;
    const std::string_view before = rest_;
    if (read_row()) {
      row_ = before.substr(0, before.size() - rest_.size());
      while (row_.ends_with('\n') || row_.ends_with('\r')) row_.remove_suffix(1);
      return true;
    }
  }
  fields_.clear();
  return false;
}

/// The field in quotes at the start of rest_; leaves what follows the closing quote.
std::string_view Splitter::take_quoted() {
  rest_.remove_prefix(1);
  std::size_t from = 0;
  std::string* copy = nullptr;
  std::size_t copied = 0;
  while (true) {
    const std::size_t quote = rest_.find('"', from);
    if (quote == std::string_view::npos) {
      malformed_ = true;
      const std::string_view field = rest_;
      rest_ = {};
      return field;
    }
    const bool doubled = quote + 1 < rest_.size() && rest_[quote + 1] == '"';
    if (doubled) {
      if (copy == nullptr) {
        if (unescaped_used_ == unescaped_.size()) unescaped_.emplace_back();
        copy = &unescaped_[unescaped_used_++];
        copy->clear();
      }
      copy->append(rest_.substr(copied, quote + 1 - copied));
      copied = from = quote + 2;
      continue;
    }
    std::string_view field = rest_.substr(0, quote);
    for (const char c : field) {
      if (c == '\n') ++lines_in_row_;
    }
    if (copy != nullptr) {
      copy->append(rest_.substr(copied, quote - copied));
      field = *copy;
    }
    rest_.remove_prefix(quote + 1);
    return field;
  }
}

bool Splitter::read_row() {
  fields_.clear();
  unescaped_used_ = 0;
  while (true) {
    std::string_view field;
    bool quoted = false;
    if (!rest_.empty() && rest_.front() == '"') {
      quoted = true;
      field = take_quoted();
      // What stands between a closing quote and the delimiter belongs to no field.
      std::size_t end = 0;
      while (end < rest_.size() && rest_[end] != delimiter_ && rest_[end] != '\n') ++end;
      if (rest_.substr(0, end).find_first_not_of(" \t\r") != std::string_view::npos) {
        malformed_ = true;
      }
      rest_.remove_prefix(end);
    } else {
      std::size_t end = 0;
      while (end < rest_.size() && rest_[end] != delimiter_ && rest_[end] != '\n') ++end;
      field = rest_.substr(0, end);
      rest_.remove_prefix(end);
      if (field.ends_with('\r') && (rest_.empty() || rest_.front() == '\n')) field.remove_suffix(1);
    }
    const bool end_of_row = rest_.empty() || rest_.front() == '\n';
    const bool blank = end_of_row && fields_.empty() && !quoted && field.empty();
    if (!blank) {
      if (fields_.size() < kFieldsMax) {
        fields_.push_back(field);
      } else {
        malformed_ = true;
      }
    }
    if (!rest_.empty()) rest_.remove_prefix(1);
    if (end_of_row) return !fields_.empty();
  }
}

}  // namespace lapwing::csv
