// SPDX-License-Identifier: Apache-2.0
#include "schemas/session_generated.h"
#include "shared/wire/codec.hpp"
#include "shared/wire/codec_support.hpp"

namespace lapwing::wire {
namespace {

template <class Table>
std::string finish(flatbuffers::FlatBufferBuilder& builder, fbs::SessionMessage kind,
                   flatbuffers::Offset<Table> message) {
  fbs::FinishSessionBuffer(builder, fbs::CreateSession(builder, kind, message.Union()));
  return bytes_of(builder);
}

template <class Table, class Message, class Read>
Result<Message> read_session(std::string_view bytes, const char* what, Read read) {
  return read_message<fbs::Session, Table, Message>(bytes, fbs::SessionIdentifier(), what, read);
}

}  // namespace

std::string encode(const Hello& hello) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<fbs::RegionMark> regions;
  for (const auto& mark : hello.regions) regions.emplace_back(mark.through, mark.region);
  const auto message = fbs::CreateHelloDirect(
      builder, kMessageVersion, hello.connection_id.c_str(), hello.instance_id.c_str(),
      hello.database_id.c_str(), hello.epoch, hello.next_seq, hello.acked_seq, hello.acked_hash,
      hello.agent_version.c_str(), to_micros(hello.sent), hello.forked, hello.check_seq,
      hello.check_hash, hello.desired_version, regions.empty() ? nullptr : &regions);
  return finish(builder, fbs::SessionMessage::Hello, message);
}

std::string encode(const Welcome& welcome) {
  flatbuffers::FlatBufferBuilder builder;
  const auto message = fbs::CreateWelcomeDirect(
      builder, kMessageVersion, welcome.connection_id.c_str(),
      static_cast<std::uint8_t>(welcome.outcome), welcome.epoch, welcome.watermark,
      welcome.batch_records_max, welcome.batch_bytes_max, welcome.reason.c_str(),
      to_micros(welcome.sent), welcome.known_seq, welcome.known_hash, welcome.checked_seq,
      welcome.region, welcome.region_name.empty() ? nullptr : welcome.region_name.c_str());
  return finish(builder, fbs::SessionMessage::Welcome, message);
}

std::string encode(const Ack& ack) {
  flatbuffers::FlatBufferBuilder builder;
  const auto message = fbs::CreateAckDirect(builder, kMessageVersion, ack.epoch, ack.watermark,
                                            ack.connection_id.c_str(), ack.standing);
  return finish(builder, fbs::SessionMessage::Ack, message);
}

std::string encode(const Status& status) {
  flatbuffers::FlatBufferBuilder builder;
  const auto message = fbs::CreateStatusDirect(
      builder, kMessageVersion, status.connection_id.c_str(), status.online,
      status.agent_version.c_str(), to_micros(status.started), to_micros(status.sent),
      status.streams, status.readings_total, status.anomalies_open, status.outbox_records,
      status.outbox_bytes, status.quarantined_total, status.produced_seq, status.desired_version,
      status.desired_problem.empty() ? nullptr : status.desired_problem.c_str());
  return finish(builder, fbs::SessionMessage::Status, message);
}

std::string encode(const Command& command) {
  flatbuffers::FlatBufferBuilder builder;
  const auto message =
      fbs::CreateCommandDirect(builder, kMessageVersion, command.id, command.kind.c_str(),
                               command.arguments.empty() ? nullptr : command.arguments.c_str(),
                               command.expires ? to_micros(*command.expires) : 0);
  return finish(builder, fbs::SessionMessage::Command, message);
}

std::string encode(const CommandResult& result) {
  flatbuffers::FlatBufferBuilder builder;
  const auto message = fbs::CreateCommandResultDirect(
      builder, kMessageVersion, result.connection_id.c_str(), result.id,
      static_cast<std::uint8_t>(result.state), result.result.c_str());
  return finish(builder, fbs::SessionMessage::CommandResult, message);
}

std::string encode(const Desired& desired) {
  flatbuffers::FlatBufferBuilder builder;
  const auto message =
      fbs::CreateDesiredDirect(builder, kMessageVersion, desired.version, desired.document.c_str());
  return finish(builder, fbs::SessionMessage::Desired, message);
}

Result<Hello> decode_hello(std::string_view bytes) {
  auto hello = read_session<fbs::Hello, Hello>(bytes, "hello", [](const auto& table, Texts& texts) {
    Hello message;
    message.connection_id = texts.name(table.connection_id(), "connection id");
    message.instance_id = texts.name(table.instance_id(), "instance id");
    message.database_id = texts.name(table.database_id(), "database id");
    message.epoch = table.epoch();
    message.next_seq = table.next_seq();
    message.acked_seq = table.acked_seq();
    message.acked_hash = table.acked_hash();
    message.agent_version = texts.name(table.agent_version(), "agent version");
    message.sent = from_micros(table.sent_us());
    message.forked = table.forked();
    message.check_seq = table.check_seq();
    message.check_hash = table.check_hash();
    message.desired_version = table.desired_version();
    if (table.regions() != nullptr) {
      for (const auto* mark : *table.regions()) {
        message.regions.push_back({mark->region(), mark->through()});
      }
    }
    return message;
  });
  if (hello && (hello->next_seq == 0 || hello->acked_seq >= hello->next_seq)) {
    return Error{Errc::bad_input, "hello: acknowledged beyond what was produced"};
  }
  if (hello && hello->regions.size() > kRegionsMax) {
    return Error{Errc::limit, "hello: more regions than an epoch may have been with"};
  }
  return hello;
}

Result<Welcome> decode_welcome(std::string_view bytes) {
  auto welcome =
      read_session<fbs::Welcome, Welcome>(bytes, "welcome", [](const auto& table, Texts& texts) {
        Welcome message;
        message.connection_id = texts.name(table.connection_id(), "connection id");
        message.outcome = static_cast<HelloOutcome>(table.outcome());
        message.epoch = table.epoch();
        message.watermark = table.watermark();
        message.batch_records_max = table.batch_records_max();
        message.batch_bytes_max = table.batch_bytes_max();
        message.reason = texts.sentence(table.reason(), "reason");
        message.sent = from_micros(table.sent_us());
        message.known_seq = table.known_seq();
        message.known_hash = table.known_hash();
        message.checked_seq = table.checked_seq();
        message.region = table.region();
        message.region_name = texts.name(table.region_name(), "region name");
        return message;
      });
  if (welcome &&
      (welcome->outcome < HelloOutcome::resume || welcome->outcome > HelloOutcome::refused)) {
    return Error{Errc::unsupported, "welcome: an outcome this program does not know: update it"};
  }
  return welcome;
}

Result<Ack> decode_ack(std::string_view bytes) {
  return read_session<fbs::Ack, Ack>(bytes, "ack", [](const auto& table, Texts& texts) {
    return Ack{.epoch = table.epoch(),
               .watermark = table.watermark(),
               .connection_id = texts.name(table.connection_id(), "connection id"),
               .standing = table.standing()};
  });
}

Result<Status> decode_status(std::string_view bytes) {
  return read_session<fbs::Status, Status>(bytes, "status", [](const auto& table, Texts& texts) {
    Status message;
    message.connection_id = texts.name(table.connection_id(), "connection id");
    message.online = table.online();
    message.agent_version = texts.name(table.agent_version(), "agent version");
    message.started = from_micros(table.started_us());
    message.sent = from_micros(table.sent_us());
    message.streams = table.streams();
    message.readings_total = table.readings_total();
    message.anomalies_open = table.anomalies_open();
    message.outbox_records = table.outbox_records();
    message.outbox_bytes = table.outbox_bytes();
    message.quarantined_total = table.quarantined_total();
    message.produced_seq = table.produced_seq();
    message.desired_version = table.desired_version();
    message.desired_problem = texts.sentence(table.desired_problem(), "problem with settings");
    return message;
  });
}

Result<Command> decode_command(std::string_view bytes) {
  return read_session<fbs::Command, Command>(bytes, "command", [](const auto& table, Texts& texts) {
    Command message;
    message.id = table.id();
    message.kind = texts.name(table.kind(), "kind");
    message.arguments = texts.sentence(table.arguments(), "arguments");
    if (table.expires_us() != 0) message.expires = from_micros(table.expires_us());
    return message;
  });
}

Result<CommandResult> decode_command_result(std::string_view bytes) {
  auto result = read_session<fbs::CommandResult, CommandResult>(
      bytes, "command's result", [](const auto& table, Texts& texts) {
        CommandResult message;
        message.connection_id = texts.name(table.connection_id(), "connection id");
        message.id = table.id();
        message.state = static_cast<CommandState>(table.state());
        message.result = texts.sentence(table.result(), "result");
        return message;
      });
  if (result && (result->state < CommandState::done || result->state > CommandState::failed)) {
    return Error{Errc::unsupported, "command's result: a state this program does not know"};
  }
  return result;
}

Result<Desired> decode_desired(std::string_view bytes) {
  return read_session<fbs::Desired, Desired>(
      bytes, "desired settings", [](const auto& table, Texts& texts) {
        return Desired{.version = table.revision(),
                       .document = texts.sentence(table.document(), "document")};
      });
}

}  // namespace lapwing::wire
