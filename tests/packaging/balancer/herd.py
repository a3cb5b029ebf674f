# SPDX-License-Identifier: Apache-2.0
"""What stands around a balancer in its test: brokers whose readiness is up to the test, and devices that come back by themselves."""
import http.server
import pathlib
import random
import re
import ssl
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "packaging/demo"), str(ROOT / "tests/faults")]

from mqtt import Client, device_tls  # noqa: E402


class Ready:
    """`/health/ready` of a replica, under its own certificate: 200 or 503 by `status`, or nobody there."""

    def __init__(self, folder, port):
        self.folder, self.port, self.status, self._server = folder, port, 200, None

    def open(self):
        stub = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(stub.status if self.path == "/health/ready" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Answer)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # connections that ended early: checks that only knock
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None


class Identities:
    """Devices' certificates of a hub's authority, all with one key."""

    def __init__(self, hub_dir, folder):
        self.hub, self.dir = hub_dir, folder
        folder.mkdir()
        self._run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / "device.key")

    @staticmethod
    def _run(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    def make(self, name):
        request, certificate = self.dir / f"{name}.csr", self.dir / f"{name}.pem"
        self._run("req", "-new", "-key", self.dir / "device.key", "-subj", f"/CN=demo\\/{name}", "-out", request)
        self._run("x509", "-req", "-in", request, "-CA", self.hub / "ca.pem", "-CAkey", self.hub / "ca.key", "-days", 1,
                  "-set_serial", random.getrandbits(64), "-out", certificate)
        return device_tls(self.hub, certificate, self.dir / "device.key")


class Device(threading.Thread):
    """Holds a connection; when it ends, comes back after a time as the agent's (shared/base/backoff.hpp: full jitter, from 0.2 s)."""

    def __init__(self, name, port, tls, most_s=30):
        super().__init__(daemon=True)
        self.name, self.port, self.tls, self.most_s = name, port, tls, most_s
        self.client, self.connects, self.since, self.attempts, self._end = None, 0, None, 0, False
        self.start()

    def run(self):
        failed = 0
        while not self._end:
            client = None
            try:
                self.attempts += 1
                client = Client(self.port, f"demo/{self.name}", tls=self.tls, timeout=30)
                failed, self.since, self.client = 0, time.monotonic(), client
                self.connects += 1
                client.link.settimeout(None)
                while client.read()[0] != 0xE0:  # until DISCONNECT
                    pass
            except (OSError, EOFError):
                pass
            self.client = None
            if client is not None:
                client.link.close()
            if not self._end:
                time.sleep(random.uniform(0, min(self.most_s, 0.2 * 2 ** min(failed, 20))))
            failed += 1

    def here(self):
        """The port on this machine from which it is connected; None while it is not."""
        client = self.client
        try:
            return client.link.getsockname()[1] if client else None
        except OSError:
            return None

    def close(self):
        self._end = True
        client = self.client
        if client is not None:
            try:
                client.link.shutdown(2)
            except OSError:
                pass
        self.join()


def established(port):
    """How many connections a program of this machine has on a port where it listens."""
    lines = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(1 for line in lines if line.split()[3] == "01" and int(line.split()[1].split(":")[1], 16) == port)


def arrivals(log):
    """device -> the port from which it reached the broker last, by the broker's log."""
    return {name: int(port) for port, name in re.findall(r"New client connected from [0-9.]+:(\d+) as demo/(\S+)", log.read_text())}


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100
