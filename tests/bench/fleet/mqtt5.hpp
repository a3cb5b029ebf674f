// SPDX-License-Identifier: Apache-2.0
/// MQTT 5 packets as bytes: what a simulated device says and hears. For tests only.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::fleet::mqtt5 {

struct Connect {
  std::string_view client_id;
  std::uint16_t keep_alive_s = 20;
  std::uint32_t packet_bytes_max = 2U << 20;
  std::uint16_t receive_max = 1000;
  std::string_view will_topic;  ///< QoS 1, not retained
  std::string_view will_payload;
};
/// Clean start, a session that ends with the connection.
void append(std::string& out, const Connect& connect);
void append_subscribe(std::string& out, std::uint16_t packet_id, std::string_view filter);
/// QoS 1.
void append_publish(std::string& out, std::uint16_t packet_id, std::string_view topic,
                    std::string_view payload);
void append_puback(std::string& out, std::uint16_t packet_id);
void append_ping(std::string& out);
void append_disconnect(std::string& out);

enum class Type : std::uint8_t {
  connack = 2,
  publish = 3,
  puback = 4,
  suback = 9,
  pong = 13,
  disconnect = 14
};

/// One packet of the broker. Borrows the bytes it was read from.
struct Packet {
  Type type = Type::pong;
  std::uint16_t packet_id = 0;    ///< 0: a publish at QoS 0
  std::uint8_t reason = 0;        ///< connack, puback, suback, disconnect; 0x80 and above: no
  std::uint16_t receive_max = 0;  ///< connack; 65535 where the broker does not say
  std::string_view topic;         ///< publish
  std::string_view payload;
  std::size_t bytes = 0;  ///< of the packet
};
/// The first packet of `bytes`; nullopt: not all of it is there yet. Errors: corrupt, limit.
Result<std::optional<Packet>> read(std::string_view bytes);

}  // namespace lapwing::fleet::mqtt5
