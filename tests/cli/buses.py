# SPDX-License-Identifier: MIT
"""
What the tests of the bus's commands share: a server with a bus for each test, and waiting for what the bus counts.
"""
import base64
import json

from programs import TestCase, client, conversation, field, server, varint


def descriptor_set(name, message, field_name):
    """A FileDescriptorSet with one message of one int32 field, 1."""
    member = (field(1, field_name.encode()) + varint(3 << 3) + varint(1) + varint(4 << 3) + varint(1) + varint(5 << 3)
              + varint(5))
    return field(1, field(1, f"{name}.proto".encode()) + field(2, name.encode())
                 + field(4, field(1, message.encode()) + field(2, member)) + field(12, b"proto3"))


class BusTestCase(TestCase):
    """With msgsrv-server."""

    ARGUMENTS = ()

    def setUp(self):
        super().setUp()
        self.context = server(*self.ARGUMENTS)
        self.program = self.context.__enter__()
        self.addCleanup(self.context.__exit__, None, None, None)
        self.url = self.program.url

    def run_client(self, *arguments, **more):
        return client(self.url, *arguments, **more)

    def good(self, *arguments, **more):
        """Runs a command that must succeed in silence on standard error. Returns its output."""
        result = self.run_client(*arguments, **more)
        self.assertEqual((result.status, result.err), (0, ""), arguments)
        return result.out

    def values(self, *arguments, **more):
        """The JSON values that a command prints."""
        return [json.loads(line) for line in self.good(*arguments, "--json", **more).splitlines()]

    def talk(self, *arguments):
        return conversation(self.url, *arguments)

    def pub(self, topic, text, *arguments):
        """Publishes a messages.EchoMessage."""
        self.assertEqual(self.good("pub", topic, json.dumps({"text": text}), "--type", "messages.EchoMessage", *arguments), "")

    def declare_topic(self, topic, type_name="", descriptors=b"", retain=None):
        request = {"topic": topic, "type": type_name, "descriptors": base64.b64encode(descriptors).decode()}
        if retain is not None:
            request["retain"] = retain
        self.good("call", "msgsrv.bus.v1.Bus/DeclareTopic", json.dumps(request))

    def wait_for(self, wanted):
        """Waits until a sample of the topics is as wanted. Returns it."""
        with self.talk("topics", "--watch", "--json", "--interval", "100ms") as watch:
            while True:
                sample = json.loads(watch.line())
                if wanted(sample):
                    watch.interrupt()
                    watch.end_without_closing()
                    return sample

    def wait_for_subscriptions(self, count):
        self.wait_for(lambda sample: sample["bus"]["subscriptions"] == count)

    def wait_for_consumers(self, count):
        self.wait_for(lambda sample: sample["bus"]["consumers"] == count)

    def interrupt(self, talk, number=2):
        """Ends a command that was interrupted. Returns how."""
        talk.interrupt(number)
        return talk.end_without_closing()
