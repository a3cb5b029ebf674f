// SPDX-License-Identifier: Apache-2.0
#include "schemas/delivery_generated.h"
#include "shared/base/hex.hpp"
#include "shared/wire/codec_support.hpp"
#include "shared/wire/contributions.hpp"
#include "shared/wire/models.hpp"

namespace lapwing::wire {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
using Bytes = flatbuffers::Vector<std::uint8_t>;

/// A chunk's table around its block.
constexpr std::size_t kChunkBytesMax = kModelBlockBytes + std::size_t{8} * 1024;
constexpr std::size_t kDigestDigits = 64;

flatbuffers::Offset<Bytes> write_bytes(Builder& builder, std::string_view bytes) {
  if (bytes.empty()) return 0;
  return builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

std::string read_bytes(const Bytes* bytes) {
  if (bytes == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

template <class Table>
std::string finish_delivery(Builder& builder, fbs::DeliveryMessage kind,
                            flatbuffers::Offset<Table> message) {
  fbs::FinishDeliveryBuffer(builder, fbs::CreateDelivery(builder, kind, message.Union()));
  return bytes_of(builder);
}

template <class Table, class Message, class Read>
Result<Message> read_delivery(std::string_view bytes, const char* what, std::size_t bytes_max,
                              Read read) {
  return read_message<fbs::Delivery, Table, Message>(bytes, fbs::DeliveryIdentifier(), what, read,
                                                     bytes_max);
}

bool is_digest(std::string_view text) { return text.size() == kDigestDigits && is_hex(text); }

Result<void> check(const Offer& offer) {
  if (offer.offer == 0) return Error{Errc::bad_input, "offer: it has no number"};
  if (offer.stage < ModelStage::shadow || offer.stage > ModelStage::active) {
    return Error{Errc::unsupported, "offer: a stage this program does not know: update it"};
  }
  if (offer.keys.size() > kOfferKeysMax) return Error{Errc::limit, "offer: too many key lists"};
  for (const std::string& list : offer.keys) {
    if (list.size() > kSignedBytesMax) return Error{Errc::limit, "offer: a key list is too long"};
  }
  if (offer.manifest.size() > kSignedBytesMax || offer.assignment.size() > kSignedBytesMax) {
    return Error{Errc::limit, "offer: a signed document is too long"};
  }
  const bool none = offer.manifest.empty() && offer.assignment.empty();
  const bool both = !offer.manifest.empty() && !offer.assignment.empty();
  if (offer.number == 0 ? !none : !both) {
    return Error{Errc::bad_input, "offer: a version comes with its manifest and assignment"};
  }
  return {};
}

}  // namespace

std::string encode(const Offer& offer) {
  Builder builder(1024 + offer.manifest.size() + offer.assignment.size());
  std::vector<flatbuffers::Offset<fbs::SignedBytes>> keys;
  for (const std::string& list : offer.keys) {
    keys.push_back(fbs::CreateSignedBytes(
        builder,
        builder.CreateVector(reinterpret_cast<const std::uint8_t*>(list.data()), list.size())));
  }
  const auto lists = keys.empty() ? 0 : builder.CreateVector(keys);
  const auto manifest = write_bytes(builder, offer.manifest);
  const auto assignment = write_bytes(builder, offer.assignment);
  const auto model = builder.CreateString(offer.model);
  return finish_delivery(builder, fbs::DeliveryMessage::Offer,
                         fbs::CreateOffer(builder, kMessageVersion, offer.offer, model,
                                          offer.number, static_cast<std::uint8_t>(offer.stage),
                                          offer.rollout, lists, manifest, assignment));
}

std::string encode(const Fetch& fetch) {
  Builder builder;
  return finish_delivery(
      builder, fbs::DeliveryMessage::Fetch,
      fbs::CreateFetchDirect(builder, kMessageVersion, fetch.connection_id.c_str(),
                             fetch.sha256.c_str(), fetch.offset, fetch.length));
}

std::string encode(const Chunk& chunk) {
  Builder builder(512 + chunk.bytes.size());
  const auto sha256 = builder.CreateString(chunk.sha256);
  const auto bytes = write_bytes(builder, chunk.bytes);
  const auto problem = chunk.problem.empty() ? 0 : builder.CreateString(chunk.problem);
  return finish_delivery(builder, fbs::DeliveryMessage::Chunk,
                         fbs::CreateChunk(builder, kMessageVersion, sha256, chunk.offset,
                                          chunk.total, bytes, problem));
}

Result<Offer> decode_offer(std::string_view bytes) {
  auto offer = read_delivery<fbs::Offer, Offer>(
      bytes, "offer", kOfferBytesMax, [](const auto& table, Texts& texts) {
        Offer message{.offer = table.offer(),
                      .model = texts.name(table.model(), "model"),
                      .number = table.number(),
                      .stage = static_cast<ModelStage>(table.stage()),
                      .rollout = table.rollout(),
                      .manifest = read_bytes(table.manifest()),
                      .assignment = read_bytes(table.assignment())};
        if (table.keys() != nullptr) {
          for (const auto* list : *table.keys()) message.keys.push_back(read_bytes(list->bytes()));
        }
        return message;
      });
  if (!offer) return offer;
  if (auto checked = check(*offer); !checked) return checked.error();
  return offer;
}

Result<Fetch> decode_fetch(std::string_view bytes) {
  auto fetch = read_delivery<fbs::Fetch, Fetch>(
      bytes, "fetch", kMessageBytesMax, [](const auto& table, Texts& texts) {
        return Fetch{.connection_id = texts.name(table.connection_id(), "connection id"),
                     .sha256 = texts.name(table.sha256(), "sha256"),
                     .offset = table.offset(),
                     .length = table.length()};
      });
  if (!fetch) return fetch;
  if (!is_digest(fetch->sha256)) return Error{Errc::bad_input, "fetch: no SHA-256"};
  const bool fits = fetch->length >= 1 && fetch->length <= kModelBlockBytes &&
                    fetch->offset % kModelBlockBytes + fetch->length <= kModelBlockBytes;
  if (!fits) return Error{Errc::bad_input, "fetch: it does not lie in one block"};
  return fetch;
}

Result<Chunk> decode_chunk(std::string_view bytes) {
  auto chunk = read_delivery<fbs::Chunk, Chunk>(
      bytes, "chunk", kChunkBytesMax, [](const auto& table, Texts& texts) {
        return Chunk{.sha256 = texts.name(table.sha256(), "sha256"),
                     .offset = table.offset(),
                     .total = table.total(),
                     .bytes = read_bytes(table.bytes()),
                     .problem = texts.sentence(table.problem(), "problem")};
      });
  if (!chunk) return chunk;
  if (!is_digest(chunk->sha256)) return Error{Errc::bad_input, "chunk: no SHA-256"};
  if (chunk->bytes.size() > kModelBlockBytes) return Error{Errc::limit, "chunk: too long"};
  if (chunk->bytes.empty() == chunk->problem.empty()) {
    return Error{Errc::bad_input, "chunk: it has bytes, or the reason why not"};
  }
  if (chunk->problem.empty() &&
      (chunk->offset > chunk->total || chunk->total - chunk->offset < chunk->bytes.size())) {
    return Error{Errc::bad_input, "chunk: it reaches beyond the file"};
  }
  return chunk;
}

std::string encode(const ContributionPart& part) {
  Builder builder(part.bytes.size() + 512);
  const auto bytes = write_bytes(builder, part.bytes);
  const auto sha256 = builder.CreateString(part.sha256);
  const auto problem = builder.CreateString(part.problem);
  return finish_delivery(
      builder, fbs::DeliveryMessage::ContributionPart,
      fbs::CreateContributionPart(builder, kMessageVersion, part.round, part.pass, part.part,
                                  part.parts, part.rows, sha256, bytes, problem));
}

Result<ContributionPart> decode_contribution(std::string_view bytes) {
  auto part = read_delivery<fbs::ContributionPart, ContributionPart>(
      bytes, "contribution", kChunkBytesMax, [](const auto& table, Texts& texts) {
        return ContributionPart{.round = table.round(),
                                .pass = table.pass(),
                                .part = table.part(),
                                .parts = table.parts(),
                                .rows = table.rows(),
                                .sha256 = texts.name(table.sha256(), "digest"),
                                .bytes = read_bytes(table.bytes()),
                                .problem = texts.sentence(table.problem(), "problem")};
      });
  if (!part) return part;
  constexpr std::size_t kPartsMax = kContributionBytesMax / kContributionPieceBytes;
  const bool last = part->part + 1 == part->parts;
  const bool fits = part->part < part->parts && part->parts <= kPartsMax &&
                    is_digest(part->sha256) && !part->bytes.empty() &&
                    (last ? part->bytes.size() <= kContributionPieceBytes
                          : part->bytes.size() == kContributionPieceBytes);
  const bool none = part->parts == 0 && part->bytes.empty() && !part->problem.empty();
  if (part->round == 0 || part->round >> 62U != 0 || part->rows >> 52U != 0 || part->pass == 0 ||
      part->pass > 16 || (!fits && !none)) {
    return Error{Errc::bad_input, "contribution: a piece that no contribution has"};
  }
  return part;
}

std::vector<ContributionPart> pieces_of(const ContributionPart& head, std::string_view whole) {
  std::vector<ContributionPart> pieces;
  for (std::size_t at = 0; at < whole.size(); at += kContributionPieceBytes) {
    pieces.push_back(head);
    pieces.back().part = static_cast<std::uint32_t>(pieces.size() - 1);
    pieces.back().bytes = whole.substr(at, kContributionPieceBytes);
  }
  for (auto& piece : pieces) piece.parts = static_cast<std::uint32_t>(pieces.size());
  return pieces;
}

}  // namespace lapwing::wire
