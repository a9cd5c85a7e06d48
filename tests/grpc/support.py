# SPDX-License-Identifier: MIT
"""
What the tests of gRPC share: the demonstration server and its generated messages, and a peer that speaks HTTP/2 frame by frame and can
send what no library would.
"""
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))

from programs import GUARD, SOURCE_DIR, TestCase, server  # noqa: E402, F401

try:
    import hpack
except ImportError:
    print("needs python3-hpack")
    sys.exit(77)

_generated = tempfile.TemporaryDirectory(prefix="msgsrv-")
subprocess.run([os.environ["MSGSRV_PROTOC"], "-I", os.path.join(SOURCE_DIR, "proto"), "--python_out", _generated.name,
                "messages.proto", "grpc/health/v1/health.proto"], check=True)
sys.path.insert(0, _generated.name)

import messages_pb2 as messages  # noqa: E402, F401

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 6, 7, 8, 9
ENHANCE_YOUR_CALM = 11
END_STREAM, END_HEADERS, PADDED, ACK = 1, 4, 8, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def message(body, compressed=0):
    """gRPC's framing of a message."""
    data = body if isinstance(body, bytes) else body.SerializeToString()
    return bytes([compressed]) + struct.pack(">I", len(data)) + data


def request(path="/messages.Demo/Echo", **more):
    """A request's headers. Underscores of names become dashes; None leaves one out."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "test", "te": "trailers",
              "content-type": "application/grpc"}
    fields.update({name.replace("_", "-"): value for name, value in more.items()})
    return [(name, value) for name, value in fields.items() if value is not None]


class Frame:
    """A frame that came."""

    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload
        self.headers = None

    def __repr__(self):
        return f"<{self.kind} flags {self.flags} stream {self.stream} {self.headers or self.payload[:60]!r}>"

    @property
    def ended(self):
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)

    @property
    def code(self):
        """Of a RST_STREAM or GOAWAY."""
        at = 4 if self.kind == GOAWAY else 0
        return struct.unpack_from(">I", self.payload, at)[0]


class Closed(Exception):
    """The server has closed the connection."""


class Peer:
    """An HTTP/2 client of frames."""

    def __init__(self, program, settings=(), greet=True):
        self.socket = socket.create_connection(("127.0.0.1", program.port))
        self.socket.settimeout(GUARD)
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.buffer = b""
        self.seen = []
        if greet:
            self.send(PREFACE + self.settings(*settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *pieces):
        self.socket.sendall(b"".join(pieces))

    # What can be sent.

    @staticmethod
    def settings(*pairs):
        return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))

    def headers(self, stream, fields, end=False):
        return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, self.encoder.encode(fields))

    @staticmethod
    def data(stream, payload, end=False):
        return frame(DATA, END_STREAM if end else 0, stream, payload)

    def call(self, stream, body=None, path="/messages.Demo/Echo", **more):
        """A unary call."""
        body = messages.EchoMessage(text="x") if body is None else body
        return self.headers(stream, request(path, **more)) + self.data(stream, message(body), True)

    @staticmethod
    def reset(stream, code=CANCEL):
        return frame(RST_STREAM, 0, stream, struct.pack(">I", code))

    @staticmethod
    def window(stream, more):
        return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", more))

    @staticmethod
    def ping(data=b"12345678", flags=0):
        return frame(PING, flags, 0, data)

    # What comes.

    def read(self):
        """The next frame."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                got = self.socket.recv(1 << 20)
            except ConnectionResetError:
                got = b""
            if not got:
                raise Closed
            self.buffer += got
        size = int.from_bytes(self.buffer[:3], "big")
        kind, flags = self.buffer[3], self.buffer[4]
        stream = int.from_bytes(self.buffer[5:9], "big")
        came = Frame(kind, flags, stream, self.buffer[9:9 + size])
        self.buffer = self.buffer[9 + size:]
        if kind == HEADERS:
            came.headers = dict(self.decoder.decode(came.payload))
        self.seen.append(came)
        return came

    def read_until(self, wanted):
        while True:
            came = self.read()
            if wanted(came):
                return came

    def wait(self, kind, stream=None):
        return self.read_until(lambda f: f.kind == kind and (stream is None or f.stream == stream))

    def sync(self):
        """Waits until the server has read everything and has said what it has to: answers to pings overtake the rest, so there are two."""
        for data in (b"sync 1  ", b"sync 2  "):
            self.send(self.ping(data))
            self.read_until(lambda f: f.kind == PING and f.flags & ACK and f.payload == data)

    def answer(self, stream):
        """Waits for a response's end: all headers, trailers too, and the DATA's bytes."""
        headers, data = {}, b""
        while True:
            came = self.read_until(lambda f: f.stream == stream)
            if came.kind == RST_STREAM:
                raise AssertionError(f"reset with {came.code} after {headers}")
            if came.headers:
                headers.update(came.headers)
            elif came.kind == DATA:
                data += came.payload
            if came.ended:
                return headers, data

    def status(self, stream):
        return int(self.answer(stream)[0]["grpc-status"])

    def goaway(self):
        """Waits for GOAWAY and the end: its code and text."""
        came = self.wait(GOAWAY)
        try:
            while True:
                self.read()
        except Closed:
            return came.code, came.payload[8:].decode()


class GrpcTestCase(TestCase):
    """With a server, whose statistics are looked at when it has ended."""

    def serve(self, *arguments):
        context = server("--stats", "--json", "--log-level", "warning", "--grace", "2s", *arguments)
        program = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return program

    def stats(self, program):
        """Ends the server, which must have let go of everything."""
        result = program.stop()
        self.assertEqual(result.status, 0, result)
        lines = [line for line in result.err.splitlines() if line.startswith("{")]
        stats = json.loads(lines[-1])
        for gauge in ("connections_open", "calls_open", "streams_open", "input_buffered_bytes", "output_buffered_bytes",
                      "stream_input_bytes"):
            self.assertEqual(stats[gauge], 0, gauge)
        return stats

    def refused(self, program):
        return {name: count for name, count in self.stats(program)["refused"].items() if count}
