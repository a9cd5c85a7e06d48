# SPDX-License-Identifier: MIT
"""
The examples, run as the README says, and the standalone one built against an installed library.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
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


@contextlib.contextmanager
def reading(name, *arguments):
    """An example while it runs, which prints what it gets."""
    with subprocess.Popen([example(name), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def tail(url, *files):
    """The tail client while it runs."""
    return reading("tail-client", url, *files)


class Bus(TestCase):
    def test_in_one_process(self):
        self.check(run(example("bus")), 0, "sensors.kitchen.temperature: 21.5\nsensors.cellar.temperature: 9.0\n")

    def test_sensors(self):
        with server() as program, reading("sensor-subscriber", program.url, "5") as some, \
                reading("sensor-subscriber", program.url) as all_of_them:
            for process in (some, all_of_them):
                self.assertEqual(process.stdout.readline(), "listening\n")
            self.check(run(example("sensor-publisher"), program.url, "12"), 0, "published 12\n")
            lines = [f"sensors.kitchen.temperature: {20 + 0.5 * (i % 10)}\n" for i in range(12)]
            for line in lines[:5]:
                self.assertEqual(some.stdout.readline(), line)
            self.assertEqual((some.wait(), some.stdout.read(), some.stderr.read()), (0, "", ""))
            for line in lines:
                self.assertEqual(all_of_them.stdout.readline(), line)

    def test_sensors_tell_a_server_that_began_anew(self):
        address = f"unix:@msgsrv-example-{os.getpid()}"
        with server(listen=(address,)) as program, reading("sensor-subscriber", program.url) as process:
            self.assertEqual(process.stdout.readline(), "listening\n")
            self.check(run(example("sensor-publisher"), program.url, "1"), 0, "published 1\n")
            self.assertEqual(process.stdout.readline(), "sensors.kitchen.temperature: 20.0\n")
            program.kill()
            with server(listen=(address,)):
                said = {process.stdout.readline(), process.stdout.readline()}
                self.assertIn("listening\n", said)
                self.assertTrue(any(line.startswith("missing here: ") for line in said), said)

    def test_work_queue(self):
        with server() as program:
            result = run(example("work-queue"), program.url)
        self.assertEqual((result.status, result.err), (0, ""), result)
        lines = result.out.splitlines()
        self.assertEqual(lines[-1], "9 jobs, all done")
        crashes = [re.fullmatch(r"job (\d): worker 2 crashes", line) for line in lines]
        crashed = [match.group(1) for match in crashes if match]
        self.assertEqual(len(crashed), 1, result)
        done = sorted(re.fullmatch(r"job (\d): done by (worker [13])(, again)?: 2599\d primes", line).groups()
                      for line in lines[:-1] if "done" in line)
        self.assertEqual([job for job, _, _ in done], [str(i) for i in range(1, 10)], result)
        self.assertEqual([job for job, _, again in done if again], crashed, result)

    def test_without_a_bus(self):
        for name in ("sensor-publisher", "sensor-subscriber", "work-queue"):
            result = run(example(name), "nonsense")
            self.check_match(result, 1, "", r"INVALID_ARGUMENT: .*nonsense.*\n")
        with refusing_url() as url:
            self.check_match(run(example("sensor-publisher"), url), 1, "", "UNAVAILABLE: .+\n")


class Tail(TestCase):
    def setUp(self):
        super().setUp()
        self.shown = os.path.join(self.folder, "shown")
        os.mkdir(self.shown)
        self.write("a.log", "".join(f"old {i}\n" for i in range(12)) + "half")
        self.write("b.log", "")
        with open(os.path.join(self.folder, "secret"), "w") as file:
            file.write("secret\n")
        os.symlink("../secret", os.path.join(self.shown, "link"))

    def write(self, name, text):
        with open(os.path.join(self.shown, name), "a") as file:
            file.write(text)

    def run_server(self):
        return running(example("tail-server"), "tcp://127.0.0.1:0", self.shown)

    def test_follow(self):
        with self.run_server() as program, tail(program.url, "a.log", "b.log") as process:
            for i in range(2, 12):
                self.assertEqual(process.stdout.readline(), f"a.log: old {i}\n")
            self.write("b.log", "first\n\n")
            self.assertEqual(process.stdout.readline(), "b.log: first\n")
            self.assertEqual(process.stdout.readline(), "b.log: \n")
            self.write("a.log", " and whole\n")
            self.assertEqual(process.stdout.readline(), "a.log: half and whole\n")
            # More than the client has credit for, and than is sent at once.
            self.write("b.log", "".join(f"{i} {'x' * 100}\n" for i in range(20000)))
            for i in range(20000):
                self.assertEqual(process.stdout.readline(), f"b.log: {i} {'x' * 100}\n")
            program.kill()
            self.assertEqual(process.wait(), 1)
            self.assertIn("UNAVAILABLE", process.stderr.read())

    def test_what_is_not_shown(self):
        with self.run_server() as program:
            for name in ("../secret", "link", "/etc/passwd", "none", ""):
                result = run(example("tail-client"), program.url, name)
                self.check(result, 1, "", f"PERMISSION_DENIED: no file here: {name}\n")
            os.mkdir(os.path.join(self.shown, "folder"))
            os.mkfifo(os.path.join(self.shown, "pipe"))
            for name in ("folder", "pipe"):
                self.check(run(example("tail-client"), program.url, name), 1, "",
                           f"FAILED_PRECONDITION: cannot open: {name}\n")
        with refusing_url() as url:
            self.check_match(run(example("tail-client"), url, "x"), 1, "", "UNAVAILABLE: .+\n")
        self.check(run(example("tail-server")), 1, err="usage: example-tail-server URL DIRECTORY\n")


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
