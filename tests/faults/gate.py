# SPDX-License-Identifier: Apache-2.0
"""A way to a port of this machine that can be shut: who connects meanwhile is turned away, who is connected is cut off."""
import contextlib
import socket
import threading


class Gate:
    """target: a port of this machine, or (address, port); may be changed for those who connect from then on. listen: likewise where."""

    def __init__(self, target, listen=("127.0.0.1", 0)):
        self.target = target if isinstance(target, tuple) else ("127.0.0.1", target)
        self._open = True
        self._through = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(listen)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self):
        with self._lock:
            self._open = True

    def shut(self):
        with self._lock:
            self._open = False
            for one in self._through:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            with self._lock:
                if not self._open:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(self.target)
                except OSError:
                    client.close()
                    continue
                self._through |= {client, server}
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)  # ends the other direction
        with self._lock:
            self._through.discard(source)
            source.close()
