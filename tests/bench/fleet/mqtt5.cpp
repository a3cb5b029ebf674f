// SPDX-License-Identifier: Apache-2.0
/// MQTT Version 5.0, OASIS 2019: sections 2 and 3.
#include "tests/bench/fleet/mqtt5.hpp"

namespace lapwing::fleet::mqtt5 {
namespace {

constexpr std::size_t kPacketBytesMax = 4U << 20U;
constexpr char kSessionExpiry = 0x11;
constexpr char kReceiveMaximum = 0x21;
constexpr char kMaximumPacketSize = 0x27;

void add16(std::string& out, std::size_t value) {
  out += static_cast<char>(value >> 8U & 0xffU);
  out += static_cast<char>(value & 0xffU);
}

void add32(std::string& out, std::size_t value) {
  add16(out, value >> 16U & 0xffffU);
  add16(out, value & 0xffffU);
}

void add_text(std::string& out, std::string_view text) {
  add16(out, text.size());
  out += text;
}

void add_length(std::string& out, std::size_t length) {
  do {
    out += static_cast<char>((length & 0x7fU) | (length > 0x7fU ? 0x80U : 0U));
    length >>= 7U;
  } while (length != 0);
}

/// Reads forward; `good` turns false where the bytes end too early.
struct Reader {
  std::string_view bytes;
  bool good = true;

  std::size_t number(std::size_t size) {
    if (bytes.size() < size) good = false;
    std::size_t value = 0;
    for (std::size_t i = 0; good && i < size; ++i) {
      value = value << 8U | static_cast<unsigned char>(bytes[i]);
    }
    if (good) bytes.remove_prefix(size);
    return value;
  }
  std::string_view take(std::size_t size) {
    if (bytes.size() < size) good = false;
    const auto taken = good ? bytes.substr(0, size) : std::string_view();
    if (good) bytes.remove_prefix(size);
    return taken;
  }
  /// A variable byte integer.
  std::size_t length() {
    std::size_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
      const std::size_t digit = number(1);
      value |= (digit & 0x7fU) << shift;
      if ((digit & 0x80U) == 0) return value;
    }
    good = false;
    return 0;
  }
};

/// The receive maximum among a CONNACK's properties.
std::uint16_t receive_maximum(Reader properties) {
  while (properties.good && !properties.bytes.empty()) {
    const auto code = properties.number(1);
    switch (code) {
      case 0x21:
        return static_cast<std::uint16_t>(properties.number(2));
      case 0x24:  // maximum QoS, retain, wildcards, identifiers, shared: one byte each
      case 0x25:
      case 0x28:
      case 0x29:
      case 0x2a:
        properties.number(1);
        break;
      case 0x13:  // server keep alive, topic alias maximum
      case 0x22:
        properties.number(2);
        break;
      case 0x11:  // session expiry, maximum packet size
      case 0x27:
        properties.number(4);
        break;
      case 0x26:  // user property: two texts
        properties.take(properties.number(2));
        properties.take(properties.number(2));
        break;
      default:  // texts
        properties.take(properties.number(2));
    }
  }
  return 65535;
}

}  // namespace

void append(std::string& out, const Connect& connect) {
  std::string body;
  add_text(body, "MQTT");
  body += '\x05';
  const bool will = !connect.will_topic.empty();
  body += static_cast<char>(will ? 0x02 | 0x04 | 0x08 : 0x02);  // clean start; a will at QoS 1
  add16(body, connect.keep_alive_s);
  body += '\x0d';  // bytes of properties
  body += kSessionExpiry;
  add32(body, 0);
  body += kReceiveMaximum;
  add16(body, connect.receive_max);
  body += kMaximumPacketSize;
  add32(body, connect.packet_bytes_max);
  add_text(body, connect.client_id);
  if (will) {
    body += '\0';
    add_text(body, connect.will_topic);
    add_text(body, connect.will_payload);
  }
  out += '\x10';
  add_length(out, body.size());
  out += body;
}

void append_subscribe(std::string& out, std::uint16_t packet_id, std::string_view filter) {
  out += '\x82';
  add_length(out, 2 + 1 + 2 + filter.size() + 1);
  add16(out, packet_id);
  out += '\0';
  add_text(out, filter);
  out += '\x01';
}

void append_publish(std::string& out, std::uint16_t packet_id, std::string_view topic,
                    std::string_view payload) {
  out += '\x32';
  add_length(out, 2 + topic.size() + 2 + 1 + payload.size());
  add_text(out, topic);
  add16(out, packet_id);
  out += '\0';
  out += payload;
}

void append_puback(std::string& out, std::uint16_t packet_id) {
  out += "\x40\x02";
  add16(out, packet_id);
}

void append_ping(std::string& out) { out.append("\xc0\0", 2); }
void append_disconnect(std::string& out) { out.append("\xe0\0", 2); }

Result<std::optional<Packet>> read(std::string_view bytes) {
  const Error corrupt{Errc::corrupt, "the broker sends what is not MQTT 5"};
  Reader head{bytes};
  const auto first = static_cast<unsigned>(head.number(1));
  const std::size_t length = head.length();
  if (!head.good && bytes.size() < 5) return std::optional<Packet>();
  if (!head.good) return corrupt;
  if (length > kPacketBytesMax) return Error{Errc::limit, "a packet longer than 4 MiB"};
  if (head.bytes.size() < length) return std::optional<Packet>();
  Packet packet;
  packet.type = static_cast<Type>(first >> 4U);
  packet.bytes = bytes.size() - head.bytes.size() + length;
  Reader body{head.bytes.substr(0, length)};
  switch (packet.type) {
    case Type::connack:
      body.number(1);
      packet.reason = static_cast<std::uint8_t>(body.number(1));
      packet.receive_max = receive_maximum({body.take(body.length())});
      break;
    case Type::publish:
      packet.topic = body.take(body.number(2));
      if ((first & 0x06U) != 0) packet.packet_id = static_cast<std::uint16_t>(body.number(2));
      body.take(body.length());
      packet.payload = body.bytes;
      break;
    case Type::puback:
      packet.packet_id = static_cast<std::uint16_t>(body.number(2));
      if (!body.bytes.empty()) packet.reason = static_cast<std::uint8_t>(body.number(1));
      break;
    case Type::suback:
      packet.packet_id = static_cast<std::uint16_t>(body.number(2));
      body.take(body.length());
      packet.reason = static_cast<std::uint8_t>(body.number(1));
      break;
    case Type::disconnect:
      if (!body.bytes.empty()) packet.reason = static_cast<std::uint8_t>(body.number(1));
      break;
    case Type::pong:
      break;
    default:
      return corrupt;
  }
  if (!body.good) return corrupt;
  return std::optional(packet);
}

}  // namespace lapwing::fleet::mqtt5
