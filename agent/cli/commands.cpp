// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"

#include "agent/config.hpp"
#include "shared/base/config.hpp"
#include "shared/detect/feedback.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

namespace lapwing::agent {
namespace {

CLI::Option* add_config(CLI::App& command, std::filesystem::path& config) {
  return command.add_option("-c,--config", config, "The agent's agent.toml");
}

void add_check_config(CLI::App& app, int& exit_code) {
  struct Options {
    std::filesystem::path config = "agent.toml";
    bool reference = false;
  };
  auto* command = app.add_subcommand("check-config", "Say whether a configuration can be used");
  const auto options = std::make_shared<Options>();
  add_config(*command, options->config)->capture_default_str();
  command->add_flag("--reference", options->reference,
                    "Print every key with unit, range and default (Markdown)");
  command->callback([options, &exit_code] {
    if (options->reference) {
      std::cout << configuration_reference();
      return;
    }
    exit_code = run_check_config(options->config, std::cout, std::cerr);
  });
}

/// How a CSV file is read; the option of its value columns.
CLI::Option* add_reading(CLI::App& command, ReadOptions& options, const char* value,
                         std::string& interval) {
  command.add_option("--time", options.timestamp_column, "Time column: name, or number from 1")
      ->capture_default_str();
  auto* columns = command.add_option("--value", options.value_columns, value)
                      ->delimiter(',')
                      ->capture_default_str();
  command.add_option("--delimiter", options.delimiter, "Between columns")->capture_default_str();
  command.add_option("--interval", interval, "Between rows of a file without times, such as 5m")
      ->capture_default_str();
  return columns;
}

/// The interval as it was written. Problems are usage errors.
void take_interval(ReadOptions& options, const std::string& text) {
  const auto interval = config::parse_duration(text);
  if (!interval) throw CLI::ValidationError("--interval", interval.error().context);
  if (*interval <= Micros(0)) throw CLI::ValidationError("--interval", "is longer than nothing");
  options.interval = *interval;
}

void add_replay(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("replay", "Score CSV files as if they were live");
  const auto wanted = std::make_shared<ReplayCommand>();
  const auto interval = std::make_shared<std::string>("1s");
  ReplayOptions& options = wanted->options;
  command
      ->add_option("files", wanted->files,
                   "CSV files with a time and value columns, or folders of them; - is standard "
                   "input")
      ->required();
  command->add_option("--out", wanted->out, "Write the scores of each file into this folder");
  command->add_option("--plot", wanted->plot,
                      "Draw values and anomalies into this SVG file; of several files, into this "
                      "folder");
  auto* columns = add_reading(
      *command, options,
      "Value column: name, or number from 1; several (a,b,c), or '*' for every column of "
      "numbers, are one group of sensors",
      *interval);
  auto* labels = command->add_option("--labels", wanted->labels,
                                     "Judge by these events: CSV of start,end, or NAB's JSON");
  command
      ->add_option("--label-column", options.label_column,
                   "Judge by this column: above 0 is anomalous")
      ->excludes(labels);
  auto* budget = command
                     ->add_option("--alarms-per-week", options.watch.alarms_per_week,
                                  "False alarms accepted a week: the sensitivity")
                     ->check(CLI::Range(0.001, 10'000.0))
                     ->capture_default_str();
  auto* detector =
      command->add_option("--detector", options.watch.detector, "See `lapwing-agent detectors`")
          ->capture_default_str();
  auto* set = command->add_option("--set", wanted->set, "A parameter of the detector: name=value");
  command
      ->add_option("--model", wanted->model,
                   "Score with this model file: its sensors are the value columns")
      ->excludes(detector)
      ->excludes(set);
  auto* warmup = command
                     ->add_option("--warmup,--train-rows", options.watch.warmup,
                                  "Readings before the first score")
                     ->check(CLI::Range(60, 100'000))
                     ->capture_default_str();
  auto* config = add_config(*command, wanted->config);
  command
      ->add_option("--watch", wanted->watch, "Use this [[watch]] or [[group]] of the configuration")
      ->needs(config);
  command->add_flag("--json", wanted->json, "Print JSON");
  command->callback([=, &exit_code] {
    take_interval(wanted->options, *interval);
    wanted->value_given = columns->count() > 0;
    wanted->budget_given = budget->count() > 0;
    wanted->detector_given = detector->count() > 0;
    wanted->warmup_given = warmup->count() > 0;
    exit_code = run_replay(*wanted, std::cout, std::cerr);
  });
}

void add_tune(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("tune", "Look at a CSV file and propose how to watch it");
  const auto wanted = std::make_shared<TuneCommand>();
  const auto interval = std::make_shared<std::string>("1s");
  command->add_option("file", wanted->options.file, "CSV with a time and a value column")
      ->required();
  command->add_option("--plot", wanted->plot, "The picture; without: NAME-tune.svg here");
  add_reading(*command, wanted->options, "Value column: name, or number from 1", *interval);
  command->callback([=, &exit_code] {
    take_interval(wanted->options, *interval);
    exit_code = run_tune(*wanted, std::cout, std::cerr);
  });
}

void add_detectors(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "detectors", "List the detectors: what each does, when to choose it, its cost");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->callback([json, &exit_code] { exit_code = run_detectors(*json, std::cout); });
}

void add_train(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("train", "Make a model file out of a CSV file");
  const auto wanted = std::make_shared<TrainCommand>();
  const auto interval = std::make_shared<std::string>("1s");
  wanted->reading.value_columns = {std::string(kEveryColumn)};
  command
      ->add_option("file", wanted->reading.file,
                   "CSV file of normal operation; - is standard input")
      ->required();
  command->add_option("--out", wanted->out, "The model file")->capture_default_str();
  command->add_option("--plot", wanted->plot, "Draw how its scores are spread into this SVG file");
  command->add_option("--detector", wanted->detector, "A trained one of `lapwing-agent detectors`")
      ->capture_default_str();
  command->add_option("--set", wanted->set, "A parameter of the detector: name=value");
  add_reading(*command, wanted->reading,
              "Sensors: columns by name or number; '*' is every column of numbers", *interval);
  command->add_option("--label-column", wanted->reading.label_column,
                      "A column of labels: it is no sensor");
  command->add_option("--unit", wanted->units, "A sensor's unit: sensor=unit");
  command->add_option("--seed", wanted->seed, "The same seed gives the same model")
      ->capture_default_str();
  command
      ->add_option("--hold-out", wanted->hold_out,
                   "Share of the newest rows that evaluate and are not trained on")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  command->add_flag("--json", wanted->json, "Print JSON");
  command->callback([wanted, interval, &exit_code] {
    take_interval(wanted->reading, *interval);
    exit_code = run_train(*wanted, std::cout, std::cerr);
  });
}

void add_model(CLI::App& app, int& exit_code) {
  auto* model = app.add_subcommand("model", "Model files, and the models this agent holds");
  model->require_subcommand(1);
  auto* inspect = model->add_subcommand("inspect", "Verify a model file and tell all it says");
  const auto wanted = std::make_shared<ModelCommand>();
  inspect->add_option("file", wanted->file, "The model file")->required();
  inspect->add_flag("--json", wanted->json, "Print JSON");
  inspect->callback(
      [wanted, &exit_code] { exit_code = run_model_inspect(*wanted, std::cout, std::cerr); });
  using Run = int (*)(const ModelSlotsCommand&, std::ostream&, std::ostream&);
  const auto add = [&](const char* name, const char* help, Run run) {
    const auto options = std::make_shared<ModelSlotsCommand>();
    auto* command = model->add_subcommand(name, help);
    add_config(*command, options->config)->capture_default_str();
    command->add_option("--data-dir", options->data_dir, "Look there, without a configuration");
    command->callback(
        [options, run, &exit_code] { exit_code = run(*options, std::cout, std::cerr); });
    return std::pair(command, options);
  };
  const auto [list, listed] = add("list", "Which versions are in use", &run_model_list);
  list->add_flag("--json", listed->json, "Print JSON");
  const auto [verify, verified] =
      add("verify", "Whether the files of the versions in use are sound", &run_model_verify);
  verify->add_option("model", verified->model, "Its name; without: all");
  const auto [rollback, back] =
      add("rollback", "Bring the version before back, without the hub", &run_model_rollback);
  rollback->add_option("model", back->model, "Its name")->required();
  add("trust", "Begin anew with the key list, where what was remembered of releases is lost",
      &run_model_trust);
}

void add_outbox(CLI::App& app, int& exit_code) {
  auto* outbox = app.add_subcommand("outbox", "The records that wait for the hub");
  outbox->require_subcommand(1);
  using Run = int (*)(const OutboxCommand&, std::ostream&, std::ostream&);
  const auto add = [&](const char* name, const char* help, Run run) {
    const auto options = std::make_shared<OutboxCommand>();
    auto* command = outbox->add_subcommand(name, help);
    add_config(*command, options->config)->capture_default_str();
    command->add_option("--data-dir", options->data_dir, "Look there, without a configuration");
    command->callback(
        [options, run, &exit_code] { exit_code = run(*options, std::cout, std::cerr); });
    return std::pair(command, options);
  };
  const auto [stats, options] =
      add("stats", "How many, how large, how far the hub is", &run_outbox_stats);
  stats->add_flag("--json", options->json, "Print JSON");
  add("export", "Every waiting record as a line of JSON, oldest first", &run_outbox_export);
  const auto [verify, checked] =
      add("verify", "Whether its files are sound; the agent may run", &run_outbox_verify);
  verify->add_flag("--json", checked->json, "Print JSON");
  add("repair", "Save what can be read of a damaged one; the agent must not run",
      &run_outbox_repair);
}

void add_feedback(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "feedback", "Say what the newest anomaly of a stream was: it moves the alarm budget");
  const auto wanted = std::make_shared<FeedbackCommand>();
  command->add_option("stream", wanted->stream, "The stream's or the group's name")->required();
  const std::vector<std::string> words(detect::kFeedbackWords.begin(),
                                       detect::kFeedbackWords.end());
  command
      ->add_option("says", wanted->says,
                   "real: a true one. false: a nuisance. normal: true, and the new normal")
      ->required()
      ->check(CLI::IsMember(words));
  add_config(*command, wanted->config)->capture_default_str();
  command->callback(
      [wanted, &exit_code] { exit_code = run_feedback(*wanted, std::cout, std::cerr); });
}

void add_enrol(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "enrol", "Get this device's certificate from a hub, with a one-time token");
  const auto options = std::make_shared<EnrolCommand>();
  command->add_option("--hub", options->hub, "https://HOST:PORT of the hub")->required();
  command->add_option("--ca", options->ca_file,
                      "Authority of the hub's certificate (PEM); without: the system's");
  command->add_option("--token", options->token,
                      "The token; seen by other users of this machine, so rather:");
  command->add_option("--token-file", options->token_file,
                      "File that holds it; or set LAPWING_ENROL_TOKEN");
  command->add_option("--dir", options->directory, "Folder for the identity, beside agent.toml")
      ->capture_default_str();
  command->add_flag("--replace", options->replace, "Replace the identity that is there");
  command->callback(
      [options, &exit_code] { exit_code = run_enrol(*options, std::cout, std::cerr); });
}

void add_doctor(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "doctor", "Look for what would keep the agent from working, and say the remedy");
  const auto config = std::make_shared<std::filesystem::path>("agent.toml");
  add_config(*command, *config)->capture_default_str();
  command->callback(
      [config, &exit_code] { exit_code = run_doctor(*config, std::cout, std::cerr); });
}

}  // namespace

void add_commands(CLI::App& app, int& exit_code) {
  add_check_config(app, exit_code);
  add_replay(app, exit_code);
  add_tune(app, exit_code);
  add_detectors(app, exit_code);
  add_train(app, exit_code);
  add_model(app, exit_code);
  add_outbox(app, exit_code);
  add_feedback(app, exit_code);
  add_enrol(app, exit_code);
  add_doctor(app, exit_code);
  app.add_subcommand("version", "Print the version")->callback([] {
    std::cout << "lapwing-agent " LAPWING_VERSION "\n";
  });
}

}  // namespace lapwing::agent
