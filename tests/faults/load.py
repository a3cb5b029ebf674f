#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes JSON readings to a site broker at a fixed rate until stdin closes. MQTT 3.1.1, QoS 0, standard library only.

    load.py PORT MESSAGES_PER_S TOPICS

Topic `load/<n>` carries {"temperature": x, "pressure": y}: two streams a topic. A broker that goes away is waited for; what
would have been sent meanwhile is skipped, as by a sensor. Prints the number sent at the end.
"""
import math
import random
import select
import socket
import struct
import sys
import time


def remaining_length(size):
    out = bytearray()
    while True:
        size, digit = divmod(size, 128)
        out.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(out)


def text(value):
    raw = value.encode()
    return struct.pack("!H", len(raw)) + raw


def connect(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=2)
    greet(client, f"load-{random.getrandbits(48):x}")
    return client


def greet(client, client_id):
    body = text("MQTT") + bytes([4, 2]) + struct.pack("!H", 0) + text(client_id)
    client.sendall(b"\x10" + remaining_length(len(body)) + body)
    if client.recv(4)[:1] != b"\x20":
        raise OSError("no CONNACK")


def publish(topic, payload, packet_id=0):
    """packet_id: QoS 1 with it; 0: QoS 0."""
    body = text(topic) + (struct.pack("!H", packet_id) if packet_id else b"") + payload
    return (b"\x32" if packet_id else b"\x30") + remaining_length(len(body)) + body


def value(topic, now):
    """A plausible sensor: a slow wave and noise, and now and then a jump that a detector must report."""
    temperature = 20 + 3 * math.sin(now / 7 + topic) + random.gauss(0, 0.2)
    if int(now / 3) % 17 == topic % 17:
        temperature += 40
    return b'{"temperature": %.3f, "pressure": %.3f}' % (temperature, 5 + random.gauss(0, 0.1))


def main():
    port, rate, topics = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    names = [f"load/{n}" for n in range(topics)]
    client, sent, due, turn = None, 0, 0.0, 0
    began = time.monotonic()
    while not select.select([sys.stdin], [], [], 0)[0]:
        now = time.monotonic()
        if client is None:
            try:
                client = connect(port)
            except OSError:
                time.sleep(0.05)
                due = (time.monotonic() - began) * rate
                continue
        batch = bytearray()
        wanted = (now - began) * rate
        count = 0
        while due < wanted and count < 1000:
            batch += publish(names[turn], value(turn, now))
            turn = (turn + 1) % topics
            due += 1
            count += 1
        try:
            client.sendall(batch)
            sent += count
        except OSError:
            client.close()
            client = None
        time.sleep(0.01)
    print(sent, flush=True)


if __name__ == "__main__":
    main()
