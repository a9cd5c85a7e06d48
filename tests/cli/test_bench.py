# SPDX-License-Identifier: MIT
"""
msgsrv-client bench: short runs, and runs that go wrong.
"""
import json
import os
import pty
import signal
import subprocess
import unittest

from programs import CLIENT, ENVIRONMENT, GUARD, TestCase, client, field, peer, server


class Bench(TestCase):
    def bench(self, url, *arguments):
        result = client(url, "bench", "--json", "--seconds", "0.2", *arguments)
        self.assertEqual((result.status, result.err), (0, ""))
        return json.loads(result.out)

    def test_add(self):
        with server() as program:
            report = self.bench(program.url)
        self.assertEqual((report["method"], report["connections"], report["outstanding"]), ("add", 1, 16))
        self.assertEqual((report["seconds"], report["failed"], report["wrong"]), (0.2, {}, 0))
        self.assertNotIn("payload", report)
        self.assertGreater(report["calls"], 0)
        self.assertAlmostEqual(report["calls_per_second"], report["calls"] / 0.2, delta=0.1)
        latency = report["latency_us"]
        self.assertTrue(0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"],
                        latency)

    def test_connections(self):
        with server("--stats", "--json") as program:
            report = self.bench(program.url, "--connections", "3", "--outstanding", "5")
            stats = json.loads(program.stop().err)
        self.assertGreater(report["calls"], 0)
        self.assertEqual(stats["connections_accepted"], 3)
        self.assertGreaterEqual(stats["calls_ended"]["OK"], report["calls"] + 3)

    def test_echo(self):
        with server() as program:
            for payload, size in (("0", 0), ("1", 1), ("100", 100), ("256KiB", 262144)):
                report = self.bench(program.url, "--method", "echo", "--payload", payload, "--outstanding", "4")
                self.assertEqual((report["method"], report["payload"], report["wrong"]), ("echo", size, 0))
                self.assertGreater(report["calls"], 0)

    def test_text(self):
        with server() as program:
            result = client(program.url, "bench", "--seconds", "0.1")
        ms = r"\d+\.\d{3} ms"
        self.check_match(result, 0, "method       add\nconnections  1, each with 16 calls open\n"
                         r"calls        \d+ in 0\.100 s: \d+/s" "\nfailed       0, wrong 0\n"
                         f"latency      p50 {ms}, p90 {ms}, p99 {ms}, p99.9 {ms}, max {ms}\n", "")

    def test_progress_on_a_terminal_only(self):
        terminal, program_side = pty.openpty()
        with server() as program, os.fdopen(terminal, "rb", buffering=0) as screen:
            process = subprocess.Popen([CLIENT, "--server", program.url, "bench", "--seconds", "1.2", "--json"],
                                       stdout=subprocess.PIPE, stderr=program_side, env=ENVIRONMENT)
            os.close(program_side)
            shown = b""
            try:
                while got := screen.read(4096):
                    shown += got
            except OSError:  # the terminal's other side is closed
                pass
            out, _ = process.communicate(timeout=GUARD)
        self.assertEqual(process.returncode, 0)
        self.assertGreater(json.loads(out)["calls"], 0)
        self.assertRegex(shown.decode(), r"\r +1 s: \d+ calls/s, 0 failed")

    def test_a_server_that_goes_away_meanwhile(self):
        with server("--stats", "--json") as program:
            process = subprocess.Popen([CLIENT, "--server", program.url, "bench", "--seconds", "3600", "--json"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
            calls, seen = 0, 0
            while calls < 100:
                program.send(signal.SIGUSR1)
                line, seen = program.wait_for_line(r"^\{", seen)
                calls = json.loads(line)["calls_started"]
            self.assertEqual(program.stop().status, 0)
            out, err = process.communicate(timeout=GUARD)
        self.assertEqual(process.returncode, 14)
        report = json.loads(out)
        self.assertGreater(report["calls"], 0)
        self.assertEqual(report["failed"], {"UNAVAILABLE": 16})
        self.assertLess(report["seconds"], 3600)
        self.assertRegex(err.decode(), r"\Amsgsrv-client: bench: 16 calls failed: UNAVAILABLE: .+ \(tcp://.+\)\n\Z")

    def test_a_message_over_the_servers_limit(self):
        with server("--max-message", "1000") as program:
            result = client(program.url, "bench", "--seconds", "0.2", "--method", "echo", "--payload", "2000")
        self.check_match(result, 8, "", r"msgsrv-client: bench: RESOURCE_EXHAUSTED: .+\n")

    def test_wrong_answers_are_noticed(self):
        def answer(connection):
            """Answers every call with -1, which is no sum of the bench's, as an End with its id and a body."""
            data = b""
            while got := connection.recv(65536):
                data += got
                while len(data) > 3 and len(data) >= 3 + data[2]:
                    frame, data = data[3:3 + data[2]], data[3 + data[2]:]
                    connection.sendall(field(18, b"\x08" + self.call_id(frame) + field(15, b"\x08" + b"\xff" * 9 + b"\x01")))
        with peer(answer) as url:
            result = client(url, "bench", "--seconds", "0.1", "--outstanding", "2", "--json")
        self.assertEqual(result.status, 15, result)
        report = json.loads(result.out)
        self.assertGreater(report["wrong"], 0)
        self.assertEqual(report["calls"], 0)
        self.assertRegex(result.err, r"\Amsgsrv-client: bench: DATA_LOSS: \d+ answers are not what was asked for ")

    @staticmethod
    def call_id(frame):
        """The id, as a varint, of a Call, of which it is the first field."""
        assert frame[0] == 0x08
        end = 1
        while frame[end] & 0x80:
            end += 1
        return frame[1:end + 1]


if __name__ == "__main__":
    unittest.main()
