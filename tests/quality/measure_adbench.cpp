// SPDX-License-Identifier: Apache-2.0
#include "shared/base/files.hpp"
#include "shared/csv/split.hpp"
#include "shared/detect/kinds.hpp"
#include "tests/quality/auroc.hpp"
#include "tests/quality/collections.hpp"
#include "tests/quality/measures.hpp"
#include "tests/quality/report.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace lapwing::quality {
namespace {

constexpr std::uint64_t kSeeds = 3;

/// Kinds that are measured even if a build lacks them (it then says so), and scikit-learn's name.
struct Wanted {
  std::string_view kind;
  std::string_view scikit;
};
constexpr Wanted kWanted[] = {{"auto", ""},
                              {"isolation_forest", "IForest"},
                              {"local_outlier_factor", "LOF"},
                              {"one_class_svm", "OCSVM"}};

/// The unlabelled table is trained on and scored, as the benchmark does. Mean of three seeds, or
/// one when the model does not depend on the seed.
Result<double> auroc_of(const detect::Kind& kind, const Series& table) {
  detect::Settings settings{.width = table.width()};
  std::vector<float> raw(table.rows());
  std::vector<std::byte> first;
  double sum = 0;
  for (settings.seed = 1; settings.seed <= kSeeds; ++settings.seed) {
    const auto model = kind.train({table.values, table.width()}, settings, {});
    if (!model) return within(table.name, model.error());
    if (settings.seed == 1) {
      first = *model;
    } else if (settings.seed == 2 && *model == first) {
      return sum;
    }
    const auto detector = kind.make(settings, {*model});
    if (!detector) return within(table.name, detector.error());
    const auto done = (*detector)->score(
        {.values = table.values, .width = table.width(), .learn = false}, {.raw = raw});
    if (!done) return within(table.name, done.error());
    sum += auroc(table.labels, raw);
  }
  return sum / static_cast<double>(kSeeds);
}

/// scikit-learn's mean over the sets, from adbench-sklearn.csv where it is beside the data.
std::optional<double> scikit_mean(const Options& options, std::string_view algorithm,
                                  std::string_view scaling) {
  const auto text = read_file(options.data / "adbench-sklearn.csv", std::size_t{1} << 20);
  if (!text) return std::nullopt;
  double sum = 0;
  int sets = 0;
  csv::Splitter rows(*text);
  while (rows.next()) {
    const auto& row = rows.fields();  // name,rows,dims,anomaly_pct,algo,scaling,auroc,...
    double value = 0;
    if (row.size() < 7 || row[4] != algorithm || row[5] != scaling) continue;
    std::from_chars(row[6].data(), row[6].data() + row[6].size(), value);
    sum += value;
    ++sets;
  }
  return sets == 0 ? std::nullopt : std::optional(sum / sets);
}

std::string figure_name(std::string_view kind) {
  return kind == "auto" ? "adbench.auroc" : "adbench.auroc." + std::string(kind);
}

Result<void> measure_kind(const Options& options, const std::vector<Series>& tables,
                          const detect::Kind& kind, std::string_view scikit) {
  std::vector<double> values(tables.size());
  const auto done = try_each(tables.size(), [&](std::size_t i) -> Result<void> {
    const auto value = auroc_of(kind, tables[i]);
    if (!value) return value.error();
    values[i] = *value;
    return {};
  });
  if (!done) return done;
  figure_mean(options, figure_name(kind.name), values);
  for (const char* scaling : {"raw", "zscore"}) {
    if (const auto mean = scikit_mean(options, scikit, scaling)) {
      detail("scikit-learn on %s columns: %.4f", scaling, *mean);
    }
  }
  for (std::size_t i = 0; options.per_file && i < values.size(); ++i) {
    detail("%-60s %.4f", tables[i].name.c_str(), values[i]);
  }
  return {};
}

}  // namespace

Result<void> measure_adbench(const Options& options) {
  const auto tables = read_adbench(options.data);
  if (!tables) return tables.error();
  for (const auto& wanted : kWanted) {
    const auto* kind = detect::find_kind(wanted.kind, detect::Input::rows);
    if (kind == nullptr) {
      std::printf("%s: skipped: no kind \"%s\" for rows\n", figure_name(wanted.kind).c_str(),
                  std::string(wanted.kind).c_str());
      continue;
    }
    if (auto done = measure_kind(options, *tables, *kind, wanted.scikit); !done) return done;
  }
  for (const auto& kind : detect::kKinds) {
    if (kind.input != detect::Input::rows) continue;
    if (std::ranges::find(kWanted, kind.name, &Wanted::kind) != std::end(kWanted)) continue;
    if (auto done = measure_kind(options, *tables, kind, ""); !done) return done;
  }
  return {};
}

}  // namespace lapwing::quality
