// SPDX-License-Identifier: Apache-2.0
/// What trained detectors that score one row at a time have in common.
#pragma once

#include "shared/detect/cuda/rows_on_device.hpp"
#include "shared/detect/detector.hpp"
#include "shared/detect/kind.hpp"
#include "shared/detect/snapshot.hpp"
#include "shared/detect/trained.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::detect {

/// A trained detector whose kind only says how one row is scored.
class RowDetector : public TrainedDetector {
 public:
  Result<void> score(const Batch& batch, Scores out) override;

 protected:
  /// `kind` outlives the detector (it is one of kKinds). With a device, batches that are worth it
  /// and want no contributions are scored there.
  RowDetector(const Kind& kind, std::size_t width, std::span<const std::byte> model,
              std::unique_ptr<RowsOnDevice> device = nullptr)
      : TrainedDetector(kind.name, model),
        kind_(kind.name),
        width_(width),
        device_(std::move(device)) {}

  [[nodiscard]] std::size_t device_bytes() const noexcept { return device_ ? device_->bytes() : 0; }

  /// The raw score of one row of the detector's width, finite and >= 0; 0 when all is missing.
  /// `shares` is empty, or as wide: then it takes what each column adds, >= 0, of any sum.
  virtual float score_row(std::span<const double> row, std::span<float> shares) noexcept = 0;

 private:
  std::string_view kind_;
  std::size_t width_;
  std::unique_ptr<RowsOnDevice> device_;
};

/// What every training begins with. Errors: bad_config, shutting_down (cancelled), no_device.
Result<void> begin_training(const Kind& kind, const Table& table, const Settings& settings,
                            const Progress& progress);

/// Errors: shutting_down when `progress` says so.
Result<void> report_progress(const Kind& kind, const Progress& progress, double done);

/// Names the kind whose model is refused. Errors: corrupt.
Error corrupt_model(const Kind& kind);

/// The model that one frame with this tag holds; `Model::read(reader, width)` says whether its
/// values are possible. Errors: as open_frame, and corrupt (they are not, or bytes are left).
template <class Model>
Result<Model> read_model(const Kind& kind, std::span<const std::byte> bytes, std::uint64_t tag,
                         std::size_t width) {
  const auto content = open_frame(bytes, tag);
  if (!content) return content.error();
  StateReader reader(*content);
  Model model;
  if (!model.read(reader, width) || !reader.rest().empty()) return corrupt_model(kind);
  return model;
}

/// The bytes that read_model() takes.
template <class Model>
std::vector<std::byte> write_model(const Model& model, std::uint64_t tag) {
  std::vector<std::byte> bytes;
  const std::size_t begun = begin_frame(bytes, tag);
  StateWriter writer(bytes);
  model.write(writer);
  end_frame(bytes, begun);
  return bytes;
}

}  // namespace lapwing::detect
