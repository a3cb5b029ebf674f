// SPDX-License-Identifier: Apache-2.0
#include "shared/wire/frame.hpp"

#include <zstd.h>

namespace lapwing::wire {
namespace {

constexpr std::size_t kHeaderBytes = 4;
constexpr std::size_t kWorthCompressing = 128;  // bytes; below, zstd's own header eats the gain
enum class Codec : std::uint8_t { raw = 0, zstd = 1 };

std::string header(Codec codec) {
  return {'L', 'W', static_cast<char>(kFrameVersion), static_cast<char>(codec)};
}

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

struct FrameWriter::Impl {
  std::unique_ptr<ZSTD_CCtx, FreeContext> context{ZSTD_createCCtx()};
  std::string buffer;
};

FrameWriter::FrameWriter(int level) : impl_(std::make_unique<Impl>()) {
  ZSTD_CCtx_setParameter(impl_->context.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(impl_->context.get(), ZSTD_c_checksumFlag, 1);
}
FrameWriter::~FrameWriter() = default;
FrameWriter::FrameWriter(FrameWriter&&) noexcept = default;
FrameWriter& FrameWriter::operator=(FrameWriter&&) noexcept = default;

std::string FrameWriter::seal(std::string_view body) {
  if (body.size() >= kWorthCompressing) {
    std::string& buffer = impl_->buffer;
    buffer.resize(ZSTD_compressBound(body.size()));
    const std::size_t size = ZSTD_compress2(impl_->context.get(), buffer.data(), buffer.size(),
                                            body.data(), body.size());
    if (ZSTD_isError(size) == 0 && size < body.size()) {
      std::string frame;
      frame.reserve(kHeaderBytes + size);
      return frame.append(header(Codec::zstd)).append(buffer, 0, size);
    }
  }
  return header(Codec::raw).append(body);
}

struct FrameReader::Impl {
  FrameLimits limits;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context{ZSTD_createDCtx()};
  std::string body;
};

FrameReader::FrameReader(FrameLimits limits) : impl_(std::make_unique<Impl>()) {
  impl_->limits = limits;
}
FrameReader::~FrameReader() = default;
FrameReader::FrameReader(FrameReader&&) noexcept = default;
FrameReader& FrameReader::operator=(FrameReader&&) noexcept = default;

Result<std::string_view> FrameReader::open(std::string_view frame) {
  const FrameLimits& limits = impl_->limits;
  if (frame.size() > limits.frame_bytes_max) {
    return Error{Errc::limit, "frame of " + std::to_string(frame.size()) + " bytes; at most " +
                                  std::to_string(limits.frame_bytes_max) + " are taken"};
  }
  if (frame.size() < kHeaderBytes || frame[0] != 'L' || frame[1] != 'W') {
    return Error{Errc::bad_input, "not a Lapwing frame"};
  }
  if (static_cast<std::uint8_t>(frame[2]) != kFrameVersion) {
    return Error{Errc::unsupported, "frame version " +
                                        std::to_string(static_cast<std::uint8_t>(frame[2])) +
                                        "; this program reads " + std::to_string(kFrameVersion) +
                                        ": update the older side"};
  }
  const std::string_view inside = frame.substr(kHeaderBytes);
  const auto codec = static_cast<Codec>(frame[3]);
  if (codec == Codec::raw) {
    if (inside.size() > limits.body_bytes_max) return Error{Errc::limit, "body too long"};
    return inside;
  }
  if (codec != Codec::zstd) {
    return Error{
        Errc::unsupported,
        "frame codec " + std::to_string(static_cast<std::uint8_t>(frame[3])) + " is not known"};
  }
  const unsigned long long size = ZSTD_getFrameContentSize(inside.data(), inside.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
    return Error{Errc::corrupt, "frame without a readable content size"};
  }
  if (size > limits.body_bytes_max) {
    return Error{Errc::limit, "frame would become " + std::to_string(size) + " bytes; at most " +
                                  std::to_string(limits.body_bytes_max) + " are taken"};
  }
  std::string& body = impl_->body;
  body.resize(static_cast<std::size_t>(size));
  // Writes at most body.size() bytes whatever the frame claims; more is an error.
  const std::size_t got = ZSTD_decompressDCtx(impl_->context.get(), body.data(), body.size(),
                                              inside.data(), inside.size());
  if (ZSTD_isError(got) != 0 || got != body.size()) {
    return Error{Errc::corrupt, std::string("damaged frame: ") + ZSTD_getErrorName(got)};
  }
  return std::string_view(body);
}

}  // namespace lapwing::wire
