# SPDX-License-Identifier: Apache-2.0
"""What a release needs, made as people make it: keys, a key list, training data, models, manifests. Files in one folder."""
import json
import math
import os
import random
import subprocess

TENANT = "demo"


class Kit:
    """Keys with `lapwing keys`, models with `lapwing-agent train`, signed with `lapwing model sign`; a hub is told with
    `lapwing-hub keys import` and `lapwing model push`."""

    def __init__(self, stack):
        self.stack, self.dir = stack, stack.dir / "release"
        self.dir.mkdir()
        for name in ("root-1", "root-2", "root-3", "release", "hub"):
            self.new_key(name)

    def run(self, *words, program="lapwing", ok=True, env=None):
        done = subprocess.run([self.stack.bin / program, *map(str, words)], cwd=self.dir, capture_output=True, text=True,
                              check=False, env=env)
        if ok and done.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(map(str, words))}: {done.stderr}{done.stdout}")
        return done

    def hub_client(self, *words, ok=True, url=None):
        """A command of `lapwing` that speaks to the hub's API. url: of one replica, else where people reach the hub."""
        url = url or self.stack.url
        remembered = self.dir / f"login-{url.rpartition(':')[2]}"
        env = {**os.environ, "LAPWING_CONFIG": str(remembered)}
        if not remembered.exists():
            ca = ["--ca", self.stack.hub_dir / "ca.pem"] if self.stack.tls else []
            self.run("login", "--hub", url, *ca, "--token", self.stack.token, env=env)
        return self.run(*words, ok=ok, env=env)

    def push(self, file, manifest, url=None):
        self.hub_client("model", "push", file, "--manifest", manifest, url=url)

    # --- keys
    def new_key(self, name):
        if not (self.dir / f"{name}.key").exists():
            self.run("keys", "new", name)
        return name

    def key_list(self, number=1, releases=("release",), hubs=("hub",), signers=("root-1", "root-3"), expires="365d", out=None):
        out = out or f"keys-{number}.lwk"
        words = [word for root in ("root-1", "root-2", "root-3") for word in ("--root", f"{root}.pub")]
        words += [word for name in releases for word in ("--release", f"{name}.pub")]
        words += [word for name in hubs for word in ("--hub", f"{name}.pub")]
        self.run("keys", "list", *words, "--number", number, "--expires", expires, "--out", out)
        for name in signers:
            self.run("keys", "sign", out, "--key", f"{name}.key")
        return self.dir / out

    # --- models
    def table(self, name="normal.csv", rows=4000, seed=1, temperature=20.0):
        """Normal operation as load.py publishes it: one row a second of a topic's two sensors."""
        source = random.Random(seed)
        lines = ["timestamp,temperature,pressure"]
        lines += [f"{1_700_000_000 + i},{temperature + 3 * math.sin(i / 7) + source.gauss(0, 0.2):.3f},{5 + source.gauss(0, 0.1):.3f}"
                  for i in range(rows)]
        (self.dir / name).write_text("\n".join(lines) + "\n")
        return self.dir / name

    def train(self, out, table, *more):
        self.run("train", table, "--out", out, *more, program="lapwing-agent")
        return self.dir / out

    def sign(self, file, number, model="pumps", tenant=TENANT, key="release", device_class="", out=None):
        out = out or f"{file.name}.{number}.manifest"
        self.run("model", "sign", file, "--key", f"{key}.key", "--model", model, "--number", number, "--tenant", tenant,
                 *(["--class", device_class] if device_class else []), "--out", out)
        return self.dir / out

    def inspect(self, file):
        return json.loads(self.run("model", "inspect", file, "--json", program="lapwing-agent").stdout)
