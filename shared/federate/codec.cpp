// SPDX-License-Identifier: Apache-2.0
#include "schemas/federate_generated.h"
#include "schemas/verified.hpp"
#include "shared/federate/contribution.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::federate {

using Builder = flatbuffers::FlatBufferBuilder;
using Doubles = flatbuffers::Vector<double>;
using Counts = flatbuffers::Vector<std::uint64_t>;

namespace {

constexpr unsigned kVersion = 1;
constexpr flatbuffers::uoffset_t kTablesMax = 2 * kWidthMax + 8;
constexpr double kCountMax = 0x1p52;
constexpr double kNumberMax = 1e150;

Error impossible(const char* what) {
  return {Errc::bad_input, std::string("contribution: ") + what};
}

std::uint64_t whole(double count) { return static_cast<std::uint64_t>(std::llround(count)); }

template <class Vector>
std::size_t length(const Vector* given) {
  return given == nullptr ? 0 : given->size();
}

/// The verifier leaves it open whether a vector's numbers lie where numbers may.
template <class... Numbers>
bool aligned(const flatbuffers::Vector<Numbers>*... given) {
  return ((given == nullptr || given->size() == 0 ||
           reinterpret_cast<std::uintptr_t>(given->Data()) % alignof(Numbers) == 0) &&
          ...);
}

bool finite(const Doubles* given) {
  return given == nullptr ||
         std::ranges::all_of(*given, [](double v) { return std::abs(v) <= kNumberMax; });
}

}  // namespace

/// Bytes of moments.
struct MomentsFields {
  static flatbuffers::Offset<fbs::Moments> put(Builder& b, const Moments& m) {
    std::vector<double> means;
    std::vector<double> products;
    std::vector<double> firsts;
    std::vector<double> seconds;
    std::vector<std::uint64_t> counts;
    bool complete = true;
    for (std::size_t c = 0; c < m.width_; ++c) means.push_back(m.mean(c));
    for (const Pair& pair : m.pairs_) {
      complete = complete && pair.count == m.rows_;
      products.push_back(pair.product);
      firsts.push_back(pair.first);
      seconds.push_back(pair.second);
      counts.push_back(whole(pair.count));
    }
    const auto least = b.CreateVector(m.least_);
    const auto greatest = b.CreateVector(m.greatest_);
    const auto mean = b.CreateVector(means);
    const auto product = b.CreateVector(products);
    const auto count = complete ? 0 : b.CreateVector(counts);
    const auto first = complete ? 0 : b.CreateVector(firsts);
    const auto second = complete ? 0 : b.CreateVector(seconds);
    return fbs::CreateMoments(b, whole(m.rows_), whole(m.empty_rows_), least, greatest, mean,
                              product, count, first, second);
  }

  static Result<Moments> take(const fbs::Moments& t) {
    if (!aligned(t.least(), t.greatest(), t.means(), t.products(), t.counts(), t.firsts(),
                 t.seconds())) {
      return impossible("numbers that are not aligned");
    }
    const std::size_t width = t.means()->size();
    const std::size_t pairs = width * (width + 1) / 2;
    const bool complete = t.counts() == nullptr;
    const bool shaped = width >= 1 && width <= kWidthMax && t.least()->size() == width &&
                        t.greatest()->size() == width && t.products()->size() == pairs &&
                        length(t.counts()) == (complete ? 0 : pairs) &&
                        length(t.firsts()) == (complete ? 0 : pairs) &&
                        length(t.seconds()) == (complete ? 0 : pairs);
    if (!shaped) return impossible("moments whose parts do not fit together");
    if (!finite(t.least()) || !finite(t.greatest()) || !finite(t.means()) || !finite(t.firsts()) ||
        !finite(t.seconds()) || static_cast<double>(t.rows()) > kCountMax ||
        static_cast<double>(t.empty_rows()) > kCountMax) {
      return impossible("moments that no numbers have");
    }
    Moments m(width);
    m.rows_ = static_cast<double>(t.rows());
    m.empty_rows_ = static_cast<double>(t.empty_rows());
    m.least_.assign(t.least()->begin(), t.least()->end());
    m.greatest_.assign(t.greatest()->begin(), t.greatest()->end());
    for (std::size_t second = 0; second < width; ++second) {
      for (std::size_t first = 0; first <= second; ++first) {
        const auto at = static_cast<flatbuffers::uoffset_t>(Moments::at(first, second));
        const auto of = [](std::size_t c) { return static_cast<flatbuffers::uoffset_t>(c); };
        Pair& pair = m.pairs_[at];
        pair.count = complete ? m.rows_ : static_cast<double>(t.counts()->Get(at));
        pair.first = complete ? t.means()->Get(of(first)) : t.firsts()->Get(at);
        pair.second = complete ? t.means()->Get(of(second)) : t.seconds()->Get(at);
        pair.product = t.products()->Get(at);
      }
    }
    if (!possible(m)) return impossible("moments that no rows give");
    return m;
  }

 private:
  static bool possible(const Moments& m) {
    for (std::size_t second = 0; second < m.width_; ++second) {
      const Pair& own = m.pair(second, second);
      const double slack = 1e-9 * (std::abs(own.first) + m.deviation(second));
      const bool fine = own.count <= m.rows_ && own.product >= 0 && std::isfinite(own.product) &&
                        own.first == own.second &&
                        (own.count == 0 || (m.least_[second] <= own.first + slack &&
                                            own.first <= m.greatest_[second] + slack));
      if (!fine) return false;
      for (std::size_t first = 0; first < second; ++first) {
        const Pair& pair = m.pair(first, second);
        const double most = std::sqrt(m.pair(first, first).product) * std::sqrt(own.product);
        const double rounding = 1e-12 * pair.count * (std::abs(pair.first) + m.deviation(first)) *
                                (std::abs(pair.second) + m.deviation(second));
        const bool there = pair.count <= std::min(m.count(first), own.count) &&
                           std::isfinite(pair.product) &&
                           std::abs(pair.product) <= most * (1 + 1e-6) + rounding;
        if (!there) return false;
      }
    }
    return true;
  }
};

/// Bytes of a sketch.
struct SketchFields {
  static flatbuffers::Offset<fbs::Sketch> put(Builder& b, const Sketch& s) {
    const auto [below_bins, below_counts] = put(b, s.below_);
    const auto [above_bins, above_counts] = put(b, s.above_);
    return fbs::CreateSketch(b, s.origin_, whole(s.at_origin_), below_bins, below_counts,
                             above_bins, above_counts);
  }

  static Result<Sketch> take(const fbs::Sketch& t) {
    if (!aligned(t.below_bins(), t.below_counts(), t.above_bins(), t.above_counts())) {
      return impossible("numbers that are not aligned");
    }
    Sketch s(t.origin());
    s.at_origin_ = static_cast<double>(t.at_origin());
    s.count_ = s.at_origin_;
    const bool fine = std::abs(s.origin_) <= kNumberMax && s.at_origin_ <= kCountMax &&
                      take(t.below_bins(), t.below_counts(), s.below_, s.count_) &&
                      take(t.above_bins(), t.above_counts(), s.above_, s.count_);
    if (!fine || s.count_ > kCountMax) return impossible("a sketch that no numbers give");
    return s;
  }

 private:
  using Bins = flatbuffers::Offset<flatbuffers::Vector<std::int32_t>>;
  using BinCounts = flatbuffers::Offset<Counts>;
  static std::pair<Bins, BinCounts> put(Builder& b, const Sketch::Bins& bins) {
    std::vector<std::int32_t> places;
    std::vector<std::uint64_t> counts;
    for (const auto& [bin, count] : bins) {
      places.push_back(bin);
      counts.push_back(whole(count));
    }
    const auto place = b.CreateVector(places);
    return {place, b.CreateVector(counts)};
  }
  static bool take(const flatbuffers::Vector<std::int32_t>* bins, const Counts* counts,
                   Sketch::Bins& to, double& total) {
    if (length(bins) != length(counts)) return false;
    for (flatbuffers::uoffset_t i = 0; i < length(bins); ++i) {
      const auto bin = bins->Get(i);
      const auto count = static_cast<double>(counts->Get(i));
      const bool fine = std::abs(static_cast<double>(bin)) <= Sketch::kBinLast && count >= 1 &&
                        count <= kCountMax && (i == 0 || bin > bins->Get(i - 1));
      if (!fine) return false;
      to.emplace_hint(to.end(), bin, count);
      total += count;
    }
    return true;
  }
};

namespace {

flatbuffers::Offset<fbs::Sketch> put(Builder& b, const std::optional<Sketch>& sketch) {
  return sketch ? SketchFields::put(b, *sketch) : 0;
}

Result<std::optional<Sketch>> take(const fbs::Sketch* table) {
  if (table == nullptr) return std::optional<Sketch>();
  auto sketch = SketchFields::take(*table);
  if (!sketch) return sketch.error();
  return std::optional(*std::move(sketch));
}

Result<Histogram> take(const fbs::Histogram& t) {
  Histogram made{.least = t.least(), .greatest = t.greatest(), .counts = {}};
  const std::size_t bins = t.counts()->size();
  const bool fine = aligned(t.counts()) && bins >= 4 && bins <= Histogram::kBinsMax + 3 &&
                    std::abs(made.least) <= kNumberMax && std::abs(made.greatest) <= kNumberMax &&
                    made.least < made.greatest;
  if (!fine) return impossible("a histogram of bins that cannot be");
  for (const auto count : *t.counts()) {
    if (static_cast<double>(count) > kCountMax) return impossible("a count beyond all rows");
    made.counts.push_back(static_cast<double>(count));
  }
  return made;
}

/// What is no number, or a table of one.
Result<void> take_rest(const fbs::Contribution& t, Contribution& c) {
  if (!aligned(t.leaf_counts(), t.samples())) return impossible("numbers that are not aligned");
  if (t.forest() != nullptr) {
    const auto bytes = std::as_bytes(std::span(t.forest()->data(), t.forest()->size()));
    c.forest.assign(bytes.begin(), bytes.end());
  }
  if (t.leaf_counts() != nullptr) {
    c.leaf_counts.assign(t.leaf_counts()->begin(), t.leaf_counts()->end());
  }
  c.width = t.width();
  if (t.samples() != nullptr) c.samples.assign(t.samples()->begin(), t.samples()->end());
  const bool rows = c.samples.empty()
                        ? c.width == 0
                        : c.width >= 1 && c.width <= kWidthMax && c.samples.size() % c.width == 0;
  const bool sane = std::ranges::all_of(
      c.samples, [](double v) { return std::isnan(v) || std::abs(v) <= kNumberMax; });
  if (!rows || !sane) return impossible("samples that are no rows");
  return {};
}

Result<Contribution> read(const fbs::Contribution& t) {
  Contribution c;
  c.rows = t.rows();
  if (static_cast<double>(c.rows) > kCountMax) return impossible("more rows than there can be");
  if (t.moments() != nullptr) {
    auto moments = MomentsFields::take(*t.moments());
    if (!moments) return moments.error();
    c.moments = *std::move(moments);
  }
  if (length(t.sketches()) > kWidthMax || length(t.histograms()) > kWidthMax) {
    return impossible("more sensors than there may be");
  }
  for (flatbuffers::uoffset_t i = 0; i < length(t.sketches()); ++i) {
    auto sketch = SketchFields::take(*t.sketches()->Get(i));
    if (!sketch) return sketch.error();
    c.sketches.push_back(*std::move(sketch));
  }
  for (flatbuffers::uoffset_t i = 0; i < length(t.histograms()); ++i) {
    auto histogram = take(*t.histograms()->Get(i));
    if (!histogram) return histogram.error();
    c.histograms.push_back(*std::move(histogram));
  }
  for (const auto& [from, to] : {std::pair{t.within(), &c.within}, std::pair{t.beside(), &c.beside},
                                 std::pair{t.scores(), &c.scores}}) {
    auto sketch = take(from);
    if (!sketch) return sketch.error();
    *to = *std::move(sketch);
  }
  if (auto rest = take_rest(t, c); !rest) return rest.error();
  return c;
}

}  // namespace

std::string encode(const Contribution& c) {
  Builder b;
  const auto moments =
      c.moments ? MomentsFields::put(b, *c.moments) : flatbuffers::Offset<fbs::Moments>();
  std::vector<flatbuffers::Offset<fbs::Sketch>> sketches;
  for (const auto& one : c.sketches) sketches.push_back(SketchFields::put(b, one));
  std::vector<flatbuffers::Offset<fbs::Histogram>> histograms;
  for (const auto& one : c.histograms) {
    std::vector<std::uint64_t> counts;
    for (const double count : one.counts) counts.push_back(whole(count));
    const auto bins = b.CreateVector(counts);
    histograms.push_back(fbs::CreateHistogram(b, one.least, one.greatest, bins));
  }
  const auto all_sketches = sketches.empty() ? 0 : b.CreateVector(sketches);
  const auto all_histograms = histograms.empty() ? 0 : b.CreateVector(histograms);
  const auto forest =
      c.forest.empty()
          ? 0
          : b.CreateVector(reinterpret_cast<const std::uint8_t*>(c.forest.data()), c.forest.size());
  const auto leaves = c.leaf_counts.empty() ? 0 : b.CreateVector(c.leaf_counts);
  const auto within = put(b, c.within);
  const auto beside = put(b, c.beside);
  const auto scores = put(b, c.scores);
  const auto samples = c.samples.empty() ? 0 : b.CreateVector(c.samples);
  fbs::FinishContributionBuffer(
      b, fbs::CreateContribution(b, kVersion, c.rows, moments, all_sketches, all_histograms, forest,
                                 leaves, within, beside, scores,
                                 static_cast<std::uint32_t>(c.width), samples));
  return {reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()};
}

Result<Contribution> decode(std::string_view bytes) {
  if (bytes.size() > kContributionBytesMax) {
    return Error{Errc::limit, "a contribution of more than " +
                                  std::to_string(kContributionBytesMax >> 10U) + " KiB"};
  }
  const schemas::Verified<fbs::Contribution> table(bytes, fbs::ContributionIdentifier(),
                                                   kTablesMax);
  if (!table) return Error{Errc::corrupt, "contribution: damaged bytes"};
  if (table->version() > kVersion) {
    return Error{Errc::unsupported, "contribution version " + std::to_string(table->version()) +
                                        " is newer than this program: update it"};
  }
  return read(*table);
}

}  // namespace lapwing::federate
