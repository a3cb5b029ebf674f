// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/matrix_profile/kernels.hpp"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/matrix_profile/kernels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect::profile::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kDoubles = 8;  // at most, of one vector
constexpr std::size_t kFloats = 16;
constexpr std::size_t kRows = 4;     // advanced together: the covariances stay in registers
constexpr std::size_t kBlock = 128;  // lags whose tables stay in the first cache
static_assert(kBlock + kRows + kDoubles <= kPadding);

/// The larger one; `best` where `next` is no number.
template <class V>
HWY_INLINE V larger(V next, V best) {
#if HWY_ARCH_X86
  return hn::Max(next, best);  // what MAXPD is defined to give
#else
  return hn::IfThenElse(hn::Gt(next, best), next, best);
#endif
}

/// A row's best in a block whose lags start at `place`; of equal ones the first.
struct RowBest {
  double* best;
  double* where;

  template <class D, class V>
  HWY_INLINE void raise(D lanes, V block_best, const double* HWY_RESTRICT scaled, double place) {
    HWY_ALIGN double bests[kDoubles];
    hn::Store(block_best, lanes, bests);
    double highest = *best;
    for (std::size_t i = 0; i < hn::Lanes(lanes); ++i) {
      highest = bests[i] > highest ? bests[i] : highest;
    }
    if (highest == *best) return;
    std::size_t at = 0;
    while (scaled[at] != highest) ++at;
    *best = highest;
    *where = place + static_cast<double>(at);
  }
};

/// Rows [row, row + kRows) against lags [lag, lag + kBlock). Where a row's best lies is looked up
/// afterwards, in the blocks that have a better one.
void advance_block(const Tables& w, std::size_t row, std::size_t lag, double* covariance,
                   double* best, double* where) {
  const hn::CappedTag<double, kDoubles> lanes;
  const std::size_t n = hn::Lanes(lanes);
  HWY_ALIGN double scaled_rows[kRows][kBlock];
  const auto lowest = hn::Set(lanes, -std::numeric_limits<double>::max());
  auto best0 = lowest;
  auto best1 = lowest;
  auto best2 = lowest;
  auto best3 = lowest;
  const auto change0 = hn::Set(lanes, w.change[row]);
  const auto change1 = hn::Set(lanes, w.change[row + 1]);
  const auto change2 = hn::Set(lanes, w.change[row + 2]);
  const auto change3 = hn::Set(lanes, w.change[row + 3]);
  const auto sum0 = hn::Set(lanes, w.sum[row]);
  const auto sum1 = hn::Set(lanes, w.sum[row + 1]);
  const auto sum2 = hn::Set(lanes, w.sum[row + 2]);
  const auto sum3 = hn::Set(lanes, w.sum[row + 3]);
  for (std::size_t d = 0; d < kBlock; d += n) {
    auto cov = hn::LoadU(lanes, covariance + lag + d);
    const auto go = [&](std::size_t k, auto change, auto sum, auto& row_best) HWY_ATTR {
      const std::size_t j = row + k + lag + d;
      cov = hn::MulAdd(change, hn::LoadU(lanes, w.sum + j), cov);
      cov = hn::MulAdd(sum, hn::LoadU(lanes, w.change + j), cov);
      const auto scaled = hn::Mul(cov, hn::LoadU(lanes, w.inverse + j));
      hn::Store(scaled, lanes, scaled_rows[k] + d);
      row_best = larger(scaled, row_best);
    };
    go(0, change0, sum0, best0);
    go(1, change1, sum1, best1);
    go(2, change2, sum2, best2);
    go(3, change3, sum3, best3);
    hn::StoreU(cov, lanes, covariance + lag + d);
  }
  const auto raise = [&](std::size_t k, auto row_best) HWY_ATTR {
    const auto place = static_cast<double>(row + k + lag);
    RowBest{best + row + k, where + row + k}.raise(lanes, row_best, scaled_rows[k], place);
  };
  raise(0, best0);
  raise(1, best1);
  raise(2, best2);
  raise(3, best3);
}

void best_later_lanes(const Tables& w, double* covariance, double* best, double* where) {
  for (std::size_t lag = w.nearest; lag < w.count; lag += kBlock) {
    for (std::size_t row = 0; row + lag < w.count; row += kRows) {
      advance_block(w, row, lag, covariance, best, where);
    }
  }
}

/// The rest of a stretch that fills no vector.
void advance_rest(const Lags& lags, std::size_t from, float change, float sum) {
  const hn::CappedTag<float, 1> single;
  for (std::size_t d = from; d < lags.count; ++d) {
    auto cov = hn::LoadU(single, lags.covariance + d);
    cov = hn::MulAdd(hn::Set(single, change), hn::LoadU(single, lags.sum + d), cov);
    cov = hn::MulAdd(hn::Set(single, sum), hn::LoadU(single, lags.change + d), cov);
    hn::StoreU(cov, single, lags.covariance + d);
  }
}

/// `use(place, covariances)` sees each vector; returns how many lags were in one.
template <class D, class Use>
HWY_INLINE std::size_t advance_vectors(D lanes, const Lags& lags, float change, float sum,
                                       const Use& use) {
  const std::size_t n = hn::Lanes(lanes);
  const auto change_all = hn::Set(lanes, change);
  const auto sum_all = hn::Set(lanes, sum);
  std::size_t d = 0;
  for (; d + n <= lags.count; d += n) {
    auto cov = hn::LoadU(lanes, lags.covariance + d);
    cov = hn::MulAdd(change_all, hn::LoadU(lanes, lags.sum + d), cov);
    cov = hn::MulAdd(sum_all, hn::LoadU(lanes, lags.change + d), cov);
    hn::StoreU(cov, lanes, lags.covariance + d);
    use(d, cov);
  }
  return d;
}

void advance_lanes(const Lags& lags, float change, float sum) {
  const hn::CappedTag<float, kFloats> lanes;
  const std::size_t done =
      advance_vectors(lanes, lags, change, sum, [](std::size_t, auto) HWY_ATTR {});
  advance_rest(lags, done, change, sum);
}

BestLag advance_and_search_lanes(const Lags& lags, float change, float sum, float common) {
  const hn::CappedTag<float, kFloats> lanes;
  const std::size_t n = hn::Lanes(lanes);
  constexpr float kLowest = -std::numeric_limits<float>::max();
  const auto common_all = hn::Set(lanes, common);
  const auto next = hn::Set(lanes, static_cast<float>(n));
  auto best = hn::Set(lanes, kLowest);
  auto where = hn::Zero(lanes);
  auto place = hn::Iota(lanes, 0.0F);
  const auto look = [&](std::size_t d, auto cov) HWY_ATTR {
    const auto scaled = hn::Mul(hn::Add(cov, common_all), hn::LoadU(lanes, lags.inverse + d));
    const auto better = hn::Gt(scaled, best);
    best = hn::IfThenElse(better, scaled, best);
    where = hn::IfThenElse(better, place, where);
    place = hn::Add(place, next);
  };
  const std::size_t done = advance_vectors(lanes, lags, change, sum, look);
  advance_rest(lags, done, change, sum);
  HWY_ALIGN float bests[kFloats];
  HWY_ALIGN float wheres[kFloats];
  hn::Store(best, lanes, bests);
  hn::Store(where, lanes, wheres);
  BestLag found{kLowest, 0};
  for (std::size_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(wheres[i]);
    if (bests[i] > found.correlation || (bests[i] == found.correlation && at < found.at)) {
      found = {bests[i], at};
    }
  }
  for (std::size_t d = done; d < lags.count; ++d) {
    const float scaled = (lags.covariance[d] + common) * lags.inverse[d];
    if (scaled > found.correlation) found = {scaled, d};
  }
  return found;
}

}  // namespace lapwing::detect::profile::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect::profile {

HWY_EXPORT(best_later_lanes);
HWY_EXPORT(advance_lanes);
HWY_EXPORT(advance_and_search_lanes);

void best_later(const Tables& tables, std::span<double> covariance, std::span<double> best,
                std::span<double> where) {
  HWY_DYNAMIC_DISPATCH(best_later_lanes)(tables, covariance.data(), best.data(), where.data());
}

void advance(const Lags& lags, float change, float sum) {
  HWY_DYNAMIC_DISPATCH(advance_lanes)(lags, change, sum);
}

BestLag advance_and_search(const Lags& lags, float change, float sum, float common) {
  return HWY_DYNAMIC_DISPATCH(advance_and_search_lanes)(lags, change, sum, common);
}

}  // namespace lapwing::detect::profile
#endif
