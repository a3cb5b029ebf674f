// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/trained_on_warmup.hpp"

#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::detect {
namespace {

constexpr std::uint32_t kVersion = 1;

/// The part of every span from `from` on, `count` rows long.
Scores part_of(const Scores& all, std::size_t from, std::size_t count, std::size_t width) {
  const auto cut = [&](auto span, std::size_t each) {
    return span.empty() ? span : span.subspan(from * each, count * each);
  };
  return {.raw = cut(all.raw, 1),
          .bands = cut(all.bands, 1),
          .causes = cut(all.causes, 1),
          .contributions = cut(all.contributions, width)};
}

}  // namespace

TrainedOnWarmup::TrainedOnWarmup(const Kind& kind, const Settings& settings)
    : kind_(&kind),
      settings_(settings),
      history_(group::History::rows_for(settings.warmup, settings.width), settings.width) {}

Result<void> TrainedOnWarmup::score(const Batch& batch, Scores out) {
  const std::size_t width = settings_.width;
  if (auto fine = check_shapes(kind_->name, width, batch, out); !fine) return fine;
  const std::size_t rows = batch.values.size() / width;
  std::size_t i = 0;
  for (; i < rows && !warm(); ++i) {
    const Scores none = part_of(out, i, 1, width);
    none.raw[0] = 0;
    std::ranges::fill(none.bands, Band{});
    std::ranges::fill(none.causes, Cause::none);
    std::ranges::fill(none.contributions, 0.0F);
    if (!batch.learn) continue;
    history_.push(batch.values.subspan(i * width, width));
    if (++rows_ >= settings_.warmup) train();
  }
  if (i == rows) return {};
  Batch rest = batch;
  rest.values = batch.values.subspan(i * width);
  if (!batch.times.empty()) rest.times = batch.times.subspan(i);
  if (batch.learn) {
    for (std::size_t r = i; r < rows; ++r) history_.push(batch.values.subspan(r * width, width));
  }
  return detector_->score(rest, part_of(out, i, rows - i, width));
}

/// On failure what was learnt before stays.
void TrainedOnWarmup::train() noexcept {
  rows_ = 0;
  std::vector<double> values;
  values.reserve(history_.rows() * settings_.width);
  for (std::size_t r = 0; r < history_.rows(); ++r) {
    const auto row = history_.row(r);
    values.insert(values.end(), row.begin(), row.end());
  }
  auto model = kind_->train({.values = values, .width = settings_.width}, settings_, {});
  if (!model) return;
  auto detector = kind_->make(settings_, {.model = *model});
  if (!detector) return;
  model_ = *std::move(model);
  detector_ = *std::move(detector);
}

void TrainedOnWarmup::accept_new_normal() noexcept {
  if (warm()) train();
}

std::size_t TrainedOnWarmup::state_bytes() const noexcept {
  return sizeof(*this) + history_.bytes() + model_.size() +
         (detector_ ? detector_->state_bytes() : 0);
}

std::uint64_t TrainedOnWarmup::tag() const noexcept {
  return frame_tag("trained_on_warmup", kVersion,
                   frame_tag(kind_->name, settings_.warmup, settings_.width));
}

void TrainedOnWarmup::snapshot(std::vector<std::byte>& out) const {
  const std::size_t begun = begin_frame(out, tag());
  StateWriter writer(out);
  writer(rows_, history_, static_cast<std::uint64_t>(model_.size()), model_);
  end_frame(out, begun);
}

void TrainedOnWarmup::begin_anew() noexcept {
  history_ = group::History(history_.capacity(), settings_.width);
  rows_ = 0;
  model_.clear();
  detector_.reset();
}

Result<void> TrainedOnWarmup::restore(std::span<const std::byte> bytes) {
  begin_anew();
  const auto content = open_frame(bytes, tag());
  if (!content) return content.error();
  StateReader reader(*content);
  std::uint64_t size = 0;
  reader(rows_, history_, size);
  if (!reader.ok() || reader.rest().size() != size || !history_.plausible()) {
    begin_anew();
    return Error{Errc::corrupt, std::string(kind_->name) + " snapshot holds impossible values"};
  }
  if (size == 0) return {};
  model_.assign(reader.rest().begin(), reader.rest().end());
  auto detector = kind_->make(settings_, {.model = model_});
  if (!detector) {
    begin_anew();
    return detector.error();
  }
  detector_ = *std::move(detector);
  return {};
}

Result<std::unique_ptr<Detector>> make_live(const Kind& kind, const Settings& settings) {
  if (kind.learning == Learning::online) return kind.make(settings, {});
  if (auto fine = check_settings(kind, settings); !fine) return fine.error();
  return std::unique_ptr<Detector>(std::make_unique<TrainedOnWarmup>(kind, settings));
}

}  // namespace lapwing::detect
