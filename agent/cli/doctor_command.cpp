// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/checks.hpp"
#include "agent/cli/commands.hpp"

#include <ostream>

namespace lapwing::agent {
namespace {

std::string_view grade_word(Grade grade) {
  switch (grade) {
    case Grade::ok:
      return "ok  ";
    case Grade::warn:
      return "warn";
    case Grade::fail:
      return "FAIL";
  }
  return "ok  ";
}

/// Prints as it goes: a check may take seconds.
class Report {
 public:
  explicit Report(std::ostream& out) : out_(out) {}

  void add(const Findings& findings) {
    for (const auto& finding : findings) {
      out_ << grade_word(finding.grade) << "  " << finding.subject << ": " << finding.text << '\n';
      if (!finding.remedy.empty()) out_ << "      > " << finding.remedy << '\n';
      failed_ += finding.grade == Grade::fail ? 1 : 0;
      warned_ += finding.grade == Grade::warn ? 1 : 0;
    }
    out_ << std::flush;
  }
  [[nodiscard]] int finish() {
    if (failed_ + warned_ == 0) {
      out_ << "all is well\n";
    } else {
      out_ << failed_ << " failed, " << warned_ << " to look at\n";
    }
    return failed_ == 0 ? 0 : kExitFailed;
  }

 private:
  std::ostream& out_;
  int failed_ = 0;
  int warned_ = 0;
};

}  // namespace

int run_doctor(const std::filesystem::path& config, std::ostream& out, std::ostream& err) {
  const auto loaded = load_config(config);
  if (!loaded.problems.empty()) {
    for (const auto& problem : loaded.problems) {
      out << grade_word(Grade::fail) << "  configuration: " << problem.text() << '\n';
    }
    err << "lapwing-agent: correct the configuration first\n";
    return kExitConfig;
  }
  const AgentConfig& c = loaded.config;
  const Time at = now();
  Report report(out);
  report.add({{Grade::ok, "configuration", config.string() + " is fine", {}}});
  report.add(check_clock(at));
  report.add(check_data(c));
  report.add(check_status(c.status));
  for (const auto& source : c.sources) report.add(check_source(source, at));
  if (c.uplink.enabled()) {
    report.add(check_hub(c.uplink, at));
  } else {
    report.add(
        {{Grade::ok, "uplink", "none: the agent works alone, records stay in its outbox", {}}});
  }
  return report.finish();
}

}  // namespace lapwing::agent
