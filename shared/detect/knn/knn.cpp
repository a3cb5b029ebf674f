// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/knn/knn.hpp"

#include "shared/detect/neighbours/task.hpp"
#include "shared/detect/snapshot.hpp"

#include <utility>

namespace lapwing::detect {
namespace {

std::uint64_t model_tag(std::size_t width) { return frame_tag("knn model", 1, width); }

}  // namespace

float Knn::score_row(std::span<const double> row, std::span<float> shares) noexcept {
  const auto [distances, rows] = neighbours_.of(row);
  if (distances.empty()) return 0;
  if (!shares.empty()) neighbours_.add_shares(shares);
  return neighbours::mean_distance(distances.data(), static_cast<std::uint32_t>(distances.size()));
}

Result<std::unique_ptr<Detector>> make_knn(const Settings& settings, const Context& context) {
  if (auto fine = check_settings(kKnn, settings); !fine) return fine.error();
  const auto reference = read_model<neighbours::Reference>(
      kKnn, context.model, model_tag(settings.width), settings.width);
  if (!reference) return reference.error();
  std::unique_ptr<RowsOnDevice> device;
  if (settings.device == Device::cuda) {
    auto made = neighbours::open_device(kKnn, *reference, {}, {});
    if (!made) return made.error();
    device = std::move(*made);
  }
  return std::unique_ptr<Detector>(
      std::make_unique<Knn>(*reference, context.model, std::move(device)));
}

Result<std::vector<std::byte>> train_knn(const Table& table, const Settings& settings,
                                         const Progress& progress) {
  if (auto fine = begin_training(kKnn, table, settings, progress); !fine) return fine.error();
  const auto reference = neighbours::Reference::learn(kKnn, table, settings);
  if (!reference) return reference.error();
  return write_model(*reference, model_tag(table.width));
}

}  // namespace lapwing::detect
