#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Attacks on HTTP/2, each of which meets its bound and is counted, while a bystander's connection is served."""
import struct
import unittest

import support as s
from support import GrpcTestCase, Peer, message, messages, request


class Attacks(GrpcTestCase):
    def attack(self, *arguments, **more):
        self.program = self.serve(*arguments)
        self.bystander = Peer(self.program)
        self.addCleanup(self.bystander.socket.close)
        peer = Peer(self.program, **more)
        self.addCleanup(peer.socket.close)
        return peer

    def flood(self, peer, data, times=1):
        """Sends what the server may stop reading."""
        try:
            for _ in range(times):
                peer.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def counted(self, **refused):
        """The bystander is served, and what was refused is this."""
        self.bystander.send(self.bystander.call(1))
        self.assertEqual(self.bystander.status(1), 0)
        self.assertEqual(self.refused(self.program), refused)

    def test_rapid_reset(self):
        peer = self.attack("--resets-per-second", "1", "--reset-burst", "20")
        endless = messages.CountRequest(first=1, last=2**31 - 1, interval_ms=1000)
        self.flood(peer, b"".join(peer.call(2 * i + 1, endless, "/messages.Demo/Count") + peer.reset(2 * i + 1)
                                  for i in range(100)))
        self.assertEqual(peer.goaway(), (s.ENHANCE_YOUR_CALM, "too many resets"))
        self.counted(resets=1)

    def test_resets_that_the_server_is_made_to_send(self):
        peer = self.attack("--resets-per-second", "1", "--reset-burst", "20")
        for i in range(40):
            self.flood(peer, peer.headers(2 * i + 1, request() + [("connection", "close")]))
        self.assertEqual(peer.goaway()[0], s.ENHANCE_YOUR_CALM)
        self.counted(resets=1)

    def test_pings(self):
        peer = self.attack("--pings-per-second", "1", "--ping-burst", "5")
        self.flood(peer, peer.ping() * 20)
        self.assertEqual(peer.goaway(), (s.ENHANCE_YOUR_CALM, "too_many_pings"))
        self.counted(pings=1)

    def test_pings_beside_answers_are_free(self):
        peer = self.attack("--pings-per-second", "1", "--ping-burst", "5")
        for i in range(50):
            peer.send(peer.call(2 * i + 1))
            self.assertEqual(peer.status(2 * i + 1), 0)
            peer.send(peer.ping())
            peer.wait(s.PING)
        self.counted()

    def test_settings(self):
        peer = self.attack("--pings-per-second", "1", "--ping-burst", "5")
        self.flood(peer, peer.settings((4, 1000)) * 20)
        self.assertEqual(peer.goaway()[0], s.ENHANCE_YOUR_CALM)
        self.counted(settings=1)

    def test_frames_without_effect(self):
        for data in (s.frame(s.PRIORITY, 0, 1, bytes(5)), s.frame(77, 0, 0, b"unknown"), Peer.window(0, 1),
                     s.frame(s.PING, s.ACK, 0, bytes(8))):
            with self.subTest(kind=data[3]):
                peer = self.attack("--idle-frames-per-second", "50")
                self.flood(peer, data * 500)
                self.assertEqual(peer.goaway(), (s.ENHANCE_YOUR_CALM, "too many frames without effect"))
                self.counted(idle_frames=1)

    def test_empty_data(self):
        for empty in (Peer.data(1, b""), s.frame(s.DATA, s.PADDED, 1, bytes([9]) + bytes(9))):
            peer = self.attack("--idle-frames-per-second", "50")
            self.flood(peer, peer.headers(1, request("/messages.Demo/Sum")) + empty * 500)
            self.assertEqual(peer.goaway()[0], s.ENHANCE_YOUR_CALM)
            self.counted(idle_frames=1)

    def test_continuations(self):
        peer = self.attack()
        block = peer.encoder.encode(request())
        self.flood(peer, s.frame(s.HEADERS, 0, 1, block) + s.frame(s.CONTINUATION, 0, 1, b"") * 100)
        self.assertEqual(peer.goaway(), (s.ENHANCE_YOUR_CALM, "a header block that is too long"))
        self.counted(header_block=1)

    def test_a_header_block_that_is_too_long(self):
        peer = self.attack("--max-metadata", "1KiB")
        literal = b"\x00\x01x\x7f\x81\x7f" + bytes(b"y" * 16000)  # 127 + 16,001... whatever it says, it is long
        self.flood(peer, s.frame(s.HEADERS, 0, 1, literal[:16000]) * 2)
        self.assertEqual(peer.goaway()[0], s.ENHANCE_YOUR_CALM)
        self.counted(header_block=1)

    def test_a_header_list_that_is_too_long(self):
        # Short on the wire, by references to the table; long when it is read.
        peer = self.attack()
        fields = request() + [("bomb", "b" * 3000)] * 200
        peer.send(peer.headers(1, fields), peer.data(1, message(messages.EchoMessage()), True))
        self.assertEqual(peer.status(1), 8)
        peer.send(peer.call(3))
        self.assertEqual(peer.status(3), 0)
        self.counted(metadata=1)

    def test_slow_headers(self):
        peer = self.attack("--frame-timeout", "200ms")
        block = peer.encoder.encode(request())
        peer.send(s.frame(s.HEADERS, 0, 1, block[:10]))
        with self.assertRaises(s.Closed):
            while True:
                peer.read()
        self.counted(slow_frame=1)

    def test_a_preface_that_does_not_end(self):
        peer = self.attack("--first-byte-timeout", "200ms", "--frame-timeout", "200ms", greet=False)
        peer.send(s.PREFACE[:10])
        with self.assertRaises(s.Closed):
            while True:
                peer.read()
        self.counted(slow_frame=1)

    def test_too_many_streams(self):
        peer = self.attack("--max-calls", "5")
        for i in range(8):
            peer.send(peer.headers(2 * i + 1, request()))
        for _ in range(3):
            self.assertEqual(peer.wait(s.RST_STREAM).code, s.REFUSED_STREAM)
        peer.send(peer.data(1, message(messages.EchoMessage()), True))
        self.assertEqual(peer.status(1), 0)
        self.counted(open_calls=3)
        # One that has said that it knows the limit is in breach of it.
        peer = self.attack("--max-calls", "5")
        peer.send(s.frame(s.SETTINGS, s.ACK))
        self.flood(peer, b"".join(peer.headers(2 * i + 1, request()) for i in range(6)))
        self.assertEqual(peer.goaway()[0], s.PROTOCOL_ERROR)
        self.counted(malformed=1)

    def test_backward_ids(self):
        for first, second in ((5, 3), (5, 5), (1, 1)):
            peer = self.attack()
            peer.send(peer.call(first))
            self.assertEqual(peer.status(first), 0)
            self.flood(peer, peer.call(second))
            self.assertEqual(peer.goaway()[0], s.PROTOCOL_ERROR)
            self.counted(stream_id=1)

    def test_an_even_id(self):
        peer = self.attack()
        self.flood(peer, peer.call(2))
        self.assertEqual(peer.goaway()[0], s.PROTOCOL_ERROR)
        self.counted(malformed=1)

    def test_breaches(self):
        data = message(messages.EchoMessage())
        breaches = {
            "data on an idle stream": lambda p: p.data(7, data),
            "data on stream 0": lambda p: p.data(0, data),
            "a window that overflows": lambda p: p.window(0, 2**31 - 1) * 2,
            "settings of a wrong length": lambda p: s.frame(s.SETTINGS, 0, 0, b"12345"),
            "a ping of a wrong length": lambda p: s.frame(s.PING, 0, 0, b"1234567"),
            "a reset of an idle stream": lambda p: p.reset(9),
            "a push": lambda p: s.frame(s.PUSH_PROMISE, s.END_HEADERS, 1, struct.pack(">I", 2)),
            "a continuation of nothing": lambda p: s.frame(s.CONTINUATION, s.END_HEADERS, 1, b""),
            "a frame inside of headers": lambda p: s.frame(s.HEADERS, 0, 1, b"\x82") + p.ping(),
            "broken compression": lambda p: s.frame(s.HEADERS, s.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
            "a table size that is too large": lambda p: s.frame(s.HEADERS, s.END_HEADERS, 1, b"\x3f\xff\xff\x7f"),
            "padding longer than its frame": lambda p: p.headers(1, request()) + s.frame(s.DATA, s.PADDED, 1, b"\x09x"),
            "an initial window that is too large": lambda p: p.settings((4, 2**31)),
        }
        for name, breach in breaches.items():
            with self.subTest(name):
                peer = self.attack()
                self.flood(peer, breach(peer))
                self.assertNotEqual(peer.goaway()[0], 0)
                self.counted(malformed=1)
        peer = self.attack()
        self.flood(peer, b"\xff\xff\xff\x00\x00\x00\x00\x00\x01")
        self.assertEqual(peer.goaway()[0], s.FRAME_SIZE_ERROR)
        self.counted(frame_size=1)

    def test_requests_that_http_forbids(self):
        """A stream's own errors: that stream is reset, the others go on."""
        peer = self.attack()
        bad = ([("connection", "close")], [("Upper", "x")], [("te", "gzip")], [(":late", "x")], [("bad\x00name", "x")],
               [("name", "a\r\nb")], [("content-length", "99")])
        for i, fields in enumerate(bad):
            peer.send(peer.headers(2 * i + 1, request() + fields), peer.data(2 * i + 1, b"", True))
            came = peer.read_until(lambda f, i=i: f.stream == 2 * i + 1)
            self.assertEqual(came.kind, s.RST_STREAM, fields)
        peer.send(peer.call(101))
        self.assertEqual(peer.status(101), 0)
        self.counted()

    def test_a_window_that_never_opens(self):
        peer = self.attack("--output-timeout", "300ms", settings=[(4, 1)])
        peer.send(peer.call(1, messages.EchoMessage(text="x" * 1000)))
        with self.assertRaises(s.Closed):
            while True:
                peer.read()
        self.counted(slow_reader=1)

    def test_answers_that_nobody_takes_stop_the_calls_behind_them(self):
        peer = self.attack("--max-output", "64KiB", settings=[(4, 0)])
        for i in range(200):
            peer.send(peer.call(2 * i + 1, messages.EchoMessage(text="x" * 4000)))
            if i % 16 == 0:
                peer.sync()
        peer.sync()
        # They are begun again as there is room, in their order.
        peer.send(peer.window(0, 2**30), peer.settings((4, 2**20)))
        ended = set()
        while len(ended) < 200:
            came = peer.read_until(lambda f: f.ended)
            self.assertEqual(came.headers["grpc-status"], "0")
            ended.add(came.stream)
        self.counted()

    def test_a_peer_that_reads_nothing_is_heard(self):
        """The output is full, and what opens the window is still read."""
        peer = self.attack("--max-output", "16KiB", settings=[(4, 2**31 - 1)])
        peer.send(peer.window(0, 2**31 - 1 - 65535))
        for i in range(50):
            peer.send(peer.call(2 * i + 1, messages.CountRequest(first=1, last=10**9), "/messages.Demo/Count"))
        for i in range(50):
            peer.send(peer.reset(2 * i + 1))
        self.bystander.sync()
        peer.socket.settimeout(s.GUARD)
        peer.sync()
        self.counted()

    def test_many_unfinished_messages(self):
        peer = self.attack("--max-unread", "64KiB", "--max-message", "64KiB")
        # A peer that does not acknowledge our windows has the first ones of HTTP/2 itself.
        start = b"\x00" + struct.pack(">I", 60000) + bytes(16000)
        for i in range(100):
            self.flood(peer, peer.headers(2 * i + 1, request()) + peer.data(2 * i + 1, start))
        peer.sync()
        refused = [f for f in peer.seen if f.kind == s.HEADERS and f.headers["grpc-status"] == "8"]
        self.assertGreater(len(refused), 50)
        self.bystander.send(self.bystander.call(1))
        self.assertEqual(self.bystander.status(1), 0)
        self.assertEqual(self.refused(self.program), {"unread": len(refused)})


if __name__ == "__main__":
    unittest.main()
