#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client that knows nothing but ClientMessage and ServerMessage, and how to cut a stream at tags and lengths."""
import random
import unittest

from interop import Connection, Server, messages

INT32 = (-(2 ** 31), 2 ** 31 - 1)


class Plain(unittest.TestCase):
    """Bare messages, with Google's runtime."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server())

    def converse(self, requests):
        """The ServerMessage for each ClientMessage."""
        with Connection(self.server.port) as connection:
            connection.send(b"".join(request.SerializeToString() for request in requests))
            connection.end_of_output()
            answers = []
            while (data := connection.next_bytes()) is not None:
                answers.append(messages.ServerMessage.FromString(data))
            return answers

    def test_every_message(self):
        source = random.Random(7)
        requests, expected = [], []
        for _ in range(2000):
            if source.random() < 0.5:
                text = "".join(chr(source.randint(1, 0xD7FF)) for _ in range(source.randint(0, 60)))
                echo = messages.EchoMessage(text=text)
                requests.append(messages.ClientMessage(echo_message=echo))
                expected.append(messages.ServerMessage(echo_message=echo))
            else:
                a, b = source.randint(*INT32) // 2, source.randint(*INT32) // 2
                requests.append(messages.ClientMessage(add_request=messages.AddRequest(a=a, b=b)))
                expected.append(messages.ServerMessage(add_response=messages.AddResponse(result=a + b)))
        self.assertEqual(self.converse(requests), expected)

    def test_an_error_is_a_message_with_nothing_set(self):
        too_much = messages.ClientMessage(add_request=messages.AddRequest(a=INT32[1], b=1))
        fine = messages.ClientMessage(add_request=messages.AddRequest(a=1, b=1))
        kinds = [answer.WhichOneof("message") for answer in self.converse([fine, too_much, fine])]
        self.assertEqual(kinds, ["add_response", None, "add_response"])

    def test_empty_members(self):
        requests = [messages.ClientMessage(echo_message=messages.EchoMessage()),
                    messages.ClientMessage(add_request=messages.AddRequest())]
        kinds = [answer.WhichOneof("message") for answer in self.converse(requests)]
        self.assertEqual(kinds, ["echo_message", "add_response"])

    def test_unknown_fields(self):
        """A newer client's message, with fields that this server does not know."""
        inside = messages.AddRequest(a=1, b=2).SerializeToString() + b"\x7a\x03new\xf8\x01\x01"
        with Connection(self.server.port) as connection:
            connection.send(b"\x12" + bytes([len(inside)]) + inside)
            answer = messages.ServerMessage.FromString(connection.next_bytes())
        self.assertEqual(answer.add_response.result, 3)


if __name__ == "__main__":
    unittest.main()
