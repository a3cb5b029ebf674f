// SPDX-License-Identifier: Apache-2.0
#include "schemas/certificate_generated.h"
#include "shared/wire/certificates.hpp"
#include "shared/wire/codec_support.hpp"

#include <chrono>

namespace lapwing::wire {
namespace {

constexpr Micros kWaitMax = std::chrono::hours(24 * 365);

template <class Table>
std::string finish_certificate(flatbuffers::FlatBufferBuilder& builder,
                               fbs::CertificateMessage kind, flatbuffers::Offset<Table> message) {
  fbs::FinishCertificateBuffer(builder, fbs::CreateCertificate(builder, kind, message.Union()));
  return bytes_of(builder);
}

template <class Table, class Message, class Read>
Result<Message> read_certificate(std::string_view bytes, const char* what, Read read) {
  return read_message<fbs::Certificate, Table, Message>(bytes, fbs::CertificateIdentifier(), what,
                                                        read);
}

}  // namespace

std::string encode(const CertificateRequest& request) {
  flatbuffers::FlatBufferBuilder builder;
  return finish_certificate(
      builder, fbs::CertificateMessage::CertificateRequest,
      fbs::CreateCertificateRequestDirect(builder, kMessageVersion, request.csr.c_str()));
}

std::string encode(const CertificateAnswer& answer) {
  flatbuffers::FlatBufferBuilder builder;
  return finish_certificate(builder, fbs::CertificateMessage::CertificateAnswer,
                            fbs::CreateCertificateAnswerDirect(
                                builder, kMessageVersion, static_cast<std::uint8_t>(answer.outcome),
                                answer.certificate.c_str(), answer.authorities.c_str(),
                                answer.reason.c_str(), answer.wait.count()));
}

Result<CertificateRequest> decode_certificate_request(std::string_view bytes) {
  return read_certificate<fbs::CertificateRequest, CertificateRequest>(
      bytes, "certificate request", [](const auto& table, Texts& texts) {
        return CertificateRequest{texts.bounded(table.csr(), "request", kCsrBytesMax)};
      });
}

Result<CertificateAnswer> decode_certificate_answer(std::string_view bytes) {
  auto answer = read_certificate<fbs::CertificateAnswer, CertificateAnswer>(
      bytes, "certificate answer", [](const auto& table, Texts& texts) {
        return CertificateAnswer{
            .outcome = static_cast<CertificateOutcome>(table.outcome()),
            .certificate = texts.bounded(table.certificate(), "certificate", kCertificateBytesMax),
            .authorities = texts.bounded(table.authorities(), "authorities", kAuthoritiesBytesMax),
            .reason = texts.sentence(table.reason(), "reason"),
            .wait = Micros(table.wait_us())};
      });
  if (answer && (answer->outcome < CertificateOutcome::issued ||
                 answer->outcome > CertificateOutcome::wanted)) {
    return Error{Errc::unsupported,
                 "certificate answer: an outcome this program does not know: update it"};
  }
  if (answer && (answer->wait < Micros(0) || answer->wait > kWaitMax)) {
    return Error{Errc::bad_input, "certificate answer: an impossible wait"};
  }
  return answer;
}

}  // namespace lapwing::wire
