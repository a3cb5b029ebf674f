// SPDX-License-Identifier: Apache-2.0
/// What waits to be handed on to sinks (hub/sink), written in the transaction that stores a record.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// In place of a wire::RecordClass: records that the sink will never get.
inline constexpr int kSpoolGivenUp = 0;   ///< at the spool's bound
inline constexpr int kSpoolRefused = -1;  ///< the sink does not take them

/// One record for one sink. Numbers grow; those of one device in the order of its records.
struct SpoolRow {
  std::uint64_t number = 0;  ///< given by the store
  std::string sink;
  DeviceKey key;
  int record_class = 0;
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  std::uint64_t seq_last = 0;  ///< above seq for losses, and for what was given up
  std::uint64_t records = 1;   ///< given up: how many of seq..seq_last
  Time received_at{};          ///< hub time
  std::string value;           ///< UTF-8; empty for what was given up
};

struct SpoolFigures {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;     ///< of values
  std::optional<Time> oldest;  ///< received_at of the first row
};

/// Rows of a sink are read from the oldest on and removed when it has them. Whoever reads holds the
/// sink's lease: of any number of replicas one.
///
/// Errors, threads: as Store.
class Spool {
 public:
  virtual ~Spool() = default;
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Takes or renews the lease until `at` + `length`. false: another holder's has not ended at
  /// `at`.
  virtual Result<bool> lease(std::string_view sink, std::string_view holder, Time at,
                             Micros length) = 0;
  /// Ends the lease if it is the holder's.
  virtual Result<void> release(std::string_view sink, std::string_view holder) = 0;

  /// The first rows by number: at most `rows`, at most `bytes` of values, but at least one.
  virtual Result<std::vector<SpoolRow>> oldest(std::string_view sink, std::size_t rows,
                                               std::uint64_t bytes) = 0;
  virtual Result<void> remove(std::span<const std::uint64_t> numbers) = 0;
  /// Cost: reads an index entry for each row of the sink.
  virtual Result<SpoolFigures> figures(std::string_view sink) = 0;

  /// Gives up the first `rows` rows behind number `after`: for each device and epoch among them a
  /// row (kSpoolGivenUp) takes their place. What was given up before counts on. The records.
  virtual Result<std::uint64_t> give_up(std::string_view sink, std::uint64_t after,
                                        std::size_t rows) = 0;
  /// Gives up this row: kSpoolRefused.
  virtual Result<void> refuse(std::uint64_t number) = 0;

 protected:
  Spool() = default;
};

}  // namespace lapwing::hub
