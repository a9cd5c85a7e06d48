# SPDX-License-Identifier: MIT
"""
msgsrv-client health: each answer with its exit status, and a watch.
"""
import json
import signal
import unittest

from native import native_server
from programs import TestCase, client, conversation, refusing_url, server

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"


class Health(TestCase):
    """With msgsrv-server."""

    @classmethod
    def setUpClass(cls):
        cls.context = server()
        cls.url = cls.context.__enter__().url

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def test_serving(self):
        self.check(client(self.url, "health"), 0, "SERVING\n")
        self.check(client(self.url, "health", "messages.Demo"), 0, "SERVING\n")
        self.check(client(self.url, "health", "messages.Demo", "--json"), 0,
                   '{"service": "messages.Demo", "status": "SERVING"}\n')
        self.assertEqual(json.loads(client(self.url, "--json", "health").out), {"service": "", "status": "SERVING"})

    def test_no_such_service(self):
        self.check(client(self.url, "health", "messages.Dem"), 5,
                   err='msgsrv-client: health: no service "messages.Dem" (did you mean messages.Demo?)\n')
        self.check(client(self.url, "health", "Frobnicator"), 5,
                   err='msgsrv-client: health: no service "Frobnicator" (see msgsrv-client list)\n')
        self.check(client(self.url, "health", "x" * 256), 64,
                   err="msgsrv-client: health: the name of a service has at most 255 bytes\n")

    def test_watch(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with conversation(self.url, "health", "--watch") as talk:
                self.assertEqual(talk.line(), "SERVING")
                talk.interrupt(number)
                self.check(talk.end_without_closing(), 0)
        with conversation(self.url, "health", "Frobnicator", "--watch", "--json") as talk:
            self.assertEqual(json.loads(talk.line()), {"service": "Frobnicator", "status": "SERVICE_UNKNOWN"})
            talk.interrupt()
            self.check(talk.end_without_closing(), 0)

    def test_watch_with_a_deadline(self):
        result = client(self.url, "health", "--watch", "--timeout", "200ms")
        self.assertEqual((result.status, result.out), (4, "SERVING\n"))
        self.assertRegex(result.err, r"\Amsgsrv-client: health: DEADLINE_EXCEEDED: .+\n\Z")


class Others(TestCase):
    def test_a_server_that_drains(self):
        with server() as program, conversation(program.url, "health", "--watch") as talk:
            self.assertEqual(talk.line(), "SERVING")
            self.assertEqual(program.stop().status, 0)
            self.assertEqual(talk.line(), "NOT_SERVING")
            result = talk.end_without_closing()
            self.assertEqual((result.status, result.out), (14, ""))
            self.assertRegex(result.err, r"\Amsgsrv-client: health: UNAVAILABLE: .+\n\Z")

    def test_nobody_listens(self):
        with refusing_url() as url:
            for more in ((), ("--watch",)):
                self.check(client(url, "health", *more), 14,
                           err=f"msgsrv-client: health: UNAVAILABLE: connection refused ({url})\n")

    def test_every_answer(self):
        for body, name, status in ((b"", "UNKNOWN", 14), (b"\x08\x01", "SERVING", 0), (b"\x08\x02", "NOT_SERVING", 14),
                                   (b"\x08\x03", "SERVICE_UNKNOWN", 14), (b"\x08\x63", "UNKNOWN", 14)):
            with native_server({CHECK: lambda request, body=body: body}) as url:
                self.check(client(url, "health", "a.Service"), status, name + "\n")

    def test_no_health_service(self):
        with native_server({}) as url:
            self.check(client(url, "health"), 12, err=f"msgsrv-client: health: UNIMPLEMENTED: no method {CHECK}\n")
            self.check(client(url, "health", "--watch"), 12,
                       err=f"msgsrv-client: health: UNIMPLEMENTED: no method {WATCH}\n")

    def test_unknown_and_no_reflection(self):
        with native_server({CHECK: lambda request: (5, "unknown service")}) as url:
            self.check(client(url, "health", "a.B"), 5,
                       err='msgsrv-client: health: no service "a.B" (see msgsrv-client list)\n')


if __name__ == "__main__":
    unittest.main()
