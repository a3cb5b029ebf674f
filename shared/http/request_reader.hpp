// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/http: a request from the line, within the server's limits. Not for others.
#pragma once

#include "shared/http/byte_stream.hpp"
#include "shared/http/connection.hpp"
#include "shared/http/message.hpp"

#include <boost/beast/core/flat_buffer.hpp>

#include <optional>

namespace lapwing::http {

/// A request, and what the form of its answer depends on.
struct Incoming {
  Request request;
  std::optional<Response> refusal;  ///< set: the answer, whatever the router says
  unsigned version = 11;
  bool head = false;
  bool keep_alive = false;
};

/// The next request; what was sent after it stays in `buffer`. The time for it is the stream's.
/// Threads: the network thread.
/// Errors: in `ec`, and the connection is of no more use; see refusal_of().
net::awaitable<Incoming> read_request(const ServerState& state, ByteStream& stream,
                                      boost::beast::flat_buffer& buffer, error_code& ec);

/// Counts an error of read_request() and says what to answer; none: just close.
std::optional<Response> refusal_of(const ServerState& state, const error_code& ec);

}  // namespace lapwing::http
