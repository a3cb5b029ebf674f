// SPDX-License-Identifier: Apache-2.0
// Messages there and back, and what is refused: truncated, damaged, oversized, out of order, newer.
#include "shared/wire/codec.hpp"

#include "schemas/batch_generated.h"
#include "schemas/record_generated.h"
#include "schemas/session_generated.h"
#include "tests/shared/wire/golden.hpp"
#include "tests/shared/wire/samples.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace lapwing::wire {
namespace {

/// A kind of message: how it is read, compared with its sample, and its bytes since 0.1.0.
struct Kind {
  std::string name;
  std::string encoded;
  std::string_view golden_hex;
  /// The error, or nullopt when the bytes are the sample.
  std::function<std::optional<Errc>(std::string_view)> read;
  /// Decodes, whatever comes of it.
  std::function<void(std::string_view)> poke;
};

template <class Message, class Decode>
Kind kind(std::string name, const Message& sample, std::string encoded, std::string_view golden,
          Decode decode) {
  return {std::move(name), std::move(encoded), golden,
          [sample, decode](std::string_view bytes) -> std::optional<Errc> {
            const auto message = decode(bytes);
            if (!message) return message.error().code;
            EXPECT_TRUE(samples::same(*message, sample));
            return std::nullopt;
          },
          [decode](std::string_view bytes) { static_cast<void>(decode(bytes)); }};
}

std::vector<Kind> kinds() {
  namespace g = golden;
  std::vector<Kind> all;
  all.push_back(kind("hello", samples::hello(), encode(samples::hello()), g::kHello, decode_hello));
  all.push_back(
      kind("welcome", samples::welcome(), encode(samples::welcome()), g::kWelcome, decode_welcome));
  all.push_back(kind("ack", samples::ack(), encode(samples::ack()), g::kAck, decode_ack));
  all.push_back(
      kind("status", samples::status(), encode(samples::status()), g::kStatus, decode_status));
  all.push_back(kind("batch", samples::batch(), encode(samples::batch()), g::kBatch, decode_batch));
  all.push_back(
      kind("command", samples::command(), encode(samples::command()), g::kCommand, decode_command));
  all.push_back(kind("command result", samples::command_result(), encode(samples::command_result()),
                     g::kCommandResult, decode_command_result));
  all.push_back(
      kind("desired", samples::desired(), encode(samples::desired()), g::kDesired, decode_desired));
  const std::string_view records[] = {g::kAnomaly, g::kSummary, g::kLoss, g::kModelReport};
  for (std::size_t i = 0; i < samples::bodies().size(); ++i) {
    const RecordBody body = samples::bodies()[i];
    all.push_back(
        kind("record " + std::to_string(i), body, encode_record(body), records[i], decode_record));
  }
  const RecordBody report = samples::full_model_report();
  all.push_back(kind("record of a model with statistics", report, encode_record(report),
                     g::kFullModelReport, decode_record));
  all.push_back(kind("offer", samples::offer(), encode(samples::offer()), g::kOffer, decode_offer));
  all.push_back(kind("fetch", samples::fetch(), encode(samples::fetch()), g::kFetch, decode_fetch));
  all.push_back(kind("chunk", samples::chunk(), encode(samples::chunk()), g::kChunk, decode_chunk));
  all.push_back(kind("no chunk", samples::no_chunk(), encode(samples::no_chunk()), g::kNoChunk,
                     decode_chunk));
  return all;
}

/// Fields that the first release did not have.
TEST(WireCodec, GivesBackWhatCameLater) {
  auto ack = samples::ack();
  ack.standing = true;
  EXPECT_TRUE(decode_ack(encode(ack))->standing);
}

std::string hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

TEST(WireCodec, GivesBackWhatWasEncoded) {
  for (const Kind& one : kinds()) EXPECT_EQ(one.read(one.encoded), std::nullopt) << one.name;
}

TEST(WireCodec, ReadsTheBytesOfTheFirstReleaseForEver) {
  for (const Kind& one : kinds()) {
    EXPECT_EQ(one.read(from_hex(one.golden_hex)), std::nullopt) << one.name;
    EXPECT_EQ(hex(one.encoded), one.golden_hex)
        << one.name << ": the bytes changed; is that meant?";
  }
}

TEST(WireCodec, CarriesTheFieldsAddedSince) {
  Hello hello = samples::hello();
  hello.forked = true;
  hello.desired_version = 9;
  EXPECT_TRUE(samples::same(*decode_hello(encode(hello)), hello));
  Status status = samples::status();
  status.desired_version = 9;
  status.desired_problem = "log_level: unknown";
  EXPECT_TRUE(samples::same(*decode_status(encode(status)), status));
  Welcome welcome = samples::welcome();
  welcome.known_seq = 77;
  welcome.known_hash = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE(samples::same(*decode_welcome(encode(welcome)), welcome));
}

TEST(WireCodec, KeepsEveryValueOfItsEnums) {
  AnomalyRecord record = samples::anomaly();
  for (int reason = 1; reason <= 7; ++reason) {
    record.reason = static_cast<Reason>(reason);
    record.end.reset();
    record.band = {};
    EXPECT_TRUE(samples::same(*decode_record(encode_record(record)), RecordBody(record)));
  }
}

TEST(WireCodec, ATruncatedMessageIsNeverAnother) {
  for (const Kind& one : kinds()) {
    for (std::size_t length = 0; length < one.encoded.size(); ++length) {
      // A copy of exactly that length, so that reading past it is seen.
      const std::vector<char> part(one.encoded.begin(),
                                   one.encoded.begin() + static_cast<std::ptrdiff_t>(length));
      one.poke({part.data(), part.size()});
    }
    EXPECT_EQ(one.read(std::string_view(one.encoded).substr(0, one.encoded.size() / 2)),
              Errc::corrupt)
        << one.name;
    EXPECT_EQ(one.read(""), Errc::corrupt) << one.name;
  }
}

TEST(WireCodec, FlippedBitsAreRefusedOrReadWithinBounds) {
  for (const Kind& one : kinds()) {
    for (std::size_t bit = 0; bit < one.encoded.size() * 8; ++bit) {
      std::vector<char> damaged(one.encoded.begin(), one.encoded.end());
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      one.poke({damaged.data(), damaged.size()});
    }
  }
}

TEST(WireCodec, RandomBytesAndRandomDamageNeverCrash) {
  std::mt19937_64 random(20261124);
  const auto all = kinds();
  for (int run = 0; run < 20'000; ++run) {
    const Kind& one = all[random() % all.size()];
    std::string bytes = one.encoded;
    for (auto left = 1 + random() % 8; left > 0; --left) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (run % 4 == 0) bytes.resize(random() % bytes.size());
    if (run % 16 == 0) {
      for (char& c : bytes) c = static_cast<char>(random());
    }
    one.poke(bytes);
  }
}

TEST(WireCodec, ReadsFromAnyAddress) {
  for (const Kind& one : kinds()) {
    for (std::size_t offset = 0; offset < 8; ++offset) {
      const std::string moved = std::string(offset, '\0') + one.encoded;
      EXPECT_EQ(one.read(std::string_view(moved).substr(offset)), std::nullopt) << one.name;
    }
  }
}

TEST(WireCodec, OneMessageIsNotTakenForAnother) {
  const auto all = kinds();
  for (const Kind& reader : all) {
    for (const Kind& other : all) {
      const bool record = reader.name.starts_with("record") && other.name.starts_with("record");
      const bool chunk = reader.name.ends_with("chunk") && other.name.ends_with("chunk");
      if (reader.name != other.name && !record && !chunk) {
        EXPECT_NE(reader.read(other.encoded), std::nullopt) << other.name << " as " << reader.name;
      }
    }
  }
}

TEST(WireCodec, TextsAreBoundedAndUtf8) {
  Hello hello = samples::hello();
  hello.instance_id = std::string(kNameBytesMax, 'x');
  EXPECT_TRUE(decode_hello(encode(hello)));
  hello.instance_id += 'x';
  EXPECT_EQ(decode_hello(encode(hello)).error().code, Errc::bad_input);
  Welcome welcome = samples::welcome();
  welcome.reason = std::string(kTextBytesMax + 1, 'x');
  EXPECT_EQ(decode_welcome(encode(welcome)).error().code, Errc::bad_input);
  AnomalyRecord record = samples::anomaly();
  for (const char* bad : {"\xff", "a\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    record.stream = bad;
    const auto refused = decode_record(encode_record(record));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::bad_input);
    EXPECT_NE(refused.error().context.find("stream"), std::string::npos);
  }
}

TEST(WireCodec, TagsAndContributionsAreBounded) {
  AnomalyRecord record = samples::anomaly();
  record.tags.assign(kTagsMax, {"k", "v"});
  record.contributions.assign(kContributionsMax, {"s", 0.1});
  EXPECT_TRUE(decode_record(encode_record(record)));
  record.tags.push_back({"k", "v"});
  EXPECT_EQ(decode_record(encode_record(record)).error().code, Errc::limit);
  record.tags.pop_back();
  record.contributions.push_back({"s", 0.1});
  EXPECT_EQ(decode_record(encode_record(record)).error().code, Errc::limit);
  record.contributions.assign(100'000, {"s", 0.1});
  EXPECT_FALSE(decode_record(encode_record(record)));
}

TEST(WireCodec, EntriesOfABatchAreConsecutive) {
  const auto code = [](std::vector<RecordEntry> entries) -> std::optional<Errc> {
    const auto batch = decode_batch(encode(RecordBatch{1, "c", std::move(entries)}));
    return batch ? std::nullopt : std::optional(batch.error().code);
  };
  const auto entry = [](std::uint64_t seq, std::uint64_t last,
                        RecordClass record_class = RecordClass::loss) {
    return RecordEntry{seq, last, record_class, "p"};
  };
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(code({}), std::nullopt);
  EXPECT_EQ(code({entry(5, 9), entry(10, 10)}), std::nullopt);
  EXPECT_EQ(code({entry(0, 0)}), Errc::bad_input);
  EXPECT_EQ(code({entry(5, 4)}), Errc::bad_input);
  EXPECT_EQ(code({entry(5, 5), entry(7, 7)}), Errc::bad_input) << "a hole";
  EXPECT_EQ(code({entry(5, 5), entry(5, 5)}), Errc::bad_input) << "twice";
  EXPECT_EQ(code({entry(5, 5), entry(4, 4)}), Errc::bad_input) << "backwards";
  EXPECT_EQ(code({entry(5, kMost)}), Errc::bad_input) << "no number would be left";
  EXPECT_EQ(code({entry(5, kMost), entry(0, 0)}), Errc::bad_input);
  EXPECT_EQ(code({entry(5, 6, RecordClass::anomaly)}), Errc::bad_input)
      << "only a loss stands for a range";
}

TEST(WireCodec, BatchesAndRecordsAreBounded) {
  RecordBatch batch{1, "c", {}};
  for (std::uint64_t seq = 1; seq <= kEntriesMax; ++seq) {
    batch.entries.push_back({seq, seq, RecordClass::summary, ""});
  }
  EXPECT_TRUE(decode_batch(encode(batch)));
  for (std::uint64_t more = 1; more <= 32; ++more) {
    batch.entries.push_back({kEntriesMax + more, kEntriesMax + more, RecordClass::summary, ""});
  }
  EXPECT_FALSE(decode_batch(encode(batch)));
  EXPECT_EQ(decode_record(std::string(kRecordBytesMax + 1, 'x')).error().code, Errc::limit);
  EXPECT_EQ(decode_ack(std::string(1'000'000, 'x')).error().code, Errc::limit);
}

TEST(WireCodec, APoisonRecordDoesNotSpoilItsBatch) {
  RecordBatch batch{1, "c", {}};
  batch.entries.push_back({1, 1, RecordClass::anomaly, encode_record(samples::anomaly())});
  batch.entries.push_back({2, 2, RecordClass::anomaly, "poison"});
  batch.entries.push_back({3, 3, RecordClass::summary, encode_record(samples::summary())});
  batch.entries.push_back({4, 4, RecordClass::summary, std::string(kRecordBytesMax + 1, 'x')});
  const auto decoded = decode_batch(encode(batch));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decode_record(decoded->entries[0].payload));
  EXPECT_EQ(decode_record(decoded->entries[1].payload).error().code, Errc::corrupt);
  EXPECT_TRUE(decode_record(decoded->entries[2].payload));
  EXPECT_EQ(decode_record(decoded->entries[3].payload).error().code, Errc::limit);
}

TEST(WireCodec, HelloCannotClaimMoreThanItProduced) {
  Hello hello = samples::hello();
  hello.acked_seq = hello.next_seq;
  EXPECT_EQ(decode_hello(encode(hello)).error().code, Errc::bad_input);
  hello.next_seq = 0;
  EXPECT_EQ(decode_hello(encode(hello)).error().code, Errc::bad_input);
}

TEST(WireCodec, LossesHaveARange) {
  EXPECT_EQ(decode_record(encode_record(LossRecord{LossReason::quota, 0, 5})).error().code,
            Errc::bad_input);
  EXPECT_EQ(decode_record(encode_record(LossRecord{LossReason::quota, 6, 5})).error().code,
            Errc::bad_input);
}

// --- what a newer program may send

std::string bytes_of(const flatbuffers::FlatBufferBuilder& builder) {
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

TEST(WireEvolution, ANewerVersionIsRefusedByName) {
  flatbuffers::FlatBufferBuilder session;
  const auto ack = fbs::CreateAckDirect(session, 2, 1, 1, "c");
  fbs::FinishSessionBuffer(session,
                           fbs::CreateSession(session, fbs::SessionMessage::Ack, ack.Union()));
  const auto refused = decode_ack(bytes_of(session));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  EXPECT_NE(refused.error().context.find("version 2"), std::string::npos);
  flatbuffers::FlatBufferBuilder record;
  const auto loss = fbs::CreateLoss(record, 1, 1, 1);
  fbs::FinishRecordBuffer(record,
                          fbs::CreateRecord(record, 9, fbs::RecordBody::Loss, loss.Union()));
  EXPECT_EQ(decode_record(bytes_of(record)).error().code, Errc::unsupported);
  flatbuffers::FlatBufferBuilder batch;
  const std::vector<flatbuffers::Offset<fbs::Entry>> none;
  fbs::FinishBatchBuffer(batch, fbs::CreateBatchDirect(batch, 2, 1, "c", &none));
  EXPECT_EQ(decode_batch(bytes_of(batch)).error().code, Errc::unsupported);
}

TEST(WireEvolution, AnUnknownClassOfRecordIsUnsupportedNotDamaged) {
  flatbuffers::FlatBufferBuilder builder;
  const auto body = fbs::CreateLoss(builder, 1, 1, 1);
  fbs::FinishRecordBuffer(
      builder, fbs::CreateRecord(builder, 1, static_cast<fbs::RecordBody>(200), body.Union()));
  EXPECT_EQ(decode_record(bytes_of(builder)).error().code, Errc::unsupported);
  RecordBatch batch = samples::batch();
  batch.entries[0].record_class = static_cast<RecordClass>(200);
  const auto decoded = decode_batch(encode(batch));
  ASSERT_TRUE(decoded) << "the batch goes on; its reader keeps the entry as a dead letter";
  EXPECT_EQ(decoded->entries[0].record_class, static_cast<RecordClass>(200));
}

TEST(WireEvolution, UnknownWordsBecomeTheGeneralOnes) {
  AnomalyRecord record = samples::anomaly();
  record.reason = static_cast<Reason>(99);
  record.severity = static_cast<Severity>(99);
  const auto decoded = decode_record(encode_record(record));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<AnomalyRecord>(*decoded).reason, Reason::unusual);
  EXPECT_EQ(std::get<AnomalyRecord>(*decoded).severity, Severity::minor);
  record.phase = static_cast<Phase>(99);
  EXPECT_EQ(decode_record(encode_record(record)).error().code, Errc::bad_input)
      << "a phase cannot be guessed";
  Welcome welcome = samples::welcome();
  welcome.outcome = static_cast<HelloOutcome>(99);
  EXPECT_EQ(decode_welcome(encode(welcome)).error().code, Errc::unsupported);
}

TEST(WireHash, IsTheBeginningOfSha256) {
  // SHA-256("abc") = ba7816bf 8f01cfea ...
  EXPECT_EQ(record_hash("abc"), 0xeacf018fbf1678baULL);
  EXPECT_EQ(record_hash(""), 0x141cfc9842c4b0e3ULL);
}

TEST(WireCodec, TellsTheClassOfABody) {
  EXPECT_EQ(class_of(samples::anomaly()), RecordClass::anomaly);
  EXPECT_EQ(class_of(samples::summary()), RecordClass::summary);
  EXPECT_EQ(class_of(samples::loss()), RecordClass::loss);
  EXPECT_EQ(class_of(samples::model_report()), RecordClass::model_report);
}

TEST(WireCodec, TellsRegionsUpToTheirBound) {
  Hello hello{.connection_id = "1-a", .instance_id = "i", .database_id = "d", .next_seq = 9};
  for (std::uint32_t region = 1; region <= kRegionsMax; ++region) {
    hello.regions.push_back({region, std::uint64_t{1} << (region + 40)});
  }
  const auto read = decode_hello(encode(hello));
  ASSERT_TRUE(read) << read.error().context;
  EXPECT_EQ(read->regions, hello.regions);
  hello.regions.push_back({99, 1});
  EXPECT_EQ(decode_hello(encode(hello)).error().code, Errc::limit);
  const Welcome welcome{.connection_id = "1-a", .region = 7, .region_name = "north"};
  EXPECT_EQ(decode_welcome(encode(welcome))->region, 7U);
  EXPECT_EQ(decode_welcome(encode(welcome))->region_name, "north");
}

}  // namespace
}  // namespace lapwing::wire
