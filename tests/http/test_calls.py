# SPDX-License-Identifier: MIT
"""
Calls by the Connect protocol: JSON and protobuf, errors, deadlines, metadata, compression, and how requests share a connection.
"""
import gzip
import http.client
import json
import shutil
import unittest

from programs import GUARD, TestCase, client, field, run, server, varint
from web import ADD, ECHO, Web, head, post, refused

JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
QUEUES = "/msgsrv.bus.v1.Bus/Queues"


class Calls(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = server("--log-level", "error")
        cls.program = cls.context.__enter__()
        cls.url = cls.program.url

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def ask(self, data, url=None):
        with Web(url or self.url) as web:
            web.send(data)
            return web.answer()

    def expect_error(self, data, status, code, text=None, url=None):
        answer = self.ask(data, url)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/json")
        error = json.loads(answer.body)
        self.assertEqual(error["code"], code, error)
        if text:
            self.assertIn(text, error["message"])
        return answer

    def test_curl(self):
        curl = shutil.which("curl")
        if not curl:
            self.skipTest("no curl")
        base = f"http://127.0.0.1:{self.program.port}"
        done = run(curl, "-sS", "-d", '{"a":2,"b":3}', "-H", "Content-Type: application/json", base + ADD)
        self.check(done, 0, '{"result":5}')
        done = run(curl, "-sS", "--compressed", "-H", "Content-Type: application/json", "--data-binary", "@-", base + ECHO,
                   stdin=json.dumps({"text": "x" * 100000}).encode())
        self.check(done, 0, json.dumps({"text": "x" * 100000}, separators=(",", ":")))
        done = run(curl, "-sS", "-H", "Transfer-Encoding: chunked", "-d", '{"a":2}', "-H", "Content-Type: application/json",
                   base + ADD)
        self.check(done, 0, '{"result":2}')
        done = run(curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-d", '{"a":2}', base + ADD)
        self.check(done, 0, "415")
        done = run(curl, "-sSI", base + "/healthz")
        self.assertRegex(done.out, "^HTTP/1.1 200 OK\r\n")

    def test_http_client_keeps_the_connection(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.program.port, timeout=GUARD)
        connection.connect()
        socket = connection.sock
        for a in range(50):
            connection.request("POST", ADD, json.dumps({"a": a, "b": 1}), {"Content-Type": "application/json"})
            response = connection.getresponse()
            self.assertEqual((response.status, response.read()), (200, b'{"result":%d}' % (a + 1)))
            self.assertIs(connection.sock, socket)
        connection.close()

    def test_protobuf(self):
        body = b"\x08" + varint(2) + b"\x10" + varint(3)
        answer = self.ask(post(ADD, body, media="application/proto"))
        self.assertEqual((answer.status, answer.body, answer.headers["content-type"]), (200, b"\x08\x05", "application/proto"))
        answer = self.ask(post(ADD, b"", media="application/proto"))
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.expect_error(post(ADD, b"\x08", media="application/proto"), 400, "invalid_argument")

    def test_json(self):
        for media in ("application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'):
            self.assertEqual(self.ask(post(ADD, {"a": "2", "b": 3}, media=media)).body, b'{"result":5}')
        self.assertEqual(self.ask(post(ADD, {})).body, b"{}")
        self.expect_error(post(ADD, b""), 400, "invalid_argument")
        self.expect_error(post(ADD, b"{"), 400, "invalid_argument", "line 1")
        self.expect_error(post(ADD, {"a": "x"}), 400, "invalid_argument", "AddRequest.a")
        self.expect_error(post(ADD, {"c": 1}), 400, "invalid_argument", "c")
        self.expect_error(post(ECHO, b'{"text":"\xff"}'), 400, "invalid_argument")

    def test_the_text_of_an_error_is_json(self):
        self.expect_error(post(ADD, {'q"\n\u2028': 1}), 400, "invalid_argument")

    def test_a_method_of_bytes_takes_json(self):
        """The bus reads its messages itself; their types come from the descriptors."""
        self.assertEqual(self.ask(post("/msgsrv.bus.v1.Bus/DeclareQueue", {"queue": "work"})).status, 200)
        queues = json.loads(self.ask(post(QUEUES, {})).body)
        self.assertEqual([entry["name"] for entry in queues["queues"]], ["work"])

    def test_errors_have_the_published_statuses(self):
        big = 2 ** 31 - 1
        self.expect_error(post(ADD, {"a": big, "b": big}), 400, "out_of_range")
        self.expect_error(post("/grpc.health.v1.Health/Check", {"service": "nobody"}), 404, "not_found", "nobody")
        self.expect_error(post("/messages.Demo/Nothing", {}), 404, "unimplemented")
        self.expect_error(post("/messages.Demo/Nothing", {}, media="application/proto"), 404, "unimplemented")

    def test_media_types(self):
        for media in ("text/plain", "application/x-www-form-urlencoded", "application/grpc", "application/json; charset=latin1",
                      "application/connect+json", "application/connect+proto"):
            answer = self.expect_error(post(ADD, {}, media=media), 415, "invalid_argument")
            self.assertEqual(answer.headers["accept-post"], "application/json, application/proto")
        self.assertEqual(self.ask(head("POST", ADD)).status, 415)

    def test_streams_are_not_served(self):
        for name in ("Count", "Sum", "Chat"):
            self.expect_error(post(f"/messages.Demo/{name}", {}), 415, "unimplemented", "streams")
            self.expect_error(post(f"/messages.Demo/{name}", b"\0\0\0\0\2{}", media="application/connect+json"), 501,
                              "unimplemented", "streams")

    def test_the_method_must_be_post(self):
        for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            answer = self.ask(head(method, ADD))
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))

    def test_protocol_version(self):
        self.assertEqual(self.ask(post(ADD, {"a": 1}, "Connect-Protocol-Version: 1")).status, 200)
        self.expect_error(post(ADD, {"a": 1}, "Connect-Protocol-Version: 2"), 400, "invalid_argument", "Version")

    def test_timeouts(self):
        self.assertEqual(self.ask(post(ADD, {"a": 1}, "Connect-Timeout-Ms: 9999999999")).status, 200)
        for bad in ("0", "", "-1", "1s", "12345678901", "1 2", "1.5"):
            with self.subTest(bad):
                self.expect_error(post(ADD, {}, f"Connect-Timeout-Ms: {bad}"), 400, "invalid_argument", "Timeout")
        self.expect_error(post(ADD, {}, "Connect-Timeout-Ms: 5", "Connect-Timeout-Ms: 5"), 400, "invalid_argument")

    def test_gzip(self):
        packed = gzip.compress(b'{"a":2,"b":3}')
        answer = self.ask(post(ADD, packed, "Content-Encoding: gzip"))
        self.assertEqual((answer.status, answer.body), (200, b'{"result":5}'))
        self.assertEqual(self.ask(post(ADD, b"{}", "Content-Encoding: identity")).status, 200)
        text = {"text": "y" * 5000}
        for lines, packs in ((["Accept-Encoding: gzip"], True), (["Accept-Encoding: br, gzip;q=0.5"], True),
                             (["Accept-Encoding: gzip;q=0"], False), ([], False), (["Accept-Encoding: br"], False)):
            answer = self.ask(post(ECHO, text, *lines))
            self.assertEqual(answer.headers.get("content-encoding"), "gzip" if packs else None, lines)
            body = gzip.decompress(answer.body) if packs else answer.body
            self.assertEqual(json.loads(body), text)
        # Who sends it can read it, unless it says what it reads.
        data = gzip.compress(json.dumps(text).encode())
        self.assertEqual(self.ask(post(ECHO, data, "Content-Encoding: gzip")).headers.get("content-encoding"), "gzip")
        answer = self.ask(post(ECHO, data, "Content-Encoding: gzip", "Accept-Encoding: identity"))
        self.assertNotIn("content-encoding", answer.headers)

    def test_bad_gzip(self):
        packed = gzip.compress(b'{"a":2,"b":3}')
        for data in (b"{}", packed[:-1], packed[:12], packed + b"x", packed + packed, b"\x78\x9c" + packed[2:]):
            self.expect_error(post(ADD, data, "Content-Encoding: gzip"), 400, "invalid_argument", "gzip")
        self.expect_error(post(ADD, b"", "Content-Encoding: gzip"), 400, "invalid_argument")
        self.expect_error(post(ADD, packed, "Content-Encoding: br"), 501, "unimplemented", "gzip and identity")
        self.expect_error(post(ADD, packed, "Content-Encoding: gzip, gzip"), 501, "unimplemented")
        self.expect_error(post(ADD, packed, "Content-Encoding: gzip", "Content-Encoding: gzip"), 501, "unimplemented")

    def test_large_messages(self):
        with server("--max-message", "100KiB", "--bus-max-event", "1KiB", "--log-level", "error") as program:
            size = 100 * 1024
            exact = b'{"text":"' + b"x" * (size - 11) + b'"}'
            self.assertEqual(self.ask(post(ECHO, exact), program.url).status, 200)
            self.expect_error(post(ECHO, exact + b" "), 429, "resource_exhausted", url=program.url)
            bomb = gzip.compress(b'{"text":"' + b"x" * 50000000 + b'"}')
            self.assertLess(len(bomb), size)
            self.expect_error(post(ECHO, bomb, "Content-Encoding: gzip"), 429, "resource_exhausted", "decompressed",
                              url=program.url)
            chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
            answer = self.ask(head("POST", ECHO, JSON, CHUNKED) + chunk * 26, program.url)
            self.assertEqual((answer.status, answer.headers["connection"]), (413, "close"))
            answer = self.ask(head("POST", ECHO, JSON, CHUNKED) + b"ffffffff\r\n", program.url)
            self.assertEqual(answer.status, 413)
            # Of an announced length nothing is read.
            answer = self.ask(head("POST", ECHO, JSON, "Content-Length: 999999999999999999"), program.url)
            self.assertEqual((answer.status, answer.headers["connection"]), (429, "close"))
            self.assertEqual(refused(program.url, "message_size"), 5)

    def test_chunks(self):
        first = head("POST", ADD, JSON, CHUNKED)
        body = b'3\r\n{"a\r\n5;x=y;z\r\n":2,"\r\n5 ; q="w"\r\nb":3}\r\n0\r\nTrailer: x\r\nContent-Length: 9\r\n\r\n'
        for piece in (1, 7, 1000):
            with Web(self.url) as web:
                data = first + body + head("GET", "/healthz")
                for at in range(0, len(data), piece):
                    web.send(data[at:at + piece])
                self.assertEqual(web.answer().body, b'{"result":5}')
                self.assertEqual(web.answer().body, b"ok\n")

    def test_expectations(self):
        with Web(self.url) as web:
            web.send(head("POST", ADD, JSON, "Expect: 100-continue", "Content-Length: 7"))
            self.assertEqual(web.answer().status, 100)
            web.send(b'{"a":2}')
            self.assertEqual(web.answer().body, b'{"result":2}')
            web.send(head("POST", "/nobody", JSON, "Expect: 100-continue", "Content-Length: 7"))
            answer = web.answer()
            self.assertEqual((answer.status, answer.headers["connection"]), (404, "close"))
            self.assertTrue(web.at_end())
        self.assertEqual(self.ask(post(ADD, {}, "Expect: something")).status, 417)

    def test_a_short_body_that_is_not_wanted_is_thrown_away(self):
        with Web(self.url) as web:
            for _ in range(3):
                web.send(post("/nobody", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") + post(ADD, b"{}", media="text/plain"))
                self.assertEqual([web.answer().status, web.answer().status], [404, 415])
            web.send(head("POST", "/nobody", "Content-Length: 70000"))
            self.assertEqual(web.answer().headers["connection"], "close")
            self.assertTrue(web.at_end())

    def test_pipelining_is_answered_in_order(self):
        with Web(self.url) as web:
            web.send(b"".join(post(ADD, {"a": i}) + head("GET", "/healthz") for i in range(1, 300)))
            for i in range(1, 300):
                self.assertEqual(web.answer().body, b'{"result":%d}' % i)
                self.assertEqual(web.answer().body, b"ok\n")

    def test_metadata_that_is_wrong(self):
        self.expect_error(post(ADD, {}, "data-bin: ?"), 400, "invalid_argument", "base64")
        self.expect_error(post(ADD, {}, "a" * 65 + ": b"), 400, "invalid_argument")
        self.expect_error(post(ADD, {}, "a: " + "b" * 9000), 429, "resource_exhausted", "metadata")
        self.expect_error(post(ADD, {}, "msgsrv-require: x"), 501, "unimplemented")
        self.assertEqual(self.ask(post(ADD, {}, "Cookie: \xe9", "A!b: c", "grpc-x: y", "data-bin: AAE, AgM=")).status, 200)

    def test_old_clients(self):
        with Web(self.url) as web:
            web.send(head("POST", ADD, JSON, "Content-Length: 7", host=None, version="HTTP/1.0") + b'{"a":2}')
            answer = web.answer()
            self.assertEqual((answer.version, answer.body, answer.headers["connection"]), ("HTTP/1.1", b'{"result":2}', "close"))
            self.assertTrue(web.at_end())

    def test_upgrades_are_ignored(self):
        with Web(self.url) as web:
            web.send(post(ADD, {"a": 2}, "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"))
            self.assertEqual(web.answer().body, b'{"result":2}')
            web.send(head("GET", "/healthz", "Upgrade: websocket", "Connection: Upgrade"))
            self.assertEqual(web.answer().body, b"ok\n")

    def test_the_other_doors_are_open(self):
        self.check(client(self.url, "add", "2", "3"), 0, "5\n")

    def test_calls_are_counted(self):
        with server("--access-log") as program:
            self.ask(post(ADD, {"a": 1}), program.url)
            program.wait_for_line(r"/messages.Demo/Add OK .* in=1 out=1")
            stats = json.loads(client(program.url, "stats", "--json").out)
            self.assertEqual(stats["methods"]["messages.Demo/Add"]["calls_ended"], {"OK": 1})


if __name__ == "__main__":
    unittest.main()
