# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium driven through chromedriver's W3C WebDriver interface, with the standard library only."""
import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request


class WebDriverError(RuntimeError):
    pass


class Browser:
    """One browser with a fresh profile; a context manager that ends what it started."""

    def __init__(self, width=1360, height=860, dark=False):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._profile = tempfile.mkdtemp(prefix="lapwing-browser-")
        self._driver = subprocess.Popen(["chromedriver", f"--port={self._port}", "--log-level=SEVERE"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        flags = ["--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
                 "--ignore-certificate-errors", "--hide-scrollbars",
                 f"--user-data-dir={self._profile}", f"--window-size={width},{height}"]
        if dark:
            flags.append("--force-dark-mode")
        if os.geteuid() == 0:
            flags.append("--no-sandbox")
        wanted = {"browserName": "chrome", "acceptInsecureCerts": True, "goog:chromeOptions": {"args": flags},
                  "goog:loggingPrefs": {"browser": "ALL"}}
        self._session = None
        self.wait(lambda: self._call("GET", "/status")["ready"], 20, "chromedriver")
        self._session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def _call(self, method, path, body=None):
        url = f"http://127.0.0.1:{self._port}" + (f"/session/{self._session}" if self._session else "") + path
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise WebDriverError(json.load(error)["value"]["message"]) from None
        except OSError as error:
            raise WebDriverError(str(error)) from None

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """Runs JavaScript in the page and returns its value."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def resize(self, width, height):
        self._call("POST", "/window/rect", {"width": width, "height": height})

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self._call("GET", "/screenshot")))

    def console_errors(self):
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})
                if entry["level"] == "SEVERE"]

    def wait(self, condition, seconds, what):
        """Polls an outside process until the condition holds; its last error tells why it never did."""
        deadline = time.monotonic() + seconds
        error = None
        while time.monotonic() < deadline:
            try:
                value = condition()
                if value:
                    return value
            except WebDriverError as problem:
                error = problem
            time.sleep(0.1)
        raise TimeoutError(f"{what}: not within {seconds} s" + (f" ({error})" if error else ""))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if self._session:
                self._call("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(10)
            shutil.rmtree(self._profile, ignore_errors=True)
