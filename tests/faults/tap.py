# SPDX-License-Identifier: Apache-2.0
"""A proxy that ends TLS on both sides: it sees the agent's packets, keeps them, and says them again in its name."""
import ssl

from mqtt import CONNECT, PUBLISH, Splitter, device_tls, parse_publish, parse_will, publish_packet
from proxy import Loop, Proxy

KEPT = 4000  # publishes; a random one goes beyond


class Tap(Proxy):
    """`publishes`: (topic, payload) of all that the agent said, `wills`: of its connections, oldest first."""

    def __init__(self, to, identity=None, hub_dir=None, seed=0):
        self.identity, self.hub_dir = identity, hub_dir
        self.publishes, self.wills = [], []
        self.shuffle = 0  # so many batches at a time go on in another order
        self.batches = []  # that wait for it
        self.shuffled = 0
        self._contexts = None
        super().__init__(to, seed)

    def tls(self):
        if self._contexts is None:
            server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.load_cert_chain(self.hub_dir / "server.pem", self.hub_dir / "server.key")
            self._contexts = server, device_tls(self.identity)
        return self._contexts

    def topic(self, channel):
        return next(topic for topic, _ in self.publishes if topic.endswith("/up/hello"))[:-5] + channel

    def of(self, channel):
        return [one for one in list(self.publishes) if one[0].endswith("/" + channel)]

    def inject(self, messages):
        """Says (topic, payload) upstream on the agent's connection, at QoS 0; how many."""
        async def work():
            for link in self.links:
                if link.broker is not None and not link.swallowed:
                    for topic, payload in messages:
                        link.broker.write(publish_packet(topic, payload))
                    await link.broker.drain()
                    return len(messages)
            return 0
        return Loop.run(work(), 30)

    def _write(self, link, way, end, data):
        if way is not self.up:
            end.write(data)
            return
        if not hasattr(link, "splitter"):
            link.splitter = Splitter()
        for first, body, whole in link.splitter.feed(data):
            self._seen(first, body)
            if self.shuffle and first & 0xF0 == PUBLISH and parse_publish(first, body)[0].endswith("/up/records"):
                self._hold(end, whole)
            else:
                end.write(whole)

    def _seen(self, first, body):
        if first & 0xF0 == CONNECT:
            self.wills += [will for will in [parse_will(body)] if will]
        if first & 0xF0 == PUBLISH:
            self.publishes.append(parse_publish(first, body))
            if len(self.publishes) > KEPT:  # the first hellos stay
                del self.publishes[self.random.randrange(KEPT // 4, KEPT)]

    def _hold(self, end, whole):
        """Batches wait for others, at most a moment, and leave in a random order."""
        self.batches.append((end, whole))
        if len(self.batches) >= self.shuffle:
            self._release()
        elif len(self.batches) == 1:
            Loop.get().call_later(0.15, self._release)

    def _release(self):
        self.shuffled += len(self.batches) if len(self.batches) > 1 else 0
        self.random.shuffle(self.batches)
        for end, whole in self.batches:
            if not end.transport.is_closing():
                end.write(whole)
        self.batches.clear()


def tapped(trial):
    """For Case.prepare."""
    stack = trial.fleet.stack
    trial.proxy = Tap(stack.mqtt_port, trial.edge.identity, stack.hub_dir, trial.random.getrandbits(32))
    trial.edge.write_config(mqtt_port=trial.proxy.port)


