// SPDX-License-Identifier: Apache-2.0
/// Format `csv`: one or many rows in a payload.
#include "agent/decode/decoder.hpp"
#include "shared/csv/split.hpp"

#include <algorithm>

namespace lapwing::agent {
namespace {

class CsvDecoder final : public Decoder {
 public:
  explicit CsvDecoder(const DecodeConfig& config)
      : csv_(config.csv),
        fields_max_(config.fields_max),
        times_(config.time_unit),
        has_time_(!config.receive_time && !config.time_path.empty()),
        time_column_(config.time_path),
        rows_({}, config.csv.delimiter),
        names_(config.csv.names) {}

  Outcome decode(std::string_view payload, Time received, FieldSink& sink) override {
    rows_.reset(payload);
    emitted_ = 0;
    bool header = csv_.header;
    bool any = false;
    while (rows_.next()) {
      any = true;
      if (header) {
        names_.assign(rows_.fields().begin(), rows_.fields().end());
        columns_.clear();
        header = false;
        continue;
      }
      const Outcome outcome = take_row(received, sink);
      if (outcome.refused && outcome.reason == Refusal::fields) return outcome;
      if (outcome.refused) sink.on_refused(outcome.reason, outcome.detail, rows_.text());
    }
    if (!any) return {true, Refusal::empty, "the payload holds no row"};
    if (rows_.malformed()) {
      sink.on_refused(
          Refusal::syntax,
          "a row of the CSV has a quote that is not closed, text after a closing quote, "
          "or too many fields",
          {});
    }
    return {};
  }

 private:
  enum class Use : std::uint8_t { leave, wanted, any, time };
  struct Column {
    Use use = Use::any;
    std::string name;
  };

  /// What to do with the columns; made anew only when the names or the width change.
  void plan(std::size_t width) {
    columns_.resize(width);
    for (std::size_t i = 0; i < width; ++i) {
      const std::string number = std::to_string(i);
      const std::string& name = i < names_.size() && !names_[i].empty() ? names_[i] : number;
      const auto is = [&](const std::string& key) { return key == name || key == number; };
      Use use = csv_.columns.empty() ? Use::any : Use::leave;
      if (std::any_of(csv_.columns.begin(), csv_.columns.end(), is)) use = Use::wanted;
      if (has_time_ && is(time_column_)) use = Use::time;
      columns_[i] = {use, name};
    }
  }

  Outcome take_row(Time received, FieldSink& sink) {
    const auto& fields = rows_.fields();
    if (columns_.size() != fields.size()) plan(fields.size());
    Time time = received;
    if (has_time_) {
      const auto at = std::find_if(columns_.begin(), columns_.end(),
                                   [](const Column& column) { return column.use == Use::time; });
      std::optional<Time> found;
      if (at != columns_.end()) {
        found = times_.from_text(fields[static_cast<std::size_t>(at - columns_.begin())], received);
      }
      if (!found) {
        return {true, Refusal::time,
                "a row has no plausible time in the column time_path (between 2000 and a day "
                "ahead); time = \"receive\" takes the time of arrival instead"};
      }
      time = *found;
    }
    bool any = false;
    bool malformed = false;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const Use use = columns_[i].use;
      if (use != Use::wanted && use != Use::any) continue;
      double value = 0;
      if (!parse_number(fields[i], value)) {
        malformed = malformed || (use == Use::wanted && !fields[i].empty());
        continue;
      }
      if (++emitted_ > fields_max_) {
        return {true, Refusal::fields, "more numbers in one payload than fields_max"};
      }
      sink.on_field(columns_[i].name, {}, value, time);
      any = true;
    }
    if (malformed) return {true, Refusal::syntax, "a wanted column of a row is not a number"};
    if (!any) return {true, Refusal::no_number, "a row holds no number in the wanted columns"};
    return {};
  }

  CsvConfig csv_;
  std::size_t fields_max_;
  TimeRule times_;
  bool has_time_;
  std::string time_column_;
  csv::Splitter rows_;
  std::vector<std::string> names_;
  std::vector<Column> columns_;
  std::size_t emitted_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_csv_decoder(const DecodeConfig& config) {
  return std::make_unique<CsvDecoder>(config);
}

}  // namespace lapwing::agent
