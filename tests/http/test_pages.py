# SPDX-License-Identifier: MIT
"""
/healthz, /readyz and /metrics: what they say, in which form, and how they are turned off.
"""
import unittest

from programs import TestCase, client, server
from web import ADD, Web, head, metrics, post


def get(url, path, *lines, method="GET"):
    with Web(url) as web:
        web.send(head(method, path, *lines))
        return web.answer(method == "HEAD")


class Pages(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = server("--log-level", "error")
        cls.url = cls.context.__enter__().url

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def test_health(self):
        for path in ("/healthz", "/readyz", "/healthz?verbose=1", "http://any.host:80/healthz?x"):
            answer = get(self.url, path)
            self.assertEqual((answer.status, answer.body), (200, b"ok\n"))
            self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
            self.assertEqual(answer.headers["cache-control"], "no-store")
            self.assertRegex(answer.headers["date"], r"^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$")
            self.assertNotIn("connection", answer.headers)

    def test_unknown_paths(self):
        for path in ("/", "/healthz/", "/Healthz", "//healthz", "/health%7a", "*", "http://x", "http://user@x/healthz",
                     "/healthz#x", "ftp://x/healthz2"):
            with self.subTest(path):
                self.assertEqual(get(self.url, path).status, 404)

    def test_head(self):
        with Web(self.url) as web:
            web.send(head("HEAD", "/healthz") + head("HEAD", "/nobody") + head("GET", "/healthz"))
            answer = web.answer(True)
            self.assertEqual((answer.status, answer.headers["content-length"]), (200, "3"))
            self.assertEqual(web.answer(True).status, 404)
            self.assertEqual(web.answer().body, b"ok\n")

    def test_other_methods(self):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
            answer = get(self.url, "/metrics", method=method)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))

    def test_a_body_is_refused(self):
        with Web(self.url) as web:
            web.send(head("GET", "/healthz", "Content-Length: 4") + b"abcd" + head("GET", "/healthz"))
            self.assertEqual([web.answer().status, web.answer().status], [400, 200])

    def test_close(self):
        with Web(self.url) as web:
            web.send(head("GET", "/healthz", "Connection: close") * 2)
            self.assertEqual(web.answer().headers["connection"], "close")
            self.assertTrue(web.at_end())

    def test_one_blank_line_is_forgiven(self):
        with Web(self.url) as web:
            web.send(head("GET", "/healthz") + b"\r\n" + head("GET", "/healthz") + b"\r\n\r\n" + head("GET", "/healthz"))
            self.assertEqual([web.answer().status for _ in range(3)], [200, 200, 400])
            self.assertTrue(web.at_end())

    def test_half_close(self):
        with Web(self.url) as web:
            web.send(head("GET", "/healthz"))
            web.socket.shutdown(1)
            self.assertEqual(web.answer().body, b"ok\n")
            self.assertTrue(web.at_end())

    def test_metrics(self):
        with server("--log-level", "error") as program:
            with Web(program.url) as web:
                web.send(post(ADD, {"a": 1}) * 3 + post(ADD, {"a": 2 ** 31 - 1, "b": 1}) + head("GET", "/nobody"))
                for _ in range(5):
                    web.answer()
                name = 'w"o\\r\nk'.replace("\n", "")
                web.send(post("/msgsrv.bus.v1.Bus/DeclareQueue", {"queue": "work", "settings": {"patterns": ["jobs.>"]}}))
                self.assertEqual(web.answer().status, 200, name)
                self.check(client(program.url, "pub", "jobs.a", "--type", "messages.AddRequest", "{}"), 0)
                web.send(head("GET", "/metrics"))
                answer = web.answer()
            self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
            found = metrics(answer.body.decode())
            add = ("method", "/messages.Demo/Add")
            self.assertEqual(found["msgsrv_calls_started_total", (add,)], 4)
            self.assertEqual(found["msgsrv_calls_total", (add, ("status", "OK"))], 3)
            self.assertEqual(found["msgsrv_calls_total", (add, ("status", "OUT_OF_RANGE"))], 1)
            self.assertEqual(found["msgsrv_refused_total", (("reason", "http_path"),)], 1)
            self.assertEqual(found["msgsrv_bus_queue_messages", (("queue", "work"),)], 1)
            self.assertEqual(found["msgsrv_bus_published_total", ()], 1)
            self.assertEqual(found["msgsrv_bus_queues", ()], 1)
            self.assertGreaterEqual(found["msgsrv_connections_open", ()], 1)
            self.check_histogram(found, add, 4)

    def check_histogram(self, found, method, count):
        """Buckets grow, up to the count; bounds are in seconds."""
        buckets = [(float(dict(labels)["le"]), value) for (name, labels), value in found.items()
                   if name == "msgsrv_call_duration_seconds_bucket" and method in labels]
        self.assertEqual(buckets, sorted(buckets))
        self.assertEqual([value for _, value in buckets], sorted(value for _, value in buckets))
        self.assertEqual((buckets[0][0], buckets[-2][0]), (1e-5, 10))
        self.assertEqual(buckets[-1], (float("inf"), count))
        self.assertEqual(found["msgsrv_call_duration_seconds_count", (method,)], count)
        self.assertGreater(found["msgsrv_call_duration_seconds_sum", (method,)], 0)

    def test_options(self):
        for options, pages in ((["--no-pages"], [404, 404, 200]), (["--no-metrics"], [200, 200, 404]),
                               (["--no-info", "--no-health", "--no-reflection", "--no-bus"], [200, 200, 200])):
            with server(*options, "--log-level", "error") as program:
                with Web(program.url) as web:
                    web.send(post(ADD, {"a": 1}))
                    self.assertEqual(web.answer().body, b'{"result":1}')
                    found = []
                    for path in ("/healthz", "/readyz", "/metrics"):
                        web.send(head("GET", path))
                        answer = web.answer()
                        found.append(answer.status)
                    self.assertEqual(found, pages)
                if "--no-info" in options:
                    self.assertEqual(metrics(answer.body.decode())["msgsrv_calls_total", (
                        ("method", "/messages.Demo/Add"), ("status", "OK"))], 1)


if __name__ == "__main__":
    unittest.main()
