# SPDX-License-Identifier: MIT
"""
What is refused, with exact bytes: each is answered, counted by its reason, and where a request may be read in two ways the connection
ends, so that nothing behind it is taken for a request.
"""
import unittest

from programs import TestCase, connect, read_all, server
from web import ADD, Web, head, post, refused

SMUGGLED = head("GET", "/healthz")
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"

# (what, bytes, status, reason)
MALFORMED = [
    ("bare LF behind the request line", b"GET /healthz HTTP/1.1\nHost: x\r\n\r\n", 400, "http_malformed"),
    ("bare LF behind a header", b"GET /healthz HTTP/1.1\r\nHost: x\n\r\n", 400, "http_malformed"),
    ("bare LF at the end", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\n", 400, "http_malformed"),
    ("bare CR", b"GET /healthz HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400, "http_malformed"),
    ("two CR", b"GET /healthz HTTP/1.1\r\nHost: x\r\r\n\r\n", 400, "http_malformed"),
    ("obs-fold", head("GET", "/healthz", "A: b", " c"), 400, "http_malformed"),
    ("obs-fold with a tab", head("GET", "/healthz", "A: b", "\tc"), 400, "http_malformed"),
    ("white space before the first header", b"GET /healthz HTTP/1.1\r\n Host: x\r\n\r\n", 400, "http_malformed"),
    ("space before a colon", head("GET", "/healthz", "A : b"), 400, "http_malformed"),
    ("tab before a colon", head("GET", "/healthz", "A\t: b"), 400, "http_malformed"),
    ("no colon", head("GET", "/healthz", "A"), 400, "http_malformed"),
    ("no name", head("GET", "/healthz", ": b"), 400, "http_malformed"),
    ("a name that is no token", head("GET", "/healthz", "A(b: c"), 400, "http_malformed"),
    ("NUL in a value", head("GET", "/healthz", "A: b\0c"), 400, "http_malformed"),
    ("a control character in a value", head("GET", "/healthz", "A: b\x01c"), 400, "http_malformed"),
    ("two spaces in the request line", head("GET", " /healthz"), 400, "http_malformed"),
    ("a space in the target", head("GET", "/health z"), 400, "http_malformed"),
    ("a tab in the request line", b"GET\t/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "http_malformed"),
    ("a space behind the version", b"GET /healthz HTTP/1.1 \r\nHost: x\r\n\r\n", 400, "http_malformed"),
    ("a target that is not ASCII", head("GET", "/\xe9"), 400, "http_malformed"),
    ("a method in small letters", head("get", "/healthz"), 400, "http_malformed"),
    ("no version", b"GET /healthz\r\nHost: x\r\n\r\n", 400, "http_malformed"),
    ("no path", b"GET HTTP/1.1\r\nHost: x\r\n\r\n", 400, "http_malformed"),
    ("two Content-Types", head("POST", ADD, JSON, JSON), 400, "http_malformed"),
    ("an unknown method", head("FETCH", "/healthz"), 501, "http_method"),
    ("CONNECT", head("CONNECT", "host:80"), 405, "http_method"),
    ("HTTP/2.0", head("GET", "/healthz", version="HTTP/2.0"), 505, "http_version"),
    ("HTTP/1.2", head("GET", "/healthz", version="HTTP/1.2"), 505, "http_version"),
    ("HTTP/0.9", head("GET", "/healthz", version="HTTP/0.9"), 505, "http_version"),
    ("another protocol", head("GET", "/healthz", version="ICE/1.1"), 400, "http_malformed"),
    ("no Host", head("GET", "/healthz", host=None), 400, "http_host"),
    ("two Hosts", head("GET", "/healthz", "Host: x"), 400, "http_host"),
    ("two Hosts in HTTP/1.0", head("GET", "/healthz", "Host: x", version="HTTP/1.0"), 400, "http_host"),
    ("a Host with a path", head("GET", "/healthz", host="x/y"), 400, "http_host"),
    ("a Host with two names", head("GET", "/healthz", host="x, y"), 400, "http_host"),
]

# The same of a body's length. The second request would be somebody else's.
LENGTHS = [
    ("both lengths", head("POST", ADD, JSON, "Content-Length: 4", CHUNKED) + b"0\r\n\r\n", 400),
    ("both lengths, in other letters", head("POST", ADD, JSON, "CONTENT-LENGTH: 4", "transfer-ENCODING: Chunked") + b"0\r\n\r\n", 400),
    ("both lengths, the other way round", head("POST", ADD, JSON, CHUNKED, "Content-Length: 4") + b"0\r\n\r\n", 400),
    ("two Content-Lengths", head("POST", ADD, JSON, "Content-Length: 2", "Content-Length: 3") + b"{}", 400),
    ("the same twice", head("POST", ADD, JSON, "Content-Length: 2", "Content-Length: 2") + b"{}", 400),
    ("a list", head("POST", ADD, JSON, "Content-Length: 2, 2") + b"{}", 400),
    ("a sign", head("POST", ADD, JSON, "Content-Length: +2") + b"{}", 400),
    ("below zero", head("POST", ADD, JSON, "Content-Length: -2") + b"{}", 400),
    ("hexadecimal", head("POST", ADD, JSON, "Content-Length: 0x2") + b"{}", 400),
    ("a space inside", head("POST", ADD, JSON, "Content-Length: 2 0") + b"{}", 400),
    ("empty", head("POST", ADD, JSON, "Content-Length: ") + b"{}", 400),
    ("over 64 bits", head("POST", ADD, JSON, "Content-Length: 18446744073709551618") + b"{}", 400),
    ("another coding", head("POST", ADD, JSON, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 501),
    ("chunked twice", head("POST", ADD, JSON, "Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n", 501),
    ("two Transfer-Encodings", head("POST", ADD, JSON, CHUNKED, CHUNKED) + b"0\r\n\r\n", 400),
    ("identity", head("POST", ADD, JSON, "Transfer-Encoding: identity") + b"{}", 501),
    ("a letter before", head("POST", ADD, JSON, "Transfer-Encoding: xchunked") + b"0\r\n\r\n", 501),
    ("a vertical tab before", head("POST", ADD, JSON, "Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n", 400),
    ("chunked in HTTP/1.0", head("POST", ADD, JSON, CHUNKED, version="HTTP/1.0") + b"0\r\n\r\n", 400),
]

# Bodies in chunks.
CHUNKS = [
    ("no size", b"\r\n{}\r\n0\r\n\r\n"),
    ("a size that is no number", b"x\r\n{}\r\n0\r\n\r\n"),
    ("a sign", b"+2\r\n{}\r\n0\r\n\r\n"),
    ("0x", b"0x2\r\n{}\r\n0\r\n\r\n"),
    ("white space before", b" 2\r\n{}\r\n0\r\n\r\n"),
    ("a bare LF behind the size", b"2\n{}\r\n0\r\n\r\n"),
    ("a bare LF in an extension", b"2;a\nb\r\n{}\r\n0\r\n\r\n"),
    ("a bare CR in an extension", b"2;a\rb\r\n{}\r\n0\r\n\r\n"),
    ("more bytes than the size", b"2\r\n{}}\r\n0\r\n\r\n"),
    ("other bytes behind the bytes", b"2\r\n{}ab0\r\n\r\n"),
    ("a CR and another byte behind the bytes", b"2\r\n{}\ra0\r\n\r\n"),
    ("a CR and another byte behind the size", b"2\rX{}\r\n0\r\n\r\n"),
    ("a bare LF behind the bytes", b"2\r\n{}\n0\r\n\r\n"),
    ("a bare LF at the end", b"2\r\n{}\r\n0\r\n\n"),
    ("a folded trailer", b"2\r\n{}\r\n0\r\nA: b\r\n c\r\n\r\n"),
    ("a trailer without a colon", b"2\r\n{}\r\n0\r\nA\r\n\r\n"),
]


class Refusals(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = server("--log-level", "error")
        cls.url = cls.context.__enter__().url

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def expect_end(self, data, status, reason, piece=None):
        """One answer, the end, and one refusal more; nothing behind it is served."""
        before = refused(self.url, reason)
        data += SMUGGLED
        with Web(self.url) as web:
            try:
                for at in range(0, len(data), piece or len(data)):
                    web.send(data[at:at + (piece or len(data))])
            except OSError:
                pass  # the server has ended it already
            answer = web.answer()
            self.assertEqual((answer.status, answer.headers["connection"]), (status, "close"), answer)
            self.assertTrue(web.at_end(), web.data)
        self.assertEqual(refused(self.url, reason), before + 1)

    def test_malformed(self):
        for what, data, status, reason in MALFORMED:
            with self.subTest(what):
                self.expect_end(data, status, reason)

    def test_malformed_byte_by_byte(self):
        for what, data, status, reason in MALFORMED[:12]:
            with self.subTest(what):
                self.expect_end(data, status, reason, 1)

    def test_lengths(self):
        for what, data, status in LENGTHS:
            with self.subTest(what):
                self.expect_end(data, status, "http_malformed" if "vertical" in what else "http_length")

    def test_chunks(self):
        for what, body in CHUNKS:
            with self.subTest(what):
                self.expect_end(head("POST", ADD, JSON, CHUNKED) + body, 400, "http_malformed")

    def test_long_chunk_extensions(self):
        first = head("POST", ADD, JSON, CHUNKED)
        self.expect_end(first + b"2;" + b"a" * 300 + b"\r\n{}\r\n0\r\n\r\n", 400, "http_chunks")
        self.expect_end(first + (b"1;" + b"a" * 200 + b"\r\n \r\n") * 30, 400, "http_chunks")
        self.expect_end(first + b"000000002\r\n{}\r\n0\r\n\r\n", 400, "http_chunks")

    def test_long_trailers(self):
        first = head("POST", ADD, JSON, CHUNKED) + b"2\r\n{}\r\n0\r\n"
        self.expect_end(first + b"a: " + b"b" * 20000 + b"\r\n\r\n", 431, "http_chunks")
        self.expect_end(first + b"a: b\r\n" * 200 + b"\r\n", 431, "http_chunks")

    def test_limits_of_the_head(self):
        self.expect_end(head("GET", "/" + "a" * 5000), 414, "http_head")
        self.expect_end(head("GET", "/healthz", "A: " + "b" * 17000), 431, "http_head")
        self.expect_end(head("GET", "/healthz", *["A: b"] * 101), 431, "http_head")
        self.expect_end(b"A" * 30 + b" / HTTP/1.1\r\n\r\n", 400, "http_malformed")

    def test_heads_up_to_the_limits_are_served(self):
        line = "/healthz?" + "a" * (4096 - len("GET /healthz? HTTP/1.1"))
        fill = 16384 - len(head("GET", "/healthz", "A: "))
        for data in (head("GET", line), head("GET", "/healthz", *["A: b"] * 99),
                     head("GET", "/healthz", "A: " + "b" * fill)):
            with Web(self.url) as web:
                web.send(data)
                self.assertEqual(web.answer().status, 200)
        with Web(self.url) as web:
            web.send(head("GET", "/healthz", "A: b" + "b" * fill))
            self.assertEqual(web.answer().status, 431)

    def test_limits_are_options(self):
        with server("--http-max-head", "2KiB", "--http-max-line", "64", "--http-max-fields", "2",
                    "--log-level", "error") as program:
            for data, status in ((head("GET", "/" + "a" * 60), 414), (head("GET", "/healthz", "A: b", "A: b"), 431),
                                 (head("GET", "/healthz", "A: " + "b" * 2040), 431), (head("GET", "/healthz", "A: b"), 200)):
                with Web(program.url) as web:
                    web.send(data)
                    self.assertEqual(web.answer().status, status)

    def test_the_end_inside_a_request(self):
        for data in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", post(ADD, b"{}")[:-1],
                     head("POST", ADD, JSON, CHUNKED) + b"2\r\n{}\r\n"):
            with self.subTest(data), Web(self.url) as web:
                web.send(data)
                web.socket.shutdown(1)
                self.assertEqual(web.answer().status, 400)
                self.assertTrue(web.at_end())

    def test_slow_heads_and_bodies_are_closed(self):
        """Each of these stops for good; the server's own time limit ends it."""
        with server("--frame-timeout", "200ms", "--log-level", "error") as program:
            for data in (b"GET /hea", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", post(ADD, b"{}")[:-1],
                         head("POST", ADD, JSON, CHUNKED) + b"2\r\n{}\r\n", head("POST", ADD, JSON, CHUNKED) + b"2"):
                with self.subTest(data), connect(program.url) as connection:
                    connection.sendall(data)
                    self.assertEqual(read_all(connection), b"")
            self.assertEqual(refused(program.url, "slow_frame"), 5)

    def test_a_body_in_drops_is_closed(self):
        """Each byte is progress to a reader, but not enough."""
        with server("--frame-timeout", "300ms", "--log-level", "error") as program:
            with connect(program.url) as connection:
                connection.sendall(head("POST", ADD, JSON, "Content-Length: 1000000"))
                connection.settimeout(0.02)
                for _ in range(5000):
                    try:
                        connection.sendall(b" ")
                        if connection.recv(100) == b"":
                            break
                    except TimeoutError:
                        continue
                    except OSError:
                        break
                else:
                    self.fail("the server waits")
            self.assertEqual(refused(program.url, "slow_frame"), 1)

    def test_no_http(self):
        with server("--no-http", "--log-level", "error") as program:
            with connect(program.url) as connection:
                connection.sendall(head("GET", "/healthz"))
                try:
                    self.assertEqual(read_all(connection), b"")
                except ConnectionResetError:
                    pass
            self.assertEqual(refused(program.url, "protocol_http1"), 1)


if __name__ == "__main__":
    unittest.main()
