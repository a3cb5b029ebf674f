// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/cli/outbox_folder.hpp"
#include "agent/cli/progress.hpp"
#include "agent/cli/words.hpp"
#include "agent/outbox/database.hpp"
#include "agent/outbox/verify.hpp"
#include "shared/base/files.hpp"

#include <nlohmann/json.hpp>

#include <ostream>

namespace lapwing::agent {
namespace {

using nlohmann::json;

Result<OutboxCheck> verify(const std::filesystem::path& folder, std::ostream& err) {
  ProgressLine line(err, errors_go_to_terminal());
  line.begin("verifying");
  return verify_outbox(folder, [&line](std::uint64_t done, std::uint64_t all) {
    line.show(static_cast<std::size_t>(done), static_cast<std::size_t>(all));
  });
}

void print(const OutboxCheck& check, std::ostream& out) {
  out << "readable      " << check.records << " waiting records\n";
  for (const auto& [reason, records] : check.lost) {
    out << "lost          " << records << " (" << word(reason) << "), told to the hub as losses\n";
  }
  for (const auto& problem : check.problems) out << "PROBLEM       " << problem << '\n';
  if (check.sound()) out << "the outbox is sound\n";
}

void print(const OpenReport& report, const HighWaterMark& position, std::ostream& out) {
  if (!report.set_aside.empty()) {
    out << "saved         " << report.salvaged << " records\n"
        << "kept aside    " << report.set_aside.string() << '\n';
  }
  for (const LossRange& loss : report.losses) {
    out << "lost          " << loss.seq_first << " to " << loss.seq_last << " ("
        << word(loss.reason) << "), the hub will be told\n";
  }
  out << "the next record gets number " << position.next_seq << '\n';
}

}  // namespace

int run_outbox_verify(const OutboxCommand& command, std::ostream& out, std::ostream& err) {
  const OutboxFolder folder = find_outbox(command, err);
  if (folder.exit_code != 0) return folder.exit_code;
  const auto check = verify(folder.path, err);
  if (!check) return failed(check.error(), err);
  if (command.json) {
    json lost = json::object();
    for (const auto& [reason, records] : check->lost) lost[std::string(word(reason))] = records;
    out << json{{"folder", folder.path.string()},
                {"sound", check->sound()},
                {"readable", check->records},
                {"lost", lost},
                {"problems", check->problems}}
               .dump(2)
        << '\n';
  } else {
    print(*check, out);
    if (!check->sound()) out << "stop the agent and run `lapwing-agent outbox repair`\n";
  }
  return check->sound() ? 0 : kExitFailed;
}

int run_outbox_repair(const OutboxCommand& command, std::ostream& out, std::ostream& err) {
  const OutboxFolder folder = find_outbox(command, err);
  if (folder.exit_code != 0) return folder.exit_code;
  const auto lock = FileLock::take(folder.path / "agent.lock");
  if (!lock) return failed(lock.error(), err);
  const auto check = verify(folder.path, err);
  if (!check) return failed(check.error(), err);
  print(*check, out);
  if (check->sound()) return 0;
  OpenReport report;
  const auto repaired = OutboxDatabase::open(folder.path, report, /*damaged=*/true);
  if (!repaired) return failed(repaired.error(), err);
  print(report, (*repaired)->position(), out);
  return 0;
}

}  // namespace lapwing::agent
