// SPDX-License-Identifier: Apache-2.0
/// A model file, verified.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/detector.hpp"
#include "shared/detect/kind.hpp"
#include "shared/model/header.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lapwing::model {

/// The file's bytes for a model, sealed. The same header and payload give the same bytes on every
/// machine. `payload` is what the kind's training gave. Errors: bad_config (the header's values:
/// what Model::read() would refuse), limit.
Result<std::string> encode(const Header& header, std::span<const std::byte> payload);

/// Verified when it is made: seal, FlatBuffers, bounds and values; the payload, by its kind, when a
/// detector is made of it.
/// Ownership: keeps the file mapped, or owns the bytes. A file that is replaced by rename stays as
/// it was; one that is written into while it is mapped must not be.
/// Threads: immutable.
class Model {
 public:
  /// Maps the file. Errors: not_found, denied, io, and those of read(), with the file's name.
  static Result<Model> open(const std::filesystem::path& file);
  /// Errors: bad_input (no model file), limit, corrupt, unsupported (a newer version, or a kind
  /// this program does not know: update it), bad_config (values that no training gives).
  static Result<Model> read(std::string bytes);

  [[nodiscard]] const Header& header() const noexcept { return header_; }
  [[nodiscard]] std::span<const std::byte> payload() const noexcept { return payload_; }
  [[nodiscard]] std::string_view file_bytes() const noexcept { return bytes_; }
  /// SHA-256 of the whole file, in hex: what a manifest names.
  [[nodiscard]] std::string sha256() const;
  [[nodiscard]] const detect::Kind& kind() const noexcept { return *kind_; }
  /// What a detector of this model is made with.
  [[nodiscard]] detect::Settings settings(detect::Device device = detect::Device::cpu) const;
  /// Errors: corrupt (the payload), no_device.
  Result<std::unique_ptr<detect::Detector>> make_detector(
      detect::Device device = detect::Device::cpu) const;

 private:
  Model() = default;
  static Result<Model> verified(std::shared_ptr<const void> owner, std::string_view bytes);

  std::shared_ptr<const void> owner_;  ///< of the bytes
  std::string_view bytes_;
  Header header_;
  std::span<const std::byte> payload_;
  const detect::Kind* kind_ = nullptr;
};

/// The body behind the seal, as read() reads it; `payload` points into it. Apart for tests.
Result<Header> read_body(std::string_view body, std::span<const std::byte>& payload);

/// Whether a header may be: names, bounds, finite numbers, and settings its kind takes. Errors:
/// unsupported (the kind), bad_config.
Result<const detect::Kind*> check(const Header& header);

}  // namespace lapwing::model
