// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/matrix_profile/batch.hpp"

#include "shared/detect/matrix_profile/cuda.hpp"
#include "shared/detect/matrix_profile/kernels.hpp"
#include "shared/detect/matrix_profile/task.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>

namespace lapwing::detect {
namespace {

using namespace profile;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kLowest = -std::numeric_limits<double>::max();
constexpr double kFlatAndOther = 0.5;  // the correlation that gives sqrt(window)

enum class Sort : std::uint8_t { varied, flat, missing };

struct Series {
  std::vector<double> values;  ///< centred and scaled; 0 where missing
  std::vector<double> means;
  std::vector<double> change;
  std::vector<double> sum;
  std::vector<double> inverse;
  std::vector<Sort> sorts;
  std::size_t window = 0;
  std::size_t count = 0;  ///< windows

  [[nodiscard]] std::size_t nearest() const { return (window + 3) / 4; }
};

/// Around zero and of a size whose squares neither overflow nor vanish; shape is all that counts.
std::vector<double> scaled(std::span<const double> values) {
  double low = kInfinity;
  double high = -kInfinity;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const double centre = low / 2 + high / 2;
  const double reach = high / 2 - low / 2;
  std::vector<double> out(values.size(), 0);
  if (!(reach > 0)) return out;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) out[i] = (values[i] - centre) / reach;
  }
  return out;
}

/// Which windows are flat or miss a value, from how long the last value has been repeated.
std::vector<Sort> sorts_of(std::span<const double> values, std::size_t window) {
  std::vector<Sort> sorts(values.size() - window + 1, Sort::varied);
  std::size_t run = 0;
  std::size_t whole = 0;  // values in a row that are numbers
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool finite = std::isfinite(values[i]);
    run = finite && i > 0 && values[i] == values[i - 1] ? run + 1 : 1;
    whole = finite ? whole + 1 : 0;
    if (i + 1 < window) continue;
    Sort& sort = sorts[i + 1 - window];
    if (whole < window) {
      sort = Sort::missing;
    } else if (run >= window) {
      sort = Sort::flat;
    }
  }
  return sorts;
}

void fill_tables(Series& s) {
  const std::size_t size = s.count + kPadding;
  s.means.assign(s.count, 0);
  s.change.assign(size, 0);
  s.sum.assign(size, 0);
  s.inverse.assign(size, kNone);
  for (std::size_t i = 0; i < s.count; ++i) {
    const auto moments = moments_of<double>(&s.values[i], s.window);
    s.means[i] = moments.mean;
    if (i > 0) {
      const auto step =
          step_of(s.values[i + s.window - 1], s.values[i - 1], s.means[i], s.means[i - 1]);
      s.change[i] = step.change;
      s.sum[i] = step.sum;
    }
    if (s.sorts[i] != Sort::varied) continue;
    if (moments.squares > 1e-200) {
      s.inverse[i] = 1 / std::sqrt(moments.squares);
    } else {
      s.sorts[i] = Sort::flat;  // varies by less than the series' numbers can tell
    }
  }
}

struct Best {
  std::vector<double> correlation;
  std::vector<double> place;
};

Tables tables_of(const Series& s) {
  return {.values = s.values.data(),
          .means = s.means.data(),
          .change = s.change.data(),
          .sum = s.sum.data(),
          .inverse = s.inverse.data(),
          .count = s.count,
          .window = s.window,
          .nearest = s.nearest()};
}

/// For each window the best among the later ones; on the device if there is one.
Result<Best> search_later(const Series& s, CudaSearch* device) {
  const std::size_t size = s.count + kPadding;
  Best best{std::vector<double>(size, kLowest), std::vector<double>(size, -1)};
  const Tables tables = tables_of(s);
  if (device != nullptr) {
    const auto done = device->best_later(tables, best.correlation.data(), best.place.data());
    if (!done) return done.error();
  } else {
    std::vector<double> covariance(size, 0);
    for (std::size_t j = 0; j < s.count; ++j) {
      covariance[j] =
          covariance_of(s.values.data(), s.means[0], &s.values[j], s.means[j], s.window);
    }
    best_later(tables, covariance, best.correlation, best.place);
  }
  for (std::size_t i = 0; i < s.count; ++i) best.correlation[i] *= s.inverse[i];
  return best;
}

Series series_of(std::span<const double> values, std::size_t window, bool reversed) {
  Series s;
  s.window = window;
  s.count = values.size() - window + 1;
  s.values = scaled(values);
  s.sorts = sorts_of(values, window);
  if (reversed) {
    std::ranges::reverse(s.values);
    std::ranges::reverse(s.sorts);
  }
  fill_tables(s);
  return s;
}

/// Windows that have no shape to correlate: the place of the nearest admissible one, or -1.
struct Nearest {
  std::vector<std::int64_t> flat;
  std::vector<std::int64_t> any;  ///< that misses no value
};

Nearest nearest_of(const Series& s, bool left) {
  Nearest out{std::vector<std::int64_t>(s.count, -1), std::vector<std::int64_t>(s.count, -1)};
  const std::size_t apart = s.nearest();
  const auto take = [&](std::size_t i, std::size_t candidate, std::int64_t& flat,
                        std::int64_t& any) {
    if (s.sorts[candidate] == Sort::flat) flat = static_cast<std::int64_t>(candidate);
    if (s.sorts[candidate] != Sort::missing) any = static_cast<std::int64_t>(candidate);
    if (out.flat[i] < 0) out.flat[i] = flat;
    if (out.any[i] < 0) out.any[i] = any;
  };
  std::int64_t flat = -1;
  std::int64_t any = -1;
  for (std::size_t i = apart; i < s.count; ++i) take(i, i - apart, flat, any);
  if (left) return out;
  flat = any = -1;
  for (std::size_t i = s.count; i-- > 0;) {
    if (i + apart < s.count) take(i, i + apart, flat, any);
  }
  return out;
}

}  // namespace

Result<Profile> matrix_profile(std::span<const double> values, std::size_t window, bool left,
                               Device device) {
  if (window < 3 || window > values.size()) {
    return Error{Errc::bad_config, "matrix profile: the window is 3 to " +
                                       std::to_string(values.size()) + " values, not " +
                                       std::to_string(window)};
  }
  std::unique_ptr<CudaSearch> cuda;
  if (device == Device::cuda) {
    auto made = make_cuda_search();
    if (!made) return made.error();
    cuda = std::move(*made);
  }
  // Earlier neighbours are the later ones of the series read backwards.
  const auto backwards = search_later(series_of(values, window, true), cuda.get());
  if (!backwards) return backwards.error();
  const Best& earlier = *backwards;
  const Series series = series_of(values, window, false);
  Best later;
  if (!left) {
    auto forwards = search_later(series, cuda.get());
    if (!forwards) return forwards.error();
    later = std::move(*forwards);
  }
  const Nearest nearest = nearest_of(series, left);
  const std::size_t count = series.count;
  Profile profile{std::vector<double>(count, kInfinity), std::vector<std::int64_t>(count, -1)};
  for (std::size_t i = 0; i < count; ++i) {
    double best = kLowest;
    std::int64_t place = -1;
    const auto raise = [&](double correlation, std::int64_t where) {
      if (where < 0 || !(correlation > best)) return;
      best = correlation;
      place = where;
    };
    if (series.sorts[i] == Sort::varied) {
      const std::size_t mirrored = count - 1 - i;
      if (earlier.place[mirrored] >= 0) {
        raise(earlier.correlation[mirrored],
              static_cast<std::int64_t>(count) - 1 -
                  static_cast<std::int64_t>(earlier.place[mirrored]));
      }
      if (!left) raise(later.correlation[i], static_cast<std::int64_t>(later.place[i]));
      raise(kFlatAndOther, nearest.flat[i]);
    } else if (series.sorts[i] == Sort::flat) {
      raise(1, nearest.flat[i]);
      raise(kFlatAndOther, nearest.any[i]);
    }
    if (place < 0) continue;
    profile.distances[i] = distance_of(best, window);
    profile.neighbours[i] = place;
  }
  return profile;
}

}  // namespace lapwing::detect
