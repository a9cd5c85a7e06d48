# SPDX-License-Identifier: MIT
"""What the parts of the benchmark share: servers as processes of their own, and targets."""

import os
import re
import signal
import subprocess
import tempfile
import time

START_TIMEOUT_S = 15
STOP_TIMEOUT_S = 5


class Failure(Exception):
    """The benchmark did not work; nothing is known of the figures."""


def stop(process, signo=signal.SIGTERM):
    """Ends a process that we started, and waits for it."""
    if process.poll() is None:
        process.send_signal(signo)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(STOP_TIMEOUT_S)


def wait_for(what, timeout_s, ready):
    """Polls until ready() gives something true."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = ready()
        if value:
            return value
        time.sleep(0.005)
    raise Failure(f"timed out: {what}")


class Server:
    """A server process, pinned, from its start to its end."""

    def __init__(self, name, command, bench, env=None):
        self.log = tempfile.TemporaryFile("w+")
        self.name = name
        self.process = subprocess.Popen(
            bench.pinned(bench.server_cpu, command), stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})
        try:
            self.address = wait_for(f"{name} to listen", START_TIMEOUT_S, self.find_address)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self):
        return self.process.pid

    def read_log(self):
        return os.pread(self.log.fileno(), 65536, 0).decode(errors="replace")

    def find_address(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended with {self.process.returncode}: {self.read_log()}")
        found = re.search(r"\b127\.0\.0\.1:[1-9]\d*(?=\D)", self.read_log())
        return found and "tcp://" + found.group()

    def close(self):
        stop(self.process)
        self.log.close()

    def status_kb(self, key):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(rf"^{key}:\s+(\d+) kB", status.read(), re.M).group(1))


def check_load(result):
    if result["errors"] or not result["requests"]:
        raise Failure(f"wrong or no answers: {result}")
    return result


def check(what, value, target, slack=0.0):
    """A figure that should be at most its target."""
    verdict = "PASS" if value <= target + slack else "short"
    return {"what": what, "value": value, "target": target, "sign": "<=", "verdict": verdict}


def check_least(what, value, target):
    """A figure that should be at least its target."""
    verdict = "PASS" if value >= target else "short"
    return {"what": what, "value": value, "target": target, "sign": ">=", "verdict": verdict}


def show_check(result):
    print(f"  {result['what']}: {result['value']:,.4g}"
          f"   {result['sign']} {result['target']:,.4g} {result['verdict']}")
