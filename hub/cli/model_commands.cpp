// SPDX-License-Identifier: Apache-2.0
#include "hub/cli/commands.hpp"
#include "hub/cli/configured.hpp"
#include "hub/jobs/training.hpp"
#include "hub/registry/keys.hpp"
#include "hub/store/models.hpp"
#include "shared/base/config.hpp"
#include "shared/base/files.hpp"
#include "shared/base/short_text.hpp"
#include "shared/model/parameters.hpp"
#include "shared/model/text.hpp"
#include "shared/release/signed.hpp"

#include <algorithm>
#include <iomanip>
#include <ostream>
#include <utility>

namespace lapwing::hub {
namespace {

using release::KeyList;
using release::Signed;

constexpr std::size_t kListsShown = 1'000;

int failed(const char* command, const Error& error, std::ostream& err) {
  err << "lapwing-hub " << command << ": " << error.context << '\n';
  return error.code == Errc::bad_config ? kExitConfig : kExitFailed;
}

std::string key_ids(const std::vector<std::string>& keys) {
  std::string all;
  for (const auto& key : keys) all += (all.empty() ? "" : " ") + release::key_id(key);
  return all.empty() ? "-" : all;
}

void print(const KeyList& list, std::ostream& out) {
  out << "key list " << list.number << ", until " << to_rfc3339(list.expires) << "\n  roots     "
      << key_ids(list.roots) << " (" << list.threshold << " of them sign)\n  releases  "
      << key_ids(list.releases) << "\n  hubs      " << key_ids(list.hubs) << '\n';
}

/// Now and then, on one line of a terminal.
class TrainingLine {
 public:
  TrainingLine(std::ostream& err, bool moves) : err_(err), moves_(moves) {}
  void begin(std::uint64_t rows) {
    rows_ = static_cast<double>(rows);
    began_ = ticks_now();
  }
  bool show(double share) {
    const auto at = ticks_now();
    if (!moves_ || at < next_) return true;
    next_ = at + std::chrono::milliseconds(250);
    const double seconds = std::max(1e-3, std::chrono::duration<double>(at - began_).count());
    err_ << "\r\033[K  training " << short_number(100 * share) << " %, "
         << short_number(share * rows_ / seconds) << " rows/s, "
         << short_number(share > 0 ? seconds * (1 - share) / share : 0) << " s left" << std::flush;
    return true;
  }
  void end() {
    if (moves_) err_ << "\r\033[K" << std::flush;
  }

 private:
  std::ostream& err_;
  bool moves_;
  double rows_ = 0;
  Ticks began_ = ticks_now();
  Ticks next_{};
};

}  // namespace

int run_keys_import(const KeysCommand& command, std::ostream& out, std::ostream& err) {
  const auto bytes = read_file(command.file, release::kSignedBytesMax);
  if (!bytes) return failed("keys import", bytes.error(), err);
  auto store = configured_store(command.config);
  if (!store) return failed("keys import", store.error(), err);
  const auto taken = take_keys(**store, *bytes, command.tenant, "cli", now());
  if (!taken) {
    return failed("keys import", within(command.file.string(), Error(taken.error())), err);
  }
  print(*taken, out);
  return 0;
}

int run_keys_list(const KeysCommand& command, std::ostream& out, std::ostream& err) {
  auto store = configured_store(command.config);
  if (!store) return failed("keys list", store.error(), err);
  const auto lists = (*store)->models().keys_after(0, kListsShown);
  if (!lists) return failed("keys list", lists.error(), err);
  for (const auto& bytes : *lists) {
    const auto document = Signed::decode(bytes);
    if (!document) return failed("keys list", document.error(), err);
    if (const auto* list = std::get_if<KeyList>(&document->document())) print(*list, out);
  }
  if (lists->empty()) out << "no key list; `lapwing-hub keys import FILE` gives the hub one\n";
  return 0;
}

int run_train(const HubTrainCommand& command, std::ostream& out, std::ostream& err) {
  auto parameters = model::read_parameters(command.set);
  if (!parameters) return failed("train", parameters.error(), err);
  model::CsvTraining training{.reading = command.reading,
                              .text = std::nullopt,
                              .detector = command.detector,
                              .parameters = *std::move(parameters),
                              .seed = command.seed,
                              .hold_out = command.hold_out,
                              .alarms_per_week = command.alarms_per_week};
  for (const auto& one : command.units) {
    const auto equals = one.find('=');
    if (equals == std::string::npos) {
      return failed("train", {Errc::bad_config, "--unit " + one + ": SENSOR=UNIT is needed"}, err);
    }
    training.units[one.substr(0, equals)] = one.substr(equals + 1);
  }
  auto store = configured_store(command.config);
  if (!store) return failed("train", store.error(), err);
  TrainingLine line(err, command.progress_moves);
  training.rows_read = [&](std::uint64_t rows) { line.begin(rows); };
  training.progress = [&](double share) { return line.show(share); };
  const auto began = ticks_now();
  const auto done = train_and_keep(**store, std::move(training),
                                   {.tenant = command.tenant, .actor = "cli", .created_at = now()},
                                   command.reading.file.filename().string());
  line.end();
  if (!done) return failed("train", done.error(), err);
  const double seconds = std::chrono::duration<double>(ticks_now() - began).count();
  out << model::to_text(done->made.trained.header) << model::to_text(done->made.trained.evaluation)
      << "trained in " << short_number(seconds) << " s; model file " << done->file.sha256 << ", "
      << done->file.length << " bytes\n";
  return 0;
}

}  // namespace lapwing::hub
