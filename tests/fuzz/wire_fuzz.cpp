// SPDX-License-Identifier: Apache-2.0
// Frames and every message of the protocol: what can be read is written and read again the same.
#include "shared/wire/certificates.hpp"
#include "shared/wire/codec.hpp"
#include "shared/wire/contributions.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/models.hpp"
#include "shared/wire/topics.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace lapwing;
using namespace lapwing::wire;

namespace {

template <class Decode>
void again(Decode decode, std::string_view bytes) {
  const auto message = decode(bytes);
  if (!message) return;
  const std::string written = encode(*message);
  const auto read = decode(written);
  fuzz::require(read.has_value(), "what was read can be written and read");
  fuzz::require(encode(*read) == written, "and is the same");
}

void every_message(std::string_view body) {
  again(&decode_hello, body);
  again(&decode_welcome, body);
  again(&decode_ack, body);
  again(&decode_status, body);
  again(&decode_command, body);
  again(&decode_command_result, body);
  again(&decode_desired, body);
  again(&decode_certificate_request, body);
  again(&decode_certificate_answer, body);
  again(&decode_offer, body);
  again(&decode_fetch, body);
  again(&decode_chunk, body);
  again(&decode_contribution, body);
  const auto batch = decode_batch(body);
  if (batch) {
    fuzz::require(batch->entries.size() <= kEntriesMax, "a batch is bounded");
    std::uint64_t next = batch->entries.empty() ? 0 : batch->entries.front().seq;
    for (const RecordEntry& entry : batch->entries) {
      fuzz::require(entry.seq == next && entry.seq_last >= entry.seq, "entries are consecutive");
      next = entry.seq_last + 1;
      (void)decode_record(entry.payload);
    }
  }
  if (const auto record = decode_record(body)) {
    const std::string written = encode_record(*record);
    fuzz::require(decode_record(written).has_value(), "a record can be written and read");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FrameReader reader;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)parse_topic(bytes.substr(0, bytes.find('\n')));
  if (const auto body = reader.open(bytes)) every_message(*body);
  every_message(bytes);
  return 0;
}
