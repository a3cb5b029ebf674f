# SPDX-License-Identifier: Apache-2.0
"""Row 20 of the fault matrix: payloads made to harm, at the agent's intake and at the hub's."""
import ctypes
import struct
import time

import load
from case import Case
from mqtt import Client
from stack import wait_for
from tap import tapped

MIB = 1 << 20
POISON_TOPIC = "poison/{}"


# --- on the agent's intake
def bad_payloads(draw, count):
    """JSON that no sensor sends. Every one must be refused and counted, none may be taken for a number."""
    made = []
    for _ in range(count):
        kind = draw.randrange(10)
        if kind == 0:
            made.append(draw.randbytes(draw.randrange(1, 300)).replace(b"{", b"\xff") + b"\xff")
        elif kind == 1:
            made.append(b'{"x": %s}' % draw.choice([b"NaN", b"Infinity", b"-Infinity", b"nan", b"1e400", b"-1e999999", b"0x10"]))
        elif kind == 2:
            made.append(b'{"x": "\xff\xfe\xc0\x80"}')
        elif kind == 3:
            depth = draw.choice([17, 100, 1000, 100000])
            made.append(draw.choice([b'{"a":' * depth + b"1" + b"}" * depth, b"[" * depth + b"1" + b"]" * depth, b"[" * depth]))
        elif kind == 4:
            made.append(b'{"x": ' + b"9" * draw.choice([400, 5000, 100000]) + b"}")
        elif kind == 5:
            good = bytearray(b'{"temperature": 20.125, "pressure": 5.250}')
            good[draw.randrange(len(good))] = draw.choice(b"\x00\x1f\x80\xff")
            made.append(bytes(good))
        elif kind == 6:
            made.append(b'{"temperature": 20.125, "pre'[:draw.randrange(1, 27)])
        elif kind == 7:
            made.append(b"{" + b",".join(b'"f%d":1' % n for n in range(5000)) + b"}")
        elif kind == 8:
            made.append(b'{"time": "9999-99-99T99:99:99Z", "x": ')
        else:
            made.append(draw.choice([b"", b"null", b'"text"', b"{}", b"[]", b'{"x": null}', b"\x00" * 100, b"LW\x01\x01"]))
    return made


def poison_intake(trial):
    edge, draw = trial.edge, trial.random
    payloads = bad_payloads(draw, 300)
    refused = edge.metric("lapwing_quarantine_total")
    site = load.connect(trial.fleet.stack.site_port)
    for payload in payloads:
        site.sendall(load.publish(POISON_TOPIC.format(edge.name) + f"/{draw.randrange(4)}", payload))
    site.close()
    since = time.monotonic()
    try:
        wait_for(lambda: edge.metric("lapwing_quarantine_total") >= refused + len(payloads), 15, "every payload is quarantined")
    except TimeoutError as error:
        counted = edge.metric("lapwing_quarantine_total") - refused
        trial.problem(f"run {trial.done + 1}: {error}: {counted:.0f} of {len(payloads)}")
    trial.count("executions", len(payloads))
    trial.recovered(since)


# --- on the hub's
def zstd_frame(size, told=None, block=128 * 1024):
    """A frame of `size` equal bytes in a few: 4 for each 128 KiB. told: the size that its header claims."""
    blocks = bytearray()
    left = size
    while left > 0:
        now = min(block, left)
        left -= now
        blocks += struct.pack("<I", now << 3 | 1 << 1 | (0 if left else 1))[:3] + b"\0"
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size if told is None else told) + bytes(blocks)


def unpacked(frame):
    """A frame's body, by the library that both programs are linked with; None where that is missing."""
    try:
        zstd = ctypes.CDLL("libzstd.so.1")
    except OSError:
        return None
    if frame[3] == 0:
        return frame[4:]
    room = ctypes.create_string_buffer(8 * MIB)
    zstd.ZSTD_decompress.restype = ctypes.c_size_t
    got = zstd.ZSTD_decompress(room, ctypes.c_size_t(len(room)), frame[4:], ctypes.c_size_t(len(frame) - 4))
    return room.raw[:got] if got <= len(room) else None


def flipped(draw, data):
    data = bytearray(data)
    for _ in range(draw.choice([1, 1, 1, 2, 8])):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def bad_frames(draw, real, count):
    """From noise to what is nearly right. (frame, whether it cannot be taken for a good one)."""
    made = []
    for _ in range(count):
        kind, frame = draw.randrange(8), draw.choice(real)
        body = unpacked(frame)
        if kind == 0:
            made.append((draw.randbytes(draw.randrange(0, 2000)), True))
        elif kind == 1:
            made.append((b"LW\x01" + bytes([draw.randrange(256)]) + draw.randbytes(draw.randrange(0, 500)), True))
        elif kind == 2:
            made.append((frame[:draw.randrange(len(frame))], frame[3] == 1))
        elif kind == 3:
            bomb = draw.choice([zstd_frame(8 * MIB), zstd_frame(1 << 30), zstd_frame(8 * MIB, told=1000),
                                zstd_frame(64, told=1 << 62), zstd_frame(0, told=8 * MIB)])
            made.append((b"LW\x01\x01" + bomb, True))
        elif kind == 4:
            made.append((flipped(draw, frame), False))
        elif body and kind == 5:  # a flip behind all checksums: in the tables, maybe only in a number
            made.append((b"LW\x01\0" + flipped(draw, body), False))
        elif body and kind == 6:
            made.append((b"LW\x01\0" + body[:8] + draw.randbytes(len(body) - 8), True))
        else:
            made.append((b"LW\x01\0" + draw.randbytes(draw.randrange(0, 3000)), True))
    return made


def dead_letters(trial, device):
    return trial.edge.hub.one("SELECT count(*) FROM dead_letters WHERE device = ?", device)[0]


def poison_hub(trial):
    """A device with a good certificate says bad things on each of its channels, and the agent's own connection carries some."""
    stack, tap, draw = trial.fleet.stack, trial.proxy, trial.random
    real = [payload for _, payload in tap.publishes[-200:]]
    before, certain = dead_letters(trial, trial.stranger), 0
    said = 0
    with Client(stack.mqtt_port, trial.stranger, trial.stranger_identity) as client:
        for frame, told in bad_frames(draw, real, 150):
            channel = draw.choice(["hello", "records", "report", "status", "status", "fetch", "nonsense", "records/deeper"])
            client.publish(f"lapwing/v1/demo/{trial.stranger}/up/{channel}", frame)
            said += 1
            certain += told and channel in ("hello", "records", "report", "status")
    since = time.monotonic()
    garbage = [(tap.topic(draw.choice(["records", "report", "status", "hello"])), frame)
               for frame, told in bad_frames(draw, real, 60) if told]
    wait_for(lambda: tap.inject(garbage), 20, "a connection")
    trial.recovered(since)
    try:
        wait_for(lambda: dead_letters(trial, trial.stranger) >= before + certain, 15, "dead letters")
    except TimeoutError as error:
        trial.problem(f"run {trial.done + 1}: {error}: {dead_letters(trial, trial.stranger) - before} of {certain}")
    trial.count("executions", said + len(garbage))
    trial.count("dead letters", certain + len(garbage))


def prepare(trial):
    """A source that hears what else nobody does, and a device of the hub's that has no agent."""
    edge = trial.edge
    tapped(trial)
    edge.write_config(topics=f'"load/#", "{POISON_TOPIC.format(edge.name)}/#"')
    trial.stranger = f"{edge.name}-stranger"
    trial.stranger_identity = trial.fleet.identity(trial.stranger)


def poison(trial):
    agent, hub = trial.edge.part.process, trial.fleet.stack.hub.process
    (poison_intake, poison_hub)[trial.done % 2](trial)
    if agent.poll() is not None or hub.poll() is not None:
        trial.problem(f"run {trial.done + 1}: a process ended")


CASES = [Case("poison", "20", 40, "noise, NaN, bad UTF-8, deep JSON, bombs, flipped frames at both intakes", poison, prepare, edges=2)]
