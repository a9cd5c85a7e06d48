#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""msgsrv-client on a foreign server, gRPC's own for Python: all kinds of calls, types by reflection, and how calls end."""
import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
from concurrent import futures

from support import SOURCE_DIR, TestCase, messages as m
from programs import CLIENT, ENVIRONMENT, GUARD, client

try:
    import grpc
except ImportError:
    print("needs python3-grpcio")
    sys.exit(77)

_generated = tempfile.TemporaryDirectory(prefix="msgsrv-")
subprocess.run([os.environ["MSGSRV_PROTOC"], "-I", os.path.join(SOURCE_DIR, "proto"), "--python_out", _generated.name,
                "grpc/reflection/v1/reflection.proto", "--descriptor_set_out", os.path.join(_generated.name, "set"),
                "--include_imports", "messages.proto"], check=True)
sys.path.insert(0, _generated.name)
from google.protobuf import descriptor_pb2  # noqa: E402
import importlib.util  # noqa: E402

# Its package has the name of gRPC's own.
_spec = importlib.util.spec_from_file_location("reflection_pb2",
                                               os.path.join(_generated.name, "grpc/reflection/v1/reflection_pb2.py"))
reflection = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reflection)


class Demo:
    """messages.Demo, with commands in Echo's text."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.begun = threading.Event()
        self.metadata = []

    def echo(self, request, context):
        command, *words = request.text.split(" ", 2) if request.text.startswith("!") else ("",)
        self.metadata = list(context.invocation_metadata())
        if command == "!fail":
            context.set_trailing_metadata((("why", "asked"),))
            context.abort(grpc.StatusCode[words[0]], words[1] if len(words) > 1 else "")
        if command == "!wait":
            context.add_callback(self.cancelled.set)
            self.begun.set()
            self.cancelled.wait(GUARD)
        if command == "!big":
            return m.EchoMessage(text="b" * int(words[0]))
        if command == "!meta":
            context.send_initial_metadata((("head", "first"), ("head", "second"), ("head-bin", b"\x00\xff\x01")))
            context.set_trailing_metadata((("trailer", "last"), ("trailer-bin", b"\xfe")))
        return m.EchoMessage(text=request.text)

    def add(self, request, _context):
        return m.AddResponse(result=request.a + request.b)

    def count(self, request, context):
        context.add_callback(self.cancelled.set)
        for number in range(request.first, request.last + 1):
            if not context.is_active():
                return
            yield m.CountReply(number=number)
        if request.interval_ms == 77:
            context.abort(grpc.StatusCode.DATA_LOSS, "in the middle")

    def sum(self, requests, context):
        total = 0
        for request in requests:
            if request.value == -1:
                context.abort(grpc.StatusCode.ABORTED, "early")
            total += request.value
        return m.SumReply(sum=total)

    def chat(self, requests, _context):
        for request in requests:
            yield m.EchoMessage(text=request.text)

    def handlers(self):
        def made(kind, function, request):
            return getattr(grpc, kind + "_rpc_method_handler")(function, request.FromString,
                                                               lambda reply: reply.SerializeToString())
        return grpc.method_handlers_generic_handler("messages.Demo", {
            "Echo": made("unary_unary", self.echo, m.EchoMessage),
            "Add": made("unary_unary", self.add, m.AddRequest),
            "Count": made("unary_stream", self.count, m.CountRequest),
            "Sum": made("stream_unary", self.sum, m.SumRequest),
            "Chat": made("stream_stream", self.chat, m.EchoMessage)})


class Reflection:
    """Of Debian's gRPC there is none; it is small."""

    def __init__(self, version):
        self.version = version
        self.asked = 0
        with open(os.path.join(_generated.name, "set"), "rb") as file:
            self.files = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file

    def answer(self, request):
        self.asked += 1
        response = reflection.ServerReflectionResponse(original_request=request)
        if request.WhichOneof("message_request") == "list_services":
            response.list_services_response.service.add(name="messages.Demo")
            return response
        for file in self.files:
            names = [f"{file.package}.{item.name}" for item in (*file.service, *file.message_type)]
            names += [f"{file.package}.{service.name}.{method.name}" for service in file.service
                      for method in service.method]
            if file.name == request.file_by_filename or request.file_containing_symbol in names:
                response.file_descriptor_response.file_descriptor_proto.append(file.SerializeToString())
                return response
        response.error_response.error_code = 5
        response.error_response.error_message = "not found"
        return response

    def handlers(self):
        handler = grpc.stream_stream_rpc_method_handler(
            lambda requests, _: (self.answer(request) for request in requests),
            reflection.ServerReflectionRequest.FromString, lambda reply: reply.SerializeToString())
        return grpc.method_handlers_generic_handler(f"grpc.reflection.{self.version}.ServerReflection",
                                                    {"ServerReflectionInfo": handler})


class Foreign(TestCase):
    maxDiff = 1000

    def setUp(self):
        super().setUp()
        self.demo = Demo()
        self.program, self.url = self.serve(self.demo, "v1")

    def serve(self, demo, version, *options, address="127.0.0.1:0", **more):
        program = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0), *options], **more)
        program.add_generic_rpc_handlers((demo.handlers(), Reflection(version).handlers()))
        port = program.add_insecure_port(address)
        program.start()
        self.addCleanup(lambda: program.stop(0).wait(GUARD))
        return program, f"grpc://127.0.0.1:{port}"

    def call(self, method, request, *more, url=None, **options):
        return client(url or self.url, "call", f"messages.Demo/{method}",
                      request if isinstance(request, str) else json.dumps(request), *more, **options)

    def good(self, *arguments, **more):
        result = self.call(*arguments, **more)
        self.assertEqual(result.status, 0, result)
        return [json.loads(line) for line in result.out.splitlines()]

    def fails(self, code, *arguments, **more):
        result = self.call(*arguments, **more)
        self.assertNotEqual(result.status, 0, result)
        self.assertIn(code, result.err)
        return result

    def test_list_describe_and_call(self):
        self.assertEqual(client(self.url, "list").out, "messages.Demo\n")
        self.assertIn("rpc Chat(stream messages.EchoMessage)", client(self.url, "describe", "messages.Demo").out)
        self.assertEqual(self.good("Add", {"a": 2, "b": 3}), [{"result": 5}])

    def test_a_server_that_has_reflection_of_the_older_version_alone(self):
        _, url = self.serve(self.demo, "v1alpha")
        self.assertEqual(client(url, "list").out, "messages.Demo\n")
        self.assertEqual(self.good("Add", {"a": 1}, url=url), [{"result": 1}])

    def test_a_unix_socket(self):
        path = os.path.join(_generated.name, "socket")
        self.serve(self.demo, "v1", address=f"unix:{path}")
        self.assertEqual(self.good("Echo", {"text": "x"}, url=f"grpc+unix://{path}"), [{"text": "x"}])
        self.assertIn(("user-agent",), [entry[:1] for entry in self.demo.metadata])

    def test_streams(self):
        self.assertEqual(self.good("Count", {"first": 1, "last": 1000}), [{"number": n} for n in range(1, 1001)])
        values = "".join(json.dumps({"value": n}) + "\n" for n in range(1, 1001)).encode()
        self.assertEqual(self.good("Sum", "-", stdin=values), [{"sum": "500500"}])
        texts = [{"text": str(n)} for n in range(1000)]
        self.assertEqual(self.good("Chat", "-", stdin="\n".join(map(json.dumps, texts)).encode()), texts)
        self.assertEqual(self.good("Sum", "-", stdin=b""), [{}])
        self.assertEqual(self.good("Chat", "-", stdin=b""), [])
        self.assertEqual(self.good("Count", {"first": 1}), [])

    def test_large_messages(self):
        for size in (16379, 65536, 300000, 4000000):
            self.assertEqual(len(self.good("Echo", {"text": f"!big {size}"})[0]["text"]), size)
        _, url = self.serve(self.demo, "v1", ("grpc.max_receive_message_length", 8 << 20))
        for size in (16384, 65531, 65536, 1000000, 3000000):
            text = "a" * size
            result = client(url, "echo", "-", stdin=text.encode())
            self.assertEqual((result.status, result.out), (0, text))
        self.fails("RESOURCE_EXHAUSTED: the reply is over the message limit", "Echo", {"text": "!big 67108865"})

    def test_metadata(self):
        result = self.call("Echo", {"text": "!meta"}, "--metadata", "key=value", "--metadata", "key=again", "--metadata",
                           "data-bin=" + base64.b64encode(b"\0\xff,").decode(), "--headers")
        self.assertEqual(result.status, 0, result)
        sent = [(key, value) for key, value, in self.demo.metadata if key in ("key", "data-bin")]
        self.assertEqual(sent, [("key", "value"), ("key", "again"), ("data-bin", b"\0\xff,")])
        for line in ("head: first", "head: second", "head-bin: AP8B", "trailer: last", "trailer-bin: /g=="):
            self.assertRegex(result.err, line.replace(": ", "[:=] ?").rstrip("="))

    def test_every_status(self):
        for code in list(grpc.StatusCode)[1:]:
            result = self.fails(f"{code.name}: a%b ü \u20ac", "Echo", {"text": f"!fail {code.name} a%b ü €"}, "--headers")
            self.assertIn("asked", result.err)
        self.fails("NOT_FOUND", "Echo", {"text": "!fail NOT_FOUND"})
        result = self.fails("DATA_LOSS: in the middle", "Count", {"first": 1, "last": 3, "interval_ms": 77})
        self.assertEqual(len(result.out.splitlines()), 3)
        self.fails("ABORTED: early", "Sum", "-", stdin=b'{"value": -1}\n' + b'{"value": 1}\n' * 1000)

    def test_what_is_not_there(self):
        result = client(self.url, "health")
        self.assertIn("UNIMPLEMENTED", result.err)

    def test_a_deadline_ends_here_and_there(self):
        self.fails("DEADLINE_EXCEEDED", "Echo", {"text": "!wait"}, "--timeout", "300ms")
        self.assertTrue(self.demo.cancelled.wait(GUARD))

    def test_an_interrupted_call_is_cancelled_there(self):
        with subprocess.Popen([CLIENT, "--server", self.url, "call", "messages.Demo/Count",
                               '{"first": 1, "last": 2000000000}'], stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
            self.assertEqual(process.stdout.readline(), b'{"number":1}\n')
            process.terminate()
            process.stdout.close()
            process.wait(GUARD)
        self.assertTrue(self.demo.cancelled.wait(GUARD))

    def test_compressed_answers(self):
        for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            _, url = self.serve(self.demo, "v1", compression=algorithm)
            self.assertEqual(self.good("Echo", {"text": "!big 1000000"}, url=url), [{"text": "b" * 1000000}])
            self.assertEqual(len(self.good("Count", {"first": 1, "last": 5000}, url=url)), 5000)
            texts = [{"text": "x" * (n * 100)} for n in range(1, 300)]
            self.assertEqual(self.good("Chat", "-", url=url, stdin="\n".join(map(json.dumps, texts)).encode()), texts)
            self.fails("RESOURCE_EXHAUSTED", "Echo", {"text": "!big 68000000"}, url=url)

    def test_a_drain_ends_no_call(self):
        with subprocess.Popen([CLIENT, "--server", self.url, "call", "messages.Demo/Chat", "-"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
            def exchange(text):
                process.stdin.write(json.dumps({"text": text}).encode() + b"\n")
                process.stdin.flush()
                self.assertEqual(json.loads(process.stdout.readline()), {"text": text})
            exchange("before")
            stopped = self.program.stop(GUARD)
            exchange("after")
            exchange("again")
            process.stdin.close()
            self.assertEqual(process.stdout.read(), b"")
            self.assertEqual(process.wait(GUARD), 0)
            self.assertTrue(stopped.wait(GUARD))

    def test_pings(self):
        result = client(self.url, "ping", "--count", "3", "--interval", "1ms")
        self.assertEqual((result.status, len(result.out.splitlines())), (0, 4), result)

    def test_a_server_of_few_streams_is_not_asked_for_more(self):
        _, url = self.serve(self.demo, "v1", ("grpc.max_concurrent_streams", 2))
        result = client(url, "bench", "--outstanding", "64", "--seconds", "0.3")
        self.assertEqual(result.status, 0, result)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        unittest.main()
