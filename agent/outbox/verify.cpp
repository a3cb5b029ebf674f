// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/verify.hpp"

#include "agent/outbox/database.hpp"
#include "shared/wire/codec.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace lapwing::agent {
namespace {

constexpr std::uint32_t kRowsRead = 1000;
constexpr std::uint64_t kBytesRead = std::uint64_t{4} << 20;

/// A database that is damaged is what was asked about; anything else keeps us from looking.
bool damage(const Error& error) { return error.code == Errc::corrupt; }

void hold_against_mark(const std::optional<HighWaterMark>& mark, OutboxCheck& check) {
  if (!mark) {
    check.problems.emplace_back("outbox.hwm is missing: numbering goes by the database alone");
  } else if (mark->database_id != check.position.database_id) {
    check.problems.emplace_back("outbox.hwm is of another database than outbox.db");
  } else if (mark->next_seq > check.position.next_seq) {
    check.problems.push_back("records " + std::to_string(check.position.next_seq) + " to " +
                             std::to_string(mark->next_seq - 1) +
                             " were committed and are not in the database");
  }
}

Result<void> read_rows(OutboxReader& reader, OutboxCheck& check,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const std::uint64_t first = check.position.acked_seq + 1;
  const std::uint64_t end = check.position.next_seq;
  std::uint64_t next = first;
  while (next < end) {
    const auto entries = reader.read(next, end, kRowsRead, kBytesRead);
    if (!entries) return entries.error();
    if (entries->empty()) break;
    for (const auto& entry : *entries) {
      if (entry.record_class != wire::RecordClass::loss) {
        ++check.records;
        continue;
      }
      const auto body = wire::decode_record(entry.payload);
      if (!body) return body.error();
      check.lost[std::get<wire::LossRecord>(*body).reason] += entry.seq_last - entry.seq + 1;
    }
    next = entries->back().seq_last + 1;
    if (progress) progress(next - first, end - first);
  }
  if (const auto bad = reader.corrupt_rows_total(); bad > 0) {
    check.problems.push_back(std::to_string(bad) + " records fail their checksum");
  }
  return {};
}

}  // namespace

Result<OutboxCheck> verify_outbox(
    const std::filesystem::path& folder,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  OutboxCheck check;
  // Before the database: an agent that runs commits first and marks then.
  const auto mark = HighWaterMarkFile::look(folder / "outbox.hwm");
  if (!mark && !damage(mark.error())) return mark.error();
  auto reader = OutboxReader::open(folder);
  if (!reader && !damage(reader.error())) return reader.error();
  if (!mark) check.problems.push_back(mark.error().context);
  const auto broken = [&check](const Error& error) {
    check.problems.push_back(error.context);
    return check;
  };
  if (!reader) return broken(reader.error());
  const auto position = (*reader)->position();
  if (!position)
    return damage(position.error()) ? Result(broken(position.error())) : position.error();
  check.position = *position;
  if (mark) hold_against_mark(*mark, check);
  const auto faults = (*reader)->faults();
  if (!faults) return damage(faults.error()) ? Result(broken(faults.error())) : faults.error();
  check.problems.insert(check.problems.end(), faults->begin(), faults->end());
  const auto read = read_rows(**reader, check, progress);
  if (!read) return damage(read.error()) ? Result(broken(read.error())) : read.error();
  return check;
}

}  // namespace lapwing::agent
