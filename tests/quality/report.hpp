// SPDX-License-Identifier: Apache-2.0
/// How figures are computed on every core, printed, and given an interval.
#pragma once

#include "shared/base/result.hpp"
#include "tests/quality/options.hpp"

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

namespace lapwing::quality {

/// Calls `work(i)` for every i below `count`, on every core.
void for_each(std::size_t count, const std::function<void(std::size_t)>& work);

/// The same with work that may fail: the first error that was met, after all are done.
Result<void> try_each(std::size_t count, const std::function<Result<void>(std::size_t)>& work);

/// `name value`, one line.
void figure(std::string_view name, double value);
/// An indented line below a figure, as with printf.
[[gnu::format(printf, 1, 2)]] void detail(const char* format, ...);

/// A figure of some of the files, given by their indices; an index may come more than once.
using FigureOf = std::function<double(std::span<const std::size_t>)>;

struct Interval {
  double low = 0;
  double high = 0;
};
/// The 10 % and 90 % quantiles of a figure when `count` files are drawn from them with
/// replacement, 200 times: how far it moves with the choice of files. Draws whose figure is NaN are
/// left out.
[[nodiscard]] Interval interval_of(std::size_t count, const FigureOf& figure_of);

/// Prints the figure of all files; with Options::intervals also `name.interval low high`.
void figure_of_files(const Options& options, std::string_view name, std::size_t count,
                     const FigureOf& figure_of);
/// The mean of one value a file, likewise.
void figure_mean(const Options& options, std::string_view name, std::span<const double> values);

}  // namespace lapwing::quality
