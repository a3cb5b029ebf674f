# SPDX-License-Identifier: Apache-2.0
"""Row 19 of the fault matrix: certificates that do not hold, on either side, and a device that is revoked."""
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time

from case import Case
from proxy import proxied
from stack import wait_for

CA = """[ca]
default_ca = it
[it]
dir = {dir}
new_certs_dir = {dir}
database = {dir}/index.txt
serial = {dir}/serial
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth,clientAuth
"""


def openssl(*words):
    made = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(f"openssl {words[0]}: {made.stderr}")


class Forge:
    """Makes certificates that a real authority would not."""

    def __init__(self, folder, hub_dir):
        self.dir, self.hub_dir = folder, hub_dir
        folder.mkdir()
        (folder / "index.txt").touch()
        (folder / "serial").write_text("7000")
        (folder / "ca.conf").write_text(CA.format(dir=folder))
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj",
                "/CN=Somebody else", "-keyout", folder / "other.key", "-out", folder / "other.pem")

    def certificate(self, name, common_name, start="20200101000000Z", end="20490101000000Z", other=False, host="localhost"):
        """(certificate, key)."""
        key, request, made = (self.dir / f"{name}.{end}" for end in ("key", "csr", "pem"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=" + common_name.replace("/", "\\/"), "-addext", f"subjectAltName=DNS:{host}", "-keyout", key,
                "-out", request)
        ca = (self.dir / "other.pem", self.dir / "other.key") if other else (self.hub_dir / "ca.pem", self.hub_dir / "ca.key")
        openssl("ca", "-batch", "-notext", "-config", self.dir / "ca.conf", "-cert", ca[0], "-keyfile", ca[1],
                "-startdate", start, "-enddate", end, "-in", request, "-out", made)
        return made, key


class Imposter:
    """A TLS server that shows a certificate and says nothing."""

    def __init__(self, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                client.settimeout(2)
                self.context.wrap_socket(client, server_side=True).close()
            except OSError:
                client.close()

    def close(self):
        self.listener.close()


def prepare(trial):
    proxied(trial)
    trial.forge = Forge(trial.edge.dir / "forge", trial.fleet.stack.hub_dir)
    trial.beside = trial.fleet.edge(f"{trial.edge.name}-beside")  # whom all this must not touch
    trial.beside.start()
    trial.beside.wait_moved_on()


# --- what is wrong, and words that the remedy must have
def device_expired(trial):
    files = trial.forge.certificate("expired", f"demo/{trial.edge.name}", end="20210101000000Z")
    return install(trial, *files), ("expired", "enrol", "clock")


def device_of_another_authority(trial):
    files = trial.forge.certificate("stranger", f"demo/{trial.edge.name}", other=True)
    return install(trial, *files), ("authority", "enrol")


def wrong_ca_file(trial):
    ca = trial.edge.identity / "ca.pem"
    kept = ca.read_bytes()
    shutil.copy(trial.forge.dir / "other.pem", ca)
    return lambda: ca.write_bytes(kept), ("not signed by", "wrong CA file")


def server(**how):
    def begin(trial):
        imposter = Imposter(*trial.forge.certificate("server", "localhost", **how))
        trial.edge.write_config(mqtt_port=imposter.port)

        def mend():
            trial.edge.write_config(mqtt_port=trial.proxy.port)
            imposter.close()
        return mend
    return begin


def server_expired(trial):
    return server(end="20210101000000Z")(trial), ("expired", "clock")


def server_of_the_future(trial):
    return server(start="20480101000000Z")(trial), ("not valid yet", "clock")


def server_of_another_authority(trial):
    return server(other=True)(trial), ("not signed by", "CA file")


def server_of_another_name(trial):
    return server(host="elsewhere.example")(trial), ("another host than localhost",)


def install(trial, certificate, key):
    """In the place of the device's own; returns what puts those back."""
    identity = trial.edge.identity
    kept = {name: (identity / name).read_bytes() for name in ("device.pem", "device.key")}
    shutil.copy(certificate, identity / "device.pem")
    (identity / "device.key").write_bytes(key.read_bytes())

    def put_back():
        for name, data in kept.items():
            (identity / name).write_bytes(data)
    return put_back


REFUSED = (device_expired, device_of_another_authority, wrong_ca_file, server_expired, server_of_the_future,
           server_of_another_authority, server_of_another_name)


def refused(trial, fault):
    """TLS must refuse, the agent must say why and what to do, keep its records, and go on once all is well."""
    edge = trial.edge
    edge.stop()
    mend, words = fault(trial)
    before = edge.hub.watermark()[1]
    edge.start()
    since = time.monotonic()

    def told():
        problem = edge.status()["uplink"]["problem"]
        return problem if all(word in problem for word in words) else None
    try:
        wait_for(told, 20, f"{fault.__name__}: a remedy with {words}")
        trial.sample("told s", time.monotonic() - since)
    except TimeoutError as error:
        trial.problem(f"{error}, but: {edge.status()['uplink']['problem']}")
    if edge.hub.watermark()[1] != before:
        trial.problem(f"{fault.__name__}: records came through")
    trial.count("refused and told")
    edge.stop()
    mend()
    edge.start()


def revoked(trial):
    """From the hub's answer on, nothing more of this device is stored; enrolled again, it goes on where it was."""
    edge, stack = trial.edge, trial.fleet.stack
    since = time.monotonic()
    stack.fetch(f"/api/v1/devices/{edge.name}/revoke", {})
    stored = edge.hub.watermark()[1]
    trial.sample("cut off s", time.monotonic() - since)
    time.sleep(1)
    if (after := edge.hub.watermark()[1]) != stored:
        trial.problem(f"{after - stored} records were stored after the device was revoked")
    edge.stop()
    edge.start()  # on a new connection it hears why
    wait_for(lambda: "revoked" in edge.status()["uplink"]["problem"], 10, f"{edge.name}: told that it is revoked")
    trial.count("revoked")
    enrol_again(trial)


def enrol_again(trial):
    edge, stack = trial.edge, trial.fleet.stack
    edge.stop()
    token = stack.fetch("/api/v1/enrolments", {"device": edge.name, "expires_in_s": 600})["token"]
    made = subprocess.run([stack.bin / "lapwing-agent", "enrol", "--hub", stack.url, "--token", token, "--dir", edge.identity,
                           "--replace"], capture_output=True, text=True, check=False, env={**os.environ, **edge.part.env})
    if made.returncode:
        raise RuntimeError(f"enrol --replace: {made.stderr}{made.stdout}")
    edge.start()


def revoked_live(trial):
    """The session of a running agent ends, and it may not come back until it is enrolled again; another notices nothing."""
    edge, stack, beside = trial.edge, trial.fleet.stack, trial.beside
    began = time.monotonic()
    before = beside.status()["uplink"]
    since = time.monotonic()
    stack.fetch(f"/api/v1/devices/{edge.name}/revoke", {})
    wait_for(lambda: not edge.status()["uplink"]["connected"], 10, f"{edge.name}: its session ends")
    ended = time.monotonic() - since
    wait_for(lambda: "revoked" in edge.status()["uplink"]["problem"], 40, f"{edge.name}: told that it is revoked")
    stored = edge.hub.watermark()[1]
    trial.sample("session ended s", ended)
    if ended > 5:
        trial.problem(f"{edge.name}: its session lived {ended:.1f} s after it was revoked")
    if not (before["connected"] and beside.status()["uplink"]["connected"]):
        trial.problem(f"{beside.name} lost its connection")
    if (after := edge.hub.watermark()[1]) != stored:
        trial.problem(f"{after - stored} records were stored after the device was revoked")
    trial.count("sessions ended")
    enrol_again(trial)
    trial.recovered(began)
    beside.wait_moved_on(10)


def certificates(trial):
    step = (trial.done * trial.case.edges + int(trial.edge.name[-1]) - 1) % (len(REFUSED) + 1)
    since = time.monotonic()
    if step < len(REFUSED):
        refused(trial, REFUSED[step])
    else:
        revoked(trial)
    trial.recovered(since)
    trial.beside.wait_moved_on(10)


CASES = [Case("certificates", "19", 24, "expired, of another authority, of another host, revoked", certificates, prepare,
              edges=3),
         Case("revoked-live", "19", 12, "revoked while connected", revoked_live, prepare)]
