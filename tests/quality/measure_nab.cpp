// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/measures.hpp"
#include "tests/quality/nab_score.hpp"
#include "tests/quality/pages.hpp"
#include "tests/quality/report.hpp"
#include "tests/quality/run_stream.hpp"

#include <string>
#include <vector>

namespace lapwing::quality {
namespace {

constexpr std::size_t kFolds = 5;

std::vector<NabFile> chosen(std::span<const NabFile> files, std::span<const std::size_t> indices) {
  std::vector<NabFile> list;
  for (const std::size_t index : indices) list.push_back(files[index]);
  return list;
}

/// The score when each fold of files is judged at the threshold that is best for the others.
double cross_validated(std::span<const NabFile> files, const NabProfile& profile) {
  double sum = 0;
  double windows = 0;
  for (std::size_t fold = 0; fold < kFolds; ++fold) {
    std::vector<NabFile> own;
    std::vector<NabFile> others;
    for (std::size_t i = 0; i < files.size(); ++i) {
      (i % kFolds == fold ? own : others).push_back(files[i]);
    }
    const double threshold = nab_score(others, profile).threshold;
    const auto scored = nab_score(own, profile, threshold);
    sum += scored.score * static_cast<double>(scored.windows);
    windows += static_cast<double>(scored.windows);
  }
  return sum / windows;
}

}  // namespace

Result<void> measure_nab(const Options& options) {
  const auto list = read_nab(options.data);
  if (!list) return list.error();
  std::vector<NabFile> files(list->size());
  for_each(list->size(), [&](std::size_t i) {
    const auto output = run_series((*list)[i], options);
    write_pages(options, "nab", (*list)[i], output);
    files[i] = {output.onsets(), (*list)[i].windows};
  });
  const auto score_of = [&](const NabProfile& profile, std::optional<double> threshold = {}) {
    return [&, threshold](std::span<const std::size_t> indices) {
      return nab_score(chosen(files, indices), profile, threshold).score;
    };
  };
  figure_of_files(options, "nab.standard", files.size(), score_of(kNabStandard));
  figure("nab.standard.cv", cross_validated(files, kNabStandard));
  figure("nab.standard.threshold", nab_score(files, kNabStandard).threshold);
  figure("nab.low_fp", nab_score(files, kNabLowFp).score);
  figure("nab.low_fp.cv", cross_validated(files, kNabLowFp));
  figure("nab.low_fn", nab_score(files, kNabLowFn).score);
  figure("nab.low_fn.cv", cross_validated(files, kNabLowFn));
  figure_of_files(options, "nab.fixed", files.size(), score_of(kNabStandard, 1.0));
  const auto fixed = nab_score(files, kNabStandard, 1.0);
  detail("%zu of %zu windows hit, %zu false alarms at the fixed threshold", fixed.windows_hit,
         fixed.windows, fixed.false_rows);
  for (std::size_t i = 0; options.per_file && i < files.size(); ++i) {
    const auto one = nab_score({&files[i], 1}, kNabStandard, 1.0);
    detail("%-60s %zu of %zu hit, %zu false", (*list)[i].name.c_str(), one.windows_hit, one.windows,
           one.false_rows);
  }
  return {};
}

}  // namespace lapwing::quality
