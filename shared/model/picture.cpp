// SPDX-License-Identifier: Apache-2.0
#include "shared/model/picture.hpp"

#include "shared/base/short_text.hpp"
#include "shared/svg/svg.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lapwing::model {
namespace {

using svg::kLeft;
using svg::kWidth;

constexpr svg::Box kBox{svg::kTitleHeight + 20, 360};
constexpr double kFooter = 44;
constexpr int kScoreTicks = 8;
constexpr const char* kTrainedColour = "#1f6f8b";
constexpr const char* kHeldOutColour = "#c1662f";

/// Where scores and shares lie.
class Axes {
 public:
  explicit Axes(const Evaluation& evaluation) {
    std::vector<const Calibration*> all{&evaluation.trained};
    if (evaluation.held_out) all.push_back(&*evaluation.held_out);
    low_ = all.front()->scores.front();
    high_ = all.front()->scores.back();
    for (const auto* one : all) {
      low_ = std::min<double>(low_, one->scores.front());
      high_ = std::max<double>(high_, one->scores.back());
      rows_ = std::max(rows_, static_cast<double>(one->rows));
    }
    if (!(high_ > low_)) high_ = low_ + 1;
    decades_ = std::max(1.0, std::ceil(std::log10(rows_)));
  }
  [[nodiscard]] double x(double score) const {
    return kLeft + kWidth * (score - low_) / (high_ - low_);
  }
  /// Of a share of the rows, (0, 1].
  [[nodiscard]] double y(double share) const {
    return kBox.top + kBox.height * std::min(1.0, -std::log10(share) / decades_);
  }

  void draw(std::string& out) const {
    for (int decade = 0; decade <= static_cast<int>(decades_); ++decade) {
      const double share = std::pow(10.0, -decade);
      svg::print(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", kLeft, y(share),
                 kLeft + kWidth);
      svg::text_at(out, kLeft - 8, y(share) + 4, "end", short_number(100 * share) + " %");
    }
    for (int tick = 0; tick <= kScoreTicks; ++tick) {
      const double score = low_ + (high_ - low_) * tick / kScoreTicks;
      svg::text_at(out, x(score), kBox.bottom() + 18, "middle", short_number(score));
    }
    svg::text_at(out, kLeft + kWidth / 2, kBox.bottom() + 36, "middle", "score");
  }

 private:
  double low_ = 0;
  double high_ = 1;
  double rows_ = 1;
  double decades_ = 1;
};

void draw_curve(std::string& out, const Axes& axes, const Calibration& spread, const char* colour) {
  std::string path;
  for (std::size_t i = 0; i < spread.shares.size(); ++i) {
    // Above the greatest there is none; one of all rows reaches it.
    const double above = std::max(1 - spread.shares[i], 1 / static_cast<double>(spread.rows));
    svg::print(path, "%s%.1f %.1f", i == 0 ? "M" : "L", axes.x(spread.scores[i]), axes.y(above));
  }
  out += "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + colour + "\" stroke-width=\"2\"/>\n";
}

}  // namespace

std::string draw_spread(const Evaluation& evaluation, std::string_view title) {
  std::string out;
  svg::begin(out, kBox.bottom() + kFooter, title,
             "share of the rows above a score: blue, those it was trained on; orange, newer ones",
             false);
  const Axes axes(evaluation);
  axes.draw(out);
  svg::frame(out, kBox);
  draw_curve(out, axes, evaluation.trained, kTrainedColour);
  if (evaluation.held_out) draw_curve(out, axes, *evaluation.held_out, kHeldOutColour);
  return out + "</svg>\n";
}

}  // namespace lapwing::model
