// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/cli/progress.hpp"
#include "agent/cli/replay_json.hpp"
#include "agent/config.hpp"
#include "agent/replay/inputs.hpp"
#include "agent/replay/report.hpp"
#include "shared/model/parameters.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <ostream>
#include <vector>

namespace lapwing::agent {
namespace {

namespace fs = std::filesystem;

/// Says what went wrong; the exit code.
int refuse(const Error& error, std::ostream& err) {
  err << "lapwing-agent: " << error.context << '\n';
  return error.code == Errc::bad_config ? kExitConfig : kExitFailed;
}

/// The watch of the configuration, or the one of the command line; nullopt after saying why not.
std::optional<detect::WatchConfig> watch_of(const ReplayCommand& command, std::ostream& err,
                                            int& exit_code) {
  const detect::WatchConfig& given = command.options.watch;
  if (command.config.empty()) return given;
  const auto loaded = load_config(command.config);
  for (const auto& problem : loaded.problems) err << problem.text() << '\n';
  if (!loaded.problems.empty()) {
    exit_code = kExitConfig;
    return std::nullopt;
  }
  std::vector<detect::WatchConfig> watches = loaded.config.watches;
  for (const auto& group : loaded.config.groups) watches.push_back(group.watch);
  const auto named = std::ranges::find_if(watches, [&](const auto& watch) {
    return command.watch.empty() || watch.name == command.watch;
  });
  if (named == watches.end()) {
    err << "lapwing-agent: " << command.config.string()
        << ": no [[watch]] and no [[group]] is called \"" << command.watch << "\"\n";
    exit_code = kExitUsage;
    return std::nullopt;
  }
  detect::WatchConfig watch = *named;
  if (command.budget_given) watch.alarms_per_week = given.alarms_per_week;
  if (command.warmup_given) watch.warmup = given.warmup;
  if (command.detector_given && watch.detector != given.detector) {
    watch.detector = given.detector;
    watch.parameters.clear();  // they are another detector's
  }
  return watch;
}

Result<void> use_model(const ReplayCommand& command, ReplayOptions& options) {
  auto file = model::Model::open(command.model);
  if (!file) return std::move(file).error();
  auto model = model::LiveModel::of(std::make_shared<const model::Model>(*std::move(file)),
                                    command.model.filename().string());
  if (!model) return std::move(model).error();
  options.model = std::make_shared<const model::LiveModel>(*std::move(model));
  if (command.value_given) return {};
  options.value_columns.clear();
  for (const auto& sensor : options.model->model().header().sensors) {
    options.value_columns.push_back(sensor.name);
  }
  return {};
}

/// Where the file's output goes: in a folder when there are several files.
fs::path plot_of(const ReplayCommand& command, const InputFile& file, bool several) {
  if (command.plot.empty() || !several) return command.plot;
  return (command.plot / file.name).replace_extension(".svg");
}

/// One file after another, and what they add up to.
class Run {
 public:
  Run(const ReplayCommand& command, ReplayOptions options, std::ostream& out, std::ostream& err)
      : command_(command),
        options_(std::move(options)),
        out_(out),
        progress_(err, errors_go_to_terminal()) {}

  Result<void> use_labels() {
    if (command_.labels.empty()) return {};
    auto labels = Labels::read(command_.labels);
    if (!labels) return labels.error();
    labels_ = std::move(*labels);
    return {};
  }

  Result<void> replay_file(const InputFile& file, bool several) {
    ReplayOptions options = options_;
    options.file = file.path;
    options.plot = plot_of(command_, file, several);
    if (several && !options.plot.empty()) {
      std::error_code failed;  // writing says what is wrong
      fs::create_directories(options.plot.parent_path(), failed);
    }
    if (!command_.out.empty()) options.out = command_.out / file.name;
    std::error_code absent;
    if (!options.out.empty() && fs::equivalent(options.out, file.path, absent)) {
      return Error{Errc::bad_config, "--out would overwrite " + file.path.string()};
    }
    if (const auto* labelled = labels_ ? labels_->of(file.path) : nullptr) {
      options.labelled = *labelled;
    }
    progress_.begin(file.name.string());
    options.progress = [this](std::size_t done, std::size_t all) { progress_.show(done, all); };
    const auto report = replay(options);
    if (!report) return report.error();
    progress_.begin({});  // takes the line away
    const auto judgement = judge_file(*report);
    total_.rows += report->rows;
    total_.anomalies += report->anomalies.size();
    total_.seconds += report->seconds;
    if (command_.json) {
      files_.push_back(to_json(*report));
      files_.back()["file"] = file.path.string();
      if (judgement) files_.back()["judged"] = to_json(*judgement);
      return {};
    }
    if (several) out_ << "== " << file.path.string() << '\n';
    out_ << to_text(*report);
    if (judgement) out_ << to_text(*judgement);
    if (!options.out.empty()) out_ << "scores: " << options.out.string() << '\n';
    if (!options.plot.empty()) out_ << "picture: " << options.plot.string() << '\n';
    return {};
  }

  void finish(std::size_t files) {
    if (command_.json) {
      nlohmann::json whole = std::move(files_.front());
      if (files > 1) {
        nlohmann::json rest = nlohmann::json::array({std::move(whole)});
        for (std::size_t i = 1; i < files; ++i) rest.push_back(std::move(files_[i]));
        whole = {{"files", std::move(rest)}};
        if (judged_ > 0) whole["judged"] = to_json(judgement_);
      }
      // Names are as in the file, whatever its encoding.
      out_ << whole.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
      return;
    }
    if (files == 1) return;
    out_ << "== " << files << " files: " << total_.rows << " rows, " << total_.anomalies
         << " anomalies, in " << short_number(total_.seconds) << " s\n";
    if (judged_ > 0) out_ << to_text(judgement_);
  }

 private:
  std::optional<Judgement> judge_file(const ReplayReport& report) {
    if (!report.labelled) return std::nullopt;
    const Judgement judgement = judge(report, *report.labelled);
    judgement_.add(judgement);
    ++judged_;
    return judgement;
  }

  struct Total {
    std::uint64_t rows = 0;
    std::uint64_t anomalies = 0;
    double seconds = 0;
  };
  const ReplayCommand& command_;
  ReplayOptions options_;
  std::ostream& out_;
  ProgressLine progress_;
  std::optional<Labels> labels_;
  std::vector<nlohmann::json> files_;
  Judgement judgement_;
  std::size_t judged_ = 0;  ///< files that had labels
  Total total_;
};

}  // namespace

int run_replay(const ReplayCommand& command, std::ostream& out, std::ostream& err) {
  ReplayOptions options = command.options;
  int exit_code = 0;
  const auto watch = watch_of(command, err, exit_code);
  if (!watch) return exit_code;
  options.watch = *watch;
  const auto set = model::read_parameters(command.set);
  if (!set) return refuse(set.error(), err);
  for (const auto& [name, value] : *set) options.watch.parameters[name] = value;
  if (!command.model.empty()) {
    if (const auto used = use_model(command, options); !used) return refuse(used.error(), err);
  }
  const auto files = find_inputs(command.files);
  if (!files) return refuse(files.error(), err);
  Run run(command, options, out, err);
  if (const auto labels = run.use_labels(); !labels) return refuse(labels.error(), err);
  for (const InputFile& file : *files) {
    if (const auto done = run.replay_file(file, files->size() > 1); !done) {
      return refuse(done.error(), err);
    }
  }
  run.finish(files->size());
  return 0;
}

}  // namespace lapwing::agent
