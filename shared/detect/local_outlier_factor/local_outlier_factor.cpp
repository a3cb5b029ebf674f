// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/local_outlier_factor/local_outlier_factor.hpp"

#include "shared/detect/neighbours/task.hpp"
#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::detect {
namespace {

constexpr std::uint32_t kProgressRows = 4096;

std::uint64_t model_tag(std::size_t width) {
  return frame_tag("local_outlier_factor model", 1, width);
}

std::uint32_t size_of(const neighbours::Nearest& nearest) {
  return static_cast<std::uint32_t>(nearest.rows.size());
}

/// Looks up the neighbours of every reference row: first their k-th distances, then, from those,
/// the densities. Two searches a row need no room for all neighbours.
Result<void> measure(LocalOutlierFactor::Model& model, const Progress& progress) {
  const auto& reference = model.reference;
  const std::size_t width = reference.columns.width();
  neighbours::Neighbours search(reference);
  const auto nearest = [&](std::uint32_t row) {
    return search.of_scaled(std::span(reference.rows).subspan(row * width, width));
  };
  const auto report = [&](std::uint32_t row, double before) -> Result<void> {
    if (row % kProgressRows != 0) return {};
    return report_progress(kLocalOutlierFactor, progress, before + 0.5 * row / reference.count);
  };
  for (std::uint32_t row = 0; row < reference.count; ++row) {
    if (auto on = report(row, 0); !on) return on;
    model.kth_distances.push_back(nearest(row).distances.back());
  }
  for (std::uint32_t row = 0; row < reference.count; ++row) {
    if (auto on = report(row, 0.5); !on) return on;
    const auto found = nearest(row);
    model.densities.push_back(neighbours::reach_density(
        found.distances.data(), found.rows.data(), size_of(found), model.kth_distances.data()));
  }
  return {};
}

}  // namespace

void LocalOutlierFactor::Model::write(StateWriter& writer) const {
  reference.write(writer);
  writer(kth_distances, densities);
}

bool LocalOutlierFactor::Model::read(StateReader& reader, std::size_t width) {
  if (!reference.read(reader, width)) return false;
  kth_distances.resize(reference.count);
  densities.resize(reference.count);
  reader(kth_distances, densities);
  const auto distance = [](float v) { return v >= 0 && v <= 1e15F; };
  const auto density = [](float v) { return v >= 1e-15F && v <= 1.01F / neighbours::kReachFloor; };
  return reader.ok() && std::ranges::all_of(kth_distances, distance) &&
         std::ranges::all_of(densities, density);
}

LocalOutlierFactor::LocalOutlierFactor(Model model, std::span<const std::byte> bytes,
                                       std::unique_ptr<RowsOnDevice> device)
    : RowDetector(kLocalOutlierFactor, model.reference.columns.width(), bytes, std::move(device)),
      neighbours_(model.reference),
      kth_distances_(std::move(model.kth_distances)),
      densities_(std::move(model.densities)) {}

std::size_t LocalOutlierFactor::state_bytes() const noexcept {
  return sizeof(*this) + neighbours_.bytes() + device_bytes() +
         (kth_distances_.capacity() + densities_.capacity()) * sizeof(float);
}

float LocalOutlierFactor::score_row(std::span<const double> row, std::span<float> shares) noexcept {
  const auto found = neighbours_.of(row);
  if (found.rows.empty()) return 0;
  if (!shares.empty()) neighbours_.add_shares(shares);
  const neighbours::Model model{.kth_distances = kth_distances_.data(),
                                .densities = densities_.data(),
                                .neighbours = size_of(found)};
  return neighbours::score_nearest(model, found.distances.data(), found.rows.data());
}

Result<std::unique_ptr<Detector>> make_local_outlier_factor(const Settings& settings,
                                                            const Context& context) {
  if (auto fine = check_settings(kLocalOutlierFactor, settings); !fine) return fine.error();
  auto model = read_model<LocalOutlierFactor::Model>(kLocalOutlierFactor, context.model,
                                                     model_tag(settings.width), settings.width);
  if (!model) return model.error();
  std::unique_ptr<RowsOnDevice> device;
  if (settings.device == Device::cuda) {
    auto made = neighbours::open_device(kLocalOutlierFactor, model->reference, model->kth_distances,
                                        model->densities);
    if (!made) return made.error();
    device = std::move(*made);
  }
  return std::unique_ptr<Detector>(
      std::make_unique<LocalOutlierFactor>(std::move(*model), context.model, std::move(device)));
}

Result<std::vector<std::byte>> train_local_outlier_factor(const Table& table,
                                                          const Settings& settings,
                                                          const Progress& progress) {
  if (auto fine = begin_training(kLocalOutlierFactor, table, settings, progress); !fine) {
    return fine.error();
  }
  auto reference = neighbours::Reference::learn(kLocalOutlierFactor, table, settings);
  if (!reference) return reference.error();
  LocalOutlierFactor::Model trained{.reference = std::move(*reference)};
  if (auto done = measure(trained, progress); !done) return done.error();
  return write_model(trained, model_tag(table.width));
}

}  // namespace lapwing::detect
