#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a request gets, to the frame: gRPC's protocol over HTTP/2, with what its well-behaved clients seldom or never send."""
import gzip
import signal
import struct
import unittest
import zlib

import support as s
from support import GrpcTestCase, Peer, message, messages, request


def echo(text="x"):
    return messages.EchoMessage(text=text)


class Requests(GrpcTestCase):
    def setUp(self):
        super().setUp()
        self.program = self.serve()
        self.peer = Peer(self.program)
        self.addCleanup(self.peer.socket.close)

    def refusal(self, stream, fields, body=b"", end=True):
        """Headers of the answer to a request, which must come in one block."""
        self.peer.send(self.peer.headers(stream, fields, end and not body),
                       self.peer.data(stream, body, end) if body else b"")
        came = self.peer.wait(s.HEADERS, stream)
        self.assertTrue(came.ended)
        return came.headers

    def test_a_unary_answer(self):
        self.peer.send(self.peer.call(1))
        headers, data = self.peer.answer(1)
        self.assertEqual(headers, {":status": "200", "content-type": "application/grpc", "grpc-status": "0"})
        self.assertEqual(data, message(echo()))
        self.assertEqual([f.kind for f in self.peer.seen if f.stream == 1], [s.HEADERS, s.DATA, s.HEADERS])

    def test_content_types(self):
        for i, kind in enumerate(("application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8",
                                  "application/grpc+proto; x=y")):
            self.peer.send(self.peer.call(2 * i + 1, content_type=kind))
            self.assertEqual(self.peer.status(2 * i + 1), 0, kind)
        for i, kind in enumerate(("application/grpc-web", "application/grpc+json", "application/json", "text/plain", "",
                                  "application/grpcx", None)):
            headers = self.refusal(101 + 2 * i, request(content_type=kind), message(echo()))
            self.assertEqual(headers[":status"], "415", kind)
        self.peer.send(self.peer.call(201, te=None))
        self.assertEqual(self.peer.status(201), 0)
        self.assertEqual(self.refused(self.program), {"http": 7})

    def test_methods_of_http(self):
        for i, name in enumerate(("GET", "PUT", "OPTIONS", "post")):
            headers = self.refusal(2 * i + 1, request(**{":method": name}), message(echo()))
            self.assertEqual(headers[":status"], "405", name)

    def test_unknown_methods(self):
        for i, path in enumerate(("/messages.Demo/No", "/no/Echo", "/", "/messages.Demo/Echo/",
                                  "/messages.Demo/%45cho", "/messages.Demo/Echo?x")):
            headers = self.refusal(2 * i + 1, request(path), message(echo()))
            self.assertEqual((headers[":status"], headers["grpc-status"]), ("200", "12"), path)
            self.assertIn(path.replace("%", "%25"), headers["grpc-message"])

    def test_an_early_answer_resets_what_still_comes(self):
        headers = self.refusal(1, request("/no/No"), message(echo("y" * 100)), end=False)
        self.assertEqual(headers["grpc-status"], "12")
        self.assertEqual(self.peer.wait(s.RST_STREAM, 1).code, s.NO_ERROR)
        # A stream of requests that fails: the rest of it is in the way of nobody.
        self.peer.send(self.peer.headers(3, request("/messages.Demo/Sum")), self.peer.data(3, message(b"\xff")))
        self.assertEqual(self.peer.status(3), 3)
        self.assertEqual(self.peer.wait(s.RST_STREAM, 3).code, s.NO_ERROR)
        self.peer.send(self.peer.data(3, message(b"")), self.peer.headers(3, [("late", "trailer")], True), self.peer.call(5))
        self.assertEqual(self.peer.status(5), 0)

    def test_no_reset_when_the_client_has_ended(self):
        self.refusal(1, request("/no/No"), message(echo()))
        self.peer.sync()
        self.assertFalse([f for f in self.peer.seen if f.kind == s.RST_STREAM])

    def test_messages_in_pieces(self):
        whole = message(echo("abc" * 100))
        for stream, piece in ((1, 1), (3, 2), (5, 7), (7, 250)):
            self.peer.send(self.peer.headers(stream, request()))
            for at in range(0, len(whole), piece):
                self.peer.send(self.peer.data(stream, whole[at:at + piece]))
            self.peer.send(self.peer.data(stream, b"", True))
            self.assertEqual(self.peer.answer(stream)[1], whole)
        # The same for HTTP/2's own frames.
        for byte in self.peer.call(9, echo("abc" * 100)):
            self.peer.send(bytes([byte]))
        self.assertEqual(self.peer.answer(9)[1], whole)

    def test_many_messages_in_a_frame(self):
        texts = [echo("t" * i) for i in range(300)]
        data = b"".join(message(text) for text in texts)
        self.peer.send(self.peer.headers(1, request("/messages.Demo/Chat")))
        for at in range(0, len(data), 16000):
            self.peer.send(self.peer.data(1, data[at:at + 16000]))
        self.peer.send(self.peer.data(1, b"", True))
        self.assertEqual(self.peer.answer(1)[1], data)

    def test_padding(self):
        body = message(echo("padded"))
        padded = s.frame(s.DATA, s.PADDED | s.END_STREAM, 1, bytes([200]) + body + bytes(200))
        self.peer.send(self.peer.headers(1, request()), padded)
        self.assertEqual(self.peer.answer(1)[1], body)

    def test_header_blocks_in_pieces(self):
        block = self.peer.encoder.encode(request() + [("key", "v" * 300)])
        pieces = [block[at:at + 100] for at in range(0, len(block), 100)]
        frames = [s.frame(s.HEADERS, 0, 1, pieces[0])] + [s.frame(s.CONTINUATION, 0, 1, p) for p in pieces[1:]]
        frames[-1] = s.frame(s.CONTINUATION, s.END_HEADERS, 1, pieces[-1])
        for piece in frames:
            self.peer.send(piece)
        self.peer.send(self.peer.data(1, message(echo()), True))
        self.assertEqual(self.peer.status(1), 0)

    def test_requests_that_are_no_request(self):
        for i, (body, end, code) in enumerate((
                (b"", True, 13),                                     # no message
                (message(echo())[:3], True, 13),                     # cut in its prefix
                (message(echo())[:7], True, 13),                     # cut in its bytes
                (message(echo()) * 2, True, 13),                     # two where one is due
                (b"\x02" + message(echo())[1:], True, 13),           # no flag of gRPC's
                (message(echo(), 1), True, 13),                      # compressed, but with what?
                (b"\x00\xff\xff\xff\xff", False, 8),                 # too long, said so before it came
                (message(b"\xff\xff"), True, 3))):                   # not of the message's type
            stream = 2 * i + 1
            headers = self.refusal(stream, request(), body, end)
            self.assertEqual(int(headers["grpc-status"]), code, (body, headers))
        self.peer.send(self.peer.call(101))
        self.assertEqual(self.peer.status(101), 0)

    def test_compression(self):
        body = echo("z" * 1000).SerializeToString()
        for stream, encoding, packed in ((1, "gzip", gzip.compress(body)), (3, "deflate", zlib.compress(body))):
            self.peer.send(self.peer.headers(stream, request(grpc_encoding=encoding)),
                           self.peer.data(stream, message(packed, 1), True))
            self.assertEqual(self.peer.answer(stream)[1], message(body))
        headers = self.refusal(5, request(grpc_encoding="snappy"), message(body))
        self.assertEqual((headers["grpc-status"], headers["grpc-accept-encoding"]), ("12", "identity,deflate,gzip"))
        for stream, packed, code in ((7, b"nonsense", 13), (9, gzip.compress(body)[:-9], 13), (11, b"", 13),
                                     (13, gzip.compress(body) + b"more", 13),
                                     (15, gzip.compress(bytes(5 * 1024 * 1024)), 8)):
            headers = self.refusal(stream, request(grpc_encoding="gzip"), message(packed, 1))
            self.assertEqual(int(headers["grpc-status"]), code, packed[:20])
        # A stream of them, some compressed and some not.
        packed = b"".join(message(gzip.compress(body), 1) + message(body) for _ in range(10))
        self.peer.send(self.peer.headers(17, request("/messages.Demo/Chat", grpc_encoding="gzip")),
                       self.peer.data(17, packed, True))
        self.assertEqual(self.peer.answer(17)[1], message(body) * 20)
        self.assertEqual(self.refused(self.program), {"compression": 6})

    def test_timeouts(self):
        for i, text in enumerate(("1H", "99999999H", "5M", "100S", "99999999m", "1000000u", "99999999n")):
            self.peer.send(self.peer.call(2 * i + 1, grpc_timeout=text))
            self.assertEqual(self.peer.status(2 * i + 1), 0, text)
        for i, text in enumerate(("", "1", "S", "123456789S", "-1S", "1.5S", "1h", "1 S", "1SS", "0x1S")):
            headers = self.refusal(101 + 2 * i, request(grpc_timeout=text), message(echo()))
            self.assertEqual(headers["grpc-status"], "13", text)
        endless = messages.CountRequest(first=1, last=10**9, interval_ms=5)
        self.peer.send(self.peer.call(201, endless, "/messages.Demo/Count", grpc_timeout="50m"))
        self.assertEqual(self.peer.status(201), 4)

    def test_metadata(self):
        good = (("key", "value"), ("key-bin", "AAECAw"), ("key-bin", "AAECAw=="), ("key-bin", "AA==,AQ,Ag"), ("key-bin", ""))
        for i, entry in enumerate(good):
            self.peer.send(self.peer.headers(2 * i + 1, request() + [entry]), self.peer.data(2 * i + 1, message(echo()), True))
            self.assertEqual(self.peer.status(2 * i + 1), 0, entry)
        bad = (("key-bin", "A", "13"), ("key-bin", "AA=A", "13"), ("key-bin", "AA===", "13"), ("key-bin", "A*A=", "13"),
               ("k" * 65, "x", "3"), ("msgsrv-require", "more", "12"), ("key", "v" * 9000, "8"))
        for i, (key, value, code) in enumerate(bad):
            headers = self.refusal(101 + 2 * i, request() + [(key, value)], message(echo()))
            self.assertEqual(headers["grpc-status"], code, (key, headers))
        self.assertEqual(self.refused(self.program), {"metadata": len(bad)})

    def test_error_texts_are_coded(self):
        self.peer.send(self.peer.call(1, path="/x/100%ä\n".encode().decode("latin-1").replace("\n", "")))
        text = self.peer.answer(1)[0]["grpc-message"]
        self.assertTrue(text.startswith("unknown method /x/100%25%"), text)
        self.assertTrue(all(0x20 <= ord(c) <= 0x7e for c in text))

    def test_cancellation(self):
        endless = messages.CountRequest(first=1, last=2**31 - 1, interval_ms=1)
        self.peer.send(self.peer.call(1, endless, "/messages.Demo/Count"))
        self.peer.wait(s.DATA, 1)
        self.peer.send(self.peer.reset(1))
        self.peer.sync()
        self.peer.send(self.peer.call(3))
        self.assertEqual(self.peer.status(3), 0)
        self.assertEqual(self.stats(self.program)["calls_ended"]["CANCELLED"], 1)

    def test_half_close_by_an_empty_frame(self):
        self.peer.send(self.peer.headers(1, request("/messages.Demo/Sum")),
                       *(self.peer.data(1, message(messages.SumRequest(value=i))) for i in range(10)))
        self.peer.sync()
        self.assertFalse([f for f in self.peer.seen if f.stream == 1 and f.kind == s.HEADERS])
        self.peer.send(self.peer.data(1, b"", True))
        self.assertEqual(self.peer.answer(1)[1], message(messages.SumReply(sum=45)))
        # And by the headers themselves.
        self.peer.send(self.peer.headers(3, request("/messages.Demo/Sum"), True))
        self.assertEqual(self.peer.answer(3)[1], message(b""))

    def test_trailers_of_a_client(self):
        self.peer.send(self.peer.headers(1, request()), self.peer.data(1, message(echo())),
                       self.peer.headers(1, [("trailing", "x")], True))
        self.assertEqual(self.peer.status(1), 0)


class Windows(GrpcTestCase):
    def test_the_peers_window_is_kept(self):
        program = self.serve()
        with Peer(program, settings=[(4, 10)]) as peer:
            peer.send(peer.call(1, echo("a" * 95)))
            came = peer.wait(s.DATA, 1)
            self.assertEqual(len(came.payload), 10)
            peer.sync()
            data = came.payload
            while len(data) < 102:
                peer.send(peer.window(1, 7))
                data += peer.wait(s.DATA, 1).payload
            self.assertEqual(data, message(echo("a" * 95)))
            self.assertEqual(peer.status(1), 0)

    def test_a_window_that_shrinks_below_zero(self):
        program = self.serve()
        with Peer(program, settings=[(4, 1000)]) as peer:
            peer.send(peer.call(1, messages.CountRequest(first=1, last=100000), "/messages.Demo/Count"))
            peer.wait(s.DATA, 1)
            peer.send(peer.settings((4, 0)))
            peer.sync()
            peer.send(peer.settings((4, 1000)), peer.window(1, 2**20), peer.window(0, 2**20))
            headers, _ = peer.answer(1)
            self.assertEqual(headers["grpc-status"], "0")

    def test_a_stream_that_is_not_read_stops_no_other(self):
        program = self.serve()
        with Peer(program, settings=[(4, 100)]) as peer:
            for i in range(50):
                peer.send(peer.call(2 * i + 1, messages.CountRequest(first=1, last=10**6), "/messages.Demo/Count"))
            peer.send(peer.call(1001), peer.window(0, 2**20))
            self.assertEqual(peer.status(1001), 0)
            # Each has sent what it may, and no more waits than the message that passed it.
            peer.sync()
            stats = self.stats(program)
            self.assertLess(stats["items_sent"], 50 * 100)

    def test_a_slow_handler_closes_the_window(self):
        program = self.serve("--max-calls", "100")
        with Peer(program, settings=[(4, 0)]) as peer:  # answers wait, so the conversation stops reading
            peer.send(peer.headers(1, request("/messages.Demo/Chat")))
            peer.sync()
            window = 65535 + sum(struct.unpack(">I", f.payload)[0] for f in peer.seen
                                 if f.kind == s.WINDOW_UPDATE and f.stream == 1)
            self.assertEqual(window, 262144)
            sent = 0
            text = message(echo("c" * 8000))
            while sent + len(text) <= window:
                peer.send(peer.data(1, text))
                sent += len(text)
            peer.sync()
            self.assertFalse([f for f in peer.seen[-3:] if f.kind == s.WINDOW_UPDATE and f.stream == 1])
            peer.send(peer.call(3))  # the connection is not stopped by it
            peer.send(peer.window(3, 1000))
            self.assertEqual(peer.status(3), 0)
            # One byte more than was granted: that stream ends.
            peer.send(*(peer.data(1, bytes(16000)) for _ in range(2)))
            self.assertEqual(peer.wait(s.RST_STREAM, 1).code, s.FLOW_CONTROL_ERROR)

    def test_long_messages_get_what_they_need(self):
        program = self.serve("--max-unread", "1MiB", "--max-calls", "64")
        with Peer(program, settings=[(4, 2**31 - 1)]) as peer:
            peer.send(s.frame(s.SETTINGS, s.ACK), peer.window(0, 2**31 - 1 - 65535))
            streams = range(1, 41, 2)
            first, size = 16384, 700000
            text = message(echo("d" * size))
            windows = {stream: first for stream in streams}
            sent = dict.fromkeys(streams, 0)
            for stream in streams:
                peer.send(peer.headers(stream, request()))
            ended = set()
            most = 0
            while len(ended) < len(streams):
                for stream in streams:
                    part = min(windows[stream], len(text) - sent[stream])
                    for at in range(sent[stream], sent[stream] + part, 16384):
                        piece = text[at:min(at + 16384, sent[stream] + part)]
                        peer.send(peer.data(stream, piece, at + len(piece) == len(text)))
                    sent[stream] += part
                    windows[stream] -= part
                open_now = sum(windows[stream] for stream in streams)
                most = max(most, sum(sent[stream] for stream in streams if stream not in ended) + open_now)
                came = peer.read()
                if came.kind == s.WINDOW_UPDATE and came.stream:
                    windows[came.stream] += struct.unpack(">I", came.payload)[0]
                elif came.ended:
                    self.assertEqual(came.headers["grpc-status"], "0")
                    ended.add(came.stream)
            self.assertLess(most, 20 * first + 3 * 2**20)


class Drain(GrpcTestCase):
    def test_no_call_is_lost_between_the_two_goaways(self):
        program = self.serve("--grace", "none")
        with Peer(program) as peer:
            peer.send(peer.call(1))
            self.assertEqual(peer.status(1), 0)
            program.send(signal.SIGTERM)
            first = peer.wait(s.GOAWAY)
            self.assertEqual((struct.unpack(">I", first.payload[:4])[0], first.code), (2**31 - 1, 0))
            peer.wait(s.PING)
            # It crosses the first: taken, and answered.
            peer.send(peer.headers(3, request()))
            peer.send(peer.ping(peer.seen[-1].payload, s.ACK))
            last = peer.wait(s.GOAWAY)
            self.assertEqual((struct.unpack(">I", last.payload[:4])[0], last.code), (3, 0))
            peer.send(peer.call(5))  # above the last: ignored
            peer.send(peer.data(3, message(echo()), True))
            self.assertEqual(peer.status(3), 0)
            with self.assertRaises(s.Closed):
                while True:
                    self.assertNotEqual(peer.read().stream, 5)
            self.assertEqual(program.wait().status, 0)

    def test_a_client_that_does_not_answer_the_ping(self):
        program = self.serve("--grace", "none")
        with Peer(program) as peer:
            peer.sync()
            program.send(signal.SIGTERM)
            peer.wait(s.GOAWAY)
            self.assertEqual(peer.wait(s.GOAWAY).code, 0)
            self.assertEqual(program.wait().status, 0)

    def test_many_connections(self):
        program = self.serve("--grace", "none")
        peers = [Peer(program) for _ in range(20)]
        for peer in peers:
            peer.sync()
        program.send(signal.SIGTERM)
        for peer in peers:
            with self.assertRaises(s.Closed):
                while True:
                    came = peer.read()
                    if came.kind == s.PING and not came.flags & s.ACK:
                        peer.send(peer.ping(came.payload, s.ACK))
            peer.socket.close()
        self.assertEqual(program.wait().status, 0)


if __name__ == "__main__":
    unittest.main()
