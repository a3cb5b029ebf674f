// SPDX-License-Identifier: Apache-2.0
// What of offers, fetches, chunks and model reports is refused: against the protocol, or
// impossible.
#include "shared/wire/codec.hpp"
#include "shared/wire/contributions.hpp"
#include "shared/wire/models.hpp"
#include "tests/shared/wire/samples.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace lapwing::wire {
namespace {

template <class Message>
std::optional<Errc> refusal(const Result<Message>& read) {
  return read ? std::nullopt : std::optional(read.error().code);
}

TEST(WireDelivery, AnOfferIsAVersionWithItsDocumentsOrNone) {
  Offer offer = samples::offer();
  offer.offer = 0;
  EXPECT_EQ(refusal(decode_offer(encode(offer))), Errc::bad_input);
  offer = samples::offer();
  offer.assignment.clear();
  EXPECT_EQ(refusal(decode_offer(encode(offer))), Errc::bad_input);
  offer = samples::offer();
  offer.number = 0;
  EXPECT_EQ(refusal(decode_offer(encode(offer))), Errc::bad_input);
  offer.manifest.clear();
  offer.assignment.clear();
  EXPECT_EQ(refusal(decode_offer(encode(offer))), std::nullopt) << "none any more";
  offer.stage = ModelStage{3};
  EXPECT_EQ(refusal(decode_offer(encode(offer))), Errc::unsupported);
}

TEST(WireDelivery, AnOfferIsBounded) {
  Offer offer = samples::offer();
  offer.keys.assign(kOfferKeysMax, "list");
  EXPECT_EQ(refusal(decode_offer(encode(offer))), std::nullopt);
  offer.keys.emplace_back("one more");
  EXPECT_EQ(refusal(decode_offer(encode(offer))), Errc::limit);
  offer = samples::offer();
  offer.manifest.assign(kSignedBytesMax, 'm');
  EXPECT_EQ(refusal(decode_offer(encode(offer))), std::nullopt);
  offer.manifest += 'm';
  EXPECT_EQ(refusal(decode_offer(encode(offer))), Errc::limit);
  offer.manifest = "m";
  offer.keys.assign(kOfferKeysMax, std::string(kSignedBytesMax, 'k'));
  EXPECT_EQ(refusal(decode_offer(encode(offer))), Errc::limit) << "all of it";
}

TEST(WireDelivery, AFetchLiesInOneBlock) {
  const auto fetch = [](std::uint64_t offset, std::uint32_t length) {
    return refusal(decode_fetch(encode(Fetch{"1-c", samples::digest(), offset, length})));
  };
  const auto block = static_cast<std::uint32_t>(kModelBlockBytes);
  EXPECT_EQ(fetch(0, block), std::nullopt);
  EXPECT_EQ(fetch(block - 1, 1), std::nullopt);
  EXPECT_EQ(fetch(0, 0), Errc::bad_input);
  EXPECT_EQ(fetch(0, block + 1), Errc::bad_input);
  EXPECT_EQ(fetch(block - 1, 2), Errc::bad_input);
  EXPECT_EQ(fetch(0, std::numeric_limits<std::uint32_t>::max()), Errc::bad_input);
  EXPECT_EQ(fetch(std::numeric_limits<std::uint64_t>::max(), 1), std::nullopt)
      << "no such place, and no arithmetic that wraps";
  for (const std::string& text : {std::string(), std::string(63, 'a'), std::string(64, 'A')}) {
    EXPECT_EQ(refusal(decode_fetch(encode(Fetch{"1-c", text, 0, 1}))), Errc::bad_input) << text;
  }
}

TEST(WireDelivery, AChunkLiesInItsFile) {
  const auto chunk = [](std::uint64_t offset, std::uint64_t total, std::string bytes) {
    return refusal(
        decode_chunk(encode(Chunk{samples::digest(), offset, total, std::move(bytes), ""})));
  };
  EXPECT_EQ(chunk(0, kModelBlockBytes, std::string(kModelBlockBytes, 'b')), std::nullopt);
  EXPECT_EQ(chunk(0, 1 << 20, std::string(kModelBlockBytes + 1, 'b')), Errc::limit);
  EXPECT_EQ(chunk(8, 9, "bb"), Errc::bad_input);
  EXPECT_EQ(chunk(10, 9, "b"), Errc::bad_input);
  EXPECT_EQ(chunk(std::numeric_limits<std::uint64_t>::max(), 9, "b"), Errc::bad_input);
  EXPECT_EQ(chunk(0, 9, ""), Errc::bad_input) << "neither bytes nor a reason";
  const Chunk both{samples::digest(), 0, 9, "b", "and a reason"};
  EXPECT_EQ(refusal(decode_chunk(encode(both))), Errc::bad_input);
}

TEST(WireDelivery, WhatNoDeviceCanHaveMeasuredIsNoReport) {
  const auto with = [](auto&& change) {
    ModelReport report = samples::full_model_report();
    change(*report.statistics);
    return refusal(decode_record(encode_record(report)));
  };
  EXPECT_EQ(with([](auto&) {}), std::nullopt);
  EXPECT_EQ(with([](auto& all) { all.psi = all.cost_p99 = all.agreement = kUnknown; }),
            std::nullopt);
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  for (const double bad : {-0.001, kInfinite, -kInfinite, 1e300}) {
    EXPECT_EQ(with([&](auto& all) { all.agreement = bad; }), Errc::bad_input) << bad;
    EXPECT_EQ(with([&](auto& all) { all.psi = bad; }), Errc::bad_input) << bad;
    EXPECT_EQ(with([&](auto& all) { all.cost_p99 = bad; }), Errc::bad_input) << bad;
    EXPECT_EQ(with([&](auto& all) { all.rival_cost_p99 = bad; }), Errc::bad_input) << bad;
  }
  EXPECT_EQ(with([](auto& all) { all.agreement = 1.001; }), Errc::bad_input);
  EXPECT_EQ(with([](auto& all) { all.until = all.since - Micros(1); }), Errc::bad_input);
  EXPECT_EQ(with([](auto& all) { all.rows = (std::uint64_t{1} << 53U) + 1; }), Errc::bad_input);
  EXPECT_EQ(with([](auto& all) { all.not_a_number = std::uint64_t{1} << 63U; }), Errc::bad_input);
  EXPECT_EQ(with([](auto& all) { all.quantiles.back() = kUnknown; }), Errc::bad_input);
  EXPECT_EQ(with([](auto& all) { all.quantiles.back() = kInfinite; }), Errc::bad_input);
  EXPECT_EQ(with([](auto& all) { all.quantiles.push_back(1); }), Errc::limit);
  EXPECT_EQ(with([](auto& all) { all.quantiles.clear(); }), std::nullopt);
}

TEST(WireDelivery, TextsOfAReportAreBounded) {
  ModelReport report = samples::full_model_report();
  report.detail.assign(kTextBytesMax + 1, 'x');
  EXPECT_EQ(refusal(decode_record(encode_record(report))), Errc::bad_input);
  report.detail = "\xff";
  EXPECT_EQ(refusal(decode_record(encode_record(report))), Errc::bad_input);
  Offer offer = samples::offer();
  offer.model.assign(kNameBytesMax + 1, 'x');
  EXPECT_EQ(refusal(decode_offer(encode(offer))), Errc::bad_input);
}

TEST(WireDelivery, AContributionComesInPieces) {
  std::string whole(kContributionPieceBytes * 2 + 5, 'x');
  whole[kContributionPieceBytes] = '\0';
  const ContributionPart head{.round = 7,
                              .pass = 2,
                              .part = 0,
                              .parts = 0,
                              .rows = 900,
                              .sha256 = std::string(64, 'a'),
                              .bytes = {},
                              .problem = {}};
  std::string together;
  const auto pieces = pieces_of(head, whole);
  ASSERT_EQ(pieces.size(), 3U);
  for (std::uint32_t i = 0; i < pieces.size(); ++i) {
    const auto read = decode_contribution(encode(pieces[i]));
    ASSERT_TRUE(read) << read.error().context;
    EXPECT_EQ(read->part, i);
    EXPECT_EQ(read->parts, 3U);
    EXPECT_EQ(read->round, 7U);
    EXPECT_EQ(read->rows, 900U);
    together += read->bytes;
  }
  EXPECT_EQ(together, whole);
  auto none = head;
  none.problem = "not shared";
  EXPECT_EQ(refusal(decode_contribution(encode(none))), std::nullopt);
}

TEST(WireDelivery, APieceThatNoContributionHasIsRefused) {
  const auto with = [](auto change) {
    ContributionPart part{.round = 7,
                          .pass = 1,
                          .part = 1,
                          .parts = 2,
                          .rows = 900,
                          .sha256 = std::string(64, 'a'),
                          .bytes = "xyz",
                          .problem = {}};
    change(part);
    return refusal(decode_contribution(encode(part)));
  };
  EXPECT_EQ(with([](auto&) {}), std::nullopt);
  EXPECT_EQ(with([](auto& p) { p.part = 2; }), Errc::bad_input);
  EXPECT_EQ(with([](auto& p) { p.part = 0; }), Errc::bad_input) << "short, and not the last";
  EXPECT_EQ(with([](auto& p) { p.parts = 65; }), Errc::bad_input);
  EXPECT_EQ(with([](auto& p) { p.bytes.clear(); }), Errc::bad_input);
  EXPECT_EQ(with([](auto& p) { p.sha256 = "abc"; }), Errc::bad_input);
  EXPECT_EQ(with([](auto& p) { p.round = 0; }), Errc::bad_input);
  EXPECT_EQ(with([](auto& p) { p.rows = ~std::uint64_t{0}; }), Errc::bad_input);
  EXPECT_EQ(with([](auto& p) { p.pass = 0; }), Errc::bad_input);
}

}  // namespace
}  // namespace lapwing::wire
