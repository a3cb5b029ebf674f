// SPDX-License-Identifier: Apache-2.0
#include "lapwing/registry_commands.hpp"
#include "lapwing/support.hpp"
#include "shared/trust/token.hpp"

#include <algorithm>
#include <ostream>
#include <unistd.h>

namespace lapwing::cli {
namespace {

/// As the hub takes them (Uploads::kPieceBytesMax).
constexpr std::size_t kPieceBytes = std::size_t{512} << 10U;
constexpr std::size_t kPieceBytesMin = std::size_t{16} << 10U;
/// Pieces of one length that fail before it is said to be of no use.
constexpr int kAttempts = 3;

}  // namespace

Result<std::uint64_t> upload(const Hub& hub, const std::string& name, std::string_view bytes,
                             std::ostream& err) {
  const auto made = hub.post(
      "/api/v1/uploads",
      Json{{"name", name.substr(0, 200)}}.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!made) return made.error();
  if (made->status != 201) return Hub::refusal(*made);
  const auto row = Json::parse(made->body, nullptr, false);
  if (!row.is_object() || !row["id"].is_number_unsigned()) return Hub::not_a_hub();
  const auto id = row["id"].get<std::uint64_t>();
  const auto at = "/api/v1/uploads/" + std::to_string(id);
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  auto length = kPieceBytes;
  int failures = 0;
  for (std::size_t offset = 0; offset < bytes.size();) {
    const auto piece = bytes.substr(offset, length);
    const auto put = hub.put(at + "/content?offset=" + std::to_string(offset), std::string(piece));
    if (!put) {
      // A slow link: the hub waits seconds for a request, so shorter ones get through.
      if (++failures >= kAttempts && length <= kPieceBytesMin) return put.error();
      length = std::max(length / 2, kPieceBytesMin);
      continue;
    }
    if (put->status != 200) return Hub::refusal(*put);
    failures = 0;
    offset += piece.size();
    if (terminal) {
      err << "\r\033[K  " << offset * 100 / bytes.size() << " % of " << bytes.size() << " bytes"
          << std::flush;
    }
  }
  if (terminal) err << "\r\033[K" << std::flush;
  const auto done = hub.post(at + "/complete", Json{{"sha256", trust::sha256_hex(bytes)}}.dump());
  if (!done) return done.error();
  if (done->status != 200) return Hub::refusal(*done);
  return id;
}

}  // namespace lapwing::cli
