# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy between an agent's uplink and the hub's broker that does what networks do.

Works on the TCP streams, not on segments, so it models what TCP makes of a bad network: bytes that come late, slowly, in stalls,
or never. A cut holds bytes back and lets them through once it is mended, as retransmissions would; loss is a retransmission
time-out before a chunk goes on. Swallowed connections are those of a peer that vanished: bytes disappear, nobody hears of it.
"""
import asyncio
import dataclasses
import random
import socket
import struct
import threading

SEGMENT = 1200  # bytes handed on at once
LOOK = 0.01  # seconds between looks whether a cut is mended


@dataclasses.dataclass
class Way:
    """One direction. Set from any thread; holds for connections that are there and for later ones."""
    open: bool = True
    rate: float = 0  # bytes/s; 0: no limit
    delay: float = 0  # seconds each way
    stalls: float = 0  # share of segments that wait for a retransmission time-out
    timeout: float = 0.2  # that time-out: Linux's least
    bytes: int = 0  # carried so far


class Loop:
    """The event loop that all proxies share, in a thread of its own."""
    _loop = None
    _lock = threading.Lock()

    @classmethod
    def get(cls):
        with cls._lock:
            if cls._loop is None:
                cls._loop = asyncio.new_event_loop()
                threading.Thread(target=cls._loop.run_forever, daemon=True).start()
            return cls._loop

    @classmethod
    def run(cls, coroutine, seconds=10):
        return asyncio.run_coroutine_threadsafe(coroutine, cls.get()).result(seconds)


class Link:
    """One connection of the agent's and the one to the broker that belongs to it."""

    def __init__(self, client, broker=None):
        self.client, self.broker = client, broker  # StreamWriters
        self.swallowed = False
        self.tasks = []

    @staticmethod
    def reset(writer):
        """An RST instead of a FIN."""
        if writer is not None and not writer.transport.is_closing():
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    @staticmethod
    def close(writer):
        if writer is not None and not writer.transport.is_closing():
            writer.close()


class Proxy:
    """Listens on `port`; carries to 127.0.0.1:`to`. Functions may be called from any thread."""

    def __init__(self, to, seed=0):
        self.to = to
        self.up, self.down = Way(), Way()
        self.black_hole = False  # new connections are taken and nothing comes of them
        self.accepted = 0
        self.random = random.Random(seed)
        self.links = set()
        self.kept = []  # ends at the broker of connections whose agent has left
        self._server = Loop.run(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]

    # --- what networks do
    def cut(self, up=True, down=True):
        self.up.open, self.down.open = not up, not down

    def mend(self):
        """All as it should be; what was swallowed stays so."""
        self.black_hole = False
        for way in (self.up, self.down):
            way.open, way.rate, way.delay, way.stalls = True, 0, 0, 0

    def swallow(self):
        """Connections that are there lose everything from now on, and nobody is told."""
        async def work():
            for link in self.links:
                link.swallowed = True
            return len(self.links)
        return Loop.run(work())

    def reset(self, keep_broker_side=False):
        """Ends the connections; keep_broker_side: the broker does not hear of it until close_kept()."""
        async def work():
            for link in list(self.links):
                if keep_broker_side:
                    self.kept.append(link.broker)
                    link.broker = None
                for end in (link.client, link.broker):
                    Link.reset(end)
        Loop.run(work())

    def close_kept(self):
        async def work():
            for end in self.kept:
                Link.reset(end)
            self.kept.clear()
        Loop.run(work())

    # --- carrying
    def tls(self):
        """(for the agent, for the broker): SSL contexts; none: the bytes are carried as they are."""
        return None, None

    async def _listen(self):
        return await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls()[0], limit=2 * SEGMENT)

    async def _accept(self, reader, writer):
        self.accepted += 1
        link = Link(writer)
        self.links.add(link)
        try:
            if self.black_hole:
                link.swallowed = True
            while not link.swallowed and not (self.up.open and self.down.open):
                await asyncio.sleep(LOOK)
            if link.swallowed:
                await self._discard(reader)
                return
            context = self.tls()[1]
            broker_reader, link.broker = await asyncio.open_connection(
                "127.0.0.1", self.to, ssl=context, server_hostname="localhost" if context else None, limit=2 * SEGMENT)
            await asyncio.gather(self._carry(link, self.up, reader, lambda: link.broker),
                                 self._carry(link, self.down, broker_reader, lambda: link.client))
        except (OSError, EOFError):
            pass
        finally:
            self.links.discard(link)
            Link.close(link.client)
            Link.close(link.broker)

    async def _discard(self, reader):
        try:
            while await reader.read(SEGMENT):
                pass
        except OSError:
            pass

    async def _carry(self, link, way, reader, sink):
        """Reads ahead by a few segments only, so that a slow way slows who sends into it."""
        waiting = asyncio.Queue(maxsize=8 if not way.delay else 256)
        deliver = asyncio.ensure_future(self._deliver(link, way, waiting, sink))
        clock = asyncio.get_running_loop().time
        try:
            while data := await self._read(reader):
                await waiting.put((clock() + way.delay, data))
        except OSError:
            pass
        await waiting.put((clock() + way.delay, b""))
        await deliver

    async def _read(self, reader):
        return await reader.read(SEGMENT)

    async def _deliver(self, link, way, waiting, sink):
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await waiting.get()
            if due > clock():
                await asyncio.sleep(due - clock())
            if way.stalls and self.random.random() < way.stalls:
                await asyncio.sleep(way.timeout)
            if way.rate:
                await asyncio.sleep(len(data) / way.rate)
            while not way.open and not link.swallowed:
                await asyncio.sleep(LOOK)
            end = sink()
            if link.swallowed or end is None or end.transport.is_closing():
                if not data:
                    return
                continue
            if not data:
                Link.close(end)
                return
            try:
                self._write(link, way, end, data)
                way.bytes += len(data)
                await end.drain()
            except OSError:
                continue  # until the sender notices

    def _write(self, link, way, end, data):
        end.write(data)


def proxied(trial, make=Proxy, **options):
    """A proxy in front of the edge's uplink: for Case.prepare."""
    trial.proxy = make(trial.fleet.stack.mqtt_port, seed=trial.random.getrandbits(32), **options)
    trial.edge.write_config(mqtt_port=trial.proxy.port)
