#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A foreign client, gRPC's own for Python, against the demonstration server."""
import signal
import sys
import unittest

from support import GrpcTestCase, messages as m

try:
    import grpc
except ImportError:
    print("needs python3-grpcio")
    sys.exit(77)

KINDS = {"Echo": ("unary_unary", m.EchoMessage), "Add": ("unary_unary", m.AddResponse),
         "Count": ("unary_stream", m.CountReply), "Sum": ("stream_unary", m.SumReply),
         "Chat": ("stream_stream", m.EchoMessage)}
PATIENCE = 60


class Client(GrpcTestCase):
    def setUp(self):
        super().setUp()
        self.program = self.serve()
        self.channel = self.open()

    def open(self, *options, **more):
        channel = grpc.insecure_channel(f"127.0.0.1:{self.program.port}",
                                        options=[("grpc.use_local_subchannel_pool", 1), *options], **more)
        self.addCleanup(channel.close)
        return channel

    def method(self, name, channel=None):
        kind, reply = KINDS.get(name, ("unary_unary", m.EchoMessage))
        return getattr(channel or self.channel, kind)(
            name if name.startswith("/") else f"/messages.Demo/{name}",
            request_serializer=lambda message: message.SerializeToString(), response_deserializer=reply.FromString)

    def fails(self, code, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(caught.exception.code(), code, caught.exception)
        return caught.exception

    def test_unary(self):
        self.assertEqual(self.method("Add")(m.AddRequest(a=2, b=3), timeout=PATIENCE).result, 5)
        self.assertEqual(self.method("Echo")(m.EchoMessage(), timeout=PATIENCE).text, "")
        for size in (1, 16383, 16384, 65535, 65536, 262144, 4194304 - 5):
            text = "x" * size
            self.assertEqual(self.method("Echo")(m.EchoMessage(text=text), timeout=PATIENCE).text, text)

    def test_errors(self):
        error = self.fails(grpc.StatusCode.OUT_OF_RANGE,
                           lambda: self.method("Add")(m.AddRequest(a=2**31 - 1, b=1), timeout=PATIENCE))
        self.assertEqual(error.details(), "2147483647 + 1 does not fit int32")
        for path in ("/messages.Demo/No", "/no.Service/Add"):
            error = self.fails(grpc.StatusCode.UNIMPLEMENTED, lambda: self.method(path)(m.EchoMessage(), timeout=PATIENCE))
            self.assertEqual(error.details(), f"unknown method {path}")
        channel = self.open(("grpc.max_receive_message_length", -1))
        self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED,
                   lambda: self.method("Echo", channel)(m.EchoMessage(text="x" * 5000000), timeout=PATIENCE))
        self.assertEqual(self.method("Echo", channel)(m.EchoMessage(text="x"), timeout=PATIENCE).text, "x")

    def test_server_streaming(self):
        replies = self.method("Count")(m.CountRequest(first=1, last=20000), timeout=PATIENCE)
        self.assertEqual([reply.number for reply in replies], list(range(1, 20001)))
        self.assertEqual(list(self.method("Count")(m.CountRequest(first=2, last=1), timeout=PATIENCE)), [])

    def test_client_streaming(self):
        numbers = (m.SumRequest(value=i) for i in range(5000))
        self.assertEqual(self.method("Sum")(numbers, timeout=PATIENCE).sum, sum(range(5000)))
        self.assertEqual(self.method("Sum")(iter(()), timeout=PATIENCE).sum, 0)
        self.assertEqual(self.method("Add")(m.AddRequest(a=2, b=3), timeout=PATIENCE).result, 5)

    def test_bidirectional(self):
        texts = [f"{i}" * (i % 500) for i in range(2000)]
        replies = self.method("Chat")((m.EchoMessage(text=text) for text in texts), timeout=PATIENCE)
        self.assertEqual([reply.text for reply in replies], texts)
        large = ["y" * 1000000] * 5
        replies = self.method("Chat")((m.EchoMessage(text=text) for text in large), timeout=PATIENCE)
        self.assertEqual([reply.text for reply in replies], large)

    def test_deadline(self):
        endless = m.CountRequest(first=1, last=2**31 - 1, interval_ms=20)
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(self.method("Count")(endless, timeout=0.2)))
        self.channel.close()
        ended = self.stats(self.program)["calls_ended"]
        self.assertEqual(ended["DEADLINE_EXCEEDED"] + ended["CANCELLED"], 1)

    def test_cancel(self):
        endless = m.CountRequest(first=1, last=2**31 - 1)
        call = self.method("Count")(endless, timeout=PATIENCE)
        self.assertEqual(next(call).number, 1)
        call.cancel()
        self.fails(grpc.StatusCode.CANCELLED, lambda: list(call))
        self.assertEqual(self.method("Add")(m.AddRequest(a=2, b=3), timeout=PATIENCE).result, 5)
        self.channel.close()
        self.assertEqual(self.stats(self.program)["calls_ended"]["CANCELLED"], 1)

    def test_many_at_once(self):
        text = "x" * 271828
        futures = [self.method("Echo").future(m.EchoMessage(text=text), timeout=PATIENCE) for _ in range(300)]
        for future in futures:
            self.assertEqual(future.result().text, text)

    def test_compressed_requests(self):
        channel = self.open(compression=grpc.Compression.Gzip)
        for text in ("", "a" * 100000):
            self.assertEqual(self.method("Echo", channel)(m.EchoMessage(text=text), timeout=PATIENCE).text, text)
        texts = ["a" * 50000] * 40
        replies = self.method("Chat", channel)((m.EchoMessage(text=text) for text in texts), timeout=PATIENCE)
        self.assertEqual([reply.text for reply in replies], texts)
        # What is short on the wire may not be so in memory.
        self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED,
                   lambda: self.method("Echo", channel)(m.EchoMessage(text="a" * 5000000), timeout=PATIENCE))
        channel = self.open(compression=grpc.Compression.Deflate)
        self.assertEqual(self.method("Echo", channel)(m.EchoMessage(text="a" * 9999), timeout=PATIENCE).text, "a" * 9999)

    def test_metadata_goes_in(self):
        # The demonstration server does nothing with it; that it may come is enough here.
        metadata = (("key", "value"), ("key-bin", bytes(range(256))), ("key-bin", b""))
        self.assertEqual(self.method("Add")(m.AddRequest(a=2, b=3), timeout=PATIENCE, metadata=metadata).result, 5)
        self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED,
                   lambda: self.method("Add")(m.AddRequest(a=2, b=3), timeout=PATIENCE, metadata=(("key", "v" * 9000),)))

    def test_health(self):
        from grpc.health.v1 import health_pb2
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check",
                                         request_serializer=lambda message: message.SerializeToString(),
                                         response_deserializer=health_pb2.HealthCheckResponse.FromString)
        self.assertEqual(check(health_pb2.HealthCheckRequest(), timeout=PATIENCE).status, 1)

    def test_drain(self):
        call = self.method("Count")(m.CountRequest(first=1, last=2**31 - 1, interval_ms=5), timeout=PATIENCE)
        self.assertEqual(next(call).number, 1)
        self.program.send(signal.SIGTERM)
        # The demonstration ends its streams when it drains; a stream that is open is not lost but ended by its server.
        try:
            list(call)
        except grpc.RpcError:
            pass
        self.assertIn(call.code(), (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED))
        self.fails(grpc.StatusCode.UNAVAILABLE, lambda: self.method("Add")(m.AddRequest(a=2, b=3), timeout=PATIENCE))
        self.assertEqual(self.program.wait().status, 0)


# The generated package of health's own .proto hides grpcio's: its parts are looked for in both.
import os  # noqa: E402
import support  # noqa: E402
grpc.__path__.append(os.path.join(support._generated.name, "grpc"))

if __name__ == "__main__":
    unittest.main()
