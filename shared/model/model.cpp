// SPDX-License-Identifier: Apache-2.0
#include "shared/model/model.hpp"

#include "shared/model/seal.hpp"
#include "shared/trust/token.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace lapwing::model {
namespace {

Error cannot(const char* what, int number) {
  const Errc code = number == ENOENT                      ? Errc::not_found
                    : number == EACCES || number == EPERM ? Errc::denied
                                                          : Errc::io;
  return {code, std::string(what) + ": " + std::strerror(number)};
}

struct Mapping {
  void* at = nullptr;
  std::size_t bytes = 0;
  ~Mapping() {
    if (at != nullptr) ::munmap(at, bytes);
  }
};

Result<std::shared_ptr<Mapping>> map(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return cannot("cannot be opened", errno);
  auto mapping = std::make_shared<Mapping>();
  struct stat about {};
  Result<std::shared_ptr<Mapping>> result = mapping;
  if (::fstat(file, &about) != 0) {
    result = cannot("cannot be looked at", errno);
  } else if (!S_ISREG(about.st_mode) || about.st_size == 0) {
    result = Error{Errc::bad_input, "no model file: it is empty, or no file at all"};
  } else if (static_cast<std::uint64_t>(about.st_size) > kFileBytesMax) {
    result = Error{Errc::limit,
                   "longer than " + std::to_string(kFileBytesMax >> 20U) + " MiB, as no model is"};
  } else {
    const auto bytes = static_cast<std::size_t>(about.st_size);
    void* const at = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (at == MAP_FAILED) {
      result = cannot("cannot be mapped", errno);
    } else {
      mapping->at = at;
      mapping->bytes = bytes;
    }
  }
  ::close(file);
  return result;
}

}  // namespace

Result<Model> Model::verified(std::shared_ptr<const void> owner, std::string_view bytes) {
  const auto body = unsealed(bytes);
  if (!body) return body.error();
  Model model;
  auto header = read_body(*body, model.payload_);
  if (!header) return header.error();
  const auto kind = check(*header);
  if (!kind) return kind.error();
  model.owner_ = std::move(owner);
  model.bytes_ = bytes;
  model.header_ = *std::move(header);
  model.kind_ = *kind;
  return model;
}

Result<Model> Model::open(const std::filesystem::path& file) {
  const auto mapping = map(file);
  if (!mapping) return within(file.string(), mapping.error());
  const std::string_view bytes(static_cast<const char*>((*mapping)->at), (*mapping)->bytes);
  auto model = verified(*mapping, bytes);
  if (!model) return within(file.string(), std::move(model).error());
  return model;
}

Result<Model> Model::read(std::string bytes) {
  // Aligned for FlatBuffers, as a mapping is.
  const auto kept = std::make_shared<const std::string>(std::move(bytes));
  return verified(kept, *kept);
}

std::string Model::sha256() const { return trust::sha256_hex(bytes_); }

detect::Settings Model::settings(detect::Device device) const {
  return {.width = header_.sensors.size(),
          .seed = header_.lineage.seed,
          .device = device,
          .parameters = header_.parameters};
}

Result<std::unique_ptr<detect::Detector>> Model::make_detector(detect::Device device) const {
  return kind_->make(settings(device), {.model = payload_});
}

}  // namespace lapwing::model
