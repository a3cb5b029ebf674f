// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/training.hpp"

#include "hub/registry/files.hpp"
#include "shared/model/picture.hpp"
#include "shared/model/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <utility>

namespace lapwing::hub {
namespace {

std::string dumped(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

nlohmann::json report_of(const model::CsvTrained& made, const std::string& name) {
  auto report = model::to_json(made.trained.evaluation);
  report["name"] = name;
  report["unreadable_rows"] = made.bad_total;
  if (made.first_bad) {
    report["unreadable_first"] =
        "line " + std::to_string(made.first_bad->line) + ": " + made.first_bad->what;
  }
  return report;
}

/// Rows a second and the time left, out of the share that is done.
class TrainingPace {
 public:
  explicit TrainingPace(JobRun& run) : run_(run) {}

  void begin(std::uint64_t rows) {
    rows_ = rows;
    began_ = std::chrono::steady_clock::now();
  }
  Result<void> tell(double share) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
    const auto done = static_cast<std::uint64_t>(share * static_cast<double>(rows_));
    const double seconds = std::max(took.count(), 1e-3);
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "training: %.0f rows/s, %.0f s left",
                  static_cast<double>(done) / seconds,
                  share > 0.001 ? seconds * (1 - share) / share : 0.0);
    return run_.progress(done, rows_, share > 0.001 ? text.data() : "training");
  }

 private:
  JobRun& run_;
  std::uint64_t rows_ = 0;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

/// What is trained on, and what to call it.
Result<void> fetch(JobRun& run, TrainingOrder& order) {
  auto& store = run.store();
  const auto& tenant = run.job().tenant;
  auto& training = order.training;
  if (order.stored) {
    auto text = stored_csv(store, tenant, *order.stored, [&](std::uint64_t points) {
      return run.progress(points, 0, "reading: " + std::to_string(points) + " points");
    });
    if (!text) return text.error();
    training.text = *std::move(text);
    training.reading.file = "stored history";
    if (order.name.empty()) order.name = order.stored->devices.front();
    return {};
  }
  const auto upload = store.uploads().get(tenant, order.upload);
  if (!upload) return upload.error();
  if (auto may = run.progress(0, 0, "reading the upload"); !may) return may;
  auto text = read_upload(store, tenant, order.upload);
  if (!text) return text.error();
  training.text = *std::move(text);
  training.reading.file = upload->name.empty() ? "the upload" : upload->name;
  if (order.name.empty()) order.name = upload->name;
  return {};
}

}  // namespace

Result<TrainingDone> train_and_keep(Store& store, model::CsvTraining training, ModelFileRow told,
                                    const std::string& name) {
  const auto detector = training.detector;
  training.tool = "lapwing-hub " LAPWING_VERSION;
  auto made = model::train_csv(std::move(training));
  if (!made) return made.error();
  told.report = dumped(report_of(*made, name));
  told.picture = model::draw_spread(made->trained.evaluation, detector + ", trained on " + name);
  auto file = take_model_file(store, std::move(told), std::move(made->trained.file));
  if (!file) return file.error();
  made->trained.file.clear();
  return TrainingDone{*std::move(file), *std::move(made)};
}

Result<void> run_training(JobRun& run) {
  auto order = read_training(run.job().arguments);
  if (!order) return order.error();
  if (auto fetched = fetch(run, *order); !fetched) return fetched;
  TrainingPace pace(run);
  Result<void> told;
  order->training.rows_read = [&](std::uint64_t rows) { pace.begin(rows); };
  order->training.progress = [&](double share) {
    told = pace.tell(share);
    return static_cast<bool>(told);
  };
  const auto done = train_and_keep(run.store(), std::move(order->training),
                                   {.tenant = run.job().tenant,
                                    .job = run.job().id,
                                    .actor = run.job().actor,
                                    .created_at = run.job().created_at},
                                   order->name);
  if (!told) return told;  // in the words of who stopped it
  if (!done) return done.error();
  const auto rows =
      done->made.trained.evaluation.trained_rows + done->made.trained.evaluation.held_out_rows;
  if (auto may = run.progress(rows, rows, "model " + done->file.sha256); !may) return may;
  auto written = run.write(dumped({{"sha256", done->file.sha256},
                                   {"length", done->file.length},
                                   {"kind", done->file.kind},
                                   {"report", report_of(done->made, order->name)}}));
  return written ? run.flush() : written;
}

}  // namespace lapwing::hub
