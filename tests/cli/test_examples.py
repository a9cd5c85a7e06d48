# SPDX-License-Identifier: MIT
"""
The examples, run as the README says, and the standalone one built against an installed library.
"""
import os
import shutil
import signal
import sys
import unittest

from programs import BINARY_DIR, SOURCE_DIR, VERSION, TestCase, client, refusing_url, run, running, server

EXAMPLES = os.path.join(BINARY_DIR, "examples")
CMAKE = os.environ["MSGSRV_CMAKE"]
SANITIZE = os.environ["MSGSRV_SANITIZE"]


def example(name):
    return os.path.join(EXAMPLES, f"example-{name}")


class Servers(TestCase):
    def check_sums(self, url):
        self.check(client(url, "add", "40", "2"), 0, "42\n")
        self.check(run(example("client"), url), 0, "5\n")
        self.check(run(example("async-client"), url), 0, "110\n")

    def test_server(self):
        with running(example("server"), "tcp://127.0.0.1:0") as program:
            self.check_sums(program.url)
            self.check(client(program.url, "add", "2147483647", "1"), 11,
                       err="msgsrv-client: Add: OUT_OF_RANGE: 2147483647 + 1 does not fit int32\n")
            self.assertEqual(client(program.url, "echo", "x").status, 12)  # left NULL

    def test_server_that_cannot_listen(self):
        for name in ("server", "deferred", "embedded-server"):
            result = run(example(name), "nonsense")
            self.assertEqual((result.status, result.out), (1, ""))
            self.assertIn("nonsense", result.err)

    def test_deferred(self):
        with running(example("deferred"), "tcp://127.0.0.1:0") as program:
            self.check_sums(program.url)
            self.check(client(program.url, "add", "2147483647", "1"), 11,
                       err="msgsrv-client: Add: OUT_OF_RANGE: the sum does not fit int32\n")
            self.assertEqual(client(program.url, "bench", "--seconds", "0.1").status, 0)
            self.check(program.stop(), 0)

    def test_embedded_server(self):
        with running(example("embedded-server"), "tcp://127.0.0.1:0") as program:
            self.check_sums(program.url)
            self.assertEqual(client(program.url, "bench", "--seconds", "0.1").status, 0)
            result = program.stop(signal.SIGTERM)
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertRegex(result.out, r"\A\d+ sums, and the clock went on\n\Z")


class Both(TestCase):
    def test_streams(self):
        self.check(run(example("streams")), 0, "500500\n")


class Clients(TestCase):
    def test_without_a_server(self):
        with refusing_url() as url:
            result = run(example("client"), url)
            self.check_match(result, 1, "", r"UNAVAILABLE: .+\n")
            result = run(example("async-client"), url)
            self.check_match(result, 1, "", r"(UNAVAILABLE: .+\n){10}")

    def test_plain_python(self):
        try:
            import google.protobuf  # noqa: F401
        except ImportError:
            self.skipTest("no google.protobuf here")
        done = run(os.environ["MSGSRV_PROTOC"], f"--proto_path={SOURCE_DIR}/proto", f"--python_out={self.folder}",
                   "messages.proto")
        self.check(done, 0)
        shutil.copy(os.path.join(SOURCE_DIR, "examples/plain_client.py"), self.folder)
        script = os.path.join(self.folder, "plain_client.py")
        with server() as program:
            port = str(program.port)
            self.check(run(sys.executable, "-B", script, "127.0.0.1", port, "2", "-3"), 0, "-1\n")
            self.check(run(sys.executable, "-B", script, "127.0.0.1", port, "2147483647", "1"), 1,
                       err="the server could not answer\n")


class Standalone(TestCase):
    def test_standalone(self):
        prefix, build = os.path.join(self.folder, "prefix"), os.path.join(self.folder, "build")
        flags = f"-fsanitize={SANITIZE}" if SANITIZE else ""
        done = run(CMAKE, "--install", BINARY_DIR, "--prefix", prefix)
        self.assertEqual(done.status, 0, done)
        done = run(CMAKE, "-S", os.path.join(SOURCE_DIR, "examples/standalone"), "-B", build,
                   "-G", os.environ["MSGSRV_GENERATOR"], f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_FLAGS={flags}",
                   f"-DCMAKE_C_COMPILER={os.environ['MSGSRV_C_COMPILER']}")
        self.assertEqual(done.status, 0, done)
        done = run(CMAKE, "--build", build)
        self.assertEqual(done.status, 0, done)
        self.check(run(os.path.join(build, "greeter")), 0, "Hello, world!\n")
        self.check(run(os.path.join(build, "greeter"), "you"), 0, "Hello, you!\n")
        self.check(run(os.path.join(build, "greeter"), ""), 1, err="INVALID_ARGUMENT: who?\n")
        self.check(run(os.path.join(prefix, "bin", "msgsrv-client"), "--version"), 0, f"msgsrv-client {VERSION}\n")


if __name__ == "__main__":
    unittest.main()
