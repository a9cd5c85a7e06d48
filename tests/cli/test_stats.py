# SPDX-License-Identifier: MIT
"""
msgsrv-client stats: once as text and as JSON, again and again into a pipe, and as a table on a terminal.
"""
import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import unittest

from native import native_server
from programs import CLIENT, ENVIRONMENT, GUARD, TestCase, client, conversation, field, refusing_url, server, varint


class Stats(TestCase):
    """With msgsrv-server."""

    def setUp(self):
        super().setUp()
        self.context = server()
        self.program = self.context.__enter__()
        self.addCleanup(self.context.__exit__, None, None, None)
        self.url = self.program.url

    def make_calls(self):
        client(self.url, "add", "1", "2")
        client(self.url, "add", "2147483647", "1")

    def test_text(self):
        self.make_calls()
        result = client(self.url, "stats")
        self.assertEqual((result.status, result.err), (0, ""))
        lines = [line.rsplit(None, 1) for line in result.out.splitlines() if line]
        numbers = {name.strip(): int(value) for name, value in lines}
        self.assertEqual(len(numbers), len(lines))
        self.assertNotIn(0, numbers.values())
        self.assertEqual(numbers["calls_ended OK"], 1)
        self.assertEqual(numbers["calls_ended OUT_OF_RANGE"], 1)
        self.assertEqual(numbers["connections_accepted"], 3)
        self.assertEqual(numbers["messages.Demo/Add calls_started"], 2)
        self.assertEqual(numbers["messages.Demo/Add calls_ended OUT_OF_RANGE"], 1)
        self.assertNotIn("messages.Demo/Echo calls_started", numbers)

    def test_json(self):
        self.make_calls()
        result = client(self.url, "stats", "--json")
        self.assertEqual((result.status, result.err, result.out.count("\n")), (0, "", 1))
        stats = json.loads(result.out)
        self.assertEqual(stats["calls_ended"], {"OK": 1, "OUT_OF_RANGE": 1})
        self.assertEqual(stats["streams_open"], 0)
        add = stats["methods"]["messages.Demo/Add"]
        self.assertEqual((add["calls_started"], add["calls_open"], add["calls_ended"]), (2, 0, {"OK": 1, "OUT_OF_RANGE": 1}))
        self.assertEqual(sum(add["durations"]), 2)
        self.assertEqual(len(add["durations"]), len(stats["duration_bounds_us"]) + 1)
        self.assertEqual(stats["methods"]["messages.Demo/Chat"]["calls_started"], 0)

    def test_watch_in_a_pipe(self):
        rate = r"(?:-|\d+\.\d)"
        line = (r"uptime_s \d+\.\d  connections 1  calls \d+  open 1  streams 1  calls/s {0}  errors/s {0}  received_B/s {0}  "
                r"sent_B/s {0}  loop_latency_ms \d+\.\d{{3}}").format(rate)
        with conversation(self.url, "stats", "--watch", "--interval", "100ms") as talk:
            first = talk.line()
            self.assertRegex(first, rf"\A{line}\Z")
            self.assertIn("calls/s -", first)
            second = talk.line()
            self.assertRegex(second, rf"\A{line}\Z")
            self.assertNotIn("/s -", second)
            talk.interrupt()
            result = talk.end_without_closing()
            self.assertEqual((result.status, result.err), (0, ""))

    def test_watch_json(self):
        with conversation(self.url, "stats", "--watch", "--interval", "100ms", "--json") as talk:
            uptimes = [json.loads(talk.line())["uptime_ms"] for _ in range(3)]
            self.assertLess(uptimes[0], uptimes[1])
            self.assertLess(uptimes[1], uptimes[2])
            talk.interrupt(signal.SIGTERM)
            self.assertEqual(talk.end_without_closing().status, 0)

    def test_watch_until_the_server_drains(self):
        with conversation(self.url, "stats", "--watch", "--interval", "100ms") as talk:
            self.assertIsNotNone(talk.line())
            self.assertEqual(self.program.stop().status, 0)
            result = talk.end_without_closing()
            self.assertEqual(result.status, 14)
            self.assertRegex(result.err, r"\Amsgsrv-client: stats: UNAVAILABLE: .+\n\Z")

    @contextlib.contextmanager
    def on_terminal(self, columns, rows):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        with os.fdopen(master, "rb", buffering=0) as terminal, subprocess.Popen(
                [CLIENT, "--server", self.url, "stats", "--watch", "--interval", "100ms"], stdin=subprocess.DEVNULL,
                stdout=slave, stderr=subprocess.PIPE, env=ENVIRONMENT) as program:
            os.close(slave)
            try:
                yield terminal, program
            finally:
                program.kill()

    def read_until(self, terminal, pattern):
        seen = b""
        while not re.search(pattern, seen, re.S):
            got = terminal.read(65536)
            self.assertTrue(got, seen)
            seen += got
        return seen.decode()

    @staticmethod
    def lines(text):
        return re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", text).replace("\r", "").split("\n")

    def test_table(self):
        self.make_calls()
        with self.on_terminal(100, 30) as (terminal, program):
            seen = self.read_until(terminal, rb"\x1b\[J.*\x1b\[\d+A.*\x1b\[J")
            self.assertTrue(seen.startswith("\x1b[?25l"), seen)
            first = self.lines(seen.split("\x1b[J")[0])
            self.assertRegex(first[0], rf"\A{re.escape(self.url)}  up 00:00:\d\d\Z")
            self.assertRegex(first[5], r"\AMETHOD +CALLS/S +ERRORS +OPEN +AVG MS +MAX MS\Z")
            self.assertRegex(first[6], r"\Amessages\.Demo/Add +- +1 +0 +- +\d+\.\d{3}\Z")
            self.assertRegex(seen, r"messages\.Demo/Add +0\.0 +1 +0 +- +\d+\.\d{3}")
            self.assertTrue(all(len(line) <= 100 for line in self.lines(seen)))
            program.send_signal(signal.SIGINT)
            self.read_until(terminal, rb"\x1b\[\?25h")
            self.assertEqual(program.wait(GUARD), 0)
            self.assertEqual(program.stderr.read(), b"")

    def test_table_of_a_small_terminal(self):
        self.make_calls()
        with self.on_terminal(40, 4) as (terminal, program):
            seen = self.read_until(terminal, rb"\x1b\[J.*\x1b\[3A.*\x1b\[J")
            lines = self.lines(seen.split("\x1b[J")[0])
            self.assertEqual(len(lines), 4)
            self.assertTrue(all(len(line) <= 40 for line in lines), lines)
            program.send_signal(signal.SIGTERM)
            self.read_until(terminal, rb"\x1b\[\?25h")
            self.assertEqual(program.wait(GUARD), 0)

    def test_table_until_the_server_drains(self):
        with self.on_terminal(80, 24) as (terminal, program):
            self.read_until(terminal, rb"\x1b\[J")
            self.assertEqual(self.program.stop().status, 0)
            self.read_until(terminal, rb"\x1b\[\?25h")
            self.assertEqual(program.wait(GUARD), 14)
            self.assertRegex(program.stderr.read(), rb"\Amsgsrv-client: stats: UNAVAILABLE: .+\n\Z")


class Others(TestCase):
    def test_nobody_listens(self):
        with refusing_url() as url:
            for more in ((), ("--watch",)):
                self.check(client(url, "stats", *more), 14,
                           err=f"msgsrv-client: stats: UNAVAILABLE: connection refused ({url})\n")

    def test_no_info_service(self):
        with native_server({}) as url:
            self.check(client(url, "stats"), 12, err="msgsrv-client: stats: UNIMPLEMENTED: no method "
                       "/msgsrv.info.v1.Info/GetStats\n")

    def test_names_of_a_hostile_server(self):
        method = field(1, b'/a\x1b[2J"\\\xc2\x9b/z') + varint(2 << 3) + varint(1)
        stats = field(1, field(24, method) + field(6, field(1, b"\x1b[2J") + varint(2 << 3) + varint(1)))
        with native_server({"/msgsrv.info.v1.Info/GetStats": lambda body: stats}) as url:
            result = client(url, "stats")
            self.assertEqual((result.status, result.err), (0, ""))
            self.assertRegex(result.out, r'a\?\[2J"\\\?\?/z calls_started +1\n')
            self.assertNotIn("\x1b", result.out)
            self.assertNotIn("\x1b", client(url, "stats", "--json").out)


if __name__ == "__main__":
    unittest.main()
