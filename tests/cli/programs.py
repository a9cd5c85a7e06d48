# SPDX-License-Identifier: MIT
"""
What the tests of the programs share: running the client, running a server until a test is over, and peers that are
something else than a server. Nothing here waits for a time; the timeouts only end a test that hangs.
"""
import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

SERVER = os.environ["MSGSRV_SERVER_PROGRAM"]

# ThreadSanitizer puts a signal off until the program calls something that it watches. One that comes just before a wait is so
# delivered only when another one ends the wait; in a build without it none was ever lost (1,500 tries).
with open(SERVER, "rb") as _program:
    SIGNALS_MAY_WAIT = b"__tsan_init" in _program.read()
CLIENT = os.environ["MSGSRV_CLIENT_PROGRAM"]
SOURCE_DIR = os.environ["MSGSRV_SOURCE_DIR"]
BINARY_DIR = os.environ["MSGSRV_BINARY_DIR"]
VERSION = os.environ["MSGSRV_VERSION"]
GUARD = int(os.environ.get("MSGSRV_TEST_GUARD", "120"))  # seconds

# What the library says of a text that is none.
NOT_UTF8 = "messages.EchoMessage.text: the string is not valid UTF-8; use a bytes field for such data"

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "MSGSRV_SERVER"}


class Result:
    """How a program ended."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return f"status {self.status}, out {self.out!r}, err {self.err!r}"


def run(*command, stdin=b"", env=None, **more):
    """Runs a program to its end. Texts are decoded unless they are not UTF-8."""
    if "stdout" not in more:
        more["stdout"] = subprocess.PIPE
    if not hasattr(stdin, "fileno"):
        more["input"] = stdin
    else:
        more["stdin"] = stdin
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=GUARD, env={**ENVIRONMENT, **(env or {})}, **more)
    out = done.stdout or b""
    return Result(done.returncode, out.decode("utf-8", "surrogateescape"), done.stderr.decode())


@contextlib.contextmanager
def broken_pipe():
    """The end to write to of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as broken:
        yield broken


def client(url, *arguments, **more):
    """Runs msgsrv-client against a server, or with url None without naming one."""
    return run(CLIENT, *(["--server", url] if url else []), *arguments, **more)


class Running:
    """A program that runs until told to end, and announces where it listens."""

    def __init__(self, *command, addresses=1):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=ENVIRONMENT)
        self.lines = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        self.urls = []
        for _ in range(addresses):
            line = self.process.stdout.readline().decode()
            if not line.startswith("listening on "):
                self.kill()
                raise AssertionError(f"no address but {line!r}; {self.lines}")
            self.urls.append(line[len("listening on "):].rstrip("\n"))
        self.url = self.urls[0] if self.urls else None

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.decode().rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.lines.append(None)
            self.changed.notify_all()

    def wait_for_line(self, pattern, first=0):
        """Waits for a line of standard error that the pattern matches. Returns it and the index behind it."""
        with self.changed:
            while True:
                for i in range(first, len(self.lines)):
                    if self.lines[i] is None:
                        raise AssertionError(f"ended without {pattern!r}: {self.lines}")
                    if re.search(pattern, self.lines[i]):
                        return self.lines[i], i + 1
                first = len(self.lines)
                if not self.changed.wait(GUARD):
                    raise AssertionError(f"no {pattern!r}: {self.lines}")

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def send(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Waits for the end. Standard error is what it wrote there, all of it."""
        status = self.process.wait(GUARD)
        self.reader.join(GUARD)
        out = self.process.stdout.read().decode()
        return Result(status, out, "".join(line + "\n" for line in self.lines if line is not None))

    def stop(self, number=signal.SIGTERM):
        self.send(number)
        while SIGNALS_MAY_WAIT:
            try:
                self.process.wait(2)
                break
            except subprocess.TimeoutExpired:
                self.send(number)
        return self.wait()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()


@contextlib.contextmanager
def running(*command, addresses=1):
    program = Running(*command, addresses=addresses)
    try:
        yield program
    finally:
        program.kill()


def server(*arguments, listen=("tcp://127.0.0.1:0",)):
    """msgsrv-server, for a with statement."""
    listens = [word for url in listen for word in ("--listen", url)]
    return running(SERVER, *listens, *arguments, addresses=len(listen))


@contextlib.contextmanager
def refusing_url():
    """An address at which nobody listens, and nobody else will: the port stays bound."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{bound.getsockname()[1]}"


@contextlib.contextmanager
def peer(answer):
    """Something that accepts connections and calls answer(connection) for each, until the test is over."""
    stopping = False
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            while True:
                connection, _ = listener.accept()
                with connection:
                    if stopping:
                        return
                    with contextlib.suppress(OSError):
                        answer(connection)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopping = True
            socket.create_connection(listener.getsockname()).close()
            thread.join()


def connect(url):
    """A plain socket to a server's address."""
    if url.startswith("unix:@"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect("\0" + url[len("unix:@"):])
    elif url.startswith("unix://"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(url[len("unix://"):])
    else:
        connection = socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])))
    connection.settimeout(GUARD)
    return connection


def read_all(connection):
    """Reads to the end of the peer's output."""
    data = bytearray()
    while True:
        got = connection.recv(1 << 20)
        if not got:
            return bytes(data)
        data += got


def varint(value):
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(data) + bytes([value])


def field(number, body):
    """A protobuf field of wire type 2."""
    return varint(number << 3 | 2) + varint(len(body)) + body


class TestCase(unittest.TestCase):
    """With a folder of its own, and one assertion for how a program ended."""

    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="msgsrv-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def check(self, result, status, out="", err=""):
        self.assertEqual((result.status, result.out, result.err), (status, out, err))

    def check_match(self, result, status, out, err):
        """As check(), with regular expressions that must match all of the text."""
        self.assertEqual(result.status, status, result)
        self.assertRegex(result.out, rf"\A{out}\Z")
        self.assertRegex(result.err, rf"\A{err}\Z")


class Conversation:
    """msgsrv-client while it runs: lines in, lines out."""

    def __init__(self, url, *arguments):
        self.process = subprocess.Popen([CLIENT, "--server", url, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)

    def write(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def line(self):
        """Waits for the next line, without its newline; None at the end."""
        line = self.process.stdout.readline().decode()
        return line[:-1] if line else None

    def interrupt(self, number=signal.SIGINT):
        self.process.send_signal(number)

    def end(self):
        """Ends the input, and waits for the end of the program."""
        out, err = self.process.communicate(timeout=GUARD)
        return Result(self.process.returncode, out.decode(), err.decode())

    def end_without_closing(self):
        """Waits for the end of the program, whose input stays open."""
        self.process.wait(GUARD)
        result = Result(self.process.returncode, self.process.stdout.read().decode(), self.process.stderr.read().decode())
        return result


@contextlib.contextmanager
def conversation(url, *arguments):
    talk = Conversation(url, *arguments)
    try:
        yield talk
    finally:
        if talk.process.poll() is None:
            talk.process.kill()
        talk.process.wait()
        for stream in (talk.process.stdin, talk.process.stdout, talk.process.stderr):
            with contextlib.suppress(OSError):
                stream.close()
