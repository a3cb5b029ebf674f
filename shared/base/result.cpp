// SPDX-License-Identifier: Apache-2.0
#include "shared/base/result.hpp"

namespace lapwing {

std::string_view to_string(Errc code) noexcept {
  switch (code) {
    case Errc::bad_config:
      return "bad_config";
    case Errc::bad_input:
      return "bad_input";
    case Errc::bad_shape:
      return "bad_shape";
    case Errc::corrupt:
      return "corrupt";
    case Errc::denied:
      return "denied";
    case Errc::exists:
      return "exists";
    case Errc::io:
      return "io";
    case Errc::limit:
      return "limit";
    case Errc::no_device:
      return "no_device";
    case Errc::not_found:
      return "not_found";
    case Errc::shutting_down:
      return "shutting_down";
    case Errc::timeout:
      return "timeout";
    case Errc::unsupported:
      return "unsupported";
  }
  return "unknown";
}

Error within(std::string_view what, Error error) {
  error.context.insert(0, std::string(what) + ": ");
  return error;
}

}  // namespace lapwing
