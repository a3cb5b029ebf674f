# SPDX-License-Identifier: Apache-2.0
"""Talks to libfaulty_disk.so (faulty_disk/), preloaded into a process: power cuts, failing and full disks, by the Nth call."""
import contextlib
import os
import pathlib
import socket
import time

LIBRARY = "libfaulty_disk.so"


def library(bin_dir):
    path = pathlib.Path(os.environ.get("LAPWING_FAULTY_DISK_LIBRARY") or bin_dir / LIBRARY)
    if not path.exists():
        raise RuntimeError(f"{path} is missing: build it with `cmake --build --preset release --target faulty_disk`, or"
                           " name it in LAPWING_FAULTY_DISK_LIBRARY")
    return path


class FaultyDisk:
    """Of one process (a Part) and one folder. `part` has it from its next start on."""

    def __init__(self, part, folder, bin_dir):
        self.part = part
        self.path = f"{part.log.parent / part.name}.disk"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._mine = f"{self.path}-asks"
        pathlib.Path(self._mine).unlink(missing_ok=True)
        self._socket.bind(self._mine)
        # The library is not instrumented: under AddressSanitizer it may come before the runtime.
        asan = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
        part.env.update(LD_PRELOAD=str(library(bin_dir).resolve()), LAPWING_FAULTY_DISK=str(folder),
                        LAPWING_FAULTY_DISK_SOCKET=self.path, ASAN_OPTIONS=asan)

    def at_start(self, command):
        """What the next process is told before its first call; None: nothing."""
        if command:
            self.part.env["LAPWING_FAULTY_DISK_COMMAND"] = command
        else:
            self.part.env.pop("LAPWING_FAULTY_DISK_COMMAND", None)

    def say(self, command):
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:  # answers nobody waited for
                self._socket.recv(4096)
        self._socket.sendto(command.encode(), self.path)

    def answer(self, seconds, what):
        """Of the last command."""
        deadline = time.monotonic() + seconds
        self._socket.settimeout(0.2)
        while True:
            try:
                return self._socket.recv(4096).decode()
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.part.name}: `{what}` did not strike within {seconds} s") from None
                if not self.part.running():
                    raise RuntimeError(f"{self.part.name} ended with {self.part.process.returncode} before `{what}`:\n"
                                       f"{self.part.tail()}") from None

    def ask(self, command, seconds=10):
        self.say(command)
        return self.answer(seconds, command)

    def counters(self):
        words = self.ask("counters").split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def close(self):
        self._socket.close()


def edge_disk(trial):
    """A faulty disk under the edge's data folder; for Case.prepare."""
    trial.disk = FaultyDisk(trial.edge.part, trial.edge.data, trial.fleet.stack.bin)
