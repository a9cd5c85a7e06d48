# SPDX-License-Identifier: MIT
"""
msgsrv-client list and describe: what a server says of itself, misspelt names, and servers whose reflection is old, odd or missing.
"""
import json
import unittest

from native import native_server
from programs import TestCase, client, field, refusing_url, server, varint

V1 = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
V1ALPHA = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
BUILT_IN = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
            "msgsrv.info.v1.Info"]


class Names(TestCase):
    """With msgsrv-server."""

    @classmethod
    def setUpClass(cls):
        cls.context = server()
        cls.url = cls.context.__enter__().url

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def call(self, *arguments, **more):
        return client(self.url, *arguments, **more)

    def test_services(self):
        expected = sorted(BUILT_IN + ["messages.Demo", "msgsrv.bus.v1.Bus"])
        self.check(self.call("list"), 0, "".join(name + "\n" for name in expected))
        result = self.call("list", "--json")
        self.assertEqual((result.status, result.err, result.out.count("\n")), (0, "", 1))
        self.assertEqual(json.loads(result.out), {"services": expected})

    def test_methods(self):
        for name in ("messages.Demo", "Demo", "/messages.Demo"):
            self.check(self.call("list", name), 0, "messages.Demo/Echo\nmessages.Demo/Add\nmessages.Demo/Count\n"
                       "messages.Demo/Sum\nmessages.Demo/Chat\n")

    def test_methods_with_types(self):
        lines = ["messages.Demo/Echo(messages.EchoMessage) returns (messages.EchoMessage)",
                 "messages.Demo/Add(messages.AddRequest) returns (messages.AddResponse)",
                 "messages.Demo/Count(messages.CountRequest) returns (stream messages.CountReply)",
                 "messages.Demo/Sum(stream messages.SumRequest) returns (messages.SumReply)",
                 "messages.Demo/Chat(stream messages.EchoMessage) returns (stream messages.EchoMessage)"]
        self.check(self.call("list", "--long", "messages.Demo"), 0, "".join(line + "\n" for line in lines))
        result = self.call("list", "--long")
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertIn("messages.Demo\n" + "".join(f"  {line}\n" for line in lines), result.out)
        self.assertIn("grpc.health.v1.Health\n  grpc.health.v1.Health/Check(grpc.health.v1.HealthCheckRequest) returns "
                      "(grpc.health.v1.HealthCheckResponse)\n", result.out)

    def test_methods_json(self):
        result = self.call("--json", "list", "Demo")
        self.assertEqual((result.status, result.err, result.out.count("\n")), (0, "", 1))
        methods = json.loads(result.out)
        self.assertEqual(methods["service"], "messages.Demo")
        self.assertEqual(methods["methods"][3], {"method": "messages.Demo/Sum", "request": "messages.SumRequest",
                                                 "response": "messages.SumReply", "client_streaming": True,
                                                 "server_streaming": False})

    def test_no_such_service(self):
        self.check(self.call("list", "messages.Demp"), 5,
                   err='msgsrv-client: list: no service "messages.Demp" (did you mean messages.Demo?)\n')
        self.check(self.call("list", "Dmeo"), 5,
                   err='msgsrv-client: list: no service "Dmeo" (did you mean messages.Demo?)\n')
        for name in ("Frobnicator", "messages.AddRequest", "", ".", "/", "a..b", "messages.", "x" * 300):
            with self.subTest(name=name):
                self.check(self.call("list", name), 5,
                           err=f'msgsrv-client: list: no service "{name}" (see msgsrv-client list)\n')

    def test_ambiguous_service(self):
        self.check(self.call("list", "ServerReflection"), 64,
                   err='msgsrv-client: list: "ServerReflection" may be grpc.reflection.v1.ServerReflection or '
                       'grpc.reflection.v1alpha.ServerReflection\n')

    def test_describe(self):
        for name in ("messages.AddRequest", "AddRequest"):
            result = self.call("describe", name)
            self.assertEqual((result.status, result.err), (0, ""))
            self.assertRegex(result.out, r"(?s)// Two numbers to add\.\nmessage AddRequest \{\n  int32 a = 1;\n  int32 b = 2;\n\}\n")
        result = self.call("describe", "messages.Demo")
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertIn("service Demo {", result.out)
        self.assertRegex(result.out, r"rpc Count\(\.?messages\.CountRequest\) returns \(stream \.?messages\.CountReply\)")
        for name in ("messages.Demo/Add", "/messages.Demo/Add", "messages.Demo.Add", "Demo/Add", "Demo.Add", "Add"):
            result = self.call("describe", name)
            self.assertEqual((result.status, result.err), (0, ""))
            self.assertRegex(result.out, r"rpc Add\(\.?messages\.AddRequest\) returns \(\.?messages\.AddResponse\)")
        result = self.call("describe", "ServingStatus")
        self.assertEqual((result.status, result.err), (0, ""))
        self.assertRegex(result.out, r"enum ServingStatus \{\n")
        self.assertIn("SERVICE_UNKNOWN = 3;", result.out)

    def test_describe_what_is_not_there(self):
        what = "service, method, message or enum"
        for name, nearest in (("messages.AddRequst", "messages.AddRequest"), ("AddResponze", "messages.AddResponse"),
                              ("messages.Demo/Ad", "messages.Demo/Add"), ("Ehco", "messages.Demo/Echo")):
            self.check(self.call("describe", name), 5,
                       err=f'msgsrv-client: describe: no {what} "{name}" (did you mean {nearest}?)\n')
        self.check(self.call("describe", "Frobnicator"), 5,
                   err=f'msgsrv-client: describe: no {what} "Frobnicator" (see msgsrv-client list)\n')


def answers(requests):
    """A reflection's method: by question, an answer."""
    return lambda body: requests.get(body, field(7, varint(1 << 3) + varint(5) + field(2, b"not known")))


def file(name, *more):
    return field(1, name.encode()) + b"".join(more) + field(12, b"proto3")


def files(*contents):
    return field(4, b"".join(field(1, content) for content in contents))


def symbol(name):
    return field(4, name.encode())


LIST = field(7, b"")


def services(*names):
    return field(6, b"".join(field(1, field(1, name.encode())) for name in names))


MESSAGE = field(4, field(1, b"M") + field(2, field(1, b"number") + varint(3 << 3) + varint(1) + varint(4 << 3) + varint(1)
                                          + varint(5 << 3) + varint(5)))


class OtherServers(TestCase):
    """With scripted ones."""

    def test_nobody_listens(self):
        with refusing_url() as url:
            for command in (("list",), ("describe", "x"), ("call", "x")):
                self.check(client(url, *command), 14,
                           err=f"msgsrv-client: {command[0]}: UNAVAILABLE: connection refused ({url})\n")

    def test_no_reflection(self):
        with native_server({}) as url:
            for command in (("list",), ("describe", "a.B"), ("call", "a.B/C")):
                self.check(client(url, *command), 12, err=f"msgsrv-client: {command[0]}: UNIMPLEMENTED: the server has no "
                           f"reflection, without which its types are not known ({url})\n")

    def test_v1alpha(self):
        with native_server({V1ALPHA: answers({LIST: services("b.B", "a.A")})}) as url:
            self.check(client(url, "list"), 0, "a.A\nb.B\n")

    def test_imports_are_asked_for(self):
        method = field(2, field(1, b"Get") + field(2, b".other.M") + field(3, b".other.M"))
        importing = file("a.proto", field(2, b"a"), field(3, b"b.proto"), field(3, b"gone.proto"),
                         field(6, field(1, b"S") + method))
        with native_server({V1: answers({
                LIST: services("a.S"), symbol("a.S"): files(importing), symbol("a.S.Get"): files(importing),
                field(3, b"b.proto"): files(file("b.proto", field(2, b"other"), MESSAGE))}),
                "/a.S/Get": lambda body: body}) as url:
            self.check(client(url, "call", "a.S/Get", '{"number": 7}'), 0, '{"number":7}\n')
            self.check(client(url, "call", "Get"), 0, "{}\n")
            result = client(url, "describe", "M")
            self.assertRegex(result.out, r"message M \{\n  int32 number = 1;\n\}\n")

    def test_odd_answers(self):
        broken = "INTERNAL: the server's reflection sent an answer that does not decode"
        for answer in (b"", b"\xff", field(6, b"\x0a\x05x"), field(4, b"x"), field(6, field(1, b"\x0a\xff"))):
            with self.subTest(answer=answer), native_server({V1: lambda body, answer=answer: answer}) as url:
                self.check(client(url, "list"), 13, err=f"msgsrv-client: list: {broken} ({url})\n")

    def test_files_that_are_none(self):
        for content in (b"\xff", field(1, b"x.proto") + b"\x22\x7f", field(4, b"\x0a\x01")):
            with self.subTest(content=content), native_server({V1: answers({symbol("a.S"): files(content)})}) as url:
                self.check_match(client(url, "describe", "a.S"), 3, "", r"msgsrv-client: describe: INVALID_ARGUMENT: .+\n")

    def test_other_errors(self):
        refused = field(7, varint(1 << 3) + varint(7) + field(2, b"not for you"))
        with native_server({V1: lambda body: refused}) as url:
            self.check(client(url, "list"), 7, err="msgsrv-client: list: PERMISSION_DENIED: not for you\n")
        with native_server({V1: lambda body: (16, "who are you?")}) as url:
            self.check(client(url, "list"), 16, err="msgsrv-client: list: UNAUTHENTICATED: who are you?\n")
        with native_server({V1: lambda body: (0, "")}) as url:
            self.check(client(url, "list"), 13, err="msgsrv-client: list: INTERNAL: the server's reflection ended without an "
                       f"answer ({url})\n")


if __name__ == "__main__":
    unittest.main()
