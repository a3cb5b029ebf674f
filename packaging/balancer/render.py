#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fills in a balancer's configuration: the example beside this file, with your replicas in it, on stdout.

    render.py haproxy --replica hub-1=10.0.0.11 --replica hub-2=10.0.0.12 --name hub.example.org --ca /etc/lapwing/ca.pem

A replica is NAME=HOST[:MQTT_PORT[:HTTPS_PORT]], 8883 and 8443 by default.
"""
import argparse
import pathlib
import re
import sys

FILES = {"haproxy": "haproxy.cfg", "nginx": "nginx.conf"}


def replica(text):
    match = re.fullmatch(r"([A-Za-z0-9_.-]+)=([A-Za-z0-9_.-]+)(?::(\d+))?(?::(\d+))?", text)
    if not match:
        raise argparse.ArgumentTypeError(f'"{text}": NAME=HOST[:MQTT_PORT[:HTTPS_PORT]] is wanted')
    name, host, mqtt, https = match.groups()
    return name, host, int(mqtt or 8883), int(https or 8443)


def replaced(text, pattern, by, times):
    """Every promise of the example is there to be kept: a pattern that does not match is a bug here."""
    text, count = re.subn(pattern, by, text, flags=re.MULTILINE)
    if count != times:
        raise ValueError(f"{pattern}: {count} times in the example, {times} expected")
    return text


def servers(text, brokers, apis):
    """The example's two runs of lines `server` become these."""
    runs = iter((brokers, apis))

    def lines(match):
        return "".join(f"{match.group(1)}{line}\n" for line in next(runs))

    return replaced(text, r"(?:^( +)server (?:hub-|10\.).*\n)+", lines, 2)


def haproxy(text, options):
    text = servers(text, [f"server {name} {host}:{mqtt} port {https}" for name, host, mqtt, https in options.replica],
                   [f"server {name} {host}:{https}" for name, host, _, https in options.replica])
    text = replaced(text, r"hub\.example\.org", options.name, 2)
    text = replaced(text, r"/etc/lapwing/ca\.pem", options.ca, 1)
    text = replaced(text, r"bind :8883", f"bind {options.devices}", 1)
    text = replaced(text, r"bind :8443", f"bind {options.people}", 1)
    text = replaced(text, r"rate-limit sessions \d+", f"rate-limit sessions {options.rate}", 1)
    return replaced(text, r"/run/haproxy/admin\.sock", options.run or "/run/haproxy/admin.sock", 1)


def nginx(text, options):
    limits = "max_fails=1 fail_timeout=5s;"
    text = servers(text, [f"server {host}:{mqtt} {limits}  # {name}" for name, host, mqtt, _ in options.replica],
                   [f"server {host}:{https} {limits}  # {name}" for name, host, _, https in options.replica])
    text = replaced(text, r"listen 8883", f"listen {options.devices.removeprefix(':')}", 1)
    text = replaced(text, r"listen 8443", f"listen {options.people.removeprefix(':')}", 1)
    return replaced(text, r"/run/lapwing-nginx\.pid", options.run or "/run/lapwing-nginx.pid", 1)


def render(engine, options):
    """The configuration's text."""
    example = pathlib.Path(__file__).with_name(FILES[engine]).read_text(encoding="utf-8")
    return {"haproxy": haproxy, "nginx": nginx}[engine](example, options)


def parse(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=FILES)
    parser.add_argument("--replica", type=replica, action="append", required=True, metavar="NAME=HOST[:MQTT[:HTTPS]]")
    parser.add_argument("--name", default="hub.example.org", help="what the replicas' certificates were made for (init --host); haproxy")
    parser.add_argument("--ca", default="/etc/lapwing/ca.pem", help="the authority's certificate, a hub's ca.pem; haproxy")
    parser.add_argument("--devices", default=":8883", metavar="[ADDRESS]:PORT", help="where devices come in")
    parser.add_argument("--people", default=":8443", metavar="[ADDRESS]:PORT", help="where HTTPS comes in")
    parser.add_argument("--rate", type=int, default=400, help="new connections of devices in a second; haproxy")
    parser.add_argument("--run", help="path of haproxy's socket for operators, of nginx's process id")
    return parser.parse_args(words)


if __name__ == "__main__":
    chosen = parse()
    sys.stdout.write(render(chosen.engine, chosen))
