// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/http: a server's response as it goes over the line. Not for others.
#pragma once

#include "shared/http/message.hpp"

#include <string>

namespace lapwing::http {

/// What the request and the connection ask of its form.
struct Framing {
  unsigned version = 11;
  bool keep_alive = false;
  bool head = false;  ///< the body's length, not the body
};

/// Head and body, with the fields that every response carries.
/// Threads: any.
[[nodiscard]] std::string response_bytes(Response response, const Framing& framing);
/// The head of an event stream, which ends with the connection.
[[nodiscard]] std::string event_stream_head(Response response);

}  // namespace lapwing::http
