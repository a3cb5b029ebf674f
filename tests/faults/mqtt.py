# SPDX-License-Identifier: Apache-2.0
"""The little of MQTT 5 that the cases need: packets, and a client that says anything to anyone."""
import socket
import ssl
import struct

from load import remaining_length, text

CONNECT, CONNACK, PUBLISH, PUBACK, DISCONNECT = 0x10, 0x20, 0x30, 0x40, 0xE0


def varint(data, at):
    """(value, the position behind it)."""
    value, shift = 0, 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
        shift += 7


def packet(kind, body):
    return bytes([kind]) + remaining_length(len(body)) + body


def publish_packet(topic, payload, packet_id=0):
    """QoS 1 with a packet id, else 0."""
    return packet(PUBLISH | (2 if packet_id else 0),
                  text(topic) + (struct.pack("!H", packet_id) if packet_id else b"") + b"\0" + payload)


def parse_publish(first, body):
    """(topic, payload) of a PUBLISH."""
    size = struct.unpack("!H", body[:2])[0]
    topic, at = body[2:2 + size].decode(), 2 + size
    if first & 6:
        at += 2
    properties, at = varint(body, at)
    return topic, body[at + properties:]


def parse_will(body):
    """(topic, payload) of a CONNECT's will; None without one."""
    flags, at = body[7], 10
    properties, at = varint(body, at)
    at += properties
    at += 2 + struct.unpack("!H", body[at:at + 2])[0]  # the client id
    if not flags & 4:
        return None
    properties, at = varint(body, at)
    at += properties
    size = struct.unpack("!H", body[at:at + 2])[0]
    topic, at = body[at + 2:at + 2 + size].decode(), at + 2 + size
    size = struct.unpack("!H", body[at:at + 2])[0]
    return topic, body[at + 2:at + 2 + size]


class Splitter:
    """Bytes in, whole packets out: (first byte, body, all of it)."""

    def __init__(self):
        self.rest = bytearray()

    def feed(self, data):
        self.rest += data
        while len(self.rest) >= 2:
            try:
                size, at = varint(self.rest, 1)
            except IndexError:
                return
            if len(self.rest) < at + size:
                return
            whole = bytes(self.rest[:at + size])
            del self.rest[:at + size]
            yield whole[0], whole[at:], whole


def device_tls(identity, certificate=None, key=None):
    context = ssl.create_default_context(cafile=identity / "ca.pem")
    context.load_cert_chain(certificate or identity / "device.pem", key or identity / "device.key")
    return context


class Client:
    """Use as a context manager. identity: a folder as `enrol` leaves it, for TLS; none: plain TCP."""

    def __init__(self, port, client_id, identity=None, tls=None, timeout=10):
        self.raw = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        context = tls or (device_tls(identity) if identity else None)
        self.link = context.wrap_socket(self.raw, server_hostname="localhost") if context else self.raw
        self.splitter, self.arrived, self.packet_id = Splitter(), [], 0
        self.link.sendall(packet(CONNECT, text("MQTT") + bytes([5, 2]) + struct.pack("!H", 60) + b"\0" + text(client_id)))
        first, body = self.read()
        if first != CONNACK or body[1]:
            raise OSError(f"the broker refuses: {first:#x} {body.hex()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.link.sendall(packet(DISCONNECT, b""))
            self.link.close()
        except OSError:
            pass

    def read(self):
        while not self.arrived:
            data = self.link.recv(65536)
            if not data:
                raise EOFError("the broker closed the connection")
            self.arrived += [(first, body) for first, body, _ in self.splitter.feed(data)]
        return self.arrived.pop(0)

    def publish(self, topic, payload, qos=1):
        """The broker's reason code: 0 success, 0x10 nobody subscribes; EOFError, OSError: it ended the connection."""
        self.packet_id = self.packet_id % 65535 + 1
        self.link.sendall(publish_packet(topic, payload, self.packet_id if qos else 0))
        while qos:
            first, body = self.read()
            if first == DISCONNECT:
                raise EOFError(f"disconnected: {body[0] if body else 0:#x}")
            if first == PUBACK and struct.unpack("!H", body[:2])[0] == self.packet_id:
                return body[2] if len(body) > 2 else 0
        return 0
