// SPDX-License-Identifier: Apache-2.0
/// Counters, gauges and histograms in the Prometheus exposition format (prometheus-cpp inside).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing {

/// Only grows. Threads: safe. Cost: one atomic add; count per batch, not per reading.
class Counter {
 public:
  void add(double amount = 1);
  [[nodiscard]] double value() const;

 private:
  friend class Metrics;
  explicit Counter(void* inner) : inner_(inner) {}
  void* inner_;
};

/// Goes up and down. Threads: safe.
class Gauge {
 public:
  void set(double value);
  void add(double amount);
  [[nodiscard]] double value() const;

 private:
  friend class Metrics;
  explicit Gauge(void* inner) : inner_(inner) {}
  void* inner_;
};

/// Counts observations by bucket. Threads: safe.
class Histogram {
 public:
  void observe(double value);

 private:
  friend class Metrics;
  explicit Histogram(void* inner) : inner_(inner) {}
  void* inner_;
};

/// All metrics of a process. Names are given without the prefix: `streams` becomes
/// `lapwing_streams`.
///
/// Ownership: owns every handle it gives out; they live as long as it. The same name and labels
/// give
///   the same handle. A name keeps the help (and a histogram the buckets) of its first use.
/// Threads: safe.
class Metrics {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> buckets,
                       const Labels& labels = {});

  /// Runs `change`; an answer of text() has all that it sets or nothing of it. For figures that
  /// must add up. Cost: text() waits for it; set gauges, do nothing else.
  void together(const std::function<void()>& change);

  /// Everything in the text exposition format, version 0.0.4.
  [[nodiscard]] std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lapwing
