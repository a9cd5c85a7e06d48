#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""msgsrv-client against a server made of Google's runtime: the client's frames parse, and are written again to the
same bytes; the server's answers, in every form that the runtime gives them, are understood."""
import socket
import subprocess
import threading
import unittest

from interop import ADD, CLIENT, ECHO, GUARD_S, UNAVAILABLE, Connection, frame, messages, wire

END = 18


class Served:
    """Runs msgsrv-client once, with `answer(call)` giving the bytes that answer its call."""

    def __init__(self, answer, *arguments):
        self.calls = []
        self.error = None
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(GUARD_S)
            url = "tcp://127.0.0.1:%d" % listener.getsockname()[1]
            thread = threading.Thread(target=self.serve, args=(listener, answer))
            thread.start()
            done = subprocess.run([CLIENT, "--server", url, "--timeout", "15s", *arguments], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=2 * GUARD_S)
            thread.join(GUARD_S)
        self.status, self.output, self.errors = done.returncode, done.stdout.decode(), done.stderr.decode()

    def serve(self, listener, answer):
        """One connection, to its end."""
        try:
            with Connection(sock=listener.accept()[0]) as connection:
                while (came := connection.next()) is not None:
                    name, message = came
                    if name == "call":
                        self.calls.append(message)
                        connection.send(answer(message))
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def end(**fields):
    """The bytes of an End."""
    return wire.Stream(end=[wire.End(**fields)]).SerializeToString()


class Client(unittest.TestCase):
    """What the client sends, and what it makes of answers."""

    def run_client(self, answer, *arguments):
        """Runs it; the test fails when its frames were not in order."""
        served = Served(answer, *arguments)
        self.assertIsNone(served.error, served.error)
        self.assertEqual(len(served.calls), 1, served.errors)
        return served

    def test_add(self):
        def answer(request):
            numbers = messages.AddRequest.FromString(request.body)
            return end(id=request.id, body=messages.AddResponse(result=numbers.a + numbers.b).SerializeToString())

        served = self.run_client(answer, "add", "20", "22")
        self.assertEqual((served.status, served.output), (0, "42\n"), served.errors)
        request = served.calls[0]
        self.assertEqual(request.method, ADD)
        self.assertGreater(request.id, 0)
        self.assertGreater(request.timeout_ms, 0)
        self.assertLessEqual(request.timeout_ms, 15000)
        self.assertFalse(request.streaming)
        self.assertEqual(messages.AddRequest.FromString(request.body), messages.AddRequest(a=20, b=22))

    def test_echo(self):
        text = "\u20ac \U0001f600 " + "x" * 70000
        served = self.run_client(lambda request: end(id=request.id, body=request.body), "echo", text)
        self.assertEqual((served.status, served.output), (0, text + "\n"), served.errors)
        self.assertEqual(served.calls[0].method, ECHO)
        self.assertEqual(served.calls[0].body, messages.EchoMessage(text=text).SerializeToString())

    def test_an_error_is_the_exit_status(self):
        served = self.run_client(lambda request: end(id=request.id, code=5, message="nothing there"), "add", "1", "1")
        self.assertEqual((served.status, served.output), (5, ""))
        self.assertIn("nothing there", served.errors)

    def test_an_unknown_code_reads_as_unknown(self):
        served = self.run_client(lambda request: end(id=request.id, code=4000, message="odd"), "add", "1", "1")
        self.assertEqual(served.status, 2, served.errors)

    def test_what_a_newer_server_may_add_is_skipped(self):
        def answer(request):
            metadata = [wire.Metadata(key="key", value=b"value")]
            head = wire.Stream(head=[wire.Head(id=request.id, metadata=metadata)]).SerializeToString()
            other = end(id=request.id + 7, code=1)
            known = wire.End(id=request.id, metadata=metadata, body=b"\x08\x09")
            newer = known.SerializeToString() + b"\xa2\x01\x03new"
            return head + frame(1001, b"abc") + other + frame(END, newer)

        served = self.run_client(answer, "add", "1", "1")
        self.assertEqual((served.status, served.output), (0, "9\n"), served.errors)

    def test_fields_in_another_order(self):
        def answer(request):
            parts = [wire.End(body=b"\x08\x05"), wire.End(metadata=[wire.Metadata(key="k", value=b"v")]),
                     wire.End(id=request.id)]
            return frame(END, b"".join(part.SerializeToString() for part in parts))

        served = self.run_client(answer, "add", "1", "1")
        self.assertEqual((served.status, served.output), (0, "5\n"), served.errors)

    def test_a_server_that_closes_is_unavailable(self):
        def answer(_):
            raise ConnectionError("on purpose")

        served = Served(answer, "add", "1", "1")
        self.assertEqual(served.status, UNAVAILABLE, served.errors)


if __name__ == "__main__":
    unittest.main()
