# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL server on 127.0.0.1, in a fresh folder, gone with its object."""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from stack import Part, accepts, free_port


def programs():
    """Debian keeps the server's programs by version; the newest one's folder."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("PostgreSQL's server is not installed: packaging/install-packages.sh test")
    return found[-1].parent


class Postgres:
    """The server refuses to run as root: then it runs as the user its package made. `settings`: lines of postgresql.conf."""

    def __init__(self, settings="", port=None, keep=False):
        self.port, self.keep = port or free_port(), keep
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lapwing-postgres-"))
        as_user = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.dir, user.pw_uid, user.pw_gid)
            as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = self.dir / "data"
        made = subprocess.run([*as_user, programs() / "initdb", "-D", data, "-U", "lapwing", "--auth=trust", "--no-sync",
                               "--encoding=UTF8", "--locale=C.UTF-8"], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(f"initdb: {made.stderr}")
        with open(data / "postgresql.conf", "a", encoding="utf-8") as config:
            config.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{self.dir}'\n{settings}\n")
        self.part = Part("postgres", [*as_user, programs() / "postgres", "-D", data], self.dir, self.ready)

    @property
    def url(self):
        return f"postgresql://lapwing@127.0.0.1:{self.port}/postgres"

    def ready(self):
        """Not only that it listens: it may still recover."""
        if not accepts(self.port):
            return False
        asked = subprocess.run([programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False)
        return asked.returncode == 0

    def start(self, wait=60):
        self.part.start(wait)

    def crash(self):
        """As `pg_ctl stop -m immediate`: no checkpoint, connections are cut; it recovers at the next start."""
        self._end(signal.SIGQUIT)
        self.part.kills += 1

    def close(self):
        self._end(signal.SIGINT)  # connections are cut, its files are in order
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def _end(self, number):
        if self.part.running():
            self.part.process.send_signal(number)
            self.part.process.wait(60)
