# SPDX-License-Identifier: MIT
"""
msgsrv-client call: unary methods and streams of every kind, with JSON in and out; and every wrong input.
"""
import json
import os
import pty
import signal
import subprocess
import unittest

from native import end, head, item, native_server
from programs import CLIENT, ENVIRONMENT, GUARD, TestCase, broken_pipe, client, conversation, field, run, server

IO = 74


class Calls(TestCase):
    """With msgsrv-server."""

    @classmethod
    def setUpClass(cls):
        cls.context = server()
        cls.url = cls.context.__enter__().url

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def call(self, *arguments, **more):
        return client(self.url, "call", *arguments, **more)

    def test_every_form_of_a_name(self):
        for name in ("messages.Demo/Add", "/messages.Demo/Add", "messages.Demo.Add", "Demo/Add", "Demo.Add", "Add"):
            with self.subTest(name=name):
                self.check(self.call(name, '{"a": 2, "b": 3}'), 0, '{"result":5}\n')

    def test_json_of_the_protobuf_mapping(self):
        self.check(self.call("Add"), 0, "{}\n")
        self.check(self.call("Add", ' {"a": "-5", "b": 2.0}\n'), 0, '{"result":-3}\n')
        for text in ("", "two words", "grüße 🙂", 'quotes " and \\', "a\nb", "x" * 100000):
            result = self.call("Echo", json.dumps({"text": text}))
            self.assertEqual((result.status, result.err, result.out.count("\n")), (0, "", 1))
            self.assertEqual(json.loads(result.out).get("text", ""), text)

    def test_standard_input(self):
        self.check(self.call("Add", "-", stdin=b'{\n  "a": 2,\n  "b": 3\n}\n'), 0, '{"result":5}\n')
        result = self.call("Echo", "-", stdin=json.dumps({"text": "y" * 3000000}).encode())
        self.assertEqual(json.loads(result.out), {"text": "y" * 3000000})
        self.check(run("/bin/sh", "-c", '"$0" --server "$1" call Add - < "$2"', CLIENT, self.url, self.folder), IO,
                   err="msgsrv-client: standard input: Is a directory\n")
        self.check(run("/bin/sh", "-c", '"$0" --server "$1" call Chat - < "$2"', CLIENT, self.url, self.folder), IO,
                   err="msgsrv-client: standard input: Is a directory\n")

    def test_errors_of_the_server(self):
        self.check(self.call("Add", '{"a": 2147483647, "b": 1}'), 11,
                   err="msgsrv-client: Add: OUT_OF_RANGE: 2147483647 + 1 does not fit int32\n")
        self.check(self.call("Count", '{"interval_ms": -1}'), 3,
                   err="msgsrv-client: Count: INVALID_ARGUMENT: interval_ms is negative\n")

    def test_no_such_method(self):
        for name, nearest in (("messages.Demo/Ad", "messages.Demo/Add"), ("messages.Dmo/Add", "messages.Demo/Add"),
                              ("Ecoh", "messages.Demo/Echo"), ("/messages.Demo/add", "messages.Demo/Add"),
                              ("grpc.health.v1.Health/Chek", "grpc.health.v1.Health/Check")):
            self.check(self.call(name), 5,
                       err=f'msgsrv-client: call: no method "{name}" (did you mean {nearest}?)\n')
        for name in ("messages.Demo/Frobnicate", "messages.Demo", "", "/", "//", "AddRequest"):
            with self.subTest(name=name):
                self.check(self.call(name), 5, err=f'msgsrv-client: call: no method "{name}" (see msgsrv-client list)\n')
        self.check(self.call("Watch", "x"), 3, err=self.call("grpc.health.v1.Health/Watch", "x").err)
        self.check(self.call("ServerReflectionInfo"), 64, err='msgsrv-client: call: "ServerReflectionInfo" may be '
                   "grpc.reflection.v1.ServerReflection/ServerReflectionInfo or "
                   "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo\n")

    def test_wrong_json(self):
        for method in ("Add", "Count", "Sum"):
            for text in ("", "{", "nonsense", '{"a": }', "[]", "5", '"x"', "{} {}", '{"frob": 1}', '{"a": "x", "value": "x", '
                         '"first": "x"}', '{"a": 1.5, "value": 1.5, "last": 1.5}', '{"a": 2147483648, "value": 1e20}'):
                with self.subTest(method=method, text=text):
                    self.check_match(self.call(method, text), 3, "", rf"msgsrv-client: {method}: INVALID_ARGUMENT: .+\n")
        self.check_match(self.call("Add", '{"aa": 1}'), 3, "", r'msgsrv-client: Add: INVALID_ARGUMENT: .*"?aa"?.*\n')
        self.check_match(self.call("Add", '{"a": "x"}'), 3, "", r"msgsrv-client: Add: INVALID_ARGUMENT: .*int32.*\n")

    def test_metadata_that_may_not_travel(self):
        self.check_match(self.call("Add", "--metadata", "Bad Key=x"), 3, "",
                         r"msgsrv-client: Add: INVALID_ARGUMENT: .+\n")
        self.check_match(self.call("Chat", "--metadata", "grpc-x=x"), 3, "",
                         r"msgsrv-client: Chat: INVALID_ARGUMENT: .+\n")

    def test_a_terminal_gets_lines_for_people(self):
        master, slave = pty.openpty()
        with os.fdopen(master, "rb") as terminal:
            with subprocess.Popen([CLIENT, "--server", self.url, "call", "Add", '{"a": 1, "b": 2}'], stdout=slave,
                                  stdin=subprocess.DEVNULL, env=ENVIRONMENT) as program:
                os.close(slave)
                self.assertEqual([terminal.readline() for _ in range(3)], [b"{\r\n", b'  "result": 3\r\n', b"}\r\n"])
                self.assertEqual(program.wait(GUARD), 0)

    # Streams

    def test_a_stream_of_responses(self):
        self.check(self.call("Count", '{"first": 1, "last": 3}'), 0, '{"number":1}\n{"number":2}\n{"number":3}\n')
        self.check(self.call("Count", '{"first": 1, "last": 0}'), 0)
        result = self.call("Count", '{"first": -100, "last": 20000}')
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertEqual([json.loads(line).get("number", 0) for line in result.out.splitlines()], list(range(-100, 20001)))
        self.check(self.call("Count", '{"first": 2147483646, "last": 2147483647, "interval_ms": 1}'), 0,
                   '{"number":2147483646}\n{"number":2147483647}\n')

    def test_responses_come_as_they_are_sent(self):
        with conversation(self.url, "call", "Count", '{"first": 1, "last": 2147483647, "interval_ms": 1}') as talk:
            for number in range(1, 50):
                self.assertEqual(talk.line(), f'{{"number":{number}}}')
            talk.interrupt()
            result = talk.end_without_closing()
            self.assertEqual((result.status, result.err),
                             (1, f"msgsrv-client: Count: CANCELLED: interrupted ({self.url})\n"))

    def test_a_stream_of_requests(self):
        self.check(self.call("Sum", "-", stdin=b""), 0, "{}\n")
        self.check(self.call("Sum", "-", stdin=b'{"value": 1}\n\n  \r\n{"value": 2}\n{"value": -5}'), 0, '{"sum":"-2"}\n')
        self.check(self.call("Sum", '{"value": 7}'), 0, '{"sum":"7"}\n')
        self.check(self.call("Sum"), 0, "{}\n")
        many = "".join(f'{{"value": {number}}}\n' for number in range(20000))
        self.check(self.call("Sum", "-", stdin=many.encode()), 0, f'{{"sum":"{sum(range(20000))}"}}\n')

    def test_both_ways_in_turn(self):
        with conversation(self.url, "call", "Chat", "-") as talk:
            for text in ("one", "two", "x" * 200000, "four"):
                talk.write(json.dumps({"text": text}) + "\n")
                self.assertEqual(json.loads(talk.line()), {"text": text})
            talk.write('{"text": "last"}')
            result = talk.end()
            self.assertEqual((result.status, result.out, result.err), (0, '{"text":"last"}\n', ""))

    def test_both_ways_at_once(self):
        texts = [f"{number} " + "y" * (number % 500) for number in range(10000)]
        result = self.call("Chat", "-", stdin="".join(json.dumps({"text": text}) + "\n" for text in texts).encode())
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertEqual([json.loads(line)["text"] for line in result.out.splitlines()], texts)

    def test_a_wrong_line_ends_the_stream(self):
        for method in ("Chat", "Sum"):
            result = self.call(method, "-", stdin=b'{}\n\n{"frob": 1}\n{}\n')
            self.assertEqual((result.status, result.out), (3, "{}\n" if method == "Chat" else ""))
            self.assertRegex(result.err, rf"\Amsgsrv-client: {method}: INVALID_ARGUMENT: line 3: .*frob.*\n\Z")
        with conversation(self.url, "call", "Chat", "-") as talk:
            talk.write('{"text": "good"}\n')
            self.assertEqual(talk.line(), '{"text":"good"}')
            talk.write("bad\n")
            result = talk.end_without_closing()
            self.assertEqual((result.status, result.out), (3, ""))
            self.assertRegex(result.err, r"\Amsgsrv-client: Chat: INVALID_ARGUMENT: line 2: .+\n\Z")

    def test_what_came_before_a_wrong_line_is_answered(self):
        many = "".join(f'{{"text":"{number}"}}\n' for number in range(3000))
        result = self.call("Chat", "-", stdin=(many + "{]\n" + '{"text": "behind"}\n').encode())
        self.assertEqual((result.status, result.out), (3, many))
        # A stream of requests that has one response is not taken for whole: it is cancelled.
        self.assertEqual(self.call("Sum", "-", stdin=b'{"value": 5}\n{]\n').out, "")

    def test_an_error_names_one_line(self):
        for text, said in (("{]", "not JSON: string or '}' expected near ']' (column 2)"), ('{"text": 5}', "EchoMessage.text: 5 is not a string"),
                           ('{"text": "(line 1, column 1)" 5}', "not JSON: '}' expected near '5' (column 31)"),
                           ('{"text": {"(line 1, ": 1}}', 'EchoMessage.text: {"(line 1, ":1} is not a string')):
            self.check(self.call("Chat", "-", stdin=b"\n\n" + text.encode() + b"\n"), 3,
                       err=f"msgsrv-client: Chat: INVALID_ARGUMENT: line 3: {said}\n")

    def test_interrupted_while_it_waits_for_input(self):
        for method in ("Chat", "Sum"):
            for number in (signal.SIGINT, signal.SIGTERM):
                with conversation(self.url, "call", method, "-") as talk:
                    if method == "Chat":
                        talk.write("{}\n")
                        self.assertEqual(talk.line(), "{}")
                    else:
                        self.wait_for_calls(method, 1)
                    talk.interrupt(number)
                    result = talk.end_without_closing()
                    self.assertEqual((result.status, result.out, result.err),
                                     (1, "", f"msgsrv-client: {method}: CANCELLED: interrupted ({self.url})\n"))
                    self.wait_for_calls(method, 0)

    def wait_for_calls(self, method, count):
        """Until this many calls of a method of messages.Demo are open at the server."""
        with conversation(self.url, "stats", "--watch", "--json", "--interval", "100ms") as talk:
            while json.loads(talk.line())["methods"]["messages.Demo/" + method]["calls_open"] != count:
                pass

    def test_timeout_of_a_stream(self):
        with conversation(self.url, "call", "Chat", "-", "--timeout", "300ms") as talk:
            result = talk.end_without_closing()
            self.assertEqual(result.status, 4)
            self.assertRegex(result.err, r"\Amsgsrv-client: Chat: DEADLINE_EXCEEDED: .+\n\Z")

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            for method, body in (("Add", '{"a": 1}'), ("Count", '{"last": 2147483647}'), ("Chat", "{}")):
                self.check(self.call(method, body, stdout=full), IO,
                           err="msgsrv-client: standard output: No space left on device\n")

    def test_nobody_reads_on(self):
        count = ("Count", '{"last": 2147483647, "interval_ms": 1}')
        with broken_pipe() as broken:
            self.check(self.call(*count, stdout=broken), -signal.SIGPIPE)
            self.check(self.call("Echo", "-", stdin=json.dumps({"text": "x" * 100000}).encode(), stdout=broken), -signal.SIGPIPE)
            self.check(self.call(*count, stdout=broken, restore_signals=False), IO, err="msgsrv-client: standard output: Broken pipe\n")
        self.check(run("/bin/sh", "-c", '{ "$0" --server "$1" call "$2" "$3"; echo $? >&2; } | head -n 1', CLIENT, self.url, *count),
                   0, '{}\n', "141\n")


class Drains(TestCase):
    def test_a_server_that_drains(self):
        with server() as program, conversation(program.url, "call", "Chat", "-") as talk:
            talk.write("{}\n")
            self.assertEqual(talk.line(), "{}")
            self.assertEqual(program.stop().status, 0)
            result = talk.end_without_closing()
            self.assertEqual((result.status, result.out, result.err),
                             (14, "", "msgsrv-client: Chat: UNAVAILABLE: the server is shutting down\n"))


class Headers(TestCase):
    """With a scripted server, which sends metadata back."""

    METHODS = (field(1, b"Once") + field(2, b".a.M") + field(3, b".a.M"),
               field(1, b"Many") + field(2, b".a.M") + field(3, b".a.M") + b"\x30\x01")
    FILE = (field(1, b"a.proto") + field(2, b"a") + field(4, field(1, b"M"))
            + field(6, field(1, b"S") + b"".join(field(2, method) for method in METHODS)) + field(12, b"proto3"))
    REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

    def serve(self, answer, seen):
        return native_server({self.REFLECTION: lambda body: field(4, field(1, self.FILE)), "/a.S/Once": answer,
                              "/a.S/Many": answer}, seen)

    @staticmethod
    def answer(code):
        def frames(call):
            body = b"" if code == 0 else None
            return head(call, [("from", b"head"), ("h-bin", b"\0\xff")]) + \
                end(call, code, "as asked", body, [("t-bin", b"\x01"), ("last", b"")])
        return lambda body: frames

    def test_metadata_both_ways(self):
        printed = "head from: head\nhead h-bin: AP8=\ntrailer t-bin: AQ==\ntrailer last: \n"
        for code, error in ((0, ""), (9, "FAILED_PRECONDITION: as asked\n")):
            seen = []
            with self.serve(self.answer(code), seen) as url:
                for method in ("Once",) if code == 0 else ("Once", "Many"):
                    result = client(url, "call", "a.S/" + method, "--headers", "--metadata", "key=value=more", "--metadata",
                                    "x-bin=AP8=", "--metadata", "x-bin=", "--metadata", "y-bin=AQ")
                    self.check(result, code, "{}\n" if code == 0 else "",
                               printed + (f"msgsrv-client: {method}: {error}" if error else ""))
                    self.assertEqual(seen[-1], (f"/a.S/{method}", [("key", b"value=more"), ("x-bin", b"\0\xff"),
                                                                  ("x-bin", b""), ("y-bin", b"\x01")]))

    def test_a_response_that_does_not_decode(self):
        with self.serve(lambda body: b"\xff", []) as url:
            self.check_match(client(url, "call", "a.S/Once"), 3, "", r"msgsrv-client: Once: INVALID_ARGUMENT: .+\n")
        with self.serve(lambda body: lambda call: item(call, b"") + item(call, b"\xff"), []) as url:
            self.check_match(client(url, "call", "a.S/Many"), 3, r"\{\}\n", r"msgsrv-client: Many: INVALID_ARGUMENT: .+\n")


if __name__ == "__main__":
    unittest.main()
