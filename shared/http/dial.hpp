// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/http: from a client's options to a connection. Not for others.
#pragma once

#include "shared/base/result.hpp"
#include "shared/http/byte_stream.hpp"
#include "shared/http/client.hpp"

#include <string_view>

namespace lapwing::http {

/// What decides whom a client trusts.
/// Errors: bad_config (CA file). Blocks: reading the system's authorities takes a while.
Result<net::ssl::context> make_client_context(const ClientOptions& options);

/// Looks the host up, connects and, over TLS, checks the server's certificate.
/// Ownership: both outlive the call. Threads: the stream's.
/// Errors: io, denied (the certificate), timeout.
net::awaitable<Result<void>> dial(ByteStream& stream, const ClientOptions& options);

/// `ec` in the words of Client's errors. `doing`: what failed.
Error transport_error(const error_code& ec, const Origin& origin, std::string_view doing);

}  // namespace lapwing::http
