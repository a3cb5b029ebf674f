// SPDX-License-Identifier: Apache-2.0
#include "shared/wire/frame.hpp"

#include <gtest/gtest.h>
#include <zstd.h>

#include <random>
#include <string>

namespace lapwing::wire {
namespace {

std::string text_of(std::size_t size) {
  std::string text;
  while (text.size() < size) text += "pump3/vibration=" + std::to_string(text.size() % 97) + ";";
  text.resize(size);
  return text;
}

std::string noise_of(std::size_t size) {
  std::mt19937_64 random(7);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

/// Header and one zstd frame of `body`, as another implementation could make it.
std::string frame_of(const std::string& body, bool with_size) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, with_size ? 1 : 0);
  std::string packed(ZSTD_compressBound(body.size()), '\0');
  packed.resize(ZSTD_compress2(context, packed.data(), packed.size(), body.data(), body.size()));
  ZSTD_freeCCtx(context);
  return std::string("LW\x01\x01", 4) + packed;
}

TEST(WireFrame, GivesBackWhatWasSealed) {
  FrameWriter writer;
  FrameReader reader;
  for (const std::size_t size : {0U, 1U, 127U, 128U, 5'000U, 1'000'000U}) {
    for (const std::string& body : {text_of(size), noise_of(size)}) {
      const auto frame = writer.seal(body);
      const auto opened = reader.open(frame);
      ASSERT_TRUE(opened) << size << " " << opened.error().context;
      EXPECT_EQ(*opened, body);
      EXPECT_LE(frame.size(), body.size() + 4) << "never longer than raw";
    }
  }
}

TEST(WireFrame, CompressesWhatIsWorthIt) {
  FrameWriter writer;
  EXPECT_LT(writer.seal(text_of(10'000)).size(), 2'000U);
  EXPECT_EQ(writer.seal("short").substr(0, 4), std::string("LW\x01\x00", 4));
  EXPECT_EQ(writer.seal(noise_of(10'000)).substr(0, 4), std::string("LW\x01\x00", 4));
}

TEST(WireFrame, ReadsFramesOfTheFirstRelease) {
  FrameReader reader;
  EXPECT_EQ(*reader.open(std::string("LW\x01\x00hello", 9)), "hello");
  // 200 times `a`, with zstd 1.5.4 at level 3 and a checksum.
  const std::string packed(
      "LW\x01\x01\x28\xb5\x2f\xfd\x24\xc8\x4d\x00\x00\x10\x61\x61\x01\x00"
      "\x43\x0a\x60\x01\xbe\xeb\x4e\xf3",
      26);
  const auto opened = reader.open(packed);
  ASSERT_TRUE(opened) << opened.error().context;
  EXPECT_EQ(*opened, std::string(200, 'a'));
}

TEST(WireFrame, RefusesWhatIsTooLongBeforeTakingMemoryForIt) {
  FrameReader reader({.frame_bytes_max = 1000, .body_bytes_max = 2000});
  const auto code = [&](const std::string& frame) {
    const auto opened = reader.open(frame);
    return opened ? Errc::io : opened.error().code;
  };
  EXPECT_TRUE(reader.open(std::string("LW\x01\x00", 4) + std::string(996, 'x')));
  EXPECT_EQ(code(std::string("LW\x01\x00", 4) + std::string(997, 'x')), Errc::limit);
  EXPECT_TRUE(reader.open(frame_of(std::string(2000, 'x'), true)));
  EXPECT_EQ(code(frame_of(std::string(2001, 'x'), true)), Errc::limit);
  const std::string bomb = frame_of(std::string(100'000'000, '\0'), true);
  FrameReader usual;
  ASSERT_LT(bomb.size(), 20'000U);
  const auto refused = usual.open(bomb);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::limit);
  EXPECT_NE(refused.error().context.find("100000000"), std::string::npos);
}

TEST(WireFrame, ABombThatHidesItsSizeIsRefused) {
  FrameReader reader;
  const auto refused = reader.open(frame_of(std::string(100'000'000, '\0'), false));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::corrupt);
  // A second frame behind the first does not smuggle more in.
  const std::string first = frame_of(text_of(500), true);
  const auto two = reader.open(first + frame_of(std::string(100'000'000, '\0'), true).substr(4));
  EXPECT_FALSE(two);
}

TEST(WireFrame, SaysWhatItCannotRead) {
  FrameReader reader;
  const auto code = [&](std::string_view frame) { return reader.open(frame).error().code; };
  EXPECT_EQ(code(""), Errc::bad_input);
  EXPECT_EQ(code("LW"), Errc::bad_input);
  EXPECT_EQ(code("{\"a\":1}"), Errc::bad_input);
  EXPECT_EQ(code(std::string_view("LW\x02\x00x", 5)), Errc::unsupported);
  EXPECT_EQ(code(std::string_view("LW\x01\x07x", 5)), Errc::unsupported);
  const auto newer = reader.open(std::string_view("LW\xff\x00x", 5));
  EXPECT_NE(newer.error().context.find("version 255"), std::string::npos) << newer.error().context;
}

TEST(WireFrame, ATruncatedOrDamagedFrameNeverGivesAnotherBody) {
  FrameWriter writer;
  FrameReader reader;
  const std::string body = text_of(3'000);
  const std::string frame = writer.seal(body);
  ASSERT_EQ(frame[3], 1);
  for (std::size_t length = 0; length < frame.size(); ++length) {
    EXPECT_FALSE(reader.open(std::string_view(frame).substr(0, length))) << length;
  }
  for (std::size_t at = 0; at < frame.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = frame;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const auto opened = reader.open(damaged);
      if (opened && at >= 4) {
        EXPECT_EQ(*opened, body) << at << "." << bit;
      }
    }
  }
  EXPECT_EQ(*reader.open(frame), body) << "a bad frame leaves nothing behind";
}

}  // namespace
}  // namespace lapwing::wire
