#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
A client of gRPC against a server that sends exact bytes: what well-behaved ones never do, and what few do. Whatever comes, the call ends with a status that
says what was wrong, once.
"""
import contextlib
import gzip
import socket
import struct
import threading
import unittest

import hpack

from support import (ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, NO_ERROR, PADDED,
                     PING, PREFACE, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS, TestCase, WINDOW_UPDATE, frame, message,
                     messages as m)
from programs import GUARD, client

OK_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]
OK = [("grpc-status", "0")]


class Connection:
    """One that a client has opened."""

    def __init__(self, connection, greet=True):
        self.socket = connection
        self.socket.settimeout(GUARD)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.frames = []
        self.ended = set()
        self.buffer = b""
        if greet:
            self.greet()

    def greet(self, *settings):
        self.fill(len(PREFACE))
        assert self.take(len(PREFACE)) == PREFACE
        self.send(frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in settings)))

    def fill(self, size):
        while len(self.buffer) < size:
            got = self.socket.recv(1 << 20)
            if not got:
                raise EOFError
            self.buffer += got

    def take(self, size):
        self.fill(size)
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def send(self, *pieces):
        self.socket.sendall(b"".join(pieces))

    def read(self):
        """The next frame, as (kind, flags, stream, payload)."""
        head = self.take(9)
        payload = self.take(int.from_bytes(head[:3], "big"))
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        if kind == HEADERS:
            payload = self.decoder.decode(payload)
        if kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK))
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.ended.add(stream)
        self.frames.append((kind, flags, stream, payload))
        return self.frames[-1]

    def wait(self, kind, stream=None):
        while True:
            got = self.read()
            if got[0] == kind and stream in (None, got[2]) and not (kind == PING and got[1] & ACK):
                return got

    def request(self, stream):
        """Waits for a whole request."""
        while stream not in self.ended:
            self.read()
        return next(dict(payload) for kind, _, of, payload in self.frames if kind == HEADERS and of == stream)

    def headers(self, stream, fields=OK_HEADERS, end=False):
        return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, self.encoder.encode(fields))

    def answer(self, stream, text="x"):
        return (self.headers(stream) + frame(DATA, 0, stream, message(m.EchoMessage(text=text)))
                + self.headers(stream, OK, True))

    def rest(self):
        with contextlib.suppress(EOFError, OSError):
            while True:
                self.read()


class Scripted(TestCase):
    maxDiff = 2000

    @contextlib.contextmanager
    def peer(self, *scripts, greet=True):
        """A server that plays one script on each connection, in order."""
        self.connections = []
        self.faults = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def serve():
                for script in scripts:
                    with contextlib.suppress(OSError):
                        accepted, _ = listener.accept()
                        with accepted:
                            try:
                                connection = Connection(accepted, greet)
                                self.connections.append(connection)
                                script(connection)
                                connection.rest()
                            except (EOFError, ConnectionError):
                                pass  # the client has had enough
                            except Exception as fault:  # pylint: disable=broad-except
                                self.faults.append(fault)
                listener.close()
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            yield f"grpc://127.0.0.1:{listener.getsockname()[1]}"
            thread.join(GUARD)
            self.assertEqual(self.faults, [])
            self.assertFalse(thread.is_alive())

    def echo(self, *scripts, timeout="20s", **more):
        with self.peer(*scripts, **more) as url:
            return client(url, "echo", "x", "--timeout", timeout)

    def unary(self, make):
        """The end of a call whose request is answered with what make(connection) gives."""
        def script(connection):
            connection.request(1)
            made = make(connection)
            connection.send(*(made if isinstance(made, (list, tuple)) else [made]))
        return self.echo(script)

    def test_a_request_is_what_grpc_says(self):
        seen = {}

        def script(connection):
            seen.update(connection.request(1))
            connection.send(connection.answer(1))
        result = self.echo(script)
        self.assertEqual((result.status, result.out), (0, "x\n"), result)
        timeout = seen.pop("grpc-timeout")
        self.assertRegex(timeout, r"^[0-9]{1,8}[HMSmun]$")
        self.assertRegex(seen.pop("user-agent"), "^grpc-c-msgsrv/")
        self.assertRegex(seen.pop(":authority"), r"^127\.0\.0\.1:[0-9]+$")
        self.assertEqual(seen, {":method": "POST", ":scheme": "http", ":path": "/messages.Demo/Echo", "te": "trailers",
                                "content-type": "application/grpc", "grpc-accept-encoding": "identity, gzip"})
        data = [payload for kind, _, _, payload in self.connections[0].frames if kind == DATA]
        self.assertEqual(b"".join(data), message(m.EchoMessage(text="x")))

    def test_good_answers_of_unusual_form(self):
        body = message(m.EchoMessage(text="x"))
        padded = frame(DATA, PADDED, 1, b"\x04" + body + b"\0\0\0\0")
        for make in (
                lambda c: [c.headers(1)] + [frame(DATA, 0, 1, body[i:i + 1]) for i in range(len(body))]
                + [frame(DATA, 0, 1, b""), c.headers(1, OK, True)],
                lambda c: [c.headers(1, [(":status", "103"), ("link", "x")]), c.headers(1), padded, c.headers(1, OK, True)],
                lambda c: [c.headers(1, [(":status", "200"), ("content-type", "application/grpc+proto;charset=utf-8"),
                                         ("x" * 80, "long"), ("date", "today")]), frame(DATA, 0, 1, body),
                           c.headers(1, [("grpc-status", "0"), ("grpc-message", "")], True)],
                lambda c: [c.headers(1, OK_HEADERS + [("grpc-encoding", "gzip")]),
                           frame(DATA, 0, 1, message(gzip.compress(m.EchoMessage(text="x").SerializeToString()), 1)),
                           c.headers(1, OK, True), frame(RST_STREAM, 0, 1, struct.pack(">I", NO_ERROR))],
                lambda c: [frame(99, 0xFF, 7, b"of the future"), c.headers(1), frame(DATA, 0, 1, body), c.headers(1, OK, True)]):
            result = self.unary(make)
            self.assertEqual((result.status, result.out), (0, "x\n"), result)

    def test_bad_answers(self):
        body = message(m.EchoMessage(text="x"))
        bomb = gzip.compress(b"\0" * (80 << 20))
        trailers = [("grpc-status", "0")]
        cases = [
            ("UNKNOWN: the server ended the stream without a grpc-status",
             lambda c: [c.headers(1), frame(DATA, 0, 1, body), c.headers(1, [("x", "y")], True)]),
            ("INTERNAL: the server ended the stream without a status",
             lambda c: [c.headers(1), frame(DATA, END_STREAM, 1, body)]),
            ("INTERNAL: the server said OK without a response", lambda c: c.headers(1, OK_HEADERS + trailers, True)),
            ("INTERNAL: the server said OK without a response", lambda c: [c.headers(1), c.headers(1, trailers, True)]),
            ("INTERNAL: the server sent more than one response",
             lambda c: [c.headers(1), frame(DATA, 0, 1, body * 2), c.headers(1, trailers, True)]),
            ("INTERNAL: the server ended the stream inside a message",
             lambda c: [c.headers(1), frame(DATA, 0, 1, body + body[:-1]), c.headers(1, trailers, True)]),
            ("INTERNAL: the server sent what is no message of gRPC's", lambda c: [c.headers(1), frame(DATA, 0, 1, b"\x02")]),
            ("RESOURCE_EXHAUSTED: the reply is over the message limit",
             lambda c: [c.headers(1), frame(DATA, 0, 1, b"\x00\xff\xff\xff\xff")]),
            ("INTERNAL: a compressed message without grpc-encoding",
             lambda c: [c.headers(1), frame(DATA, 0, 1, message(b"x", 1))]),
            ("INTERNAL: the server compressed a message in a way that was not offered",
             lambda c: [c.headers(1, OK_HEADERS + [("grpc-encoding", "snappy")]), frame(DATA, 0, 1, message(b"x", 1))]),
            ("INTERNAL: a compressed message does not decompress",
             lambda c: [c.headers(1, OK_HEADERS + [("grpc-encoding", "gzip")]), frame(DATA, 0, 1, message(b"x", 1))]),
            ("RESOURCE_EXHAUSTED", lambda c: [c.headers(1, OK_HEADERS + [("grpc-encoding", "gzip")])] + [
                frame(DATA, 0, 1, message(bomb, 1)[i:i + 16384]) for i in range(0, len(bomb) + 5, 16384)]),
            ("INTERNAL: messages.EchoMessage", lambda c: [c.headers(1), frame(DATA, 0, 1, message(b"\x0a\x7f")),
                                                          c.headers(1, trailers, True)]),
            ("UNKNOWN: the server answered with content-type \"text/html\"",
             lambda c: c.headers(1, [(":status", "200"), ("content-type", "text/html")])),
            ("UNKNOWN: the server answered without a content-type", lambda c: c.headers(1, [(":status", "200")])),
            ("INTERNAL: metadata \"x-bin\": the value is not base64", lambda c: c.headers(1, OK_HEADERS + [("x-bin", "a")])),
            ("RESOURCE_EXHAUSTED: metadata over the limit", lambda c: c.headers(1, OK_HEADERS + [("x", "y" * 9000)])),
            ("UNAVAILABLE: the server broke the protocol: PROTOCOL_ERROR", lambda c: frame(DATA, 0, 1, body)),
            ("INTERNAL: the server broke the protocol: PROTOCOL_ERROR", lambda c: c.headers(1, [("x", "y")])),
            ("INTERNAL: the server broke the protocol", lambda c: [c.headers(1), c.headers(1, OK)]),
            ("INTERNAL: the server broke the protocol", lambda c: c.headers(1, [(":status", "200"), ("Upper", "case")])),
        ]
        for want, make in cases:
            with self.subTest(want=want):
                result = self.unary(make)
                self.assertNotEqual(result.status, 0, result)
                self.assertIn(f"Echo: {want}", result.err)

    def test_statuses_of_http(self):
        for http, want in ((400, "INTERNAL"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "UNIMPLEMENTED"),
                           (429, "UNAVAILABLE"), (502, "UNAVAILABLE"), (503, "UNAVAILABLE"), (504, "UNAVAILABLE"),
                           (418, "UNKNOWN"), (500, "UNKNOWN")):
            for end in (True, False):
                result = self.unary(lambda c: c.headers(1, [(":status", str(http))], end))
                self.assertIn(f"Echo: {want}: the server answered with HTTP status {http}", result.err)
        result = self.unary(lambda c: c.headers(1, [(":status", "503"), ("grpc-status", "7"), ("grpc-message", "no%21")], True))
        self.assertIn("Echo: PERMISSION_DENIED: no!", result.err)
        for status, want in (("17", "UNKNOWN"), ("99999999999", "UNKNOWN"), ("-1", "UNKNOWN"), ("x", "UNKNOWN"), ("5", "NOT_FOUND")):
            result = self.unary(lambda c: c.headers(1, OK_HEADERS + [("grpc-status", status), ("grpc-message", "%C3%BC %zz %")], True))
            self.assertIn(f"Echo: {want}: ü %zz %", result.err)

    def test_statuses_of_resets(self):
        for code, want in ((0, "INTERNAL"), (1, "INTERNAL"), (2, "INTERNAL"), (3, "INTERNAL"), (6, "INTERNAL"), (CANCEL, "CANCELLED"),
                           (9, "INTERNAL"), (10, "INTERNAL"), (ENHANCE_YOUR_CALM, "RESOURCE_EXHAUSTED"),
                           (12, "PERMISSION_DENIED"), (4711, "INTERNAL")):
            result = self.unary(lambda c: frame(RST_STREAM, 0, 1, struct.pack(">I", code)))
            self.assertIn(f"Echo: {want}: the server reset the stream", result.err, code)

    def test_a_refused_stream_goes_out_again(self):
        def script(connection):
            for stream in (1, 3):
                connection.request(stream)
                connection.send(frame(RST_STREAM, 0, stream, struct.pack(">I", REFUSED_STREAM)))
            connection.request(5)
            connection.send(connection.answer(5))
        result = self.echo(script)
        self.assertEqual((result.status, result.out), (0, "x\n"), result)

        def never(connection):
            for stream in range(1, 100, 2):
                connection.request(stream)
                connection.send(frame(RST_STREAM, 0, stream, struct.pack(">I", REFUSED_STREAM)))
        result = self.echo(never)
        self.assertIn("Echo: UNAVAILABLE: the server takes no calls", result.err)

    def test_goaway(self):
        """A call above the last one goes out again, on another connection; one that was taken is answered still."""
        def leaves(connection):
            connection.request(1)
            connection.send(frame(GOAWAY, 0, 0, struct.pack(">II", 0, NO_ERROR)))

        def answers(connection):
            connection.request(1)
            connection.send(frame(GOAWAY, 0, 0, struct.pack(">II", 0x7FFFFFFF, NO_ERROR)),
                            frame(GOAWAY, 0, 0, struct.pack(">II", 1, NO_ERROR)), connection.answer(1))
        result = self.echo(leaves, answers)
        self.assertEqual((result.status, result.out), (0, "x\n"), result)

    def test_a_msgsrv_server_that_leaves_before_it_knows_the_protocol(self):
        def leaves(connection):
            connection.send(b"\xba\x01\x00")

        def answers(connection):
            connection.greet()
            connection.request(1)
            connection.send(connection.answer(1))
        result = self.echo(leaves, answers, greet=False)
        self.assertEqual((result.status, result.out), (0, "x\n"), result)

    def test_too_many_pings_is_told(self):
        def script(connection):
            connection.request(1)
            connection.send(frame(GOAWAY, 0, 0, struct.pack(">II", 1, ENHANCE_YOUR_CALM) + b"too_many_pings"))
            connection.socket.shutdown(socket.SHUT_WR)
        result = self.echo(script)
        self.assertIn("Echo: UNAVAILABLE: the server ended the connection: ENHANCE_YOUR_CALM: too_many_pings", result.err)

    def test_the_end_of_a_connection(self):
        def script(connection):
            connection.request(1)
            connection.socket.shutdown(socket.SHUT_WR)
        self.assertIn("Echo: UNAVAILABLE: the server closed the connection", self.echo(script).err)

    def test_what_is_no_http2(self):
        for data, want in ((b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "HTTP/1; is this a gRPC server?"),
                           (b"220 mail.example.com ESMTP ready\r\n", "is this a gRPC server?"),
                           (b"\x0a\x02\x08\x01" * 100, "is this a gRPC server?"), (frame(PING, 0, 0, b"12345678"), "is this a gRPC server?"),
                           (b"", "UNAVAILABLE")):
            def script(connection):
                connection.fill(len(PREFACE))
                connection.send(data)
                connection.socket.shutdown(socket.SHUT_WR)
            self.assertIn(want, self.echo(script, greet=False).err, data)

    def test_breaches_end_the_connection(self):
        cases = [
            [frame(DATA, 0, 0, b"x")],
            [frame(SETTINGS, 0, 0, b"12345")],
            [frame(SETTINGS, 0, 1)],
            [frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0x80000000))],
            [frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0))],
            [frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFFFFFF))] * 2,
            [frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + b"\x88")],
            [frame(HEADERS, END_HEADERS, 2, b"\x88")],
            [frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff")],
            [frame(CONTINUATION, END_HEADERS, 1, b"\x88")],
            [frame(HEADERS, 0, 1, b"\x88"), frame(PING, 0, 0, b"12345678")],
            [frame(HEADERS, 0, 1, b"\x88")] + [frame(CONTINUATION, 0, 1, b"")] * 1000,
            [struct.pack(">I", 0x100000)[1:] + bytes([DATA, 0, 0, 0, 0, 1])],
            [frame(GOAWAY, 0, 0, b"123")],
            [frame(PING, 0, 0, b"1")],
            [frame(PING, 0, 0, b"12345678")] * 5000,
            [frame(SETTINGS)] * 5000,
            [frame(99, 0, 0, b"")] * 200000,
            [frame(DATA, 0, 3, b"x")],
        ]
        for pieces in cases:
            def script(connection):
                connection.request(1)
                connection.send(*pieces)
            result = self.echo(script)
            self.assertIn("Echo: UNAVAILABLE: the server broke the protocol: ", result.err, pieces[:2])

    def test_data_beyond_the_window_ends_it(self):
        """A server that does not keep to the windows cannot make the client keep more than they are."""
        def script(connection):
            connection.request(1)
            connection.send(connection.headers(1), frame(DATA, 0, 1, b"\0\x00\xff\xff\xff"))
            for _ in range(3000):
                connection.send(frame(DATA, 0, 1, b"x" * 16384))
        result = self.echo(script)
        self.assertNotEqual(result.status, 0)
        self.assertRegex(result.err, "Echo: (INTERNAL|UNAVAILABLE|RESOURCE_EXHAUSTED)")

    def test_windows_are_kept_to(self):
        """What the windows do not let through waits, to the byte."""
        want = message(m.EchoMessage(text="y" * 100000))

        def come(connection, size):
            while sum(len(payload) for kind, _, _, payload in connection.frames if kind == DATA) < size:
                connection.wait(DATA, 1)
            connection.send(frame(PING, 0, 0, b"12345678"))
            while connection.read()[:2] != (PING, ACK):
                pass
            got = sum(len(payload) for kind, _, _, payload in connection.frames if kind == DATA)
            assert got == size, (got, size)

        def script(connection):
            come(connection, 65535)
            connection.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65545)))
            come(connection, 65535)
            connection.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1000000)))
            come(connection, 65545)
            for i in range(1, 4):
                connection.send(frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1)))
                come(connection, 65545 + i)
            connection.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)), frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 65545)))
            come(connection, 65548)
            connection.send(frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1000000)))
            connection.request(1)
            connection.send(connection.answer(1))
        with self.peer(script) as url:
            result = client(url, "echo", "-", stdin=b"y" * 100000)
        self.assertEqual((result.status, result.out), (0, "x"), result)
        data = b"".join(payload for kind, _, _, payload in self.connections[0].frames if kind == DATA)
        self.assertEqual(data, want)

    def test_a_deadline_resets_the_stream(self):
        def script(connection):
            connection.request(1)
            got = connection.wait(RST_STREAM, 1)
            assert got[3] == struct.pack(">I", CANCEL), got
            connection.send(connection.answer(1))
        self.assertIn("DEADLINE_EXCEEDED", self.echo(script, timeout="200ms").err)

    def test_a_server_of_no_streams(self):
        def script(connection):
            connection.greet((3, 0))
            connection.rest()
        self.assertIn("DEADLINE_EXCEEDED", self.echo(script, timeout="300ms", greet=False).err)

    def test_an_early_end_stops_the_request(self):
        """Trailers before the request's end: what is left of it is not sent; the stream is reset without an error."""
        def script(connection):
            connection.wait(HEADERS, 1)
            connection.send(connection.headers(1, OK_HEADERS + [("grpc-status", "8"), ("grpc-message", "enough")], True))
            got = connection.wait(RST_STREAM, 1)
            assert got[3] == struct.pack(">I", NO_ERROR), got
        with self.peer(script) as url:
            result = client(url, "echo", "-", stdin=b"x" * 1000000)
        self.assertIn("Echo: RESOURCE_EXHAUSTED: enough", result.err)


if __name__ == "__main__":
    unittest.main()
