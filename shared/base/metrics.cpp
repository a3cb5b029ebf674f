// SPDX-License-Identifier: Apache-2.0
#include "shared/base/metrics.hpp"

#include "shared/base/mutex.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>

namespace lapwing {
namespace {

prometheus::Labels to_labels(const Metrics::Labels& labels) {
  return prometheus::Labels(labels.begin(), labels.end());
}

}  // namespace

void Counter::add(double amount) { static_cast<prometheus::Counter*>(inner_)->Increment(amount); }
double Counter::value() const { return static_cast<prometheus::Counter*>(inner_)->Value(); }
void Gauge::set(double value) { static_cast<prometheus::Gauge*>(inner_)->Set(value); }
void Gauge::add(double amount) { static_cast<prometheus::Gauge*>(inner_)->Increment(amount); }
double Gauge::value() const { return static_cast<prometheus::Gauge*>(inner_)->Value(); }
void Histogram::observe(double value) {
  static_cast<prometheus::Histogram*>(inner_)->Observe(value);
}

struct Metrics::State {
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  Mutex telling;  ///< held while the text is made, and while figures that belong together change
  Mutex mutex;
  // Keyed by the library's object, which is one per name and labels.
  std::map<void*, Counter> counters LAPWING_GUARDED_BY(mutex);
  std::map<void*, Gauge> gauges LAPWING_GUARDED_BY(mutex);
  std::map<void*, Histogram> histograms LAPWING_GUARDED_BY(mutex);
  std::map<std::string, std::string, std::less<>> helps LAPWING_GUARDED_BY(mutex);

  /// Full name and the help of its first use (the library refuses a second text).
  std::pair<std::string, std::string> naming(std::string_view name, std::string_view help)
      LAPWING_REQUIRES(mutex) {
    std::string full = "lapwing_" + std::string(name);
    const auto known = helps.emplace(full, help).first;
    return {std::move(full), known->second};
  }
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::counter(std::string_view name, std::string_view help, const Labels& labels) {
  const MutexLock lock(state_->mutex);
  const auto [full, text] = state_->naming(name, help);
  void* inner = &prometheus::BuildCounter()
                     .Name(full)
                     .Help(text)
                     .Register(state_->registry)
                     .Add(to_labels(labels));
  return state_->counters.emplace(inner, Counter(inner)).first->second;
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  const MutexLock lock(state_->mutex);
  const auto [full, text] = state_->naming(name, help);
  void* inner = &prometheus::BuildGauge()
                     .Name(full)
                     .Help(text)
                     .Register(state_->registry)
                     .Add(to_labels(labels));
  return state_->gauges.emplace(inner, Gauge(inner)).first->second;
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help,
                              std::vector<double> buckets, const Labels& labels) {
  const MutexLock lock(state_->mutex);
  const auto [full, text] = state_->naming(name, help);
  void* inner = &prometheus::BuildHistogram()
                     .Name(full)
                     .Help(text)
                     .Register(state_->registry)
                     .Add(to_labels(labels), prometheus::Histogram::BucketBoundaries(buckets));
  return state_->histograms.emplace(inner, Histogram(inner)).first->second;
}

void Metrics::together(const std::function<void()>& change) {
  const MutexLock lock(state_->telling);
  change();
}

std::string Metrics::text() const {
  const MutexLock lock(state_->telling);
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace lapwing
