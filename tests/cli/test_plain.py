# SPDX-License-Identifier: MIT
"""
msgsrv-client --plain: plain messages over a socket, against the server and against scripted peers.
"""
import json
import re
import unittest

from programs import NOT_UTF8, TestCase, client, field, peer, refusing_url, server


def string(number, text):
    return field(number, text.encode())


class Plain(TestCase):
    """With a server that answers."""

    def setUp(self):
        super().setUp()
        self.urls = ["tcp://127.0.0.1:0", f"unix://{self.folder}/socket", f"unix:@{self.folder}"]

    def test_add_and_echo(self):
        with server(listen=self.urls) as program:
            for url in program.urls:
                self.check(client(url, "--plain", "add", "2", "-3"), 0, "-1\n")
                self.check(client(url, "--plain", "add", "0", "0", "--json"), 0, '{"result": 0}\n')
                self.check(client(url, "--plain", "echo", "grüße"), 0, "grüße\n")
                self.check(client(url, "--plain", "echo", ""), 0, "\n")
                self.check(client(url, "--plain", "echo", "-", stdin=b"y" * 3000000), 0, "y" * 3000000)

    def test_names_and_ipv6(self):
        with server(listen=("tcp://localhost:0",)) as program:
            port = program.port
            self.check(client(f"tcp://localhost:{port}", "--plain", "add", "1", "1"), 0, "2\n")

    def test_the_handlers_error(self):
        with server() as program:
            self.check(client(program.url, "--plain", "add", "2147483647", "1"), 11,
                       err="msgsrv-client: Add: OUT_OF_RANGE: 2147483647 + 1 does not fit int32\n")

    def test_a_text_that_is_none(self):
        with server() as program:
            self.check(client(program.url, "--plain", "echo", "-", stdin=b"\xff"), 3,
                       err=f"msgsrv-client: Echo: INVALID_ARGUMENT: {NOT_UTF8}\n")

    def test_over_the_servers_limit(self):
        with server("--max-message", "64KiB") as program:
            self.check(client(program.url, "--plain", "echo", "-", stdin=b"x" * 500000), 8,
                       err="msgsrv-client: Echo: RESOURCE_EXHAUSTED: field 1 of 500004 bytes is over the limit of "
                       "65536\n")


class Peers(TestCase):
    """What else may answer, byte for byte."""

    REQUEST = field(2, b"\x08\x01\x10\x02")  # ClientMessage{add_request{a: 1, b: 2}}

    def exchange(self, answer, *more):
        """Calls add 1 2 against a peer that checks the request and answers; returns the result and the URL."""
        received = []

        def serve(connection):
            data = b""
            while len(data) < len(self.REQUEST) and (got := connection.recv(64)):
                data += got
            received.append(data)
            if answer is None:
                connection.recv(1)
            else:
                connection.sendall(answer)
        with peer(serve) as url:
            result = client(url, "--plain", *more, "add", "1", "2")
        self.assertEqual(received, [self.REQUEST])
        return result, url

    def check_error(self, answer, status, text, *more):
        result, url = self.exchange(answer, *more)
        self.check(result, status, err=f"msgsrv-client: Add: {text}\n".replace("URL", url))

    def test_an_answer(self):
        self.check(self.exchange(field(2, b"\x08\x03"))[0], 0, "3\n")
        self.check(self.exchange(field(2, b""))[0], 0, "0\n")

    def test_ends(self):
        self.check_error(field(18, b"\x10\x0b" + string(3, "too big")), 11, "OUT_OF_RANGE: too big")
        self.check_error(field(18, string(3, "first") + b"\x10\x05"), 5, "NOT_FOUND: first")
        self.check_error(field(18, b"\x10\x0d"), 13, "INTERNAL: internal error")
        self.check_error(field(18, b"\x10\x63" + string(3, "new")), 2, "UNKNOWN: new")
        self.check_error(field(18, string(3, "no code")), 2, "UNKNOWN: no code")
        self.check_error(field(18, b"\x10\x0d" + string(3, "x" * 1000)), 13, "INTERNAL: " + "x" * 255)
        self.check_error(field(18, b"\x10\x0d" + string(3, "a\x1b[2Jb\nc\x7f\u009b")), 13, "INTERNAL: a?[2Jb?c???")
        self.check_error(field(18, b"\x10\x05" + string(9, "later") + string(3, "gone")), 5, "NOT_FOUND: gone")

    def test_a_go_away(self):
        self.check_error(field(23, b"\x08\x0e" + string(2, "draining")), 14, "UNAVAILABLE: draining")

    def test_another_member(self):
        self.check_error(field(1, string(1, "text")), 13,
                         "INTERNAL: the answer is another message than the one expected (URL)")
        self.check_error(field(9, b""), 13, "INTERNAL: the answer is another message than the one expected (URL)")

    def test_what_is_no_server(self):
        for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00", b"\x02\x00", b"\x08\x01", b"\xff" * 10,
                       b"\x12\xff\xff\xff\xff\x7f", b"\x12\xff\xff\xff\x7f", field(2, b"\xff"), field(18, b"\x10"),
                       field(18, b"\x1a\x05abc"), field(16, b"")):
            with self.subTest(answer=answer):
                self.check_error(answer, 14, "UNAVAILABLE: what answers there is not a msgsrv server (URL)")

    def test_a_close(self):
        for answer in (b"", b"\x12", b"\x12\x02", b"\x12\x02\x08"):
            with self.subTest(answer=answer):
                self.check_error(answer, 14, "UNAVAILABLE: the server closed the connection (URL)")

    def test_silence(self):
        self.check_error(None, 4, "DEADLINE_EXCEEDED: no answer within the timeout (URL)", "--timeout", "200ms")

    def test_nobody(self):
        with refusing_url() as url:
            self.check(client(url, "--plain", "add", "1", "2"), 14,
                       err=f"msgsrv-client: Add: UNAVAILABLE: connection refused ({url})\n")
        url = f"unix://{self.folder}/none"
        self.check(client(url, "--plain", "add", "1", "2"), 14,
                   err=f"msgsrv-client: Add: UNAVAILABLE: no such file or directory ({url})\n")
        url = "unix:///" + "x" * 107
        self.check(client(url, "--plain", "add", "1", "2"), 3,
                   err=f"msgsrv-client: Add: INVALID_ARGUMENT: the path of a Unix socket ends at 107 bytes ({url})\n")
        url = "tcp://no-such-host.invalid:7070"
        self.check_match(client(url, "--plain", "add", "1", "2"), 14, "",
                         rf"msgsrv-client: Add: UNAVAILABLE: .+ \({re.escape(url)}\)\n")

    def test_a_reply_that_is_not_utf8_as_json(self):
        def serve(connection):
            connection.recv(64)
            connection.sendall(field(1, field(1, b"a\xff\xc0\xafb\xed\xa0\x80\xf5\xe2\x82")))
        with peer(serve) as url:
            result = client(url, "--plain", "echo", "x", "--json")
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertEqual(json.loads(result.out)["text"].replace("\ufffd", "?"), "a???b??????")


if __name__ == "__main__":
    unittest.main()
