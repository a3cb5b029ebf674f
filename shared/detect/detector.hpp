// SPDX-License-Identifier: Apache-2.0
/// The contract every detector keeps: borrowed batch in, caller-owned scores out.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

using Band = wire::Band;

/// What made a reading's score what it is; becomes a few words in the anomaly's text.
enum class Cause : std::uint8_t {
  none = 0,     ///< nothing stands out
  high = 1,     ///< above the expected band
  low = 2,      ///< below the expected band
  jump = 3,     ///< far from what the last readings announced
  noisier = 4,  ///< fluctuates more than it did
  calmer = 5,   ///< fluctuates less than it did
  drift = 6,    ///< the recent mean has moved away
  pattern = 7,  ///< the usual pattern in time is broken
};

/// Rows to score, row-major, oldest first. Borrowed: valid only during the call.
struct Batch {
  std::span<const double> values;  ///< rows * width, in each sensor's own unit; NaN = missing
  std::span<const Time> times;     ///< one per row, not decreasing; empty where the kind needs none
  std::size_t width = 1;           ///< sensors per row; 1 for kinds of Input::stream
  bool learn = true;               ///< false: score only, the model stays as it is
  /// Raw score (kinds with evidence: departure) the band is drawn for: a value outside it would
  /// have more than this.
  float band_score = 6.0F;
};

/// What a kind with a natural scale of its own says about a row (Kind::evidence). Both are >= 0;
/// above 1 is what a stream without faults shows about once in 2016 rows (a week of five minutes),
/// and twice as high about half as often.
struct Evidence {
  float novelty = 0;    ///< beyond everything seen lately, faults included: something new begins
  float departure = 0;  ///< outside of what is normal: high for as long as a fault lasts
};

/// Where the results go. Owned by the caller; a span that is empty is not written.
struct Scores {
  std::span<float> raw;                 ///< one per row; never empty when there are rows
  std::span<Band> bands = {};           ///< one per row; kinds of Input::stream
  std::span<Cause> causes = {};         ///< one per row
  std::span<Evidence> evidence = {};    ///< one per row; kinds with Kind::evidence
  std::span<float> contributions = {};  ///< rows * width, each row adds up to 1; groups and rows
};

/// Scores readings of one stream, or rows of one group or table, by how unlike their past they are.
///
/// Units: a raw score is unitless, finite and >= 0, higher is stranger. It is not comparable
/// between
///   kinds or streams: Calibration turns it into the score that is above 1 when anomalous. While
///   warming up, and for a missing (NaN) reading, the raw score is 0 and the band unknown.
/// Ownership: owns its model, borrows every argument for the call only.
/// Errors: bad_shape (sizes or width disagree; nothing is written or learnt), no_device, corrupt.
/// Threads: distinct objects are safe; one object is used from one thread at a time.
/// Cost: no allocation after construction, state_bytes() in all; each kind states its own time.
/// Repeatable: the same settings, seed and rows give the same bits on one backend however the rows
///   are cut into batches; CPU and CUDA agree within 1e-5.
class Detector {
 public:
  virtual ~Detector() = default;
  Detector(const Detector&) = delete;
  Detector& operator=(const Detector&) = delete;

  /// Scores the rows and, unless `batch.learn` is false, learns from them where the kind is online.
  virtual Result<void> score(const Batch& batch, Scores out) = 0;

  /// Rows that must be seen before scores mean something; 0 for trained kinds.
  [[nodiscard]] virtual std::size_t warmup_rows() const noexcept = 0;
  [[nodiscard]] virtual bool warm() const noexcept = 0;

  /// What rows of the warm-up would have scored, each judged by a model that had not learnt from
  /// it: a threshold may be calibrated on them, where scores of learnt rows are too low for that.
  /// Set when the warm-up ends and by accept_new_normal(); empty for kinds that cannot tell, and
  /// after restore(). Valid until the next call.
  [[nodiscard]] virtual std::span<const float> warmup_scores() const noexcept { return {}; }

  /// Rows, the time scale on which a kind with evidence forgets; 1 and more.
  [[nodiscard]] virtual double memory_rows() const noexcept { return 1000; }

  /// What was lately seen is normal from now on (a verdict, or a change that lasted long enough).
  /// No effect on trained kinds.
  virtual void accept_new_normal() noexcept {}

  /// Bytes the object takes, everything it owns included; constant after construction.
  [[nodiscard]] virtual std::size_t state_bytes() const noexcept = 0;

  /// Appends the state as framed little-endian bytes (see snapshot.hpp). Trained kinds may append
  /// nothing but the frame.
  virtual void snapshot(std::vector<std::byte>& out) const = 0;
  /// Takes the state of a snapshot: scores go on with the same bits. Errors: corrupt (a check
  /// fails), unsupported (another version, kind or settings). On error the state is as after
  /// construction.
  virtual Result<void> restore(std::span<const std::byte> bytes) = 0;

 protected:
  Detector() = default;
};

}  // namespace lapwing::detect
