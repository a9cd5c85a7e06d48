#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Calls to msgsrv-server from Google's protobuf runtime: what it serialises is understood, what comes back it
parses, and writes again to the same bytes."""
import itertools
import random
import subprocess
import unittest

from interop import (ADD, ECHO, GUARD_S, INVALID_ARGUMENT, OK, OUT_OF_RANGE, PROTO, PROTOC, UNIMPLEMENTED,
                     Connection, Server, call, frame, messages, wire)

INT32 = (-(2 ** 31), 2 ** 31 - 1)
SEED = 20
CALL = 16


def random_text(source, most):
    """Text of characters of one to four bytes, never a NUL, which C strings cannot hold."""
    planes = ((1, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF))
    return "".join(chr(source.randint(*source.choice(planes))) for _ in range(source.randint(0, most)))


class Calls(unittest.TestCase):
    """One server for all; each test has a connection of its own."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server())

    def connect(self):
        """A connection that ends with the test."""
        connection = Connection(self.server.port)
        self.addCleanup(connection.close)
        return connection

    def expect_end(self, connection, number, code=OK):
        """The End of a call."""
        name, end = connection.next()
        self.assertEqual((name, end.id, end.code), ("end", number, code), end)
        return end

    def test_add(self):
        connection = self.connect()
        source = random.Random(SEED)
        values = [0, 1, -1, 2, 127, 128, *INT32, INT32[0] + 1, INT32[1] - 1]
        pairs = list(itertools.product(values, values))
        pairs += [(source.randint(*INT32), source.randint(*INT32)) for _ in range(500)]
        connection.send(b"".join(call(i + 1, ADD, messages.AddRequest(a=a, b=b)) for i, (a, b) in enumerate(pairs)))
        for number, (a, b) in enumerate(pairs):
            fits = INT32[0] <= a + b <= INT32[1]
            end = self.expect_end(connection, number + 1, OK if fits else OUT_OF_RANGE)
            self.assertEqual(end.HasField("body"), fits)
            if fits:
                self.assertEqual(messages.AddResponse.FromString(end.body), messages.AddResponse(result=a + b))

    def test_echo(self):
        connection = self.connect()
        source = random.Random(SEED)
        texts = ["", "a", "\u20ac\U0001f600", "x" * 65535, "y" * 65536, "z" * 200000]
        texts += [random_text(source, 400) for _ in range(300)]
        for number, text in enumerate(texts):
            connection.send(call(number + 1, ECHO, messages.EchoMessage(text=text)))
            body = self.expect_end(connection, number + 1).body
            self.assertEqual(messages.EchoMessage.FromString(body).text, text)
            self.assertEqual(body, messages.EchoMessage(text=text).SerializeToString())

    def test_unknown_fields_of_a_message(self):
        connection = self.connect()
        metadata = [wire.Metadata(key="k", value=b"v")]
        more = wire.Call(id=7, method="m", timeout_ms=1, metadata=metadata, credit=1, body=b"b")
        body = messages.AddRequest(a=3, b=4).SerializeToString() + wire.Stream(call=[more]).SerializeToString()
        connection.send(call(1, ADD, body))
        self.assertEqual(messages.AddResponse.FromString(self.expect_end(connection, 1).body).result, 7)

    def test_every_combination_of_fields(self):
        """128 Calls with an id, each with another choice of other fields; and 128 without, which end theirs."""
        fields = {"method": ADD, "timeout_ms": 60000, "metadata": [wire.Metadata(key="key", value=b"value")],
                  "credit": 3, "streaming": True, "credit_bytes": 1000,
                  "body": messages.AddRequest(a=1, b=2).SerializeToString()}
        connection = self.connect()
        number = 0
        for count in range(len(fields) + 1):
            for names in itertools.combinations(fields, count):
                chosen = {name: fields[name] for name in names}
                number += 1
                connection.send(wire.Stream(call=[wire.Call(id=number, **chosen)]).SerializeToString())
                name, end = connection.next()
                self.assertEqual((name, end.id), ("end", number))
                self.assertIn(end.code, self.allowed(chosen), f"{chosen}: {end}")
                with Connection(self.server.port) as other:
                    other.send(wire.Stream(call=[wire.Call(**chosen)]).SerializeToString())
                    name, go_away = other.next()
                    self.assertEqual((name, go_away.code), ("go_away", INVALID_ARGUMENT), chosen)
                    self.assertIsNone(other.next())
        self.assertEqual(number, 2 ** len(fields))

    @staticmethod
    def allowed(chosen):
        """The codes that the document allows for a Call of a unary method with these fields."""
        if chosen.get("streaming") and chosen.get("body"):
            return (INVALID_ARGUMENT,)
        if chosen.get("streaming") or not chosen.get("method"):
            return (UNIMPLEMENTED,)
        return (OK,)

    def test_fields_in_a_random_order(self):
        source = random.Random(SEED)
        connection = self.connect()
        for number in range(1, 301):
            parts = [wire.Call(id=number), wire.Call(method=ADD), wire.Call(timeout_ms=50000), wire.Call(credit=1),
                     wire.Call(metadata=[wire.Metadata(key="a", value=b"b")]), wire.Call(credit_bytes=9),
                     wire.Call(body=messages.AddRequest(a=number, b=1).SerializeToString())]
            source.shuffle(parts)
            connection.send(frame(CALL, b"".join(part.SerializeToString() for part in parts)))
            body = self.expect_end(connection, number).body
            self.assertEqual(messages.AddResponse.FromString(body).result, number + 1)

    def test_metadata(self):
        connection = self.connect()
        pairs = [("key", b"value"), ("some-bin", bytes(range(256))), ("a.b_c-d0", b""), ("key", b"again")]
        metadata = [wire.Metadata(key=key, value=value) for key, value in pairs]
        connection.send(call(1, ADD, messages.AddRequest(a=1), metadata=metadata))
        self.expect_end(connection, 1)
        connection.send(call(2, ADD, metadata=[wire.Metadata(key="Upper", value=b"x")]))
        self.expect_end(connection, 2, INVALID_ARGUMENT)
        connection.send(call(3, ADD, metadata=[wire.Metadata(key="msgsrv-require", value=b"x")]))
        self.expect_end(connection, 3, UNIMPLEMENTED)

    def test_many_frames_in_one_stream_message(self):
        """One Stream with calls, pings and unknown fields: its serialisation is a connection's bytes."""
        stream = wire.Stream(call=[wire.Call(id=i, method=ADD, body=b"\x08\x01") for i in range(1, 501)],
                             ping=[wire.Ping(data=b"ping")], cancel=[wire.Cancel(id=1000)], head=[wire.Head(id=1)])
        connection = self.connect()
        connection.send(stream.SerializeToString())
        connection.end_of_output()
        ends, pongs = 0, 0
        while (came := connection.next()) is not None:
            name, message = came
            if name == "end":
                ends += 1
                self.assertEqual(message, wire.End(id=ends, body=b"\x08\x01"))
            else:
                self.assertEqual((name, message.data), ("pong", b"ping"))
                pongs += 1
        self.assertEqual((ends, pongs), (500, 1))

    def test_a_capture_is_a_message(self):
        """`protoc --decode_raw` and `--decode` read what a connection carried."""
        connection = self.connect()
        connection.send(call(1, ADD, messages.AddRequest(a=1, b=2)) + call(2, "/no.Such/Method") +
                        messages.ClientMessage(add_request=messages.AddRequest(a=4)).SerializeToString())
        connection.end_of_output()
        while connection.next_bytes() is not None:
            pass
        decode = [f"--proto_path={PROTO}", "--decode=msgsrv.wire.Stream", "msgsrv/wire.proto"]
        for options in (["--decode_raw"], decode):
            text = subprocess.run([PROTOC, *options], input=connection.capture, stdout=subprocess.PIPE, check=True,
                                  timeout=GUARD_S).stdout.decode()
            self.assertIn("12" if "--decode_raw" in options else "code: 12", text)
        self.assertEqual(len(wire.Stream.FromString(connection.capture).end), 2)


if __name__ == "__main__":
    unittest.main()
