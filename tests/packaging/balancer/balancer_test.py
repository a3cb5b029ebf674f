#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The balancers' configurations with the real programs: haproxy and nginx, two mosquittos, devices over mutual TLS.

What the replicas say of their readiness is played, so that each state lasts as long as the test wants; with real hubs:
tests/faults/replicas.py.
"""
import os
import re
import time
import unittest

from herd import Device, Identities, Ready, arrivals, cpu_s, established  # first: it says where the others are

from balancer import Balancer
from stack import Stack, free_port, wait_for

HERD = int(os.environ.get("LAPWING_HERD", "60"))  # devices
RATE = int(os.environ.get("LAPWING_HERD_RATE", "20"))  # new connections a second


class Replica:
    """The broker of one, its readiness played."""

    def __init__(self, stack, name, authority=None):
        self.name, self.mqtt_port, self.http_port = name, free_port(), free_port()
        self.dir = stack.dir / name
        stack.make_hub(self.dir, self.mqtt_port, self.http_port, *(["--authority", authority] if authority else []))
        self.broker, _ = stack.add_hub(name, self.dir, self.mqtt_port, None)
        self.ready = Ready(self.dir, self.http_port)

    def start(self):
        self.broker.start()
        self.ready.open()

    def held(self):
        return established(self.mqtt_port)


class WithReplicas(unittest.TestCase):
    engine = None

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.close)
        first = Replica(cls.stack, "hub-1")
        cls.replicas = [first, Replica(cls.stack, "hub-2", first.dir)]
        for replica in cls.replicas:
            replica.start()
            cls.addClassCleanup(replica.ready.close)
        cls.identities = Identities(first.dir, cls.stack.dir / "devices")
        cls.tls = [cls.identities.make(f"edge-{number}") for number in range(HERD)]

    def setUp(self):
        for replica in self.replicas:
            replica.ready.status = 200
            if not replica.broker.running():
                replica.broker.start()
        self.devices_port, self.people_port = free_port(), free_port()
        self.balancer = Balancer(self.stack.dir, self.replicas, self.replicas[0].dir / "ca.pem", self.devices_port, self.people_port,
                                 self.engine, RATE)
        self.balancer.log.unlink(missing_ok=True)
        self.balancer.start()
        self.devices = []
        self.addCleanup(self.balancer.stop)
        self.addCleanup(lambda: [device.close() for device in self.devices])

    def connect(self, count):
        added = [Device(f"edge-{len(self.devices) + n}", self.devices_port, self.tls[len(self.devices) + n]) for n in range(count)]
        self.devices += added
        wait_for(lambda: all(device.here() for device in added), 30, f"{count} devices connect")
        return added

    def wait_held(self, *held):
        wait_for(lambda: tuple(replica.held() for replica in self.replicas) == held, 10, f"connections of the replicas: {held}")

    def line_of(self, device):
        """The balancer's, at the end of a device's connection: it begins with the device's address."""
        port = device.here()
        device.close()
        self.devices.remove(device)
        return wait_for(lambda: next((line for line in self.balancer.log.read_text().splitlines()
                                      if line.startswith(f"127.0.0.1:{port} ")), None), 5, "a line for the device's connection")


class Haproxy(WithReplicas):
    engine = "haproxy"

    def setUp(self):
        super().setUp()
        self.wait_states("UP", "UP")

    def wait_states(self, *states):
        wait_for(lambda: tuple(self.balancer.states().values()) == states, 10, f"replicas as {states}")

    def test_a_replica_that_is_not_ready_keeps_its_devices_and_gets_no_more(self):
        devices = self.connect(6)
        self.wait_held(3, 3)
        self.replicas[0].ready.status = 503
        self.wait_states("NOLB", "UP")
        self.connect(2)
        self.wait_held(3, 5)
        self.assertEqual([device.connects for device in devices], [1] * 6, "nobody was cut off")
        self.replicas[0].ready.status = 200
        self.wait_states("UP", "UP")
        self.connect(2)
        self.wait_held(5, 5)

    def test_a_replica_that_does_not_answer_loses_its_devices_to_the_others_at_once(self):
        self.connect(6)
        self.wait_held(3, 3)
        since = time.monotonic()
        self.replicas[0].ready.close()
        self.wait_states("DOWN", "UP")
        try:
            self.wait_held(0, 6)  # its broker still runs
            self.assertTrue(self.replicas[0].broker.running())
            wait_for(lambda: all(device.here() for device in self.devices), 10, "all are back")
            took = max(device.since for device in self.devices) - since
            self.assertLess(took, 5)
            print(f"haproxy: 3 devices of a hub that is gone are back after {took:.1f} s")
        finally:
            self.replicas[0].ready.open()

    def test_a_broker_that_is_gone_is_passed_over(self):
        self.connect(6)
        self.replicas[1].broker.kill()
        self.wait_held(6, 0)
        self.connect(2)
        self.wait_held(8, 0)

    def test_a_device_is_found_by_address_and_port_in_both_logs(self):
        device = self.connect(1)[0]
        replica = wait_for(lambda: next((one for one in self.replicas if one.held()), None), 5, "its replica")
        line = self.line_of(device)
        match = re.fullmatch(rf"127\.0\.0\.1:\d+ via 127\.0\.0\.1:(\d+) to brokers/{replica.name}, .*, lasted \d+ ms, .*", line)
        self.assertTrue(match, line)
        self.assertEqual(arrivals(replica.broker.log)[device.name], int(match[1]))

    def test_a_herd_waits_in_a_queue(self):
        """The balancer is gone and back: all devices come at once, and it lets in so many a second."""
        self.connect(HERD)
        self.balancer.kill()
        wait_for(lambda: not any(device.here() for device in self.devices), 10, "all are cut off")
        before = sum(device.attempts for device in self.devices)
        used = sum(cpu_s(replica.broker.process.pid) for replica in self.replicas)
        since = time.monotonic()
        self.balancer.start()
        wait_for(lambda: all(device.here() for device in self.devices), 60, "all are back")
        times = sorted(device.since - since for device in self.devices)
        used = sum(cpu_s(replica.broker.process.pid) for replica in self.replicas) - used
        worst = max(sum(1 for one in times if at <= one < at + 1) for at in times)
        print(f"haproxy: a herd of {HERD} at {RATE}/s: all back after {times[-1]:.1f} s, {HERD / times[-1]:.0f} TLS handshakes/s, at most "
              f"{worst} in a second; {1000 * used / HERD:.1f} ms of the brokers' CPU each; "
              f"{sum(device.attempts for device in self.devices) - before} attempts")
        self.assertLessEqual(worst, 2 * RATE, "those of one second and what was under way")
        self.assertGreater(times[-1], HERD / RATE - 1)

    def test_https_goes_through(self):
        self.stack.hub_dir, self.stack.tls, self.stack.http_port = self.replicas[0].dir, True, self.people_port
        self.assertTrue(self.stack.hub_ready())


class Nginx(WithReplicas):
    engine = "nginx"

    def test_devices_are_spread_and_a_broker_that_is_gone_is_passed_over(self):
        self.connect(6)
        self.wait_held(3, 3)
        self.replicas[1].broker.kill()
        self.wait_held(6, 0)
        self.connect(2)
        self.wait_held(8, 0)

    def test_a_replica_marked_down_keeps_its_devices_and_gets_no_more(self):
        devices = self.connect(4)
        self.wait_held(2, 2)
        text = self.balancer.config.read_text()
        self.balancer.config.write_text(text.replace(f"server 127.0.0.1:{self.replicas[0].mqtt_port} ",
                                                     f"server 127.0.0.1:{self.replicas[0].mqtt_port} down "))
        self.balancer.reload()
        self.connect(2)
        self.wait_held(2, 4)
        self.assertEqual([device.connects for device in devices], [1] * 4, "nobody was cut off")

    def test_a_devices_address_is_in_the_log(self):
        device = self.connect(1)[0]
        replica = wait_for(lambda: next((one for one in self.replicas if one.held()), None), 5, "its replica")
        line = self.line_of(device)
        self.assertRegex(line, rf"^127\.0\.0\.1:\d+ to 127\.0\.0\.1:{replica.mqtt_port}, .*, lasted [0-9.]+ s, .*, 200$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
