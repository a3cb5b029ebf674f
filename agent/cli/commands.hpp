// SPDX-License-Identifier: Apache-2.0
/// The commands of `lapwing-agent` besides `run`.
#pragma once

#include "agent/replay/replay.hpp"
#include "shared/base/exit_codes.hpp"

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lapwing::agent {

/// Says whether a configuration can be used; every problem in it goes to `err`.
int run_check_config(const std::filesystem::path& config, std::ostream& out, std::ostream& err);

/// Files through the pipeline of one stream, or one group, each. With `config` the watch comes from
/// there: the one named `watch`, else the first; what was given on the command line goes before it.
struct ReplayCommand {
  ReplayOptions options;                     ///< of each file; `file`, `plot` and `out` come from:
  std::vector<std::filesystem::path> files;  ///< files, folders (every .csv below), or `-`
  std::filesystem::path out;                 ///< folder for scores, names as of the inputs
  std::filesystem::path plot;                ///< picture; of several files the folder for them
  std::filesystem::path labels;
  std::vector<std::string> set;  ///< `name=value`: the detector's parameters
  std::filesystem::path config;
  std::string watch;
  std::filesystem::path model;  ///< a model file that scores instead of a detector; empty: none
  bool value_given = false;     ///< the columns were; else they are the model's sensors
  bool budget_given = false;    ///< alarms_per_week, detector and warm-up of `options.watch` were
  bool detector_given = false;
  bool warmup_given = false;
  bool json = false;
};
int run_replay(const ReplayCommand& command, std::ostream& out, std::ostream& err);

/// Looks at a file and proposes how to watch it.
struct TuneCommand {
  ReplayOptions options;
  std::filesystem::path plot;  ///< empty: `NAME-tune.svg` in the working folder
};
int run_tune(const TuneCommand& command, std::ostream& out, std::ostream& err);

int run_detectors(bool json, std::ostream& out);

/// A model file out of a CSV file.
struct TrainCommand {
  ReadOptions reading;  ///< `value_columns`: the sensors, kEveryColumn by default
  std::string detector = "isolation_forest";
  std::filesystem::path out = "model.lw";
  std::filesystem::path plot;      ///< picture of the scores' spread; empty: none
  std::vector<std::string> set;    ///< `name=value`: the detector's parameters
  std::vector<std::string> units;  ///< `sensor=unit`
  std::uint64_t seed = 1;
  double hold_out = 0.2;  ///< share of the newest rows that only evaluate
  bool json = false;
};
int run_train(const TrainCommand& command, std::ostream& out, std::ostream& err);

struct ModelCommand {
  std::filesystem::path file;
  bool json = false;
};
/// All that a model file says, once it is verified: exit code 1 where it cannot be used.
int run_model_inspect(const ModelCommand& command, std::ostream& out, std::ostream& err);

/// The models that an agent holds; it may run.
struct ModelSlotsCommand {
  std::filesystem::path config = "agent.toml";
  std::filesystem::path data_dir;  ///< not empty: instead of the configuration's
  std::string model;
  bool json = false;
};
int run_model_list(const ModelSlotsCommand& command, std::ostream& out, std::ostream& err);
/// Whether what lies in the slots can be used: exit code 1 where not. `model` empty: all.
int run_model_verify(const ModelSlotsCommand& command, std::ostream& out, std::ostream& err);
/// The version before comes back: at once when the agent runs, else when it starts.
int run_model_rollback(const ModelSlotsCommand& command, std::ostream& out, std::ostream& err);
/// What the agent remembered of releases is lost: it begins anew with its key list.
int run_model_trust(const ModelSlotsCommand& command, std::ostream& out, std::ostream& err);

/// What the outbox holds; it may be in use by a running agent.
struct OutboxCommand {
  std::filesystem::path config = "agent.toml";
  std::filesystem::path data_dir;  ///< not empty: instead of the configuration's
  bool json = false;
};
int run_outbox_stats(const OutboxCommand& command, std::ostream& out, std::ostream& err);
/// Every record as one line of JSON, oldest first.
int run_outbox_export(const OutboxCommand& command, std::ostream& out, std::ostream& err);
/// Whether its files are sound: exit code 1 where they are not.
int run_outbox_verify(const OutboxCommand& command, std::ostream& out, std::ostream& err);
/// Replaces a damaged file by one with every record that can be read. The agent must not run.
int run_outbox_repair(const OutboxCommand& command, std::ostream& out, std::ostream& err);

/// A person's word on the newest anomaly of a stream or group, told to the agent that runs.
struct FeedbackCommand {
  std::filesystem::path config = "agent.toml";  ///< says where its status is served
  std::string stream;
  std::string says;  ///< one of detect::kFeedbackWords
};
int run_feedback(const FeedbackCommand& command, std::ostream& out, std::ostream& err);

/// Makes a key, has the hub certify it, and writes the identity into a folder.
struct EnrolCommand {
  std::string hub;                ///< https://host:port
  std::filesystem::path ca_file;  ///< authority of the hub's certificate; empty: the system's
  std::string token;              ///< one-time; empty: read from `token_file` or the environment
  std::filesystem::path token_file;
  std::filesystem::path directory = ".";
  bool replace = false;  ///< an identity that is there is replaced
};
int run_enrol(const EnrolCommand& command, std::ostream& out, std::ostream& err);

/// Looks for what would keep an agent from working; prints one line a check, with the remedy.
int run_doctor(const std::filesystem::path& config, std::ostream& out, std::ostream& err);

/// Adds the commands to the program. Parsing runs the one that was given; `exit_code`, which must
/// outlive the parsing, is its result.
void add_commands(CLI::App& app, int& exit_code);

}  // namespace lapwing::agent
