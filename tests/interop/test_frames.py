#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Frames of every kind with every combination of their fields, serialised by Google's runtime from random values: the
server reads each, and says so by answering the ping behind it. Those that it may not skip, it refuses."""
import itertools
import random
import unittest

from interop import ADD, INVALID_ARGUMENT, Connection, Server, call, frame, wire

SEED = 4
FIRST_ID = 1000  # ids of frames without effect; calls use lower ones


def values(source):
    """A random value for each field name of the frames."""
    metadata = [wire.Metadata(key=f"key{i}", value=bytes(source.randrange(256) for _ in range(source.randrange(9))))
                for i in range(source.randrange(1, 4))]
    return {"id": source.randrange(FIRST_ID, 2 ** 64), "code": source.randrange(1, 2 ** 32), "message": "text \u20ac",
            "metadata": metadata, "body": bytes(source.randrange(256) for _ in range(source.randrange(1, 300))),
            "items": source.randrange(1, 2 ** 32), "bytes": source.randrange(1, 2 ** 32),
            "data": b"d" * source.randrange(1, 65), "last_id": source.randrange(1, 2 ** 64)}


def combinations(message, source):
    """The message with every subset of its fields set."""
    names = [field.name for field in message.DESCRIPTOR.fields]
    for count in range(len(names) + 1):
        for chosen in itertools.combinations(names, count):
            known = values(source)
            yield message(**{name: known[name] for name in chosen})


class Frames(unittest.TestCase):
    """Each kind on a connection of its own."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server("--pings-per-second", "none"))

    def expect_skipped(self, field, message):
        """Every combination is read, has no effect, and the connection goes on."""
        source = random.Random(SEED)
        with Connection(self.server.port) as connection:
            for number, sent in enumerate(combinations(message, source)):
                mark = wire.Ping(data=b"%d" % number)
                connection.send(wire.Stream(**{field: [sent]}).SerializeToString() +
                                wire.Stream(ping=[mark]).SerializeToString())
                self.assertEqual(connection.next(), ("pong", mark), f"after {field} {sent}")
            connection.send(call(1, ADD))
            self.assertEqual(connection.next(), ("end", wire.End(id=1, body=b"")))

    def test_item(self):
        self.expect_skipped("item", wire.Item)

    def test_end(self):
        self.expect_skipped("end", wire.End)

    def test_cancel(self):
        self.expect_skipped("cancel", wire.Cancel)

    def test_credit(self):
        self.expect_skipped("credit", wire.Credit)

    def test_head(self):
        self.expect_skipped("head", wire.Head)

    def test_ping(self):
        source = random.Random(SEED)
        with Connection(self.server.port) as connection:
            for sent in combinations(wire.Ping, source):
                connection.send(wire.Stream(ping=[sent]).SerializeToString())
                self.assertEqual(connection.next(), ("pong", sent))

    def test_a_ping_that_is_too_long(self):
        with Connection(self.server.port) as connection:
            connection.send(wire.Stream(ping=[wire.Ping(data=b"x" * 65)]).SerializeToString())
            name, go_away = connection.next()
            self.assertEqual(name, "go_away")
            self.assertNotEqual(go_away.code, 0)
            self.assertTrue(go_away.message)
            self.assertIsNone(connection.next())

    def test_random_bytes_as_payloads(self):
        """The server and the runtime agree on what decodes: the one refuses what the other does."""
        source = random.Random(SEED)
        kinds = [("item", 17, wire.Item), ("end", 18, wire.End), ("cancel", 19, wire.Cancel),
                 ("credit", 20, wire.Credit)]
        disagreements = []
        for _ in range(1500):
            name, number, message = source.choice(kinds)
            payload = self.almost(message, source)
            try:
                message.FromString(payload)
                decodes = True
            except Exception:  # pylint: disable=broad-except
                decodes = False
            if self.served_after(number, payload) != decodes:
                disagreements.append((name, payload.hex(), decodes))
        self.assertEqual(disagreements, [], "\n".join(map(str, disagreements)))

    @staticmethod
    def almost(message, source):
        """A message's bytes, some of them changed; without metadata, which nobody reads of a frame without effect."""
        known = values(source)
        names = [field.name for field in message.DESCRIPTOR.fields
                 if field.name != "metadata" and source.random() < 0.7]
        while True:
            payload = bytearray(message(**{name: known[name] for name in names}).SerializeToString()[:100])
            for _ in range(source.randrange(3)):
                if payload:
                    payload[source.randrange(len(payload))] = source.randrange(256)
            if payload and source.random() < 0.3:
                del payload[source.randrange(len(payload)):]
            if not is_odd(bytes(payload)):
                return bytes(payload)

    def served_after(self, number, payload):
        """Whether the connection goes on after such a frame; otherwise it must have been refused in order."""
        with Connection(self.server.port) as connection:
            connection.send(frame(number, payload) + wire.Stream(ping=[wire.Ping(data=b"x")]).SerializeToString())
            name, message = connection.next()
            if name == "pong":
                return True
            self.assertEqual((name, message.code), ("go_away", INVALID_ARGUMENT))
            self.assertIsNone(connection.next())
            return False


def is_odd(payload):
    """Whether the runtime is laxer than wire.proto needs: groups, which proto3 does not have, tags of more than 32 bits
    and varints of more than 64, whose upper bits it drops; or metadata (field 4). Looks no further than the first
    thing that does not decode."""
    at = 0
    while at < len(payload):
        tag, at = read_varint(payload, at)
        if tag is None:
            return False
        kind = tag & 7
        if kind in (3, 4) or tag >= 1 << 32 or tag >> 3 == 4:
            return True
        if kind in (0, 2):
            value, at = read_varint(payload, at)
            if value is None:
                return False
            if value >= 1 << 64:
                return True
            at += value if kind == 2 else 0
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            return False
    return False


def read_varint(payload, at):
    """A varint and the position behind it, or (None, 0)."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(payload):
            return None, 0
        value |= (payload[at] & 0x7F) << shift
        at += 1
        if not payload[at - 1] & 0x80:
            return value, at
    return None, 0


if __name__ == "__main__":
    unittest.main()
