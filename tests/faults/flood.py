# SPDX-License-Identifier: Apache-2.0
"""What the overload cases flood with: MQTT messages as fast as a broker takes them, HTTP clients that behave badly."""
import select
import socket
import ssl
import time

import load

CHUNK = 1000  # messages sent, and with QoS 1 acknowledged, together


def burst(port, topics, payload, count, qos=0):
    """Publishes count messages over the topics in turn; payload(n) are bytes, n below CHUNK. Seconds it took."""
    began = time.monotonic()
    chunk = b"".join(load.publish(topics[n % len(topics)], payload(n), n + 1 if qos else 0) for n in range(CHUNK))
    with load.connect(port) as client:
        client.settimeout(60)
        for _ in range(count // CHUNK):
            client.sendall(chunk)
            wanted = 4 * CHUNK if qos else 0  # bytes of PUBACKs
            while wanted:
                got = client.recv(wanted)
                if not got:
                    raise OSError("the broker closed the connection")
                wanted -= len(got)
        client.sendall(b"\xe0\x00")  # DISCONNECT, after all of it
        while client.recv(1024):
            pass
    return time.monotonic() - began


def rogue(stack, identity, name, payload, seconds):
    """A device that floods its own topic at the hub with what cannot be read. Messages sent."""
    context = ssl.create_default_context(cafile=identity / "ca.pem")
    context.load_cert_chain(identity / "device.pem", identity / "device.key")
    message = load.publish(f"lapwing/v1/demo/{name}/up/records", payload)
    sent, until = 0, time.monotonic() + seconds
    with socket.create_connection(("localhost", stack.mqtt_port), timeout=30) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as client:
            load.greet(client, f"demo/{name}")
            while time.monotonic() < until:
                client.sendall(message * 10)
                sent += 10
    return sent


class Client:
    """One TCP connection to the hub's HTTP port that sends what it is told and never reads, unless asked."""

    def __init__(self, port, head="", receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(5)
        self.socket.connect(("127.0.0.1", port))
        self.send(head)

    def send(self, text):
        """False: the hub closed the connection."""
        try:
            self.socket.sendall(text.encode())
            return True
        except OSError:
            return False

    def status(self):
        """Of the answer's head; 0: none came, or the connection was closed."""
        try:
            ready, _, _ = select.select([self.socket], [], [], 5)
            head = self.socket.recv(64) if ready else b""
            return int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else 0
        except (OSError, IndexError, ValueError):
            return 0

    def close(self):
        self.socket.close()


def head(method, path, *fields):
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *fields, "", ""))
